//! `homie invite`: one line (and a QR code) with which one machine can join this group, once, for 15 minutes.

use std::process::ExitCode;

use serde_json::json;

use crate::ctl::args::InviteArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, width};
use crate::wire::group::{InviteParams, InviteView};
use crate::wire::ipc::method;

/// Runs it.
///
/// # Errors
/// No homied answers, or it is in no group, or too many invitations are open.
pub async fn run(ctx: &Context, args: InviteArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    // Only where it can be read: black on white, whatever colours the terminal has.
    let qr = ctx.out.tty && ctx.out.color && !ctx.json && !ctx.quiet;
    let invite: InviteView = homied.call(method::GROUP_INVITE, &InviteParams { at: args.at, qr }).await?;
    if ctx.json {
        let InviteView { token, addresses, good_for_ms, .. } = invite;
        let invite = json!({ "token": token, "addresses": addresses, "good_for_ms": good_for_ms });
        ctx.print_json(&json!({ "version": 1, "invite": invite }))?;
    } else if !ctx.out.tty || ctx.quiet {
        ctx.print(&format!("{}\n", invite.token))?;
    } else {
        ctx.print(&screen(&ctx.out, &invite))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn screen(style: &Style, invite: &InviteView) -> String {
    let mut out =
        format!("On your friend's machine:\n\n    {}\n\n", style.cyan(&format!("homie join {}", invite.token)));
    if let Some(picture) = &invite.qr
        && picture.lines().all(|line| width(line) <= style.width)
    {
        for line in picture.lines() {
            out.push_str(&format!("\u{1b}[30;107m{line}\u{1b}[0m\n"));
        }
        out.push('\n');
    }
    out.push_str(&format!(
        "One machine can join with it, within {} minutes. It leads to\n{}.\n\
         Whoever has it becomes a member of your group: send it over a channel you trust.\n",
        invite.good_for_ms / 60_000,
        invite.addresses.join(", ")
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;

    #[test]
    fn the_line_to_paste_stands_alone_and_what_it_means_is_said() {
        let invite = InviteView {
            token: "homie1-abcdefghijklmnopqrstuvwxyz234567".into(),
            addresses: vec!["192.168.1.7:5556".into(), "100.64.0.7:5556".into()],
            good_for_ms: 900_000,
            qr: None,
        };
        golden::check_styles("invite", |style| screen(style, &invite));
    }
}
