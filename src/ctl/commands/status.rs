//! `homie status`: this machine's card, what works, and what goes on.

use serde::Serialize;
use std::process::ExitCode;

use super::peers::FactsRow;
use crate::ctl::args::StatusArgs;
use crate::ctl::cells::{clean, gpu_state, load_bar, round_bytes, short_gpu, uptime};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, card};
use crate::model::{EngineKind, Facts, PeerId, format_bytes};
use crate::wire::ipc::{StatusView, method};

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, _args: StatusArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    if ctx.json {
        ctx.print_json(&document(&status))?;
    } else {
        ctx.print(&format!("{}{}", up_card(&ctx.out, &status), goings_on(&ctx.out, &status)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The card of `homie up` with its three ticks and the warnings.
pub fn up_card(style: &Style, status: &StatusView) -> String {
    let facts = &status.facts;
    let gpus = if facts.gpus.is_empty() {
        vec!["GPU: -".to_owned()]
    } else {
        let line = |g: &crate::model::Gpu| format!("GPU: {} ({})", short_gpu(&g.name), round_bytes(g.memory_bytes));
        facts.gpus.iter().map(line).collect()
    };
    let mut rows = vec![
        format!("Name: {}", status.name),
        format!("IP: {}", status.ip.as_deref().unwrap_or("-")),
        format!("CPU: {} cores {} RAM: {}", facts.cores, style.pick("│", "|"), round_bytes(facts.memory_bytes)),
    ];
    rows.extend(gpus);
    let title = if style.unicode { "🏠 HOMIE COMPUTE" } else { "HOMIE COMPUTE" };
    let mut out = card(style, title, &rows);
    for Tick { ok, text, why } in ticks(status) {
        let mark = if ok { style.tick() } else { style.cross() };
        let why = why.map(|w| format!(": {}", clean(&w))).unwrap_or_default();
        out.push_str(&format!("  {mark} {text}{why}\n"));
    }
    for warning in &status.warnings {
        out.push_str(&format!("  {} {warning}\n", style.yellow("!")));
    }
    out
}

/// One line below the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Whether it works.
    pub ok: bool,
    /// What.
    pub text: String,
    /// Why not.
    pub why: Option<String>,
}

/// What works and what does not: the sandbox, discovery, the worker port.
pub fn ticks(status: &StatusView) -> [Tick; 3] {
    let tick = |ok_text: String, bad_text: &str, error: &Option<String>| match error {
        None => Tick { ok: true, text: ok_text, why: None },
        Some(why) => Tick { ok: false, text: bad_text.to_owned(), why: Some(why.clone()) },
    };
    let no_engine = (status.facts.engines.is_empty() && status.engine_error.is_none())
        .then(|| "no engine was found; start Docker, or see `homie config get engine`".to_owned());
    let engine_error = if status.facts.engines.is_empty() { status.engine_error.clone().or(no_engine) } else { None };
    [
        tick(sandbox_text(&status.facts), "Sandbox not ready", &engine_error),
        tick("Discovery broadcasting".into(), "Discovery not broadcasting", &status.discovery_error),
        tick("Worker listening".into(), "Worker not listening", &status.worker_error),
    ]
}

fn sandbox_text(facts: &Facts) -> String {
    let has = |kind| facts.engines.iter().any(|e| e.kind == kind);
    if has(EngineKind::Docker) { "Docker sandbox ready".into() } else { "Native sandbox ready".into() }
}

/// What `homie status` adds to the card.
fn goings_on(style: &Style, status: &StatusView) -> String {
    let facts = &status.facts;
    let engines: Vec<String> =
        facts.engines.iter().map(|e| format!("{} ({}; {})", e.kind.as_str(), e.level(), e.envs.join(", "))).collect();
    let hosting = match &facts.paused {
        Some(why) => format!("{} of {} (paused: {why})", status.jobs_hosted, facts.job_slots),
        None => format!("{} of {}", status.jobs_hosted, facts.job_slots),
    };
    let lines = [
        (
            "Load",
            format!(
                "CPU {}, {} of RAM free",
                load_bar(facts.cpu_percent, 8, style),
                format_bytes(facts.memory_free_bytes)
            ),
        ),
        ("Engines", if engines.is_empty() { "none".into() } else { engines.join(", ") }),
        ("Peers", format!("{} online", status.peers_online)),
        ("Jobs", format!("{} sent and not ended, {hosting} hosted here", status.jobs_sent)),
        ("homied", format!("{} (pid {}), up {}", status.version, status.pid, uptime(status.uptime_ms))),
        ("Ports", format!("{}/udp, {}/tcp", status.discovery_port, status.worker_port)),
    ];
    let gpus = facts.gpus.iter().map(|g| (format!("GPU {}", g.index), gpu_state(g, 8, style)));
    let lines = lines.map(|(name, text)| (name.to_owned(), text));
    let (load, rest) = lines.split_at(1);
    let mut out = String::from("\n");
    for (name, text) in load.iter().cloned().chain(gpus).chain(rest.iter().cloned()) {
        out.push_str(&format!("  {} {text}\n", style.dim(&format!("{name:<8}"))));
    }
    out
}

/// `homie status --json`, and `homie up --json`.
pub(super) fn document(status: &StatusView) -> impl Serialize + '_ {
    StatusDocument::of(status)
}

#[derive(Debug, Serialize)]
struct StatusDocument<'a> {
    version: u32,
    status: StatusRow<'a>,
}

#[derive(Debug, Serialize)]
struct StatusRow<'a> {
    name: &'a str,
    id: PeerId,
    release: &'a str,
    pid: u32,
    uptime_ms: u64,
    ip: Option<&'a str>,
    discovery_port: u16,
    discovery_error: Option<&'a str>,
    worker_port: u16,
    worker_error: Option<&'a str>,
    worker_at: &'a [String],
    worker_not_at: &'a [String],
    engine_error: Option<&'a str>,
    peers_online: u32,
    jobs_sent: u32,
    jobs_hosted: u32,
    warnings: &'a [String],
    #[serde(flatten)]
    facts: FactsRow<'a>,
}

impl<'a> StatusDocument<'a> {
    fn of(s: &'a StatusView) -> Self {
        let status = StatusRow {
            name: &s.name,
            id: s.id,
            release: &s.version,
            pid: s.pid,
            uptime_ms: s.uptime_ms,
            ip: s.ip.as_deref(),
            discovery_port: s.discovery_port,
            discovery_error: s.discovery_error.as_deref(),
            worker_port: s.worker_port,
            worker_error: s.worker_error.as_deref(),
            worker_at: &s.worker_at,
            worker_not_at: &s.worker_not_at,
            engine_error: s.engine_error.as_deref(),
            peers_online: s.peers_online,
            jobs_sent: s.jobs_sent,
            jobs_hosted: s.jobs_hosted,
            warnings: &s.warnings,
            facts: FactsRow::of(&s.facts),
        };
        Self { version: 1, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};
    use crate::model::{EngineOffer, Isolation};

    #[test]
    fn the_card_looks_as_the_sources_draw_it() {
        golden::check_styles("up_card", |style| up_card(style, &sample::status()));
        golden::check_styles("status", |style| {
            up_card(style, &sample::status()) + &goings_on(style, &sample::status())
        });
    }

    #[test]
    fn what_does_not_work_gets_a_cross_and_its_reason() {
        let mut status = sample::status();
        status.facts.engines.clear();
        status.facts.gpus.clear();
        status.ip = None;
        status.engine_error = Some("no engine answers at /var/run/docker.sock".into());
        status.discovery_error = Some("port 5555 is taken by another program".into());
        status.worker_error = Some("port 5556 is taken by another program".into());
        status.warnings = vec!["the group secret is short and can be guessed".into()];
        golden::check_styles("up_card_broken", |style| up_card(style, &status));
        assert!(ticks(&status).iter().all(|t| !t.ok));
    }

    #[test]
    fn without_docker_the_native_sandbox_is_named_and_docker_is_no_reason_for_a_cross() {
        let mut status = sample::status();
        status.facts.engines = vec![EngineOffer {
            kind: EngineKind::Native,
            isolation: Isolation::Namespace,
            envs: vec!["base".into()],
            lacks: vec![],
        }];
        status.engine_error = Some("docker does not answer".into());
        let [sandbox, ..] = ticks(&status);
        assert_eq!((sandbox.ok, sandbox.text.as_str()), (true, "Native sandbox ready"));
    }

    #[test]
    fn the_json_of_the_status_has_the_promised_names() {
        let status = sample::status();
        golden::check(
            "status_json",
            &(serde_json::to_string_pretty(&StatusDocument::of(&status)).expect("json") + "\n"),
        );
    }
}
