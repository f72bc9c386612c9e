//! `homie join TOKEN`: into a friend's group with what `homie invite` printed there.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::ctl::args::JoinArgs;
use crate::ctl::cells::clean;
use crate::ctl::commands::{config, setup, up};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::until;
use crate::model::{PeerView, Token, Via};
use crate::wire::group::{JoinParams, Joined};
use crate::wire::ipc::{AddPeer, DirectPeer, PeersParams, method};

/// How long the inviter may take to be seen: by its broadcast at once, else it is known by its address from then on.
const HEARD: Duration = Duration::from_secs(3);
/// How long it may then take to answer at that address.
const LINKED: Duration = Duration::from_secs(10);

/// Runs it.
///
/// # Errors
/// It is no token, it is used or too old, nobody answers at its addresses, or the config cannot be written.
pub async fn run(ctx: &Context, args: JoinArgs) -> Result<ExitCode, CtlError> {
    let text = if args.token == "-" { config::first_line_of_stdin()? } else { args.token };
    let token: Token = text.parse().map_err(|e: crate::model::TokenError| {
        CtlError::usage_hint(e.to_string(), "`homie invite` on a friend's machine makes one")
    })?;
    let mut homied = match ctx.connect().await {
        Err(CtlError::NoDaemon { .. }) => up::wake(ctx).await?,
        other => other?,
    };
    let joined: Joined = homied.call(method::GROUP_JOIN, &JoinParams { token: token.to_string() }).await?;
    let left = setup::become_member(ctx, &mut homied, &joined.group, &joined.secret).await?;
    meet(&mut homied, &joined).await?;
    if ctx.json {
        let Joined { group, inviter, id, address, .. } = &joined;
        let joined = json!({ "group": group, "inviter": inviter, "id": id, "address": address, "left": left });
        ctx.print_json(&json!({ "version": 1, "joined": joined }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = clean(&joined.inviter);
    ctx.print(&format!("{} You are in the group of {}\n", ctx.out.tick(), ctx.out.bold(&name)))?;
    if left {
        ctx.note("This machine has left the group it was in.");
    }
    ctx.note(&format!("\n{}\n\nNext: `homie peers`", setup::TRUST));
    Ok(ExitCode::SUCCESS)
}

/// Waits until who invited is seen; where broadcasts do not reach, it is added by the address at which it answered.
async fn meet(homied: &mut Connection, joined: &Joined) -> Result<(), CtlError> {
    if is_seen(homied, joined, HEARD).await {
        return Ok(());
    }
    let add = AddPeer { address: joined.address.clone(), name: None };
    let _: DirectPeer = homied.call(method::PEERS_ADD, &add).await?;
    is_seen(homied, joined, LINKED).await;
    Ok(())
}

async fn is_seen(homied: &mut Connection, joined: &Joined, limit: Duration) -> bool {
    let homied = tokio::sync::Mutex::new(homied);
    let look = || async {
        let mut homied = homied.lock().await;
        let rows: Vec<PeerView> = homied.call_rows(method::PEERS, &PeersParams::default()).await.ok()?;
        rows.iter().any(|row| row.id == joined.id && row.via != Via::Own).then_some(())
    };
    until(limit, look).await.is_some()
}
