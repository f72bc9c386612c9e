//! Taking a job: what is checked before it is promised.

use std::time::Duration;

use super::effects::ROOM;
use super::jobs::{Begun, Now};
use super::outlets::{SchedulerParts, pin_of};
use super::ranking::{is_named, rank};
use crate::clock::wall_ms;
use crate::history::messages::{GetRecord, PutRecord};
use crate::mailbox::{AskError, ask_outlet};
use crate::model::{JobRecord, JobSpec, Manifest, PeerStatus, PeerView, Role, Totals, Via, WantedEnv};
use crate::registry::messages::ListPeers;
use crate::sandbox::messages::WishEnv;
use crate::wire::frame::MAX_JSON;
use crate::wire::ipc::Submit;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Longest distance (Jaro-Winkler) at which a name is offered as "did you mean".
const ALIKE: f64 = 0.7;

/// How long a job waits to be written down with its first offer. A healthy registry needs microseconds.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Checks a submission and writes it down, with its first offer if somebody is there to take it; a known one is given as it
/// stands.
pub(super) async fn take(
    parts: &SchedulerParts,
    uid: u32,
    submit: Submit,
    now: impl Fn() -> Now,
) -> Result<Begun, Refusal> {
    let get = GetRecord { job: submit.id, role: Role::Sent };
    if let Some(known) = ask_outlet(&parts.outlets.get, get, ROOM).await.map_err(gone)?? {
        if known.uid != uid {
            return Err(Refusal::new(RefusalKind::NotAllowed, "a job with this id belongs to another user"));
        }
        return Ok(Begun::with(known, now()));
    }
    if submit.spec.command.is_empty() {
        return Err(Refusal::new(RefusalKind::BadRequest, "the job has no command"));
    }
    let peers = |patience| ask_outlet(&parts.outlets.peers, ListPeers { offline: true }, patience);
    let peers = match &submit.spec.peer {
        Some(wanted) => {
            let peers = peers(ROOM).await.map_err(gone)?;
            check_name(&peers, wanted)?;
            peers
        }
        // The job itself can be promised without; they are asked for again.
        None => peers(AT_ONCE).await.unwrap_or_default(),
    };
    let spec = with_wish(parts, submit.spec).await?;
    let (blobs, inputs, owner) = (parts.blobs.clone(), submit.inputs, pin_of(submit.id));
    let manifest = tokio::task::spawn_blocking(move || {
        let nothing = Manifest::default();
        if inputs == nothing.digest() {
            // Clients do not send it.
            blobs.claim(&owner, &nothing)?;
            blobs.sync_of(&nothing)?;
            return Ok(Some(nothing));
        }
        let manifest = blobs.manifest(&inputs)?;
        if manifest.is_some() {
            blobs.pin(&owner, &inputs)?;
        }
        Ok(manifest)
    })
    .await
    .map_err(|_| Refusal::internal("homied is shutting down"))?
    .map_err(|e: crate::blobs::BlobError| e.refusal())?
    .ok_or_else(|| Refusal::new(RefusalKind::BadRequest, "the job's inputs were not put before it was submitted"))?;

    let record = JobRecord {
        uid,
        home_dir: Some(submit.home_dir),
        input_totals: Totals { files: manifest.files().len() as u64, bytes: manifest.total_bytes() },
        ..JobRecord::new(submit.id, Role::Sent, spec, submit.inputs, wall_ms())
    };
    let candidates = rank(&peers, &record.spec, record.input_totals);
    let begun = Begun::offered(&record, &candidates, now()).unwrap_or_else(|| Begun::with(record, now()));
    let put = PutRecord { record: Box::new(begun.job.record().clone()) };
    ask_outlet(&parts.outlets.put, put, ROOM).await.map_err(gone)??;
    Ok(begun)
}

/// What is left of a frame for other words than the spec, and for what a record gathers on its road.
const FRAME_REST: usize = 12 << 10;

/// The spec with what its environment is made of, if this machine knows it: the worker may have to build it.
pub(super) async fn with_wish(parts: &SchedulerParts, mut spec: JobSpec) -> Result<JobSpec, Refusal> {
    // A client says which environment; what that is, is known here.
    spec.wanted = None;
    if let Some(name) = spec.env.clone().filter(|name| name != "base") {
        let wish = ask_outlet(&parts.outlets.wish, WishEnv { name }, ROOM).await.map_err(gone)?;
        let taken = serde_json::to_vec(&spec).map_or(0, |json| json.len());
        let room = MAX_JSON.saturating_sub(taken + FRAME_REST).min(WantedEnv::MAX_BYTES);
        spec.wanted = wish.map(|wish| Box::new(wish.fit(room)));
    }
    Ok(spec)
}

fn gone(error: AskError) -> Refusal {
    match error {
        AskError::Stopped(_) => Refusal::new(RefusalKind::ShuttingDown, "homied is shutting down"),
        AskError::TimedOut(_) => Refusal::internal(error.to_string()),
    }
}

/// Refuses a peer nobody knows, with names that are alike.
fn check_name(peers: &[PeerView], wanted: &str) -> Result<(), Refusal> {
    if peers.iter().any(|p| is_named(p, wanted)) {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalKind::UnknownPeer, format!("no peer is called {wanted}"));
    let mut alike: Vec<(f64, &str)> = peers
        .iter()
        .map(|p| (strsim::jaro_winkler(&p.name.to_lowercase(), &wanted.to_lowercase()), p.name.as_str()))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    if let Some((_, name)) = alike.first() {
        return Err(refusal.hint(format!("did you mean {name}?")));
    }
    let known: Vec<&str> = peers
        .iter()
        .filter(|p| p.via != Via::Own && p.status != PeerStatus::Offline)
        .map(|p| p.name.as_str())
        .collect();
    Err(refusal.hint(if known.is_empty() {
        "no other machine is online; see `homie peers` and `homie add`".to_owned()
    } else {
        format!("online: {}", known.join(", "))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, Facts, PeerId};

    fn peer(name: &str, via: Via) -> PeerView {
        PeerView {
            id: PeerId([1; 32]),
            name: name.into(),
            addr: ([10, 0, 0, 1], 5556).into(),
            boot: BootId([0; 16]),
            status: PeerStatus::Idle,
            via,
            version: String::new(),
            linked: false,
            heard_ms_ago: 0,
            clock_skew_ms: None,
            roles: crate::model::Roles::default(),
            introduced_by: None,
            paths: Vec::new(),
            facts: Facts::default(),
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_next_step() {
        let peers = [peer("me", Via::Own), peer("mike", Via::Broadcast), peer("raj", Via::Direct)];
        assert!(check_name(&peers, "raj").is_ok());
        let hint = |peers: &[PeerView], name| check_name(peers, name).expect_err("unknown").hint.expect("hint");
        assert_eq!(hint(&peers, "mkie"), "did you mean mike?");
        assert_eq!(hint(&peers, "zoe"), "online: mike, raj");
        assert!(hint(&peers[..1], "zoe").contains("homie add"));
    }
}
