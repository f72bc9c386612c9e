//! `homie top`: the jobs that run here and what they use now.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ctl::args::TopArgs;
use crate::ctl::cells::{WIDE, clean, round_bytes, uptime};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, job_json, shorten};
use crate::model::{format_bytes, format_duration};
use crate::wire::ipc::{LiveJob, method};

/// The first look only measures: use of processors is a difference of two.
const FIRST: Duration = Duration::from_millis(500);
/// How often a terminal gets a new picture.
const EACH: Duration = Duration::from_secs(2);

/// Shows it; on a terminal until Ctrl-C, else once.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, args: TopArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let mut before = look(&mut homied).await?;
    tokio::time::sleep(FIRST).await;
    loop {
        let now = look(&mut homied).await?;
        if ctx.json {
            let rows: Vec<Value> = now.iter().map(|job| live_json(job, &before)).collect();
            ctx.print_list("jobs", &rows)?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = table(&ctx.out, &now, &before);
        if args.once || !ctx.out.tty {
            ctx.print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        ctx.print(&format!("\x1b[H\x1b[2J{text}"))?;
        before = now;
        tokio::select! {
            () = tokio::time::sleep(EACH) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

async fn look(homied: &mut Connection) -> Result<Vec<LiveJob>, CtlError> {
    homied.call_rows(method::JOB_TOP, &()).await
}

/// Use of processors since the look before, in percent of one core; `None` without an earlier look at the job.
pub fn cpu_percent(job: &LiveJob, before: &[LiveJob]) -> Option<u64> {
    let old = before.iter().find(|b| b.record.id == job.record.id && b.record.epoch == job.record.epoch)?;
    let cpu_ms = job.record.usage.cpu_ms.checked_sub(old.record.usage.cpu_ms)?;
    (cpu_ms * 100).checked_div(job.at_ms.checked_sub(old.at_ms)?)
}

fn table(style: &Style, jobs: &[LiveJob], before: &[LiveJob]) -> String {
    if jobs.is_empty() {
        return "No job runs here.\n".into();
    }
    let wide = !style.tty || style.width >= WIDE;
    let (script, peer) = match (style.tty, wide) {
        (false, _) => (usize::MAX, usize::MAX),
        (true, true) => (14, 10),
        (true, false) => (12, 8),
    };
    let mut heads = vec!["JOB", "SCRIPT", "FROM", "CPU", "MEMORY", "GPU", "TIME"];
    if wide {
        heads.extend(["PROCS", "READ", "WRITTEN"]);
    }
    let mut table = Table::new(&heads).title("JOBS THAT RUN HERE");
    for job in jobs {
        let (usage, limits) = (&job.record.usage, &job.limits);
        let cpu = cpu_percent(job, before).map_or_else(|| "-".into(), |p| format!("{p}%"));
        let whole = uptime(limits.timeout_s.saturating_mul(1000));
        let mut cells = vec![
            job.record.id.short(),
            shorten(&clean(&job.record.spec.name), script, style),
            shorten(&clean(job.record.peer_name.as_deref().unwrap_or("-")), peer, style),
            if wide { format!("{cpu} of {}%", limits.cpu_millis / 10) } else { cpu },
            match wide {
                true => format!("{} of {}", format_bytes(job.memory_bytes), round_bytes(limits.memory_bytes)),
                false => format_bytes(job.memory_bytes),
            },
            gpus(job),
            match job.record.started_ms {
                Some(_) if wide => format!("{} of {whole}", format_duration(usage.wall_ms)),
                Some(_) => format_duration(usage.wall_ms),
                None => job.record.state.as_str().to_owned(),
            },
        ];
        if wide {
            cells.extend([
                job.processes.to_string(),
                format_bytes(usage.io_read_bytes),
                format_bytes(usage.io_write_bytes),
            ]);
        }
        table.row(cells);
    }
    table.render(style)
}

/// `0,1 9.5 GB`: which ones, and the memory it holds on them.
pub fn gpus(job: &LiveJob) -> String {
    if job.gpus.is_empty() {
        return "-".into();
    }
    let which: Vec<String> = job.gpus.iter().map(u32::to_string).collect();
    format!("{} {}", which.join(","), format_bytes(job.gpu_memory_bytes))
}

/// A job as `homie jobs --json` has it, and what it uses now.
fn live_json(job: &LiveJob, before: &[LiveJob]) -> Value {
    let mut row = job_json(&job.record);
    row["cpu_percent"] = json!(cpu_percent(job, before));
    row["memory_bytes"] = json!(job.memory_bytes);
    row["processes"] = json!(job.processes);
    row["gpus"] = json!(job.gpus);
    row["gpu_memory_now_bytes"] = json!(job.gpu_memory_bytes);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};
    use crate::model::{Limits, Usage};

    fn jobs(cpu_ms: u64, at_ms: u64) -> Vec<LiveJob> {
        let mut record = sample::jobs().remove(0);
        record.usage =
            Usage { wall_ms: 204_000, cpu_ms, io_read_bytes: 5 << 30, io_write_bytes: 700 << 20, ..Usage::default() };
        let render = LiveJob {
            record: record.clone(),
            limits: Limits::default(),
            memory_bytes: 3 << 30,
            processes: 17,
            gpus: vec![0, 2],
            gpu_memory_bytes: 9 << 30,
            at_ms,
        };
        record.id = crate::model::JobId([0x55; 16]);
        record.started_ms = None;
        record.state = crate::model::JobState::Preparing;
        record.usage = Usage::default();
        let waiting =
            LiveJob { record, gpus: vec![], memory_bytes: 0, processes: 0, gpu_memory_bytes: 0, ..render.clone() };
        vec![render, waiting]
    }

    #[test]
    fn the_table_reads_at_every_width() {
        let (before, now) = (jobs(10_000, 1_000), jobs(13_000, 3_000));
        golden::check_styles("top", |style| table(style, &now, &before));
        assert_eq!(table(&golden::STYLES[0].1, &[], &[]), "No job runs here.\n");
    }

    #[test]
    fn use_of_processors_is_a_difference_of_two_looks() {
        let (before, now) = (jobs(10_000, 1_000), jobs(13_000, 3_000));
        assert_eq!(cpu_percent(&now[0], &before), Some(150));
        assert_eq!(cpu_percent(&now[0], &[]), None);
        assert_eq!(cpu_percent(&now[0], &now), None, "no time between them");
        let row = live_json(&now[0], &before);
        assert_eq!((&row["cpu_percent"], &row["gpus"]), (&json!(150), &json!([0, 2])));
    }
}
