//! `homie remove`: forget a machine that was added by its address.

use clap::Args;

use super::list_direct;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::wire::ipc::{DirectPeer, RemovePeer, method};

/// Remove a machine that was added by its address.
#[derive(Debug, Clone, Args)]
pub struct RemoveArgs {
    /// Its address or the name it was given.
    #[arg(value_name = "ADDRESS|NAME")]
    which: String,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No homied answers, or it knows no such peer.
pub async fn run(ctx: &Context, args: &RemoveArgs) -> Result<u8, CtlError> {
    let mut homied = ctx.connect().await?;
    let peer: DirectPeer = homied.call(method::PEERS_REMOVE, &RemovePeer { which: args.which.clone() }).await?;
    if ctx.json || args.json {
        return ctx.print_list("peers", &[list_direct::json_row(&peer)]).map(|()| 0);
    }
    let name = peer.name.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
    ctx.print(&format!("{} Removed {}{name}\n", ctx.out.tick(), peer.address))?;
    Ok(0)
}
