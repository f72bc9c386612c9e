//! `homie jobs`: what runs, what waits to be brought home.

use std::process::ExitCode;

use crate::ctl::args::JobsArgs;
use crate::ctl::cells::{WIDE, clean, job_state_cell, now_ms, run_time_cell};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, ago, job_json, shorten};
use crate::model::{Delivery, JobRecord, format_bytes};
use crate::wire::ipc::{ListJobs, method};

/// Lists them.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, args: JobsArgs) -> Result<ExitCode, CtlError> {
    let query = ListJobs { all: args.all, hosted: args.hosted };
    let jobs: Vec<JobRecord> = ctx.connect().await?.call_rows(method::JOB_LIST, &query).await?;
    if ctx.json {
        ctx.print_list("jobs", &jobs.iter().map(job_json).collect::<Vec<_>>())?;
    } else {
        ctx.print(&table(&ctx.out, &jobs, args.hosted, now_ms()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(style: &Style, jobs: &[JobRecord], hosted: bool, now_ms: u64) -> String {
    if jobs.is_empty() {
        return if hosted { "No job runs here.\n" } else { "No job runs. `homie jobs --all` shows past ones.\n" }
            .into();
    }
    // What the other columns leave of 80.
    let narrow = style.tty && style.width < WIDE;
    let (script, peer) = if narrow { (16, 12) } else { (40, 30) };
    let whose = if hosted { "FROM" } else { "ON" };
    let mut table = Table::new(&["JOB", "SCRIPT", whose, "STATE", "RUNTIME", "AGE", "FILES"]).title("JOBS");
    for job in jobs {
        table.row(vec![
            job.id.short(),
            shorten(&clean(&job.spec.name), script, style),
            shorten(&clean(job.peer_name.as_deref().unwrap_or("-")), peer, style),
            job_state_cell(job),
            run_time_cell(job, now_ms),
            ago(job.created_ms, now_ms),
            files(job, narrow),
        ]);
    }
    table.paint("waiting", style.yellow("waiting"));
    table.render(style)
}

/// What became of a job's files.
fn files(job: &JobRecord, narrow: bool) -> String {
    let size = || format_bytes(job.result_totals.bytes);
    match job.delivery {
        Delivery::None => "-".into(),
        Delivery::Waiting if narrow => "waiting".into(),
        Delivery::Waiting => format!("waiting {}", size()),
        Delivery::Delivered => size(),
        Delivery::Expired => "expired".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::record;
    use crate::model::{JobId, JobState, Totals};

    #[test]
    fn the_table_says_what_runs_and_what_waits() {
        let mut done = record(JobId([0xa1; 16]));
        done.delivery = Delivery::Waiting;
        done.result_totals = Totals { files: 2, bytes: 2048 };
        let mut running = record(JobId([0xb2; 16]));
        running.state = JobState::Running;
        running.outcome = None;
        running.ended_ms = None;
        running.spec.name = "a very long name of a script.py".into();
        let now = 1_700_000_063_000;
        let style = |tty, width| Style { tty, color: false, unicode: true, width };
        let text = table(&style(true, 80), &[running.clone(), done.clone()], false, now);
        assert!(text.lines().all(|l| crate::ctl::render::width(l) <= 80), "{text}");
        assert!(text.contains("│ waiting ") && text.contains("a very long nam…") && text.contains("running"), "{text}");
        assert!(table(&style(true, 120), &[done.clone()], false, now).contains("waiting 2.0 KB"));
        let plain = table(&style(false, 80), &[done], true, now);
        assert!(plain.starts_with("JOB") && plain.contains("FROM") && !plain.contains('│'), "{plain}");
        assert!(table(&style(true, 80), &[], false, now).contains("--all"));
    }
}
