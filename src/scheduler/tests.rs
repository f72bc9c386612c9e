//! The room as its neighbours meet it: history, registry and link are probes, and time is virtual.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::messages::{CancelJob, LinkChanged, SubmitJob};
use super::{Outlets, SchedulerActor, SchedulerParts, start};
use crate::blobs::BlobStore;
use crate::link::messages::{AcknowledgeJob, OfferJob, SendInputs, StopRemoteJob};
use crate::mailbox::{Door, ask, probe};
use crate::model::{
    BootId, Digest, EngineKind, EngineOffer, Epoch, Facts, HostedState, HostedStatus, Isolation, JobId, JobRecord,
    JobSpec, JobState, Manifest, Outcome, PeerId, PeerStatus, PeerView, ResultRef, Totals, Via,
};
use crate::wire::ipc::Submit;
use crate::wire::refusal::{Refusal, RefusalKind};

const JOB: JobId = JobId([7; 16]);
const RAJ: PeerId = PeerId([1; 32]);
const MIKE: PeerId = PeerId([2; 32]);
/// Of virtual time.
const LONG: Duration = Duration::from_secs(1000);

fn peer(id: PeerId, name: &str, cores: u16) -> PeerView {
    let engine = EngineOffer {
        kind: EngineKind::Native,
        isolation: Isolation::Namespace,
        envs: vec!["base".into()],
        lacks: vec![],
    };
    let facts = Facts {
        cores,
        memory_free_bytes: 8 << 30,
        memory_limit_bytes: 8 << 30,
        disk_free_bytes: 8 << 30,
        cpu_limit_millis: 64_000,
        engines: vec![engine],
        job_slots: 2,
        ..Facts::default()
    };
    PeerView {
        id,
        name: name.into(),
        addr: ([10, 0, 0, 1], 5556).into(),
        boot: BootId([0; 16]),
        status: PeerStatus::Idle,
        via: Via::Broadcast,
        version: String::new(),
        linked: true,
        heard_ms_ago: 0,
        clock_skew_ms: None,
        roles: crate::model::Roles::default(),
        introduced_by: None,
        paths: Vec::new(),
        facts,
    }
}

fn status(epoch: Epoch, state: HostedState) -> HostedStatus {
    let done = state == HostedState::Done;
    let results = ResultRef { manifest: Digest([9; 32]), totals: Totals { files: 1, bytes: 5 }, skipped: vec![] };
    HostedStatus {
        outcome: done.then_some(Outcome::Exited { code: 7 }),
        results: done.then_some(results),
        ..HostedStatus::new(JOB, epoch, state)
    }
}

/// What the neighbours were told, and how they stand.
struct World {
    door: Door<SchedulerActor>,
    /// Every record that was written down.
    written: Arc<Mutex<Vec<JobRecord>>>,
    disk_is_full: Arc<AtomicBool>,
    raj_is_away: Arc<AtomicBool>,
    raj_is_done: Arc<AtomicBool>,
    /// It fills up once the next offer is out.
    disk_fills_up: Arc<AtomicBool>,
    /// An offer finds raj without the inputs, rather than at work.
    raj_lacks_inputs: Arc<AtomicBool>,
    sendings: UnboundedReceiver<SendInputs>,
    offers: UnboundedReceiver<OfferJob>,
    stops: UnboundedReceiver<StopRemoteJob>,
    acknowledged: UnboundedReceiver<AcknowledgeJob>,
    dir: Arc<tempfile::TempDir>,
}

impl World {
    async fn new() -> Self {
        Self::with(vec![], false, Arc::new(tempfile::tempdir().expect("tempdir"))).await
    }

    /// Starts with what an earlier scheduler wrote down.
    async fn with(earlier: Vec<JobRecord>, raj_away: bool, dir: Arc<tempfile::TempDir>) -> Self {
        let blobs = BlobStore::open(dir.path().join("store"), 1 << 30).expect("store");
        let written = Arc::new(Mutex::new(earlier));
        let flag = || Arc::new(AtomicBool::new(false));
        let (disk_is_full, disk_fills_up, raj_is_away, raj_is_done) = (flag(), flag(), flag(), flag());
        let raj_lacks_inputs = flag();
        raj_is_away.store(raj_away, Ordering::Relaxed);
        let away = {
            let away = raj_is_away.clone();
            move |peer: PeerId| {
                let is_away = peer == RAJ && away.load(Ordering::Relaxed);
                is_away.then(|| Refusal::new(RefusalKind::Unreachable, "no answer"))
            }
        };
        let state = {
            let done = raj_is_done.clone();
            move |peer| {
                if peer == RAJ && done.load(Ordering::Relaxed) { HostedState::Done } else { HostedState::Running }
            }
        };
        let answer = {
            let (away, state) = (away.clone(), state.clone());
            move |peer, epoch| away(peer).map_or_else(|| Ok(status(epoch, state(peer))), Err)
        };
        let (put, _) = probe({
            let (written, full) = (written.clone(), disk_is_full.clone());
            move |m: &crate::history::messages::PutRecord| {
                if full.load(Ordering::Relaxed) {
                    return Err(Refusal::new(RefusalKind::DiskFull, "no space"));
                }
                written.lock().expect("sound").push((*m.record).clone());
                Ok(())
            }
        });
        let last = {
            let written = written.clone();
            move || written.lock().expect("sound").last().cloned()
        };
        let (get, _) = probe({
            let last = last.clone();
            move |_: &crate::history::messages::GetRecord| Ok(last())
        });
        let (load, _) = probe(move |_: &crate::history::messages::LoadOpen| {
            Ok(last().into_iter().filter(|r| !r.is_terminal()).collect())
        });
        let (peers, _) =
            probe(|_: &crate::registry::messages::ListPeers| vec![peer(RAJ, "raj", 16), peer(MIKE, "mike", 8)]);
        let (offer, offers) = probe({
            let (answer, inputless) = (answer.clone(), raj_lacks_inputs.clone());
            let (full, fills) = (disk_is_full.clone(), disk_fills_up.clone());
            move |m: &OfferJob| {
                let accepts = inputless.load(Ordering::Relaxed);
                full.fetch_or(fills.load(Ordering::Relaxed), Ordering::Relaxed);
                if accepts { Ok(status(m.offer.epoch, HostedState::Accepted)) } else { answer(m.peer, m.offer.epoch) }
            }
        });
        let (inputs, sendings) = probe(|_: &SendInputs| Ok(0));
        let (follow, _) = probe({
            let (away, state) = (away.clone(), state.clone());
            move |m: &crate::link::messages::FollowOutput| match (away(m.peer), state(m.peer)) {
                (Some(refusal), _) => Err(refusal),
                (None, HostedState::Done) => Ok(11),
                // Somebody else says how it ended: stands for a job that runs on.
                (None, _) => Err(Refusal::new(RefusalKind::Busy, "it is being followed")),
            }
        });
        let (query, _) = probe({
            let answer = answer.clone();
            move |m: &crate::link::messages::QueryJob| answer(m.peer, m.epoch)
        });
        let (results, _) = probe(|_: &crate::link::messages::FetchResults| Ok(Totals { files: 1, bytes: 5 }));
        let (stop, stops) = probe(move |m: &StopRemoteJob| answer(m.peer, m.epoch));
        let (acknowledge, acknowledged) = probe(|_: &AcknowledgeJob| Ok(()));
        let (wish, _) = probe(|_: &crate::sandbox::messages::WishEnv| None);
        let outlets = Outlets { put, get, load, peers, wish, offer, inputs, follow, query, results, stop, acknowledge };
        let parts = SchedulerParts { outlets, blobs, dir: dir.path().join("sent") };
        let door = start(parts).await.expect("started");
        Self {
            door,
            written,
            disk_is_full,
            disk_fills_up,
            raj_is_away,
            raj_is_done,
            raj_lacks_inputs,
            offers,
            sendings,
            stops,
            acknowledged,
            dir,
        }
    }

    /// This homied is killed, and the next one has what it wrote down.
    async fn next_homied(&self, raj_away: bool) -> Self {
        let written = self.written.lock().expect("sound").clone();
        Self::with(written, raj_away, self.dir.clone()).await
    }

    async fn submit(&self) {
        self.try_to_submit().await.expect("taken");
    }

    async fn try_to_submit(&self) -> Result<JobRecord, Refusal> {
        let spec = JobSpec { command: vec!["true".into()], ..JobSpec::default() };
        let submit = Submit { id: JOB, spec, home_dir: "/home/mike".into(), inputs: Manifest::default().digest() };
        ask(&self.door, SubmitJob { uid: 1000, submit }, LONG).await.expect("answers")
    }

    fn record(&self) -> JobRecord {
        self.written.lock().expect("sound").last().cloned().expect("written")
    }

    /// Lets time pass until the record is as wanted.
    async fn until(&self, wanted: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let seen = async {
            while !wanted(&self.record()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.record()
        };
        tokio::time::timeout(LONG, seen).await.unwrap_or_else(|_| panic!("{:?}", self.record()))
    }
}

async fn next<T>(from: &mut UnboundedReceiver<T>) -> T {
    tokio::time::timeout(LONG, from.recv()).await.expect("in time").expect("open")
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_comes_back_with_the_result_wins_over_the_one_that_replaced_it() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let mut world = World::new().await;
        world.submit().await;
        let first = next(&mut world.offers).await;
        assert_eq!((first.peer, first.offer.epoch), (RAJ, Epoch(1)));
        world.until(|r| r.attempts[0].accepted).await;
        // Its laptop sleeps, which we notice when we ask: homied comes back and asks.
        let mut world = world.next_homied(true).await;
        let began = tokio::time::Instant::now();
        let second = loop {
            let offer = next(&mut world.offers).await;
            if offer.peer == MIKE {
                break offer;
            }
        };
        assert_eq!(second.offer.epoch, Epoch(2));
        assert!(began.elapsed() >= Duration::from_secs(120), "{:?}", began.elapsed());
        world.until(|r| r.attempts.len() == 2 && r.attempts[1].accepted).await;
        assert!(world.stops.try_recv().is_err(), "nobody tells raj to stop");

        world.raj_is_done.store(true, Ordering::Relaxed);
        world.raj_is_away.store(false, Ordering::Relaxed);
        let record = world.until(JobRecord::is_terminal).await;
        assert_eq!(record.outcome, Some(Outcome::Exited { code: 7 }));
        assert_eq!((record.epoch, record.peer, record.output_bytes), (Epoch(1), Some(RAJ), 11));
        assert_eq!(record.results, Some(Digest([9; 32])));
        let stopped = next(&mut world.stops).await;
        assert_eq!((stopped.peer, stopped.epoch), (MIKE, Epoch(2)));
        let mut released = [next(&mut world.acknowledged).await, next(&mut world.acknowledged).await].map(|a| a.peer);
        released.sort();
        assert_eq!(released, [RAJ, MIKE]);
        let ends = world.written.lock().expect("sound").iter().filter(|r| r.is_terminal()).count();
        assert_eq!(ends, 1, "one end, written once");
    };
    local.run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_given_up_is_asked_when_a_link_to_it_comes_up() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let mut world = World::new().await;
        world.submit().await;
        next(&mut world.offers).await;
        world.until(|r| r.attempts[0].accepted).await;
        let world = world.next_homied(true).await;
        world.until(|r| r.attempts.len() == 2 && r.attempts[1].accepted).await;
        // Between two of the questions that are asked at a pace.
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.raj_is_done.store(true, Ordering::Relaxed);
        world.raj_is_away.store(false, Ordering::Relaxed);
        let up = |peer| ask(&world.door, LinkChanged { peer, up: true, silent: Duration::ZERO }, LONG);
        up(MIKE).await.expect("taken");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!world.record().is_terminal(), "another one's link says nothing of raj");
        let back = tokio::time::Instant::now();
        up(RAJ).await.expect("taken");
        let record = world.until(JobRecord::is_terminal).await;
        assert_eq!((record.epoch, record.peer), (Epoch(1), Some(RAJ)));
        assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    };
    local.run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_answered_when_it_is_written_down_and_a_later_homied_carries_it_out() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let world = World::new().await;
        world.submit().await;
        world.until(|r| r.attempts.first().is_some_and(|a| a.accepted)).await;
        world.disk_is_full.store(true, Ordering::Relaxed);
        let refused = ask(&world.door, CancelJob { job: JOB }, LONG).await.expect("answers").expect_err("not written");
        assert!(refused.message.contains("cannot be written down"), "{refused}");
        assert_eq!(world.record().cancel, None);
        world.disk_is_full.store(false, Ordering::Relaxed);
        ask(&world.door, CancelJob { job: JOB }, LONG).await.expect("answers").expect("promised");
        assert!(world.record().cancel.is_some() || world.record().is_terminal(), "{:?}", world.record());
    };
    local.run_until(test).await;

    let local = tokio::task::LocalSet::new();
    let test = async {
        let world = World::new().await;
        world.submit().await;
        world.until(|r| r.attempts.first().is_some_and(|a| a.accepted)).await;
        ask(&world.door, CancelJob { job: JOB }, LONG).await.expect("answers").expect("promised");
        // Killed at this moment: only what was written down counts.
        let mut next_one = world.next_homied(false).await;
        let stopped = next(&mut next_one.stops).await;
        assert_eq!((stopped.peer, stopped.epoch), (RAJ, Epoch(1)));
        let record = next_one.until(JobRecord::is_terminal).await;
        assert_eq!(record.outcome, Some(Outcome::Cancelled { by: "you".into() }));
    };
    local.run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_out_of_reach_of_a_cancel_is_told_by_a_later_homied() {
    let test = async {
        let world = World::new().await;
        world.submit().await;
        world.until(|r| r.attempts.first().is_some_and(|a| a.accepted)).await;
        let world = world.next_homied(true).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.record().state, JobState::Unreachable);
        ask(&world.door, CancelJob { job: JOB }, LONG).await.expect("answers").expect("promised");
        let record = world.until(JobRecord::is_terminal).await;
        assert_eq!(record.outcome, Some(Outcome::Cancelled { by: "you".into() }));
        // Killed before raj was back.
        let mut later = world.next_homied(false).await;
        let stopped = next(&mut later.stops).await;
        assert_eq!((stopped.job, stopped.peer, stopped.epoch), (JOB, RAJ, Epoch(1)));
        assert_eq!(next(&mut later.acknowledged).await.peer, RAJ);
        let sent = later.dir.path().join("sent").join(JOB.to_string());
        let noted = || {
            std::fs::read_dir(&sent)
                .expect("sent")
                .flatten()
                .any(|f| f.file_name().to_string_lossy().starts_with("abandoned"))
        };
        while noted() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn inputs_do_not_go_before_the_acceptance_is_written_down() {
    let test = async {
        let mut world = World::new().await;
        world.disk_fills_up.store(true, Ordering::Relaxed);
        world.raj_lacks_inputs.store(true, Ordering::Relaxed);
        world.submit().await;
        assert_eq!(next(&mut world.offers).await.offer.epoch, Epoch(1));
        let mut sending = next(&mut world.sendings).await;
        assert!(!*sending.may_begin.borrow());
        let never = tokio::time::timeout(LONG, sending.may_begin.wait_for(|may| *may)).await.expect("in time").is_err();
        assert!(never, "the disk is full");
        world.disk_fills_up.store(false, Ordering::Relaxed);
        world.disk_is_full.store(false, Ordering::Relaxed);
        assert_eq!(next(&mut world.offers).await.offer.epoch, Epoch(1), "it is asked anew");
        let mut sending = next(&mut world.sendings).await;
        let may = tokio::time::timeout(LONG, sending.may_begin.wait_for(|may| *may)).await.expect("in time").is_ok();
        assert!(may);
        assert!(world.record().attempts[0].accepted);
    };
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_and_its_first_offer_are_written_down_at_once_before_anybody_hears_of_it() {
    let test = async {
        let mut world = World::new().await;
        world.disk_is_full.store(true, Ordering::Relaxed);
        let refused = world.try_to_submit().await.expect_err("no room for the promise");
        assert_eq!(refused.kind, RefusalKind::DiskFull);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(world.offers.try_recv().is_err(), "what was refused is not offered");

        world.disk_is_full.store(false, Ordering::Relaxed);
        let promised = world.try_to_submit().await.expect("taken");
        let first = world.written.lock().expect("sound")[0].clone();
        assert_eq!(first, promised);
        assert_eq!((first.peer, first.epoch, first.state), (Some(RAJ), Epoch(1), JobState::Queued));
        assert!(matches!(&first.attempts[..], [one] if one.epoch == Epoch(1) && !one.accepted), "{first:?}");
        let offer = next(&mut world.offers).await;
        assert_eq!((offer.peer, offer.offer.epoch), (RAJ, Epoch(1)));
        world.until(|r| r.attempts[0].accepted).await;
        assert!(world.written.lock().expect("sound")[1].attempts[0].accepted, "nothing else was written between");
        // The answer was lost, and the client asks again.
        assert_eq!(world.try_to_submit().await.expect("known").id, JOB);
        assert!(world.offers.try_recv().is_err(), "it is not offered again");
    };
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_homied_that_was_killed_with_an_offer_on_its_tongue_offers_anew_and_has_the_worker_let_go_of_the_first() {
    let test = async {
        let world = World::new().await;
        world.submit().await;
        let first = world.written.lock().expect("sound")[0].clone();
        // As if it had been killed between the writing and the offer.
        let mut later = World::with(vec![first], false, world.dir.clone()).await;
        let offer = next(&mut later.offers).await;
        assert_eq!(offer.offer.epoch, Epoch(2));
        let stopped = next(&mut later.stops).await;
        assert_eq!((stopped.peer, stopped.epoch), (RAJ, Epoch(1)));
    };
    tokio::task::LocalSet::new().run_until(test).await;
}
