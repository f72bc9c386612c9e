//! `homie list-direct`: the machines that were added by their address, and whether they answer.

use serde_json::{Value, json};
use std::process::ExitCode;

use crate::ctl::args::ListDirectArgs;
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, ago, shorten, width};
use crate::wire::ipc::{DirectPeer, method};

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, _args: ListDirectArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let peers: Vec<DirectPeer> = homied.call_rows(method::PEERS_DIRECT, &()).await?;
    if ctx.json {
        return ctx.print_list("peers", &peers.iter().map(json_row).collect::<Vec<_>>()).map(|()| ExitCode::SUCCESS);
    }
    ctx.print(&table(&ctx.out, &peers))?;
    for peer in &peers {
        if let Some(hint) = &peer.hint {
            ctx.note(&format!("{} {}: {}", ctx.err.cyan("hint:"), peer.address, clean(hint)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(style: &Style, peers: &[DirectPeer]) -> String {
    if peers.is_empty() {
        return "No machine was added by its address. `homie add IP` adds one.\n".into();
    }
    let mut table = Table::new(&["ADDRESS", "NAME", "STATE", "SEEN"]).title("DIRECT PEERS");
    // What the other three columns and the borders leave for the reason.
    let taken = |p: &DirectPeer| width(&p.address) + p.name.as_deref().map_or(1, width);
    let room = style.width.saturating_sub(peers.iter().map(taken).max().unwrap_or(0) + 22).max(12);
    for peer in peers {
        let state = match (&peer.error, peer.linked) {
            (_, true) => format!("{} linked", style.pick("●", "*")),
            (Some(why), false) => format!("{} {}", style.pick("○", "o"), clean(why)),
            (None, false) => format!("{} waiting", style.pick("○", "o")),
        };
        table.row(vec![
            peer.address.clone(),
            clean(peer.name.as_deref().unwrap_or("-")),
            if style.tty { shorten(&state, room, style) } else { state },
            peer.heard_ms_ago.map_or_else(|| "never".into(), |ms| ago(0, ms)),
        ]);
    }
    let linked = format!("{} linked", style.pick("●", "*"));
    table.paint(linked.clone(), style.green(&linked));
    table.render(style)
}

/// A direct peer in `--json`.
pub fn json_row(peer: &DirectPeer) -> Value {
    json!({
        "address": peer.address,
        "name": peer.name,
        "linked": peer.linked,
        "error": peer.error,
        "hint": peer.hint,
        "heard_ms_ago": peer.heard_ms_ago,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;

    #[test]
    fn each_address_is_shown_with_its_state() {
        let bob = DirectPeer {
            address: "100.64.1.12:5556".into(),
            name: Some("bob".into()),
            linked: true,
            error: None,
            hint: None,
            heard_ms_ago: Some(1400),
        };
        let alice = DirectPeer {
            address: "100.64.1.5:5556".into(),
            name: None,
            linked: false,
            error: Some(
                "connection refused; is `homie up` running there, and is port 5556 open in its firewall?".into(),
            ),
            hint: None,
            heard_ms_ago: None,
        };
        golden::check_styles("list_direct", |style| table(style, &[bob.clone(), alice.clone()]));
        golden::check_styles("list_direct_none", |style| table(style, &[]));
    }
}
