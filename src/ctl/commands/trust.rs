//! `homie trust`: which key each name stands for, and taking a machine's new key for the old one.

use serde_json::json;
use std::process::ExitCode;

use crate::ctl::args::TrustArgs;
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, ago};
use crate::wire::group::RoleParams;
use crate::wire::ipc::{Pin, TrustName, TrustedKey, method};

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses: no such name, no other key shown under it, or more than one.
pub async fn run(ctx: &Context, args: TrustArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    if let (Some(name), Some(key)) = (&args.name, args.new_key) {
        let trust = TrustName { name: name.clone(), key };
        let trusted: TrustedKey = homied.call(method::TRUST_NEW_KEY, &trust).await?;
        if ctx.json {
            ctx.print_json(&json!({ "version": 1, "trusted": trusted }))?;
        } else {
            ctx.print(&accepted(&ctx.out, &trusted))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(name), Some(roles)) = (&args.name, args.role) {
        let pin: Pin = homied.call(method::TRUST_ROLE, &RoleParams { name: name.clone(), roles }).await?;
        if ctx.json {
            ctx.print_list("pins", &[pin])?;
        } else {
            ctx.print(&format!("{} {} may here: {}\n", ctx.out.tick(), ctx.out.bold(&clean(&pin.name)), pin.roles))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut pins: Vec<Pin> = homied.call_rows(method::TRUST, &()).await?;
    if let Some(name) = &args.name {
        pins.retain(|pin| pin.name == *name);
        if pins.is_empty() {
            return Err(CtlError::usage_hint(
                format!("no machine called {} is known", clean(name)),
                "`homie trust` lists them",
            ));
        }
    }
    if ctx.json {
        ctx.print_list("pins", &pins)?;
    } else {
        ctx.print(&list(&ctx.out, &pins))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn accepted(style: &Style, trusted: &TrustedKey) -> String {
    let TrustedKey { name, old, new } = trusted;
    format!(
        "{} {} has a new key\n  old {old}\n  new {new}\n`homie whoami` on {} must show the new one.\n",
        style.tick(),
        style.bold(&clean(name)),
        clean(name)
    )
}

fn list(style: &Style, pins: &[Pin]) -> String {
    if pins.is_empty() {
        return "No other machine has proven its key yet.\n".into();
    }
    let mut out = String::new();
    for pin in pins {
        let name = clean(&pin.name);
        out.push_str(&format!("{} {}  {}\n", style.bold(&format!("{name:<16}")), pin.id, pin.roles));
        for other in &pin.others {
            let text = format!(
                "  {} {} at {} says that it is {name}, {}; if that is so: `homie trust {name} --new-key`\n",
                style.yellow("!"),
                other.id,
                other.addr.ip(),
                ago(0, other.seen_ms_ago)
            );
            out.push_str(&text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;
    use crate::model::{PeerId, Roles};
    use crate::wire::ipc::OtherKey;

    #[test]
    fn names_keys_and_changed_keys_are_shown_whole() {
        let style = golden::STYLES[0].1;
        let other = OtherKey { id: PeerId([2; 32]), addr: ([10, 0, 0, 7], 5556).into(), seen_ms_ago: 4000 };
        let pins = [
            Pin { name: "bob".into(), id: PeerId([1; 32]), roles: Roles::default(), others: vec![other] },
            Pin { name: "carol".into(), id: PeerId([3; 32]), roles: Roles { run: true, gpu: false }, others: vec![] },
        ];
        let text = list(&style, &pins);
        for part in [PeerId([1; 32]).to_string(), PeerId([2; 32]).to_string(), "10.0.0.7 says that it is bob".into()] {
            assert!(text.contains(&part), "{part}\n{text}");
        }
        let trusted = TrustedKey { name: "bob".into(), old: PeerId([1; 32]), new: PeerId([2; 32]) };
        let text = accepted(&style, &trusted);
        assert!(text.find("AEAQC") < text.find("AIBAE"), "old before new\n{text}");
    }
}
