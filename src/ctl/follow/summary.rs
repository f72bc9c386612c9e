//! The end of a job as its user sees it: files brought home, a card, next steps, the exit code.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::hints::{Here, after_failure};
use super::limits;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Progress, Style, card, job_json};
use crate::ctl::results::{Home, bring_home};
use crate::model::{Delivery, JobRecord, Outcome, format_duration, visible_controls};

/// Names of downloaded files that a card lists; the rest is counted.
const NAMES_SHOWN: usize = 12;

/// What is needed beside the record.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Where results go.
    pub dest: PathBuf,
    /// The last lines the job wrote.
    pub tail: String,
    /// What was sent with the job, if this command sent it.
    pub sent: Option<HashSet<&'a str>>,
}

/// Brings the results of an ended job home, draws its last card, and gives the exit code.
///
/// # Errors
/// The results cannot be brought home; they wait in homied's store.
pub async fn finish(ctx: &Context, record: &JobRecord, ending: &Ending<'_>) -> Result<ExitCode, CtlError> {
    let home = match record.delivery {
        Delivery::Waiting => {
            let progress = Progress::new(ctx);
            match bring_home(ctx, record, &ending.dest, &record.spec.outputs, &progress).await {
                Ok(home) => Some(home),
                Err(error) => {
                    drop(progress);
                    ctx.note(&last_card(&ctx.err, record, None));
                    return Err(error);
                }
            }
        }
        _ => None,
    };
    if ctx.json {
        let mut job = job_json(record);
        job["downloaded"] = json!(home.as_ref().map_or(&[][..], |h| &h.files));
        job["warnings"] = json!(home.as_ref().map_or(&[][..], |h| &h.warnings));
        ctx.print_list("jobs", &[job])?;
    } else {
        // What lies elsewhere than the user will look for it is told even when little else is.
        let mut text = String::new();
        if !ctx.quiet {
            text = format!("\n{}", last_card(&ctx.err, record, home.as_ref()));
        }
        let warnings = home.iter().flat_map(|h| &h.warnings).cloned();
        let skipped = record.skipped.iter().map(|s| format!("left behind on {}: {s}", peer(record)));
        for warning in warnings.chain(skipped) {
            text.push_str(&format!("{} {}\n", ctx.err.yellow("warning:"), visible_controls(warning.as_bytes())));
        }
        for hint in hints(record, ending).into_iter().filter(|_| !ctx.quiet) {
            text.push_str(&format!("{} {}\n", ctx.err.cyan("hint:"), visible_controls(hint.as_bytes())));
        }
        // Without standard error there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
    Ok(exit_code(record))
}

/// The exit code of an ended job, in the eight bits that a process has.
pub(in crate::ctl) fn exit_code(record: &JobRecord) -> ExitCode {
    let code = record.outcome.as_ref().map_or(i32::from(crate::ctl::exit::FAILED), Outcome::exit_code);
    ExitCode::from((code & 0xff) as u8)
}

fn peer(record: &JobRecord) -> String {
    visible_controls(record.peer_name.as_deref().unwrap_or("the worker").as_bytes())
}

fn hints(record: &JobRecord, ending: &Ending<'_>) -> Vec<String> {
    match (&record.outcome, &ending.sent) {
        (Some(Outcome::Exited { code }), Some(sent)) if *code != 0 => {
            after_failure(&ending.tail, &Dir { cwd: Path::new("."), sent })
        }
        _ => limits::advice(record).into_iter().collect(),
    }
}

struct Dir<'a> {
    cwd: &'a Path,
    sent: &'a HashSet<&'a str>,
}

impl Here for Dir<'_> {
    fn exists(&self, path: &str) -> bool {
        self.cwd.join(path).exists()
    }
    fn sent(&self, path: &str) -> bool {
        self.sent.contains(path) || self.sent.iter().any(|s| s.strip_prefix(path).is_some_and(|r| r.starts_with('/')))
    }
}

/// The card that closes a job.
fn last_card(style: &Style, record: &JobRecord, home: Option<&Home>) -> String {
    let (title, reason) = title(record);
    let mut rows = Vec::new();
    rows.extend(reason.map(|reason| format!("Reason: {}", visible_controls(reason.as_bytes()))));
    if record.started_ms.is_some() {
        rows.push(format!("Runtime: {}", format_duration(record.usage.wall_ms)));
    }
    match home {
        Some(home) if !home.files.is_empty() => rows.push(format!("Downloaded: {}", listed(&home.files))),
        None if record.delivery == Delivery::Waiting => {
            rows.push(format!("Results waiting: homie results {}", record.id.short()));
        }
        _ => {}
    }
    card(style, &title, &rows)
}

fn title(record: &JobRecord) -> (String, Option<String>) {
    match &record.outcome {
        Some(Outcome::Exited { code: 0 }) => ("Job Complete".into(), None),
        Some(Outcome::Exited { code }) => (format!("Job Failed (exit code {code})"), None),
        Some(Outcome::Signaled { signal }) => (format!("Job Failed (killed by {})", signal_name(*signal)), None),
        Some(Outcome::TimedOut) => ("Job Timed Out".into(), Some(limits::timed_out(record))),
        Some(Outcome::Cancelled { by }) if by == "you" => ("Job Cancelled".into(), None),
        Some(Outcome::Cancelled { by }) => ("Job Cancelled".into(), Some(format!("by {by}"))),
        Some(Outcome::Failed { message, .. }) => ("Job Failed".into(), Some(message.clone())),
        Some(Outcome::Lost { message }) => ("Job Lost".into(), Some(message.clone())),
        None => (format!("Job {}", record.state.as_str()), None),
    }
}

fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.as_str().to_owned())
}

/// `a, b, c`, and how many more.
fn listed(files: &[String]) -> String {
    let mut text =
        files.iter().take(NAMES_SHOWN).map(|f| visible_controls(f.as_bytes())).collect::<Vec<_>>().join(", ");
    if files.len() > NAMES_SHOWN {
        text.push_str(&format!(" and {} more", files.len() - NAMES_SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake;
    use crate::model::{FailKind, JobId};

    fn style(unicode: bool, width: usize) -> Style {
        Style { tty: true, color: false, unicode, width }
    }

    fn home(files: &[&str]) -> Home {
        Home { files: files.iter().map(|f| (*f).to_owned()).collect(), warnings: Vec::new() }
    }

    #[test]
    fn the_last_card_looks_as_the_documents_draw_it() {
        let mut record = fake::record(JobId([0xa1; 16]));
        record.delivery = Delivery::Waiting;
        let files = home(&["model.pkl", "results.json", "training.log"]);
        assert_eq!(
            last_card(&style(true, 80), &record, Some(&files)),
            "\
╭─ Job Complete ───────────────────────────────────────╮
│ Runtime: 1.1s                                        │
│ Downloaded: model.pkl, results.json, training.log    │
╰──────────────────────────────────────────────────────╯
"
        );
        record.usage.wall_ms = 204_000;
        assert_eq!(
            last_card(&style(false, 120), &record, None),
            "\
+- Job Complete ---------------------------------------+
| Runtime: 3m 24s                                      |
| Results waiting: homie results a1a1a1a1              |
+------------------------------------------------------+
"
        );
    }

    #[test]
    fn every_way_to_end_has_its_title_reason_and_exit_code() {
        let failed = |reason, message: &str| Outcome::failed(reason, message);
        for (outcome, title, reason) in [
            (Outcome::Exited { code: 3 }, "Job Failed (exit code 3)", None),
            (Outcome::Signaled { signal: 11 }, "Job Failed (killed by SIGSEGV)", None),
            (Outcome::TimedOut, "Job Timed Out", Some("it reached its time limit")),
            (Outcome::Cancelled { by: "you".into() }, "Job Cancelled", None),
            (Outcome::Cancelled { by: "raj".into() }, "Job Cancelled", Some("by raj")),
            (failed(FailKind::NoPeer, "nobody is online"), "Job Failed", Some("nobody is online")),
            (failed(FailKind::Spawn, "python3: not found"), "Job Failed", Some("python3: not found")),
            (Outcome::Lost { message: "raj is gone".into() }, "Job Lost", Some("raj is gone")),
        ] {
            let mut record = fake::record(JobId([1; 16]));
            record.outcome = Some(outcome);
            let text = last_card(&style(true, 80), &record, None);
            assert!(text.contains(title), "{text}");
            assert!(reason.is_none_or(|r| text.contains(r)), "{text}");
        }
    }

    #[test]
    fn a_thousand_files_do_not_fill_the_screen() {
        let names: Vec<String> = (0..1000).map(|i| format!("f{i}")).collect();
        let text = listed(&names);
        assert!(text.starts_with("f0, f1, ") && text.ends_with("f11 and 988 more"), "{text}");
    }
}
