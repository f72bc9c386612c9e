//! What works here, what does not, and whether the jails hold.

use std::net::IpAddr;

use futures_util::SinkExt;
use serde_json::json;

use super::Answer;
use crate::discovery::messages::DiscoveryError;
use crate::ipc::session::{Session, SessionError, params};
use crate::link::messages::{ListDirect, Listening, ListeningAt};
use crate::model::describe_skew;
use crate::registry::messages::ListPeers;
use crate::sandbox::messages::{CheckEngines, EngineTrouble, TryJails};
use crate::wire::doctor::{Check, DoctorParams, DoctorRow, Level};
use crate::wire::frame::Frame;
use crate::wire::ipc::{DirectPeer, Request};
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::version::RELEASE;

pub(super) async fn doctor(session: &mut Session, request: &Request) -> Answer {
    let wanted: DoctorParams = match params(request) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if wanted.sandbox && !session.caller.admin {
        let refusal = Refusal::new(RefusalKind::NotAllowed, "the probes are for the administrators of this machine");
        return Ok(Err(refusal.hint("use sudo, or leave --sandbox out")));
    }
    let checks = match checks(session).await {
        Ok(checks) => checks,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut rows = checks.len();
    for check in checks {
        send(session, request.id, &DoctorRow::Check(check)).await?;
    }
    if wanted.sandbox {
        let mut probes = match session.ask(&session.shared.parts.outlets.try_jails, TryJails).await.and_then(|p| p) {
            Ok(probes) => probes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        while let Some(row) = probes.recv().await {
            rows += 1;
            // A client that has gone ends the suite: its rows have nowhere to go.
            send(session, request.id, &row).await?;
        }
    }
    Ok(Ok(json!({ "rows": rows })))
}

async fn send(session: &mut Session, id: u64, row: &DoctorRow) -> Result<(), SessionError> {
    session.event(id, row).await?;
    SinkExt::<Frame>::flush(&mut session.wire).await?;
    Ok(())
}

/// On which addresses, why not on the others, and how to change that.
fn where_it_listens(at: &[IpAddr], left_out: &[IpAddr]) -> String {
    let list = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let networks: Vec<IpAddr> = at.iter().filter(|ip| !ip.is_loopback()).copied().collect();
    let open = match (networks.is_empty(), at.is_empty()) {
        (_, true) => " on every address (`listen: all`)".to_owned(),
        (true, _) => " on no network: this machine has no private address".to_owned(),
        (false, _) => format!(" on {}", list(&networks)),
    };
    match left_out {
        [] => open,
        _ => format!("{open}; not on {}, which the internet may reach (`homie config set listen all`)", list(left_out)),
    }
}

/// How the machines stand that were added by their address. One that does not answer may simply be off.
fn direct_peers(peers: &[DirectPeer]) -> Vec<Check> {
    let row = |level, text| Check { subject: "direct peers".to_owned(), level, text };
    let linked = peers.iter().filter(|peer| peer.linked).count();
    let fine = (linked > 0).then(|| row(Level::Good, format!("{linked} of {} linked", peers.len())));
    let failed = peers.iter().filter(|peer| !peer.linked).filter_map(|peer| {
        let (error, hint) = (peer.error.as_ref()?, peer.hint.as_deref());
        Some(row(
            Level::Less,
            format!("{}: {error}{}", peer.address, hint.map(|h| format!("; {h}")).unwrap_or_default()),
        ))
    });
    fine.into_iter().chain(failed).collect()
}

async fn checks(session: &Session) -> Result<Vec<Check>, Refusal> {
    let parts = &session.shared.parts;
    let loaded = session.shared.loaded();
    let works = |subject: &str, trouble: Option<String>, fine: String| Check {
        subject: subject.to_owned(),
        level: if trouble.is_some() { Level::Bad } else { Level::Good },
        text: trouble.unwrap_or(fine),
    };
    let settings = &loaded.settings;
    let discovery = session.ask(&parts.outlets.discovery_error, DiscoveryError).await?;
    let worker = session.ask(&parts.outlets.listening, Listening).await?.err();
    let (at, left_out) = session.ask(&parts.outlets.listening_at, ListeningAt).await?;
    let mut checks = vec![
        works("homied", None, format!("{RELEASE}, pid {}", std::process::id())),
        works("discovery", discovery, format!("{}/udp", settings.discovery_port)),
        works("worker", worker, format!("{}/tcp{}", settings.worker_port, where_it_listens(&at, &left_out))),
    ];
    if !settings.broadcast {
        // The owner's own wish.
        checks[1].level = Level::Less;
    }
    let warnings = loaded.warnings.iter();
    checks.extend(warnings.map(|w| Check { subject: "config".into(), level: Level::Less, text: w.clone() }));
    let peers = session.ask(&parts.outlets.peers, ListPeers { offline: false }).await?;
    let skews = peers.iter().filter_map(|p| describe_skew(&p.name, p.clock_skew_ms?));
    checks.extend(skews.map(|text| Check { subject: "clocks".into(), level: Level::Less, text }));
    checks.extend(direct_peers(&session.ask(&parts.outlets.direct, ListDirect).await?));
    // Waits for the first look at the engines, which a homied that has just started may still be busy with.
    session.ask(&parts.outlets.engine_trouble, EngineTrouble).await?;
    checks.extend(session.ask(&parts.outlets.check_engines, CheckEngines).await?);
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_peer_that_does_not_answer_is_told_with_its_next_step_and_one_just_added_is_not() {
        let peer = |address: &str, linked, error: Option<&str>| DirectPeer {
            address: address.into(),
            name: None,
            linked,
            error: error.map(str::to_owned),
            hint: error.map(|_| "is it on?".to_owned()),
            heard_ms_ago: None,
        };
        let off = peer("10.0.0.1:5556", false, Some("no answer in 4 s"));
        let checks = direct_peers(&[off, peer("raj:5556", true, None), peer("new:5556", false, None)]);
        let shown: Vec<_> = checks.iter().map(|check| (check.level, check.text.as_str())).collect();
        let failed = "10.0.0.1:5556: no answer in 4 s; is it on?";
        assert_eq!(shown, [(Level::Good, "1 of 3 linked"), (Level::Less, failed)]);
        assert!(direct_peers(&[]).is_empty());
    }
}
