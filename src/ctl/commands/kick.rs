//! `homie kick NAME`: puts a machine out of the group, for everybody.

use std::process::ExitCode;

use serde_json::json;

use crate::ctl::args::KickArgs;
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::Style;
use crate::wire::group::{KickParams, Kicked};
use crate::wire::ipc::method;

/// Runs it.
///
/// # Errors
/// No homied answers, no such machine is known, or the new secret cannot be written down.
pub async fn run(ctx: &Context, args: KickArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let kicked: Kicked = homied.call(method::GROUP_KICK, &KickParams { name: args.name }).await?;
    if ctx.json {
        ctx.print_json(&json!({ "version": 1, "kicked": kicked }))?;
    } else {
        ctx.print(&screen(&ctx.out, &kicked))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn screen(style: &Style, kicked: &Kicked) -> String {
    let names = |of: &[String]| of.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ");
    let mut out = format!("{} {} is out of the group\n", style.tick(), style.bold(&clean(&kicked.name)));
    if !kicked.told.is_empty() {
        out.push_str(&format!("  {} {} the group's new secret\n", names(&kicked.told), have(kicked.told.len())));
    }
    if !kicked.absent.is_empty() {
        out.push_str(&format!(
            "  {} not there: the new secret waits for {} return\n",
            match kicked.absent.len() {
                1 => format!("{} was", names(&kicked.absent)),
                _ => format!("{} were", names(&kicked.absent)),
            },
            if kicked.absent.len() == 1 { "its" } else { "their" },
        ));
    }
    out
}

fn have(machines: usize) -> &'static str {
    if machines == 1 { "has" } else { "have" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;
    use crate::model::PeerId;

    #[test]
    fn who_has_the_new_secret_and_who_was_away_is_told() {
        let kicked = Kicked {
            name: "eve".into(),
            id: PeerId([1; 32]),
            told: vec!["bob".into(), "carol".into()],
            absent: vec!["raj".into()],
        };
        golden::check_styles("kick", |style| screen(style, &kicked));
    }
}
