//! `homie history`: the jobs of this machine's users, and those it hosted for friends.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::ctl::args::HistoryArgs;
use crate::ctl::cells::{WIDE, clean, job_state_cell, now_ms, run_time_cell};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, ago, job_json, rfc3339, shorten};
use crate::model::{JobRecord, Role, format_bytes, format_duration};
use crate::wire::ipc::{HistoryQuery, PeerStats, method};

/// What to ask homied for.
fn query(args: &HistoryArgs) -> HistoryQuery {
    let role = match (args.hosted, args.sent) {
        (true, _) => Some(Role::Hosted),
        (_, true) => Some(Role::Sent),
        _ => None,
    };
    // Sums are over everything.
    HistoryQuery { peer: args.peer.clone(), role, limit: (!args.stats).then_some(args.limit) }
}

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, args: HistoryArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let query = query(&args);
    if args.stats {
        let rows: Vec<PeerStats> = homied.call_rows(method::HISTORY_STATS, &query).await?;
        if rows.is_empty() {
            nothing(ctx, &mut homied, &args).await?;
        }
        if ctx.json {
            return ctx
                .print_list("stats", &rows.iter().map(stats_json).collect::<Vec<_>>())
                .map(|()| ExitCode::SUCCESS);
        }
        if !rows.is_empty() {
            ctx.print(&stats_table(&ctx.out, &rows, now_ms()))?;
        }
    } else {
        let jobs: Vec<JobRecord> = homied.call_rows(method::HISTORY, &query).await?;
        if jobs.is_empty() {
            nothing(ctx, &mut homied, &args).await?;
        }
        if ctx.json {
            return ctx.print_list("jobs", &jobs.iter().map(job_json).collect::<Vec<_>>()).map(|()| ExitCode::SUCCESS);
        }
        if !jobs.is_empty() {
            ctx.print(&table(&ctx.out, &jobs, now_ms()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what was looked for in vain, and for a name that no job was with, which name may have been meant.
async fn nothing(ctx: &Context, homied: &mut Connection, args: &HistoryArgs) -> Result<(), CtlError> {
    let text = match &args.peer {
        None => none_at_all(args).to_owned(),
        Some(wanted) => {
            let everything = HistoryQuery { peer: None, role: None, limit: None };
            let rows: Vec<PeerStats> = homied.call_rows(method::HISTORY_STATS, &everything).await?;
            let mut names: Vec<String> = rows.into_iter().map(|row| row.peer).collect();
            names.sort();
            names.dedup();
            none_with(wanted, &names)
        }
    };
    // An empty list is what programs read.
    if ctx.json {
        ctx.note(&text)
    } else {
        ctx.print(&format!("{text}\n"))?
    }
    Ok(())
}

fn none_at_all(args: &HistoryArgs) -> &'static str {
    match (args.stats, args.sent, args.hosted) {
        (_, true, _) => "No job was ever sent from here.",
        (_, _, true) => "No job was ever hosted here.",
        (true, ..) => "No job has ended yet.",
        (false, ..) => "No job was ever sent or hosted here.",
    }
}

/// `names` are those of machines that jobs were with.
fn none_with(wanted: &str, names: &[String]) -> String {
    let wanted_shown = clean(wanted);
    if names.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
        return format!("No such job with {wanted_shown}.");
    }
    let likeness = |name: &String| strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
    let near = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match near {
        None => format!("No job was ever with {wanted_shown}, or with any other machine."),
        // Below this a suggestion is a guess that confuses.
        Some(near) if likeness(near) > 0.8 => {
            format!("No job was ever with {wanted_shown}. Did you mean {}?", clean(near))
        }
        Some(_) => {
            const SHOWN: usize = 8;
            let more = if names.len() > SHOWN { ", …" } else { "" };
            let names: Vec<String> = names.iter().take(SHOWN).map(|name| clean(name)).collect();
            format!("No job was ever with {wanted_shown}. Jobs were with {}{more}", names.join(", "))
        }
    }
}

/// The table of jobs. The arrow tells the direction: `→ raj` ran there, `← mike` came from there.
fn table(style: &Style, jobs: &[JobRecord], now_ms: u64) -> String {
    let wide = style.width >= WIDE;
    // What the other columns leave of 120 and of 80.
    let (script, peer) = match (style.tty, wide) {
        (false, _) => (usize::MAX, usize::MAX),
        (true, true) => (14, 13),
        (true, false) => (15, 14),
    };
    let mut heads = vec!["JOB", "WHEN", "SCRIPT", "PEER", "STATE", "RUNTIME"];
    if wide {
        heads.extend(["ENGINE", "CPU TIME", "SENT", "RESULTS"]);
    }
    let mut table = Table::new(&heads).title("HISTORY");
    for job in jobs {
        let arrow = match job.role {
            Role::Sent => style.pick("→", "->"),
            Role::Hosted => style.pick("←", "<-"),
        };
        let mut cells = vec![
            job.id.short(),
            ago(job.created_ms, now_ms),
            shorten(&clean(&job.spec.name), script, style),
            format!("{arrow} {}", shorten(&clean(job.peer_name.as_deref().unwrap_or("-")), peer, style)),
            job_state_cell(job),
            run_time_cell(job, now_ms),
        ];
        if wide {
            cells.extend([
                job.engine.clone().unwrap_or_else(|| "-".into()),
                if job.usage.cpu_ms > 0 { format_duration(job.usage.cpu_ms) } else { "-".into() },
                format_bytes(job.input_totals.bytes),
                format_bytes(job.result_totals.bytes),
            ]);
        }
        table.row(cells);
    }
    table.render(style)
}

fn stats_table(style: &Style, rows: &[PeerStats], now_ms: u64) -> String {
    let mut table =
        Table::new(&["PEER", "JOBS", "OK", "RUNTIME", "CPU TIME", "FILES", "LAST"]).title("HISTORY BY MACHINE");
    for row in rows {
        let arrow = match row.role {
            Role::Sent => style.pick("→", "->"),
            Role::Hosted => style.pick("←", "<-"),
        };
        let percent = (row.succeeded * 100).checked_div(row.jobs).unwrap_or(0);
        table.row(vec![
            format!("{arrow} {}", shorten(&clean(&row.peer), 20, style)),
            row.jobs.to_string(),
            format!("{percent}%"),
            format_duration(row.wall_ms),
            format_duration(row.cpu_ms),
            format_bytes(row.bytes),
            row.last_ms.map_or_else(|| "-".into(), |ms| ago(ms, now_ms)),
        ]);
    }
    for column in [1, 2] {
        table.align_right(column);
    }
    table.render(style)
}

fn stats_json(row: &PeerStats) -> Value {
    json!({
        "peer": row.peer,
        "role": row.role,
        "jobs": row.jobs,
        "succeeded": row.succeeded,
        "wall_ms": row.wall_ms,
        "cpu_ms": row.cpu_ms,
        "bytes": row.bytes,
        "last": row.last_ms.map(rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};

    #[test]
    fn a_name_that_no_job_was_with_is_answered_with_names_that_were() {
        let names = ["bob".to_owned(), "raj-laptop".to_owned()];
        assert_eq!(none_with("rajlaptop", &names), "No job was ever with rajlaptop. Did you mean raj-laptop?");
        assert_eq!(none_with("zoe", &names), "No job was ever with zoe. Jobs were with bob, raj-laptop");
        assert_eq!(none_with("BOB", &names), "No such job with BOB.");
        assert_eq!(none_with("zoe\u{1b}[2J", &[]), "No job was ever with zoe\\x1b[2J, or with any other machine.");
    }

    fn stats() -> Vec<PeerStats> {
        let raj = PeerStats {
            peer: "raj".into(),
            role: Role::Sent,
            jobs: 12,
            succeeded: 11,
            wall_ms: 3_700_000,
            cpu_ms: 7_400_000,
            bytes: 5 << 30,
            last_ms: Some(sample::NOW_MS - 95_000),
        };
        let mike =
            PeerStats { peer: "mike".into(), role: Role::Hosted, jobs: 0, succeeded: 0, last_ms: None, ..raj.clone() };
        vec![raj, mike]
    }

    #[test]
    fn history_reads_at_every_width() {
        golden::check_styles("history", |style| table(style, &sample::jobs(), sample::NOW_MS));
        golden::check_styles("history_stats", |style| stats_table(style, &stats(), sample::NOW_MS));
    }

    #[test]
    fn sums_are_asked_without_a_limit() {
        let args = |stats| HistoryArgs { peer: Some("bob".into()), stats, hosted: true, sent: false, limit: 5 };
        assert_eq!(
            query(&args(false)),
            HistoryQuery { peer: Some("bob".into()), role: Some(Role::Hosted), limit: Some(5) }
        );
        assert_eq!(query(&args(true)).limit, None);
    }
}
