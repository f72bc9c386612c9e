//! `homie remove`: forget a machine that was added by its address.

use super::list_direct;
use crate::ctl::args::RemoveArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::wire::ipc::{DirectPeer, RemovePeer, method};
use std::process::ExitCode;

/// Runs it.
///
/// # Errors
/// No homied answers, or it knows no such peer.
pub async fn run(ctx: &Context, args: RemoveArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let peer: DirectPeer = homied.call(method::PEERS_REMOVE, &RemovePeer { which: args.which.clone() }).await?;
    if ctx.json {
        return ctx.print_list("peers", &[list_direct::json_row(&peer)]).map(|()| ExitCode::SUCCESS);
    }
    let name = peer.name.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
    ctx.print(&format!("{} Removed {}{name}\n", ctx.out.tick(), peer.address))?;
    Ok(ExitCode::SUCCESS)
}
