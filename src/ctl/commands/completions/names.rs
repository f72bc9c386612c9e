//! Names for completion: from homied if it answers at once, else none. Somebody waits with a finger on the Tab key.

use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ctl::config_file::{KEYS, Kind, check_name, find_key};
use crate::ctl::context::Context;
use crate::model::{JobRecord, PeerView, Via, visible_controls};
use crate::wire::ipc::{DirectPeer, ListJobs, PeersParams, method};

/// homied answers in 2 ms; one that is swapped out or stopped is not worth a longer wait.
const PATIENCE: Duration = Duration::from_millis(400);

/// The other machines, whether they are there now or not.
pub(super) fn peers() -> Vec<CompletionCandidate> {
    let peers: Vec<PeerView> = ask(method::PEERS, PeersParams { all: true });
    let others = peers.into_iter().filter(|p| p.via != Via::Own && check_name(&p.name).is_ok());
    others.map(|p| candidate(&p.name, format!("{} {}", p.status.as_str(), p.addr.ip()))).collect()
}

/// Environments that are ready somewhere.
pub(super) fn envs() -> Vec<CompletionCandidate> {
    let peers: Vec<PeerView> = ask(method::PEERS, PeersParams { all: false });
    let mut names: Vec<String> = peers
        .into_iter()
        .flat_map(|p| p.facts.engines)
        .flat_map(|e| e.envs)
        .filter(|n| check_name(n).is_ok())
        .collect();
    names.sort();
    names.dedup();
    names.iter().map(CompletionCandidate::new).collect()
}

/// The levels of isolation.
pub(super) fn levels() -> Vec<CompletionCandidate> {
    let words = find_key("min_isolation").map(|key| key.kind);
    match words {
        Ok(Kind::Word(words)) => words.iter().map(CompletionCandidate::new).collect(),
        _ => Vec::new(),
    }
}

/// Jobs sent from here, the newest first.
pub(super) fn jobs() -> Vec<CompletionCandidate> {
    job_ids(true, false)
}

/// Those that have not ended.
pub(super) fn open_jobs() -> Vec<CompletionCandidate> {
    job_ids(false, false)
}

/// Those that run here for others.
pub(super) fn hosted_jobs() -> Vec<CompletionCandidate> {
    job_ids(false, true)
}

fn job_ids(all: bool, hosted: bool) -> Vec<CompletionCandidate> {
    let jobs: Vec<JobRecord> = ask(method::JOB_LIST, ListJobs { all, hosted });
    let told = |job: &JobRecord| {
        let on = job.peer_name.as_deref().map(|peer| format!(" on {peer}")).unwrap_or_default();
        visible_controls(format!("{} {}{on}", job.state.as_str(), job.spec.name).as_bytes())
    };
    let last = (!jobs.is_empty()).then(|| candidate("last", "the newest".to_owned()));
    last.into_iter().chain(jobs.iter().map(|job| candidate(&job.id.short(), told(job)))).collect()
}

/// Machines that were added: by name where they have one, else by address.
pub(super) fn direct() -> Vec<CompletionCandidate> {
    let peers: Vec<DirectPeer> = ask(method::PEERS_DIRECT, ());
    let name = |p: &DirectPeer| p.name.clone().filter(|name| check_name(name).is_ok());
    peers.iter().map(|p| candidate(&name(p).unwrap_or_else(|| p.address.clone()), p.address.clone())).collect()
}

/// The settings.
pub(super) fn keys() -> Vec<CompletionCandidate> {
    KEYS.iter().map(|key| candidate(key.name, key.about.to_owned())).collect()
}

fn candidate(name: &str, help: String) -> CompletionCandidate {
    CompletionCandidate::new(name).help(Some(help.into()))
}

/// The rows that homied answers; none if it does not, or not soon enough.
fn ask<P: Serialize, T: DeserializeOwned>(method: &str, params: P) -> Vec<T> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let ctx = Context::detect(true, true, true);
    runtime.block_on(async {
        let asked = async { ctx.connect().await?.call_rows(method, &params).await };
        tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok).unwrap_or_default()
    })
}
