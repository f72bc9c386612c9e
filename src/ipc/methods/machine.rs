//! This machine and its neighbours.

use serde_json::{Value, json};

use super::{Answer, value};
use crate::discovery::messages::{DiscoveryError, ListStrangers};
use crate::ipc::messages::{AddDirectPeer, ReloadConfig, RemoveDirectPeer, ShowConfig};
use crate::ipc::session::{ROOM, Session, answer, params};
use crate::link::messages::{Greet, ListDirect, Listening, ListeningAt};
use crate::mailbox::ask;
use crate::model::{PeerStatus, Via, beyond_machine, describe_skew};
use crate::registry::messages::{ListPeers, ListPins, TrustNewKey};
use crate::sandbox::messages::{EngineTrouble, EngineWarnings, HostedJobs};
use crate::scheduler::messages::OpenJobs;
use crate::wire::ipc::{AddPeer, ConfigRow, PeersParams, RemovePeer, Request, StatusView};
use crate::wire::refusal::Refusal;
use crate::wire::version::RELEASE;

pub(super) async fn status(session: &Session) -> Result<Value, Refusal> {
    let parts = &session.shared.parts;
    let outlets = &parts.outlets;
    let loaded = session.shared.loaded();
    let peers = session.ask(&outlets.peers, ListPeers { offline: false }).await?;
    let own = peers.iter().find(|p| p.via == Via::Own);
    let online = peers.iter().filter(|p| p.via != Via::Own && p.status != PeerStatus::Offline).count();
    let hosted = session.ask(&outlets.hosted, HostedJobs).await?;
    let mut warnings = loaded.warnings.clone();
    warnings.extend(session.ask(&outlets.engine_warnings, EngineWarnings).await?);
    warnings.extend(session.ask(&outlets.strangers, ListStrangers).await?.iter().map(ToString::to_string));
    warnings.extend(peers.iter().filter_map(|p| describe_skew(&p.name, p.clock_skew_ms?)));
    let (at, left_out) = session.ask(&outlets.listening_at, ListeningAt).await?;
    let text = |all: Vec<std::net::IpAddr>| all.iter().map(ToString::to_string).collect();
    let view = StatusView {
        name: loaded.settings.name.clone(),
        id: parts.id,
        version: RELEASE.into(),
        pid: std::process::id(),
        uptime_ms: parts.began.elapsed().as_millis() as u64,
        ip: own.map(|p| p.addr.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()),
        discovery_port: loaded.settings.discovery_port,
        discovery_error: session.ask(&outlets.discovery_error, DiscoveryError).await?,
        worker_port: loaded.settings.worker_port,
        worker_error: session.ask(&outlets.listening, Listening).await?.err(),
        worker_at: text(at),
        worker_not_at: text(left_out),
        engine_error: session.ask(&outlets.engine_trouble, EngineTrouble).await?,
        peers_online: online as u32,
        jobs_sent: session.ask(&outlets.open_jobs, OpenJobs).await?.len() as u32,
        jobs_hosted: hosted.iter().filter(|r| !r.is_terminal()).count() as u32,
        facts: parts.facts.borrow().clone(),
        warnings,
    };
    value(&view)
}

pub(super) async fn peers(session: &mut Session, request: &Request) -> Answer {
    let rows = match params::<PeersParams>(request) {
        Ok(p) => session.ask(&session.shared.parts.outlets.peers, ListPeers { offline: p.all }).await,
        Err(refusal) => Err(refusal),
    };
    session.rows(request.id, rows).await
}

pub(super) async fn strangers(session: &mut Session, request: &Request) -> Answer {
    let rows = session.ask(&session.shared.parts.outlets.strangers, ListStrangers).await;
    session.rows(request.id, rows).await
}

pub(super) async fn pins(session: &mut Session, request: &Request) -> Answer {
    let rows = session.ask(&session.shared.parts.outlets.pins, ListPins).await;
    session.rows(request.id, rows).await
}

pub(super) async fn trust(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let outlets = &session.shared.parts.outlets;
    let (trusted, addr) = session.ask(&outlets.trust, TrustNewKey { trust: params(request)? }).await??;
    // It was turned away a moment ago and would wait before it comes again.
    session.ask(&outlets.greet, Greet { addr, peer: trusted.new, friend: true }).await?;
    value(&trusted)
}

pub(super) async fn direct(session: &mut Session, request: &Request) -> Answer {
    let rows = session.ask(&session.shared.parts.outlets.direct, ListDirect).await;
    session.rows(request.id, rows).await
}

pub(super) async fn add(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let peer: AddPeer = params(request)?;
    value(&answer(ask(&session.actor, AddDirectPeer { peer }, ROOM).await)??)
}

pub(super) async fn remove(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let peer: RemovePeer = params(request)?;
    value(&answer(ask(&session.actor, RemoveDirectPeer { peer }, ROOM).await)??)
}

pub(super) async fn config(session: &mut Session, request: &Request) -> Answer {
    let rows = answer(ask(&session.actor, ShowConfig, ROOM).await).map(|rows| measured(session, rows));
    session.rows(request.id, rows).await
}

pub(super) async fn reload(session: &mut Session, request: &Request) -> Answer {
    let rows = answer(ask(&session.actor, ReloadConfig, ROOM).await).and_then(|rows| rows);
    let rows = rows.map(|rows| measured(session, rows));
    session.rows(request.id, rows).await
}

/// With a warning at each cap that this machine cannot give; a default is nobody's wish.
fn measured(session: &Session, mut rows: Vec<ConfigRow>) -> Vec<ConfigRow> {
    let facts = session.shared.parts.facts.borrow();
    for row in rows.iter_mut().filter(|row| row.origin != "default" && row.warning.is_none()) {
        let cap = row.value.as_str().map_or_else(|| row.value.to_string(), str::to_owned);
        row.warning = beyond_machine(&row.key, &cap, facts.cores, facts.memory_bytes);
    }
    rows
}

pub(super) async fn shutdown(session: &Session) -> Result<Value, Refusal> {
    // A full channel means that it was already asked for.
    let _ = session.shared.parts.shutdown.try_send(());
    Ok(json!({}))
}
