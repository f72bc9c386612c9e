//! `homie doctor`: what works here, what this machine cannot give, and (with `--sandbox`) whether its jails hold.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use crate::ctl::args::DoctorArgs;
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::follow::as_shown;
use crate::ctl::render::{Style, Table};
use crate::ctl::results::{would_place, would_replace_sent};
use crate::model::EngineKind;
use crate::wire::doctor::{Check, DoctorParams, DoctorRow, Evidence, Level, ProbeResult, ProbeRow};
use crate::wire::frame::FrameError;
use crate::wire::ipc::{Reply, method};

/// Something here does not work, or a jail does not hold.
const ILL: u8 = 1;
/// The longest that homied is silent while its probes run: those without a jail, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, args: DoctorArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    if args.sandbox && !ctx.json {
        ctx.note("Trying to break out of the sandbox; this takes about a minute.");
    }
    let id = homied.request(method::DOCTOR, &DoctorParams { sandbox: args.sandbox }).await?;
    let (mut checks, mut probes) = (Vec::new(), Vec::new());
    loop {
        let silent = || CtlError::Broken(format!("no answer within {} s", PATIENCE.as_secs()));
        let frame = timeout(PATIENCE, homied.wire().next()).await.map_err(|_| silent())?;
        match frame.ok_or(FrameError::Closed)??.parse()? {
            Reply::Event { id: of, event } if of == id => {
                match serde_json::from_value(event).map_err(|e| CtlError::Protocol(e.to_string()))? {
                    DoctorRow::Check(check) => checks.push(check),
                    DoctorRow::Probe(probe) => probes.push(judge(probe)),
                }
            }
            Reply::Ok { id: of, .. } if of == id => break,
            Reply::Error { id: of, error } if of == id => return Err(error.into()),
            other => return Err(CtlError::Protocol(format!("an answer to another request: {other:?}"))),
        }
    }
    if ctx.json {
        ctx.print_json(&json!({ "version": 1, "checks": checks, "probes": probes }))?;
    } else {
        ctx.print(&text(&ctx.out, &checks, &probes))?;
    }
    Ok(if is_well(&checks, &probes, args.sandbox) { ExitCode::SUCCESS } else { ExitCode::from(ILL) })
}

/// Says of what got past the worker whether it gets past this client.
fn judge(mut probe: ProbeRow) -> ProbeRow {
    let Some(evidence) = probe.evidence.take() else { return probe };
    let (through, note) = match evidence {
        Evidence::NewFile(path) => (would_place(&path), "left behind: hidden files come home only by --output"),
        Evidence::SentFile(_) => (would_replace_sent(), "put beside it: what was sent is never replaced"),
        Evidence::Output(bytes) => {
            let shown = String::from_utf8(as_shown(&bytes));
            let steers = |text: String| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            (shown.map_or(true, steers), "control bytes are shown, not obeyed")
        }
    };
    // Only what reached the client is the client's to hold.
    if probe.result == ProbeResult::Reached && !through {
        (probe.result, probe.note) = (ProbeResult::Held, note.to_owned());
    }
    probe
}

fn is_well(checks: &[Check], probes: &[ProbeRow], sandbox: bool) -> bool {
    let held = probes.iter().all(|p| matches!(p.result, ProbeResult::Held | ProbeResult::Untried));
    checks.iter().all(|c| c.level != Level::Bad) && held && (!sandbox || !probes.is_empty())
}

fn text(style: &Style, checks: &[Check], probes: &[ProbeRow]) -> String {
    let mut out = String::new();
    let wide = checks.iter().map(|c| c.subject.len()).max().unwrap_or(0);
    for check in checks {
        let mark = match check.level {
            Level::Good => style.tick(),
            Level::Less => style.yellow("!"),
            Level::Bad => style.cross(),
        };
        out.push_str(&format!("  {mark} {:<wide$}  {}\n", clean(&check.subject), clean(&check.text)));
    }
    for engine in [EngineKind::Native, EngineKind::Docker] {
        let of: Vec<&ProbeRow> = probes.iter().filter(|p| p.engine == engine).collect();
        if !of.is_empty() {
            out.push_str(&format!("\n{}{}\n", table(style, engine, &of), verdict(style, engine, &of)));
        }
    }
    out
}

fn word(result: ProbeResult) -> &'static str {
    match result {
        ProbeResult::Held => "held",
        ProbeResult::Reached => "REACHED",
        ProbeResult::Untried => "not here",
        ProbeResult::Broken => "BROKEN",
    }
}

fn table(style: &Style, engine: EngineKind, probes: &[&ProbeRow]) -> String {
    let title = format!("ESCAPE PROBES, {} ENGINE", engine.as_str().to_uppercase());
    let mut table = Table::new(&["GOES AFTER", "PROBE", "RESULT", "WHAT HAPPENED"]).title(title);
    for probe in probes {
        table.row(vec![clean(&probe.group), clean(&probe.name), word(probe.result).into(), clean(&probe.note)]);
    }
    table.paint("REACHED", style.red("REACHED"));
    table.paint("BROKEN", style.red("BROKEN"));
    table.render(style)
}

/// One line on what a table says.
fn verdict(style: &Style, engine: EngineKind, probes: &[&ProbeRow]) -> String {
    let count = |result| probes.iter().filter(|p| p.result == result).count();
    let (held, reached) = (count(ProbeResult::Held), count(ProbeResult::Reached));
    let (untried, broken) = (count(ProbeResult::Untried), count(ProbeResult::Broken));
    let mark = if reached + broken == 0 { style.tick() } else { style.cross() };
    let mut line = format!("  {mark} {}: {reached} of {} reached the outside", engine.as_str(), held + reached);
    if untried > 0 {
        line.push_str(&format!("; {untried} cannot be tried on this machine"));
    }
    if broken > 0 {
        line.push_str(&format!("; {broken} failed themselves and prove nothing"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;

    fn probe(name: &str, result: ProbeResult, evidence: Option<Evidence>) -> ProbeRow {
        ProbeRow {
            engine: EngineKind::Native,
            group: "results and output".into(),
            name: name.into(),
            why: "somebody could".into(),
            result,
            note: "it is among the results".into(),
            evidence,
        }
    }

    #[test]
    fn what_reaches_the_client_is_held_by_its_own_rules() {
        let result = |evidence| judge(probe("p", ProbeResult::Reached, evidence)).result;
        assert_eq!(result(Some(Evidence::NewFile(".bashrc".into()))), ProbeResult::Held);
        assert_eq!(result(Some(Evidence::NewFile("plain".into()))), ProbeResult::Reached);
        assert_eq!(result(Some(Evidence::SentFile("train.py".into()))), ProbeResult::Held);
        assert_eq!(result(Some(Evidence::Output(b"\x1b[2J\x9b2J\xc2\x9b\r\x08x\n".to_vec()))), ProbeResult::Held);
        assert_eq!(result(None), ProbeResult::Reached);
    }

    #[test]
    fn only_a_machine_that_holds_everything_is_well() {
        let check = |level| Check { subject: "worker".into(), level, text: String::new() };
        let held = probe("p", ProbeResult::Held, None);
        assert!(is_well(&[check(Level::Good), check(Level::Less)], &[], false));
        assert!(!is_well(&[check(Level::Bad)], &[], false));
        assert!(!is_well(&[], &[], true), "no engine was tried");
        assert!(is_well(&[], &[held.clone(), probe("q", ProbeResult::Untried, None)], true));
        for bad in [ProbeResult::Reached, ProbeResult::Broken] {
            assert!(!is_well(&[], &[held.clone(), probe("q", bad, None)], true));
        }
    }

    #[test]
    fn the_report_can_be_read() {
        let check = |level, subject: &str, text: &str| Check { subject: subject.into(), level, text: text.into() };
        let checks = [
            check(Level::Good, "native engine", "namespace isolation; environments: base"),
            check(Level::Less, "native engine", "no memory limit: control group memory is not ours to use"),
            check(Level::Bad, "worker", "port 5556 is taken by another program"),
        ];
        let probes = [
            probe("dot-file", ProbeResult::Held, None),
            probe("vsock", ProbeResult::Untried, None),
            probe("mount", ProbeResult::Reached, None),
        ];
        golden::check_styles("doctor", |style| text(style, &checks, &probes));
    }
}
