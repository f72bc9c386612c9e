//! Carrying out what the state machine decided, one task a job. Answers go back to the actor as [`Happened`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::actor::{Happened, JobClosed};
use super::farewell::Farewell;
use super::jobs::{Complete, Input, Intent, is_gone};
use super::outlets::{SchedulerParts, pin_of};
use super::ranking::rank;
use crate::history::messages::PutRecord;
use crate::link::messages::{
    AcknowledgeJob, FetchResults, FollowOutput, OfferJob, OutputCopy, QueryJob, SendInputs, StopRemoteJob, results_pin,
};
use crate::mailbox::{AskError, Outlet, ask_outlet};
use crate::model::{Epoch, HostedState, HostedStatus, JobEvent, JobRecord, Offer, PeerId, Stage, Totals};
use crate::pipe::LogAnnouncer;
use crate::registry::messages::ListPeers;
use crate::wire::refusal::{Refusal, RefusalKind};

/// For questions to rooms of this process: generous, because a full disk or a busy machine is slow, not broken.
pub(super) const ROOM: Duration = Duration::from_secs(30);
/// For a question that crosses the wire, connection set-up included.
pub(super) const WIRE: Duration = Duration::from_secs(20);
/// For what lasts as long as a job or a transfer does; the link ends it when nothing moves any more.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(400 * 86_400);
/// A record that cannot be written is tried again so often, one second apart, before the job hears of it.
const PERSIST_TRIES: u32 = 5;
/// A lost worker is asked at this pace whether it is back, and at once when a link to it comes up ...
const AWAIT_PAUSE: Duration = Duration::from_secs(5);
/// ... and for so long: a laptop that was closed over night brings its result in the morning.
const AWAIT_LIMIT: Duration = Duration::from_secs(86_400);

/// A batch of intents with the record as it was decided on.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) record: JobRecord,
    pub(super) intents: Vec<Intent>,
    /// Where the output of the present assignment is copied to.
    pub(super) copy: Option<OutputCopy>,
    /// Who waits for the record to be written down.
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// What a job's task needs beside the batch.
pub(super) struct Driver {
    pub(super) parts: Arc<SchedulerParts>,
    pub(super) happened: Outlet<Happened>,
    pub(super) closed: Outlet<JobClosed>,
    pub(super) events: broadcast::Sender<JobEvent>,
    /// To whom a link came up.
    pub(super) came: broadcast::Sender<PeerId>,
}

impl Driver {
    /// Takes batches until the job is closed or the actor is gone.
    pub(super) async fn drive(self, mut batches: mpsc::UnboundedReceiver<Batch>) {
        let this = Arc::new(self);
        let mut tasks = JoinSet::new();
        // What tells workers to let go outlives the job; it is bounded by itself.
        let mut farewells = JoinSet::new();
        while let Some(mut batch) = batches.recv().await {
            let mut written = batch.written.take();
            let (on_disk, may_begin) = watch::channel(!batch.intents.contains(&Intent::Persist));
            let batch = Arc::new(batch);
            for intent in &batch.intents {
                match intent {
                    Intent::Persist => {
                        if !this.persist(&batch.record).await {
                            break;
                        }
                        on_disk.send_replace(true);
                        // Who asked may have lost patience.
                        let _ = written.take().map(|asker| asker.send(()));
                    }
                    Intent::Close => {
                        this.close(&batch.record).await;
                        farewells.detach_all();
                        return;
                    }
                    quick_or_long => {
                        let (this, batch, intent) = (this.clone(), batch.clone(), quick_or_long.clone());
                        match intent {
                            Intent::Announce | Intent::Note(_) | Intent::Preparing(_) => {
                                this.tell_followers(&batch.record, intent)
                            }
                            Intent::Acknowledge(..) => {
                                farewells.spawn(async move { this.carry_out(&batch, intent).await });
                            }
                            Intent::Abandon(peer, epoch) => {
                                let farewell = Farewell { job: batch.record.id, peer, epoch };
                                farewell.note(&this.parts.dir).await;
                                let parts = this.parts.clone();
                                farewells.spawn(async move { farewell.say(&parts).await });
                            }
                            Intent::Upload(peer, epoch) => {
                                let may_begin = may_begin.clone();
                                tasks.spawn(async move { this.upload(&batch.record, peer, epoch, may_begin).await });
                            }
                            _ => {
                                tasks.spawn(async move { this.carry_out(&batch, intent).await });
                            }
                        }
                    }
                }
            }
            while tasks.try_join_next().is_some() {}
            while farewells.try_join_next().is_some() {}
        }
    }

    fn tell_followers(&self, record: &JobRecord, intent: Intent) {
        let event = match intent {
            Intent::Note(text) => JobEvent::Note { text },
            Intent::Preparing(progress) => {
                JobEvent::Preparing { env: record.spec.env.clone().unwrap_or_default(), progress }
            }
            _ => JobEvent::Record { record: Box::new(record.clone()) },
        };
        // Nobody following is the usual case of a detached job.
        let _ = self.events.send(event);
    }

    /// Writes the record; `false` when it could not be, and the job was told.
    async fn persist(&self, record: &JobRecord) -> bool {
        let mut told = false;
        for attempt in 1.. {
            let put = PutRecord { record: Box::new(record.clone()) };
            let refusal = match ask_outlet(&self.parts.outlets.put, put, ROOM).await {
                Ok(Ok(())) => return true,
                Ok(Err(refusal)) => refusal,
                Err(AskError::Stopped(_)) => return false,
                Err(slow) => Refusal::internal(slow.to_string()),
            };
            tracing::warn!(job = %record.id.short(), error = %refusal, "cannot write the job's record");
            if !std::mem::replace(&mut told, true) {
                let _ = self.events.send(JobEvent::Note { text: format!("this machine: {refusal}; trying again") });
            }
            // A terminal record is never given up: the worker must keep the results until it is written.
            if attempt >= PERSIST_TRIES && !record.is_terminal() {
                self.happened(record, Input::PersistFailed(refusal)).await;
                return false;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    }

    async fn close(&self, record: &JobRecord) {
        let (blobs, job) = (self.parts.blobs.clone(), record.id);
        // Two assignments may have brought results; those of one count.
        let others = record.attempts.iter().map(|a| a.epoch).filter(|epoch| *epoch != record.epoch);
        let others: Vec<String> = others.map(|epoch| results_pin(job, epoch)).collect();
        let unpinned = tokio::task::spawn_blocking(move || {
            others.iter().chain([&pin_of(job)]).try_for_each(|owner| blobs.unpin(owner))
        });
        if let Ok(Err(error)) = unpinned.await {
            tracing::warn!(job = %job.short(), %error, "cannot let go of a job's files");
        }
        let _ = ask_outlet(&self.closed, JobClosed { job: record.id }, ROOM).await;
    }

    async fn happened(&self, record: &JobRecord, input: Input) {
        // What an earlier assignment does says which one it is about.
        let of_present = !matches!(input, Input::Back(..) | Input::Late(..));
        let word = Happened { job: record.id, epoch: of_present.then_some(record.epoch), input };
        if ask_outlet(&self.happened, word, ROOM).await.is_err() {
            tracing::debug!(job = %record.id.short(), "the scheduler is gone");
        }
    }

    async fn carry_out(&self, batch: &Batch, intent: Intent) {
        let (record, outlets) = (&batch.record, &self.parts.outlets);
        let job = record.id;
        let input = match intent {
            Intent::Rank => {
                let peers = loop {
                    match ask_outlet(&outlets.peers, ListPeers { offline: true }, ROOM).await {
                        Ok(peers) => break peers,
                        Err(AskError::Stopped(_)) => return,
                        // That nobody is known must not follow from an answer that did not come.
                        Err(AskError::TimedOut(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
                    }
                };
                Input::Ranked(rank(&peers, &record.spec, record.input_totals))
            }
            Intent::Offer(peer, epoch) => {
                let offer = Offer {
                    job,
                    epoch,
                    spec: record.spec.clone(),
                    inputs: record.inputs,
                    input_totals: record.input_totals,
                };
                Input::Answered(wire(ask_outlet(&outlets.offer, OfferJob { peer, offer }, WIRE).await))
            }
            Intent::Follow(peer, epoch) => {
                let Some(into) = batch.copy.clone() else { return };
                let follow = FollowOutput { peer, job, epoch, into };
                Input::Followed(wire(ask_outlet(&outlets.follow, follow, AS_LONG_AS_IT_TAKES).await))
            }
            Intent::Query(peer, epoch) => {
                match wire(ask_outlet(&outlets.query, QueryJob { peer, job, epoch }, WIRE).await) {
                    Ok(status) => Input::Reported(status),
                    Err(refusal) => Input::Unanswered(refusal),
                }
            }
            Intent::Fetch(peer, epoch, manifest) => {
                let progress = self.progress(record, Stage::Collecting);
                let fetch = FetchResults { peer, job, epoch, manifest, progress };
                Input::Fetched(wire(ask_outlet(&outlets.results, fetch, AS_LONG_AS_IT_TAKES).await))
            }
            Intent::Stop(peer, epoch) => {
                match wire(ask_outlet(&outlets.stop, StopRemoteJob { peer, job, epoch }, WIRE).await) {
                    Ok(status) => Input::Reported(status),
                    // Without an answer the cancel ends by its own time limit.
                    Err(_) => return,
                }
            }
            Intent::Acknowledge(peer, epoch) => {
                // Lost on its way it costs the worker only disk, until its own limit for results.
                let _ = ask_outlet(&outlets.acknowledge, AcknowledgeJob { peer, job, epoch }, WIRE).await;
                return;
            }
            Intent::Await(peer, epoch) => match self.wait_for_worker(record, peer, epoch).await {
                Some(how) => Input::Back(epoch, how),
                None => return,
            },
            Intent::Collect(peer, epoch) => {
                let mut came = self.came.subscribe();
                let brought = self.collect(record, peer, epoch).await;
                if brought.is_err() {
                    back_or_pause(&mut came, peer).await;
                }
                Input::Late(epoch, brought.map(Box::new))
            }
            Intent::Persist
            | Intent::Upload(..)
            | Intent::Announce
            | Intent::Note(_)
            | Intent::Preparing(_)
            | Intent::Abandon(..)
            | Intent::Close => return,
        };
        self.happened(record, input).await;
    }

    async fn upload(&self, record: &JobRecord, peer: PeerId, epoch: Epoch, may_begin: watch::Receiver<bool>) {
        let progress = self.progress(record, Stage::Uploading);
        let (job, inputs, mut written) = (record.id, record.inputs, may_begin.clone());
        let send = SendInputs { peer, job, epoch, inputs, may_begin, progress };
        let sent = wire(ask_outlet(&self.parts.outlets.inputs, send, AS_LONG_AS_IT_TAKES).await);
        // Where the record cannot be written the job hears that, and offers anew.
        if written.wait_for(|may| *may).await.is_ok() {
            self.happened(record, Input::Uploaded(sent)).await;
        }
    }

    /// Turns a transfer's latest figures into events, at a pace a person can read.
    fn progress(&self, record: &JobRecord, stage: Stage) -> watch::Sender<(u64, u64)> {
        const PACE: Duration = Duration::from_millis(100);
        let (tx, mut rx) = watch::channel((0, 0));
        let (events, happened) = (self.events.clone(), self.happened.clone());
        let (job, epoch) = (record.id, Some(record.epoch));
        tokio::spawn(async move {
            let mut begun = false;
            while rx.changed().await.is_ok() {
                let (done, total) = *rx.borrow_and_update();
                if !std::mem::replace(&mut begun, true) {
                    let word = Happened { job, epoch, input: Input::Lacking(total) };
                    // Unheard only when the scheduler is gone.
                    let _ = ask_outlet(&happened, word, ROOM).await;
                }
                let _ = events.send(JobEvent::Progress { stage, done, total });
                tokio::time::sleep(PACE).await;
            }
        });
        tx
    }

    /// Asks until the worker answers: how the job stands there, or that it has it no more. `None`: it is us who stop.
    async fn wait_for_worker(
        &self,
        record: &JobRecord,
        peer: PeerId,
        epoch: Epoch,
    ) -> Option<Result<HostedStatus, Refusal>> {
        // Before the first question, so that no link is missed that comes up while one is on its way.
        let mut came = self.came.subscribe();
        let asked = async {
            loop {
                let query = QueryJob { peer, job: record.id, epoch };
                match ask_outlet(&self.parts.outlets.query, query, WIRE).await {
                    Ok(Ok(status)) => return Some(Ok(status)),
                    Ok(Err(refusal)) if is_gone(&refusal) => return Some(Err(refusal)),
                    Err(AskError::Stopped(_)) => return None,
                    Ok(Err(_)) | Err(AskError::TimedOut(_)) => back_or_pause(&mut came, peer).await,
                }
            }
        };
        let never = || Some(Err(Refusal::new(RefusalKind::Unreachable, "it did not come back within a day")));
        tokio::time::timeout(AWAIT_LIMIT, asked).await.unwrap_or_else(|_| never())
    }

    /// Everything of an assignment that another one has replaced, once it has ended there.
    async fn collect(&self, record: &JobRecord, peer: PeerId, epoch: Epoch) -> Result<Complete, Refusal> {
        let (job, outlets) = (record.id, &self.parts.outlets);
        let dir = self.parts.dir.join(job.to_string());
        tokio::fs::create_dir_all(&dir).await.map_err(|e| Refusal::internal(format!("{}: {e}", dir.display())))?;
        let (into, _log) = output_copy(dir.join(format!("output-{epoch}")));
        let follow = FollowOutput { peer, job, epoch, into };
        let output_bytes = wire(ask_outlet(&outlets.follow, follow, AS_LONG_AS_IT_TAKES).await)?;
        let status = wire(ask_outlet(&outlets.query, QueryJob { peer, job, epoch }, WIRE).await)?;
        if status.state != HostedState::Done {
            return Err(Refusal::new(RefusalKind::Busy, "its output is complete, its end is not written down yet"));
        }
        let totals = match &status.results {
            Some(results) if results.totals.files > 0 => {
                let (progress, _) = watch::channel((0, 0));
                let fetch = FetchResults { peer, job, epoch, manifest: results.manifest, progress };
                wire(ask_outlet(&outlets.results, fetch, AS_LONG_AS_IT_TAKES).await)?
            }
            _ => Totals::default(),
        };
        Ok(Complete { status, output_bytes, totals })
    }
}

/// Until a link to `peer` comes up, [`AWAIT_PAUSE`] at most.
async fn back_or_pause(came: &mut broadcast::Receiver<PeerId>, peer: PeerId) {
    let back = async {
        loop {
            match came.recv().await {
                Ok(who) if who != peer => {}
                // More came up than are remembered; it may be among them. One more question will do for all of them.
                Ok(_) | Err(RecvError::Lagged(_)) => break while came.try_recv().is_ok() {},
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    let _ = tokio::time::timeout(AWAIT_PAUSE, back).await;
}

/// An answer that did not come is a worker out of reach; the question may have been heard, and is idempotent.
fn wire<T>(answer: Result<Result<T, Refusal>, AskError>) -> Result<T, Refusal> {
    match answer {
        Ok(answer) => answer,
        Err(AskError::Stopped(_)) => Err(Refusal::new(RefusalKind::ShuttingDown, "homied is shutting down")),
        Err(slow) => Err(Refusal::new(RefusalKind::Unreachable, slow.to_string())),
    }
}

/// The copy of an output and the handle for its followers.
pub(super) fn output_copy(path: std::path::PathBuf) -> (OutputCopy, crate::pipe::OutputLog) {
    let len = std::fs::metadata(&path).map_or(0, |m| m.len());
    let (announcer, log) = crate::pipe::OutputLog::new(path.clone(), crate::pipe::LogState { len, done: false });
    let announce: Arc<LogAnnouncer> = Arc::new(announcer);
    (OutputCopy { path, announce }, log)
}
