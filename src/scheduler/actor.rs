//! The scheduler's mailbox: owns the open jobs, translates words into inputs of their state machines, and hands the
//! intents to one task a job.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseFuture, SpawnHandle};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use super::effects::{Batch, Driver, ROOM, output_copy};
use super::farewell::Farewell;
use super::jobs::{Begun, Input, Intent, Job, Now};
use super::messages::{
    CancelJob, DrainScheduler, ExplainJob, FetchAgain, FollowJob, JobFeed, LinkChanged, OpenJobs, SubmitJob,
    WorkerReports,
};
use super::outlets::SchedulerParts;
use super::ranking::rank;
use super::submit;
use crate::clock::wall_ms;
use crate::history::messages::LoadOpen;
use crate::link::messages::OutputCopy;
use crate::mailbox::{Door, MAILBOX, Word, ask, ask_outlet};
use crate::model::{Epoch, JobEvent, JobId, JobRecord, PeerId, Role};
use crate::pipe::OutputLog;
use crate::registry::messages::ListPeers;
use crate::wire::ipc::Candidate;
use crate::wire::refusal::{Refusal, RefusalKind};

/// How often time is brought to the jobs: half of the shortest pause in [`super::retry`].
const TICK: Duration = Duration::from_secs(1);
/// Events a follower may lag behind before it loses progress (never the end, which history has).
const EVENTS: usize = 256;

/// Something a job waited for. The epoch tells answers to a given-up assignment apart.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct Happened {
    pub(super) job: JobId,
    pub(super) epoch: Option<Epoch>,
    pub(super) input: Input,
}

/// A job is written down for good.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct JobClosed {
    pub(super) job: JobId,
}

/// Jobs that are written down and to be driven: just submitted, or found at start.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct Adopt {
    jobs: Vec<Begun>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    batches: mpsc::UnboundedSender<Batch>,
    events: broadcast::Sender<JobEvent>,
    /// The output of the present assignment, and which one that is.
    output: Option<(Epoch, OutputCopy, OutputLog)>,
}

/// Owns the jobs that are not ended. See [`super`].
#[derive(Debug)]
pub struct SchedulerActor {
    parts: Arc<SchedulerParts>,
    jobs: HashMap<JobId, Entry>,
    began: Instant,
    draining: bool,
    ticking: Option<SpawnHandle>,
    /// To whom a link came up, for those that wait for a worker that was given up.
    came: broadcast::Sender<PeerId>,
}

/// Starts the scheduler and goes on with the jobs that were open when homied last ended.
///
/// # Errors
/// History cannot tell which jobs are open.
pub async fn start(parts: SchedulerParts) -> Result<Door<SchedulerActor>, Refusal> {
    let open = ask_outlet(&parts.outlets.load, LoadOpen { role: Role::Sent }, ROOM)
        .await
        .map_err(|e| Refusal::internal(e.to_string()))??;
    let parts = Arc::new(parts);
    let dir = parts.dir.clone();
    let unsaid = tokio::task::spawn_blocking(move || Farewell::unsaid(&dir)).await.unwrap_or_default();
    for farewell in unsaid {
        let parts = parts.clone();
        tokio::spawn(async move { farewell.say(&parts).await });
    }
    let began = Instant::now();
    let jobs = open.into_iter().map(|record| Begun::with(record, since(began))).collect();
    let (came, _) = broadcast::channel(EVENTS);
    let actor = SchedulerActor { parts, jobs: HashMap::new(), began, draining: false, ticking: None, came };
    let door = actor.start();
    ask(&door, Adopt { jobs }, ROOM).await.map_err(|e| Refusal::internal(e.to_string()))?;
    Ok(door)
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

fn since(began: Instant) -> Now {
    Now { wall: wall_ms(), mono: began.elapsed().as_millis() as u64 }
}

impl SchedulerActor {
    fn now(&self) -> Now {
        since(self.began)
    }

    fn feed(&mut self, id: JobId, input: Input) {
        self.feed_and_tell(id, input, None);
    }

    /// Like [`Self::feed`]; `written` hears when the record as decided now is on disk.
    fn feed_and_tell(&mut self, id: JobId, input: Input, written: Option<oneshot::Sender<()>>) {
        // While the other rooms close one after the other, their refusals say nothing about the job. The next homied
        // begins with it where the record stands.
        if self.draining {
            return;
        }
        let now = self.now();
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        let intents = entry.job.on(input, now);
        self.hand_over(id, intents, written);
    }

    /// Gives a job's task what is to be done.
    fn hand_over(&mut self, id: JobId, intents: Vec<Intent>, written: Option<oneshot::Sender<()>>) {
        let dir = self.parts.dir.join(id.to_string());
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if intents.is_empty() || self.draining {
            return;
        }
        entry.open_output(&intents, &dir);
        let copy = entry.output.as_ref().map(|(_, copy, _)| copy.clone());
        // A closed channel means that the job's task has ended: it is about to be closed.
        let _ = entry.batches.send(Batch { record: entry.job.record().clone(), intents, copy, written });
    }

    fn adopt(&mut self, begun: Begun, ctx: &mut Context<Self>) {
        let Begun { job, intents } = begun;
        let id = job.record().id;
        if self.jobs.contains_key(&id) || job.record().is_terminal() {
            return;
        }
        let (batches, rx) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS);
        let driver = Driver {
            parts: self.parts.clone(),
            happened: ctx.address().recipient(),
            closed: ctx.address().recipient(),
            events: events.clone(),
            came: self.came.clone(),
        };
        tokio::spawn(driver.drive(rx));
        self.jobs.insert(id, Entry { job, batches, events, output: None });
        self.hand_over(id, intents, None);
        // Time means something to jobs only: a machine without any is not woken.
        if self.ticking.is_none() {
            self.ticking = Some(ctx.run_interval(TICK, |actor, _| {
                let ids: Vec<JobId> = actor.jobs.keys().copied().collect();
                for id in ids {
                    actor.feed(id, Input::Tick);
                }
            }));
        }
    }
}

impl Entry {
    /// A new assignment writes a new file: outputs of two attempts are never mixed.
    fn open_output(&mut self, intents: &[Intent], dir: &std::path::Path) {
        let assigned = intents.iter().find_map(|i| match i {
            Intent::Offer(_, epoch) => Some(*epoch),
            _ => None,
        });
        let Some(epoch) = assigned else { return };
        if self.output.as_ref().is_some_and(|(e, ..)| *e == epoch) {
            return;
        }
        if let Err(e) = std::fs::create_dir_all(dir) {
            tracing::warn!(dir = %dir.display(), error = %e, "cannot make the directory for a job's output");
        }
        let (copy, log) = output_copy(dir.join(format!("output-{epoch}")));
        if let Some((_, old, _)) = self.output.replace((epoch, copy, log)) {
            old.announce.done();
        }
    }
}

impl Handler<Adopt> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, message: Adopt, ctx: &mut Self::Context) {
        for begun in message.jobs {
            self.adopt(begun, ctx);
        }
    }
}

impl Handler<Happened> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, message: Happened, _: &mut Self::Context) {
        let now = self.jobs.get(&message.job).map(|e| e.job.record().epoch);
        if message.epoch.is_none() || message.epoch == now {
            self.feed(message.job, message.input);
        }
    }
}

impl Handler<JobClosed> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, message: JobClosed, ctx: &mut Self::Context) {
        if let Some(entry) = self.jobs.remove(&message.job)
            && let Some((_, copy, _)) = entry.output
        {
            copy.announce.done();
        }
        if let (true, Some(ticking)) = (self.jobs.is_empty(), self.ticking) {
            ctx.cancel_future(ticking);
            self.ticking = None;
        }
    }
}

impl Handler<SubmitJob> for SchedulerActor {
    type Result = ResponseFuture<Result<JobRecord, Refusal>>;

    fn handle(&mut self, message: SubmitJob, ctx: &mut Self::Context) -> Self::Result {
        let (parts, me, draining, began) = (self.parts.clone(), ctx.address(), self.draining, self.began);
        Box::pin(async move {
            if draining {
                return Err(Refusal::new(RefusalKind::ShuttingDown, "homied is shutting down"));
            }
            let begun = submit::take(&parts, message.uid, message.submit, || since(began)).await?;
            let record = begun.job.record().clone();
            // Also a known one: its first answer may have been lost before it was adopted.
            if !record.is_terminal() {
                ask(&me, Adopt { jobs: vec![begun] }, ROOM).await.map_err(|e| Refusal::internal(e.to_string()))?;
            }
            Ok(record)
        })
    }
}

impl Handler<CancelJob> for SchedulerActor {
    type Result = ResponseFuture<Result<JobRecord, Refusal>>;

    fn handle(&mut self, message: CancelJob, _: &mut Self::Context) -> Self::Result {
        let draining = self.draining;
        let (tx, written) = oneshot::channel();
        self.feed_and_tell(message.job, Input::Cancel("you".into()), Some(tx));
        let record = self.jobs.get(&message.job).map(|entry| entry.job.record().clone());
        Box::pin(async move {
            if draining {
                return Err(Refusal::new(RefusalKind::ShuttingDown, "homied is shutting down"));
            }
            let short = message.job.short();
            let record = record
                .ok_or_else(|| Refusal::new(RefusalKind::UnknownJob, format!("job {short} has already ended")))?;
            // A promise that a crash may undo is none. An end that was decided before is being written down already.
            let promised = tokio::time::timeout(ROOM, written).await;
            if matches!(promised, Ok(Ok(()))) || record.is_terminal() {
                return Ok(record);
            }
            Err(Refusal::internal(format!("that job {short} shall end cannot be written down here"))
                .hint("see whether the disk is full; `homie cancel` again once there is room"))
        })
    }
}

impl Handler<FetchAgain> for SchedulerActor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, message: FetchAgain, ctx: &mut Self::Context) -> Self::Result {
        let short = message.record.id.short();
        let mut job = Job::before_failed_fetch(message.record).ok_or_else(|| {
            Refusal::new(RefusalKind::BadRequest, format!("the results of job {short} did not stay at its worker"))
        })?;
        let intents = job.on(Input::Start, self.now());
        self.adopt(Begun { job, intents }, ctx);
        Ok(())
    }
}

impl Handler<ExplainJob> for SchedulerActor {
    type Result = ResponseFuture<Result<Vec<Candidate>, Refusal>>;

    fn handle(&mut self, message: ExplainJob, _: &mut Self::Context) -> Self::Result {
        let parts = self.parts.clone();
        Box::pin(async move {
            let peers = ask_outlet(&parts.outlets.peers, ListPeers { offline: true }, ROOM)
                .await
                .map_err(|e| Refusal::internal(e.to_string()))?;
            let spec = submit::with_wish(&parts, message.params.spec).await?;
            Ok(rank(&peers, &spec, message.params.input_totals))
        })
    }
}

impl Handler<OpenJobs> for SchedulerActor {
    type Result = MessageResult<OpenJobs>;

    fn handle(&mut self, _: OpenJobs, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.jobs.values().map(|e| e.job.record().clone()).collect())
    }
}

impl Handler<FollowJob> for SchedulerActor {
    type Result = MessageResult<FollowJob>;

    fn handle(&mut self, message: FollowJob, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.jobs.get(&message.job).map(|entry| JobFeed {
            record: entry.job.record().clone(),
            log: entry.output.as_ref().map(|(_, _, log)| log.clone()),
            waiting: entry.job.waiting().map(str::to_owned),
            events: entry.events.subscribe(),
        }))
    }
}

impl Handler<WorkerReports> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, message: WorkerReports, _: &mut Self::Context) {
        let WorkerReports { peer, status } = message;
        let ours = self.jobs.get(&status.job).is_some_and(|e| e.job.is_with(peer, status.epoch));
        if ours {
            self.feed(status.job, Input::Reported(status));
        }
    }
}

impl Handler<LinkChanged> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, message: LinkChanged, _: &mut Self::Context) {
        let LinkChanged { peer, up, silent } = message;
        let silent_ms = silent.as_millis() as u64;
        if up {
            // Heard by nobody where no job waits.
            let _ = self.came.send(peer);
        }
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in ids {
            self.feed(id, if up { Input::LinkUp(peer) } else { Input::LinkDown(peer, silent_ms) });
        }
    }
}

impl Handler<DrainScheduler> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, _: DrainScheduler, _: &mut Self::Context) {
        self.draining = true;
    }
}
