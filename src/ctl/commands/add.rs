//! `homie add`: a machine that broadcasts do not reach, by its address.

use super::list_direct;
use crate::ctl::args::AddArgs;
use crate::ctl::config_file::check_name;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::model::parse_address;
use crate::wire::ipc::{AddPeer, DirectPeer, method};
use std::process::ExitCode;

/// Runs it.
///
/// # Errors
/// The address or name is none, no homied answers, or it refuses.
pub async fn run(ctx: &Context, args: AddArgs) -> Result<ExitCode, CtlError> {
    parse_address(&args.address).map_err(|why| {
        CtlError::usage_hint(
            format!("{:?} is not an address: {why}", args.address),
            "write 100.64.1.2, 100.64.1.2:5556, bob.example or [fd7a::1]:5556",
        )
    })?;
    if let Some(name) = &args.name {
        check_name(name).map_err(CtlError::usage)?;
    }
    let mut homied = ctx.connect().await?;
    let request = AddPeer { address: args.address.clone(), name: args.name.clone() };
    let peer: DirectPeer = homied.call(method::PEERS_ADD, &request).await?;
    if ctx.json {
        return ctx.print_list("peers", &[list_direct::json_row(&peer)]).map(|()| ExitCode::SUCCESS);
    }
    let name = peer.name.as_deref().map(|n| format!(" as {n}")).unwrap_or_default();
    ctx.print(&format!("{} Added {}{name}\n", ctx.out.tick(), peer.address))?;
    if !peer.linked {
        ctx.note("It is dialled from now on; `homie list-direct` shows whether it answers.");
    }
    ctx.note("The machines it knows appear in `homie peers` by themselves: members introduce each other.");
    Ok(ExitCode::SUCCESS)
}
