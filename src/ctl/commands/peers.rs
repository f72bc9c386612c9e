//! `homie peers`: who is there, how busy, and what they have.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::ctl::args::PeersArgs;
use crate::ctl::cells::{WIDE, clean, gpu_cell, ip_cell, jobs_cell, load_bar, painted_status, path_cell, status_cell};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, ago, shorten};
use crate::model::{
    EngineKind, EngineOffer, Facts, Gpu, GpuUse, Isolation, Lack, PathView, PeerId, PeerStatus, PeerView, Roles, Via,
    describe_skew, format_bytes,
};
use crate::wire::ipc::{PeersParams, Stranger, method};
use crate::wire::refusal::{Refusal, RefusalKind};

/// How often `--watch` looks again: twice per heartbeat, so that nothing is shown later than a beat after it came.
const WATCH: Duration = Duration::from_secs(1);

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, args: PeersArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    loop {
        let all = args.all || args.name.is_some();
        let peers: Vec<PeerView> = homied.call_rows(method::PEERS, &PeersParams { all }).await?;
        let mut peers = others(peers);
        if let Some(name) = &args.name {
            peers.retain(|p| p.name == *name);
            if peers.is_empty() {
                return Err(unknown(name));
            }
        }
        // A homied before this method has none to tell.
        let strangers: Vec<Stranger> = homied.call_rows(method::PEERS_STRANGERS, &()).await.unwrap_or_default();
        if ctx.json {
            let rows: Vec<PeerRow<'_>> = peers.iter().map(PeerRow::of).collect();
            ctx.print_json(&json!({ "version": 1, "peers": rows, "strangers": strangers }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = if peers.is_empty() { nobody(&ctx.out, args.all) } else { table(&ctx.out, &peers) };
        if args.name.is_some() {
            peers.iter().for_each(|peer| text += &ways(&ctx.out, peer));
        }
        if !args.watch {
            ctx.print(&text)?;
            note_strangers(ctx, &strangers);
            note_exceptions(ctx, &peers);
            return Ok(ExitCode::SUCCESS);
        }
        // On a terminal the old picture is wiped; a pipe gets one table after the other.
        let wipe = if ctx.out.tty { "\x1b[H\x1b[2J" } else { "" };
        ctx.print(&format!("{wipe}{text}"))?;
        note_strangers(ctx, &strangers);
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn note_strangers(ctx: &Context, strangers: &[Stranger]) {
    for stranger in strangers {
        ctx.note(&format!("{} {stranger}", ctx.err.yellow("!")));
    }
}

/// What the columns have no room for: clocks that differ, and who may not do everything here.
fn note_exceptions(ctx: &Context, peers: &[PeerView]) {
    let name = |p: &PeerView| clean(&p.name);
    let skews = peers.iter().filter_map(|p| describe_skew(&name(p), p.clock_skew_ms?));
    let roles = peers.iter().filter(|p| p.roles != Roles::default()).map(|p| {
        let may = if p.roles.run { "use no GPU here" } else { "run nothing here" };
        format!("{} may {may}; `homie trust {} --role run,gpu` changes that", name(p), name(p))
    });
    for text in skews.chain(roles) {
        ctx.note(&format!("{} {text}", ctx.err.yellow("!")));
    }
    for (by, names) in introductions(peers) {
        ctx.note(&format!("{} {by} introduced {}", ctx.err.pick("•", "-"), names.join(", ")));
    }
}

/// Who told of whom.
fn introductions(peers: &[PeerView]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for peer in peers {
        if let Some(by) = &peer.introduced_by {
            told.entry(clean(by)).or_default().push(clean(&peer.name));
        }
    }
    told
}

/// Without this machine, those that can take a job first, then by name.
fn others(mut peers: Vec<PeerView>) -> Vec<PeerView> {
    let rank = |p: &PeerView| match p.status {
        PeerStatus::Idle | PeerStatus::Busy | PeerStatus::Paused => 0,
        PeerStatus::Offline => 1,
    };
    peers.retain(|p| p.via != Via::Own);
    peers.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id)));
    peers
}

/// The table, as the sources draw it; more columns where they fit.
pub fn table(style: &Style, peers: &[PeerView]) -> String {
    let wide = style.width >= WIDE;
    let mut heads = vec!["NAME", "IP", "CPU", "RAM", "GPU", "STATUS"];
    if wide {
        heads.extend(["JOBS", "PATH", "SEEN"]);
    }
    let mut table = Table::new(&heads).title(title(style));
    for peer in peers {
        table.row(row(style, peer, wide));
    }
    for status in [PeerStatus::Idle, PeerStatus::Busy, PeerStatus::Paused, PeerStatus::Offline] {
        table.paint(status_cell(status, style), painted_status(status, style));
    }
    table.render(style)
}

fn title(style: &Style) -> &'static str {
    if style.unicode { "🏠 HOMIES ON NETWORK" } else { "HOMIES ON NETWORK" }
}

fn row(style: &Style, peer: &PeerView, wide: bool) -> Vec<String> {
    // With these the six columns of the narrow table take at most 80, and the nine of the wide one 120.
    let (name_columns, gpu_columns) = match (style.tty, wide) {
        (false, _) => (usize::MAX, usize::MAX),
        (true, true) => (16, 18),
        (true, false) => (14, 12),
    };
    let facts = &peer.facts;
    let mut cells = vec![
        shorten(&clean(&peer.name), name_columns, style),
        ip_cell(peer),
        load_bar(facts.cpu_percent, if wide { 4 } else { 2 }, style),
        if facts.memory_bytes == 0 { "-".into() } else { format_bytes(facts.memory_free_bytes) },
        shorten(&gpu_cell(&facts.gpus, wide), gpu_columns, style),
        status_cell(peer.status, style),
    ];
    if wide {
        cells.extend([jobs_cell(facts), path_cell(peer).to_owned(), ago(0, peer.heard_ms_ago)]);
    }
    cells
}

fn nobody(style: &Style, all: bool) -> String {
    let first =
        if all { "No machine of your group was ever seen." } else { "No other machine of your group is online." };
    let dot = style.pick("•", "-");
    format!(
        "{first}\n  {dot} Is Homie up there, with the same group secret, on the same network?\n  \
         {dot} On another network or a tailnet: `homie add IP`\n"
    )
}

fn unknown(name: &str) -> CtlError {
    Refusal::new(RefusalKind::UnknownPeer, format!("no machine called {} is known", clean(name)))
        .hint("`homie peers --all` lists the known ones")
        .into()
}

/// Every way to one peer, in the order in which they are tried.
fn ways(style: &Style, peer: &PeerView) -> String {
    let mut table = Table::new(&["WAY", "KNOWN BY", "ROUND TRIP", "SPEED", "STATE"]);
    for path in &peer.paths {
        let state = match (path.in_use, path.works) {
            (true, _) => "in use".to_owned(),
            (false, Some(true)) => format!("worked {}", ago(0, path.worked_ms_ago.unwrap_or(0))),
            (false, Some(false)) => format!("failed {}", ago(0, path.failed_ms_ago.unwrap_or(0))),
            (false, None) => "not tried".to_owned(),
        };
        let rtt = path.rtt_us.map_or_else(|| "-".to_owned(), |us| format!("{}.{} ms", us / 1000, us % 1000 / 100));
        let speed = path.bytes_per_s.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", format_bytes(rate)));
        table.row(vec![clean(&path.address), path.learned.as_str().to_owned(), rtt, speed, state]);
    }
    table.align_right(2);
    table.align_right(3);
    if peer.paths.is_empty() { String::new() } else { table.render(style) }
}

/// A peer in `--json`.
#[derive(Debug, Serialize)]
pub struct PeerRow<'a> {
    name: &'a str,
    id: PeerId,
    addr: std::net::SocketAddr,
    status: PeerStatus,
    via: Via,
    introduced_by: Option<&'a str>,
    linked: bool,
    version: Option<&'a str>,
    heard_ms_ago: u64,
    clock_skew_ms: Option<i64>,
    roles: Roles,
    paths: &'a [PathView],
    #[serde(flatten)]
    facts: FactsRow<'a>,
}

/// What a machine says of itself, in `--json`.
#[derive(Debug, Serialize)]
pub struct FactsRow<'a> {
    cores: u16,
    cpu_percent: u8,
    memory_bytes: u64,
    memory_free_bytes: u64,
    disk_free_bytes: u64,
    gpus: Vec<GpuRow<'a>>,
    engines: Vec<EngineRow<'a>>,
    jobs_running: u16,
    job_slots: u16,
    paused: Option<&'a str>,
    cpu_limit_millis: u32,
    memory_limit_bytes: u64,
    timeout_limit_ms: u64,
    gpu_limit: Option<u32>,
}

/// An engine in `--json`: every field, also those that the wire leaves out.
#[derive(Debug, Serialize)]
struct EngineRow<'a> {
    kind: EngineKind,
    isolation: Isolation,
    envs: &'a [String],
    lacks: &'a [Lack],
}

impl<'a> EngineRow<'a> {
    fn of(engine: &'a EngineOffer) -> Self {
        Self { kind: engine.kind, isolation: engine.level(), envs: &engine.envs, lacks: &engine.lacks }
    }
}

/// A GPU in `--json`: every field, also those that the wire leaves out.
#[derive(Debug, Serialize)]
struct GpuRow<'a> {
    index: u32,
    name: &'a str,
    memory_bytes: u64,
    memory_free_bytes: u64,
    busy_percent: u8,
    temperature_c: Option<u16>,
    power_watts: Option<u16>,
    taken: Option<GpuUse>,
}

impl<'a> GpuRow<'a> {
    fn of(gpu: &'a Gpu) -> Self {
        Self {
            index: gpu.index,
            name: &gpu.name,
            memory_bytes: gpu.memory_bytes,
            memory_free_bytes: gpu.memory_free_bytes,
            busy_percent: gpu.busy_percent,
            temperature_c: gpu.temperature_c,
            power_watts: gpu.power_watts,
            taken: gpu.taken,
        }
    }
}

impl<'a> PeerRow<'a> {
    /// The row of a peer.
    pub fn of(peer: &'a PeerView) -> Self {
        Self {
            name: &peer.name,
            id: peer.id,
            addr: peer.addr,
            status: peer.status,
            via: peer.via,
            introduced_by: peer.introduced_by.as_deref(),
            linked: peer.linked,
            version: Some(peer.version.as_str()).filter(|v| !v.is_empty()),
            heard_ms_ago: peer.heard_ms_ago,
            clock_skew_ms: peer.clock_skew_ms,
            roles: peer.roles,
            paths: &peer.paths,
            facts: FactsRow::of(&peer.facts),
        }
    }
}

impl<'a> FactsRow<'a> {
    /// The same facts with the units that `--json` promises.
    pub fn of(facts: &'a Facts) -> Self {
        Self {
            cores: facts.cores,
            cpu_percent: facts.cpu_percent,
            memory_bytes: facts.memory_bytes,
            memory_free_bytes: facts.memory_free_bytes,
            disk_free_bytes: facts.disk_free_bytes,
            gpus: facts.gpus.iter().map(GpuRow::of).collect(),
            engines: facts.engines.iter().map(EngineRow::of).collect(),
            jobs_running: facts.jobs_running,
            job_slots: facts.job_slots,
            paused: facts.paused.as_deref(),
            cpu_limit_millis: facts.cpu_limit_millis,
            memory_limit_bytes: facts.memory_limit_bytes,
            timeout_limit_ms: facts.timeout_limit_s.saturating_mul(1000),
            gpu_limit: facts.gpu_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};

    #[test]
    fn peers_look_as_the_sources_draw_them() {
        golden::check_styles("peers", |style| table(style, &others(sample::peers())));
        golden::check_styles("peers_ways", |style| ways(style, &sample::peers()[0]));
        golden::check_styles("peers_none", |style| nobody(style, false));
    }

    #[test]
    fn this_machine_is_not_listed_and_the_offline_come_last() {
        let mut peers = sample::peers();
        peers[0].via = Via::Own;
        peers.rotate_left(2);
        let names: Vec<String> = others(peers).into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["mike", "bob-in-new-york-city"]);
    }

    #[test]
    fn who_told_of_whom_is_one_line_for_each_who_told() {
        let mut peers = sample::peers();
        assert!(introductions(&peers).is_empty());
        peers[0].introduced_by = Some("alice\u{7}".into());
        peers[1].introduced_by = Some("alice\u{7}".into());
        let told = introductions(&peers);
        assert_eq!(told.len(), 1, "{told:?}");
        let (by, names) = told.first_key_value().expect("one");
        assert!(!by.contains('\u{7}') && names.len() == 2, "{told:?}");
    }

    #[test]
    fn the_json_of_a_peer_has_the_promised_names() {
        let peers = sample::peers();
        let text = serde_json::to_string_pretty(&PeerRow::of(&peers[0])).expect("json") + "\n";
        golden::check("peers_json", &text);
    }
}
