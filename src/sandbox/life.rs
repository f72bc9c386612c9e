//! The life of one hosted job, as one task: accepted, prepared, run under its supervisor, collected, kept, forgotten.
//!
//! The task owns what it does; the actor gives [`Orders`] and reads the status. Where an earlier homied left the job
//! is an [`Entry`]: the same road, joined further down.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::watch;

use super::admission::Grant;
use super::engines::Engines;
use super::envs::{EnvHeld, Keeper};
use super::error::SandboxError;
use super::follow::{Followed, News, Orders, end_unfollowed, follow};
use super::hosted::{GRANT, INPUTS, closed, kept_for, record, work_dir};
use super::lookout::{Eyes, Lookout};
use super::results::{self, Results};
use super::spare::Spare;
use super::standby::{Early, commence};
use super::supervisor::{
    LAUNCH, LimitedNote, OUTPUT, SUPERVISOR, StartedNote, SupervisorNote, boot_id, date_in_doubt, read_json, write_json,
};
use super::warm::Pool;
use super::{live, workspace};
use crate::blobs::BlobStore;
use crate::clock::wall_ms;
use crate::history::messages::PutRecord;
use crate::link::messages::inputs_pin;
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{
    EngineKind, FailKind, HostedState, HostedStatus, JobId, JobRecord, Manifest, Outcome, SeenGpu, Usage,
};
use crate::pipe::LogAnnouncer;
use crate::wire::refusal::{Refusal, RefusalKind};

/// An accepted job holds a slot; a submitter that has not sent everything by then has gone away. 2 GiB at 1 MB/s
/// take this long.
const INPUTS_LIMIT: Duration = Duration::from_secs(40 * 60);
/// A supervisor that cannot be followed, mostly for want of a descriptor, is tried again so often ...
const FOLLOW_TRIES: u32 = 5;
/// ... at this pace.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);
/// History answers in a millisecond; a disk that hangs may take longer.
const HISTORY_LIMIT: Duration = Duration::from_secs(30);

/// What all jobs share.
#[derive(Debug)]
pub(super) struct Shared {
    /// homied's own program.
    pub(super) exe: PathBuf,
    /// This machine's peer id.
    pub(super) node: String,
    pub(super) blobs: BlobStore,
    pub(super) put: Outlet<PutRecord>,
    pub(super) engines: Engines,
    /// Containers that were started ahead.
    pub(super) pool: Pool,
    /// The supervisor that was started ahead.
    pub(super) spare: Spare,
    pub(super) docker_host: Option<String>,
    pub(super) envs: Keeper,
    /// The GPUs as last seen.
    pub(super) gpus: watch::Receiver<Vec<SeenGpu>>,
    /// How long results wait for their owner.
    pub(super) keep: Duration,
    pub(super) lookout: Lookout,
}

/// Where the task joins the road.
#[derive(Debug)]
pub(super) enum Entry {
    /// Just admitted; not yet written down.
    New,
    /// Written down; inputs are awaited.
    Accepted,
    /// Inputs are here; the directory may be half made.
    Prepare,
    /// A supervisor was or is to be started.
    Supervise,
    /// Everything was written down; results wait.
    Done,
}

/// One job, in the task's hands.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) shared: Arc<Shared>,
    pub(super) base: JobRecord,
    pub(super) grant: Grant,
    pub(super) image: Option<String>,
    pub(super) dir: PathBuf,
    pub(super) status: watch::Sender<HostedStatus>,
    pub(super) announce: LogAnnouncer,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) accepted: watch::Sender<Option<Result<(), Refusal>>>,
    /// The environment, kept from being removed until the job has ended.
    pub(super) env: Option<EnvHeld>,
    /// The supervisor that was or is being started ahead, until it is told to begin.
    pub(super) standby: Early,
    /// What the supervisor says when the program runs.
    pub(super) running: watch::Sender<Option<StartedNote>>,
    /// What it says of new limits.
    pub(super) limited: watch::Sender<Option<LimitedNote>>,
}

/// How a job ended, before results are looked at.
struct End {
    outcome: Outcome,
    usage: Usage,
    output_bytes: u64,
    ended_ms: u64,
}

impl End {
    fn before_start(outcome: Outcome) -> Self {
        Self { outcome, usage: Usage::default(), output_bytes: 0, ended_ms: wall_ms() }
    }

    /// Without a report; what it said until then is kept.
    fn unreported(outcome: Outcome, dir: &Path) -> Self {
        let output_bytes = std::fs::metadata(dir.join(OUTPUT)).map_or(0, |m| m.len());
        Self { output_bytes, ..Self::before_start(outcome) }
    }
}

impl Life {
    /// Lives it. Returns when nothing of the job is left here. `changed` is called when its program runs and when
    /// it gives up its slot.
    pub(super) async fn live(mut self, entry: Entry, changed: impl Fn()) {
        if matches!(entry, Entry::New) {
            let accepted = self.accept().await;
            let refused = accepted.is_err();
            self.accepted.send_replace(Some(accepted));
            if refused {
                self.give_back().await;
                self.remove_dir().await;
                return;
            }
        } else {
            self.accepted.send_replace(Some(Ok(())));
        }
        if !matches!(entry, Entry::Done) {
            let ran = self.run(entry, &changed).await;
            self.give_back().await;
            let end = match ran {
                Ok(end) => end,
                Err(e) => {
                    tracing::warn!(job = %self.base.id, error = %e, "a hosted job failed here");
                    End::unreported(e.outcome(), &self.dir)
                }
            };
            self.finish(end).await;
        }
        changed();
        self.keep().await;
    }

    /// Gives back what was had ahead and not used.
    async fn give_back(&mut self) {
        // One that nobody tells to begin ends.
        drop(self.standby.take().await);
    }

    /// Writes the acceptance down.
    async fn accept(&mut self) -> Result<(), Refusal> {
        let (dir, grant, shared) = (self.dir.clone(), self.grant.clone(), Arc::clone(&self.shared));
        let made = blocking(move || {
            let standby = shared.spare.take(&dir);
            if standby.is_none() {
                let mut builder = std::fs::DirBuilder::new();
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.recursive(true).create(&dir).map_err(SandboxError::io("make", &dir))?;
            }
            write_json(&dir.join(GRANT), &grant).map_err(SandboxError::io("write", &dir))?;
            Ok(standby.map_or(Early::No, Early::Here))
        });
        self.standby = made.await.map_err(|e| match e.outcome() {
            Outcome::Failed { reason: FailKind::DiskLimit, message } => Refusal::new(RefusalKind::DiskFull, message),
            _ => Refusal::internal(e.to_string()),
        })?;
        // While the disk is waited for. After a crash it would be of a job that nobody knows, and it would go.
        self.look_ahead();
        self.put(self.base.clone()).await
    }

    async fn put(&self, record: JobRecord) -> Result<(), Refusal> {
        let put = PutRecord { record: Box::new(record) };
        ask_outlet(&self.shared.put, put, HISTORY_LIMIT).await.map_err(|e| Refusal::internal(e.to_string()))?
    }

    pub(super) fn set(&self, state: HostedState) {
        self.status.send_modify(|s| s.state = state);
    }

    /// From acceptance to the program's end.
    async fn run(&mut self, entry: Entry, changed: impl Fn()) -> Result<End, SandboxError> {
        if matches!(entry, Entry::Accepted | Entry::Prepare) {
            self.look_ahead();
        }
        if matches!(entry, Entry::New | Entry::Accepted)
            && let Some(outcome) = self.await_inputs().await
        {
            return Ok(End::before_start(outcome));
        }
        let mut child = None;
        if !matches!(entry, Entry::Supervise)
            && let Some(outcome) = self.prepare(!matches!(entry, Entry::New)).await?
        {
            return Ok(End::before_start(outcome));
        }
        let stop = self.orders.borrow().stop.clone();
        if let Some(by) = stop {
            // An earlier homied may have started it; then the supervisor has to be told.
            if !matches!(entry, Entry::Supervise) {
                // It may have been given a container that waits for it.
                self.clear_engine().await;
                return Ok(End::before_start(Outcome::Cancelled { by }));
            }
        }
        let mut eyes = None;
        if !self.dir.join(SUPERVISOR).exists() {
            self.set(HostedState::Starting);
            eyes = Some(self.shared.lookout.open(&self.dir, (self.base.id, self.base.epoch))?);
            let docker_host = self.shared.docker_host.as_deref();
            child = commence(self.standby.take().await, &self.shared.exe, &self.dir, docker_host).await?;
        }
        let Followed::Ended(report) = self.follow(eyes, child, &changed).await? else {
            return Ok(self.vanished().await);
        };
        let outcome = match report.outcome {
            Outcome::Cancelled { by } => Outcome::Cancelled { by: self.orders.borrow().stop.clone().unwrap_or(by) },
            other => other,
        };
        Ok(End { outcome, usage: report.usage, output_bytes: report.output_bytes, ended_ms: report.ended_ms })
    }

    /// Follows the supervisor to its end. One that cannot be followed is ended: nobody may be told that a job failed
    /// while its program goes on.
    async fn follow(
        &mut self,
        mut eyes: Option<Eyes>,
        mut child: Option<Child>,
        changed: impl Fn(),
    ) -> Result<Followed, SandboxError> {
        let mut tries = 1;
        loop {
            let (status, running, limited) = (&self.status, &self.running, &self.limited);
            let hear = |news: News| match news {
                News::Started(note) => {
                    self.shared.pool.started();
                    self.shared.spare.started();
                    status.send_modify(|s| s.state = HostedState::Running);
                    running.send_replace(Some(note));
                    changed();
                }
                News::Limited(note) => {
                    if note.error.is_none() {
                        status.send_modify(|s| s.limits = Some(note.limits.clone()));
                    }
                    limited.send_replace(Some(note));
                }
            };
            let gpu_memory = watch_gpu_memory(self.base.id, &self.grant, status, self.shared.gpus.clone());
            let open = || self.shared.lookout.open(&self.dir, (self.base.id, self.base.epoch));
            let error = match eyes.take().map_or_else(open, Ok) {
                Ok(eyes) => {
                    let followed = follow(&self.dir, eyes, &self.announce, &mut self.orders, &mut child, hear);
                    let followed = tokio::select! {
                        followed = followed => followed,
                        never = gpu_memory => match never {},
                    };
                    match followed {
                        Ok(followed) => return Ok(followed),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            tracing::warn!(job = %self.base.id, %error, tries, "a running job cannot be followed");
            if tries == FOLLOW_TRIES {
                end_unfollowed(&self.dir, &mut child).await;
                self.clear_engine().await;
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }

    /// Waits for the order to start; an outcome when it comes to nothing.
    async fn await_inputs(&mut self) -> Option<Outcome> {
        let ordered = self.orders.wait_for(|o| o.start || o.stop.is_some() || o.forget);
        let ordered = tokio::time::timeout(INPUTS_LIMIT, ordered).await.map(|o| o.map(|orders| orders.clone()));
        match ordered {
            Ok(Ok(orders)) if orders.start => None,
            Ok(Ok(orders)) => Some(Outcome::Cancelled { by: orders.stop.unwrap_or_else(|| "you".to_owned()) }),
            // homied is on its way down; the next one waits on.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Some(Outcome::failed(FailKind::Inputs, "the inputs did not arrive within 40 minutes")),
        }
    }

    /// Lists the results and writes the end down.
    async fn finish(&mut self, mut end: End) {
        self.env = None;
        self.status.send_modify(|s| {
            s.state = HostedState::Collecting;
            s.usage = Usage { gpu_memory_bytes: s.usage.gpu_memory_bytes, ..end.usage };
            s.output_bytes = end.output_bytes;
        });
        let dir = self.dir.clone();
        let max_bytes = self.grant.limits.disk_bytes.saturating_add(self.base.input_totals.bytes);
        // What a job left that broke off in the middle is no result.
        let collected = match end.outcome {
            Outcome::Lost { .. } => Ok(Results::default()),
            _ => blocking(move || collect(&dir, max_bytes)).await,
        };
        let reference = match collected {
            Ok(results) => results.reference(),
            Err(e) => {
                tracing::warn!(job = %self.base.id, error = %e, "results cannot be listed");
                if let Outcome::Exited { code } = end.outcome {
                    end.outcome =
                        Outcome::failed(FailKind::Results, format!("the program exited with {code}, but {e}"));
                }
                None
            }
        };
        let mut done = self.status.borrow().clone();
        done.state = HostedState::Done;
        done.outcome = Some(end.outcome);
        done.results = reference;
        self.base.ended_ms = Some(end.ended_ms);
        self.base.started_ms = Some(end.ended_ms.saturating_sub(end.usage.wall_ms));
        if let Err(refusal) = self.put(record(&self.base, &done)).await {
            // The files say the same; a later homied reads them again.
            tracing::error!(job = %self.base.id, %refusal, "the end of a hosted job was not written down");
        }
        self.announce.grown(end.output_bytes);
        self.announce.done();
        self.status.send_replace(done);
    }

    /// Keeps the results until the submitter has them, or nobody came for them.
    async fn keep(mut self) {
        self.announce.done();
        let since = self.base.ended_ms.unwrap_or_else(wall_ms);
        let left = kept_for(self.shared.keep, since, wall_ms());
        let forgotten = match tokio::time::timeout(left, self.orders.wait_for(|o| o.forget)).await.map(|o| o.map(drop))
        {
            Ok(Ok(_)) => true,
            Ok(Err(_)) => return,
            Err(_) => false,
        };
        let last = record(&self.base, &self.status.borrow());
        if let Err(refusal) = self.put(closed(last, forgotten, wall_ms())).await {
            tracing::error!(job = %self.base.id, %refusal, "the end of a hosted job was not written down");
        }
        self.remove_dir().await;
    }

    /// Removes what the engine holds of the job.
    async fn clear_engine(&self) {
        let (shared, base) = (&self.shared, &self.base);
        shared.engines.clear(self.grant.engine, &shared.node, &self.dir, base.id, base.epoch).await;
    }

    /// The supervisor is gone without a report. It held the job's pipes and its word to init, so the job has ended with it, and
    /// an engine that could keep it alive would keep one whose output and deadline nobody has. What it said until then
    /// is kept; the submitter may send it again.
    async fn vanished(&self) -> End {
        let restarted =
            read_json::<SupervisorNote>(&self.dir.join(SUPERVISOR)).is_ok_and(|note| note.boot != boot_id());
        let message = if restarted {
            "the worker was restarted in the middle of it"
        } else {
            "its supervisor was killed (by hand, or by the kernel for want of memory), and the job ended with it"
        };
        tracing::warn!(job = %self.base.id, message, "a hosted job is lost");
        self.clear_engine().await;
        let mut end = End::unreported(Outcome::Lost { message: message.to_owned() }, &self.dir);
        if let Some(note) = &*self.running.borrow() {
            end.usage.wall_ms = end.ended_ms.saturating_sub(note.started_ms);
        }
        end
    }

    async fn remove_dir(&self) {
        let (dir, blobs) = (self.dir.clone(), self.shared.blobs.clone());
        let pin = inputs_pin(self.base.id, self.base.epoch);
        let removed = blocking(move || {
            blobs.unpin(&pin)?;
            workspace::remove(&dir)
        });
        if let Err(error) = removed.await {
            tracing::warn!(job = %self.base.id, %error, "the directory of a hosted job stays");
        }
    }
}

/// Keeps the largest use of GPU memory that is seen, for as long as it is polled. Nobody is woken by it: it is told with
/// the end.
async fn watch_gpu_memory(
    job: JobId,
    grant: &Grant,
    status: &watch::Sender<HostedStatus>,
    mut gpus: watch::Receiver<Vec<SeenGpu>>,
) -> Infallible {
    while !grant.gpus.is_empty() && gpus.changed().await.is_ok() {
        let now = live::gpu_memory(job, &gpus.borrow_and_update());
        status.send_if_modified(|s| {
            s.usage.gpu_memory_bytes = s.usage.gpu_memory_bytes.max(now);
            false
        });
    }
    std::future::pending().await
}

/// The results of a job that has ended, from its directory alone. One that never began has none.
fn collect(dir: &Path, max_bytes: u64) -> Result<Results, SandboxError> {
    let work = work_dir(dir);
    let launch = dir.join(LAUNCH);
    if !launch.exists() {
        return Ok(Results::default());
    }
    let list = dir.join(INPUTS);
    let bytes = std::fs::read(&list).map_err(SandboxError::io("read", &list))?;
    let inputs = Manifest::decode(&bytes).map_err(|e| SandboxError::Results(e.to_string()))?;
    let stamped = results::change_time(&launch)?;
    let started = if date_in_doubt(dir, stamped) { i128::MIN } else { stamped };
    let found = results::collect(&work, &inputs, started, max_bytes)?;
    found.save(dir)?;
    Ok(found)
}

/// Runs what blocks away from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(SandboxError::Supervisor(format!("a task ended early: {e}"))),
    }
}

/// Which engine a job of an earlier homied was given, for those whose grant cannot be read.
pub(super) fn engine_of(record: &JobRecord) -> EngineKind {
    match record.engine.as_deref() {
        Some("docker") => EngineKind::Docker,
        _ => EngineKind::Native,
    }
}

#[cfg(test)]
mod tests {
    use super::super::clocks::Clocks;
    use super::super::engine::Meter;
    use super::super::supervisor::STARTED;
    use super::*;
    use crate::model::{CleanPath, Digest, FileEntry};

    #[test]
    fn an_input_that_was_changed_in_place_is_found_though_the_date_was_put_back() {
        let dir = tempfile::tempdir().expect("tempdir");
        let work = work_dir(dir.path());
        std::fs::create_dir_all(&work).expect("made");
        let before = FileEntry {
            path: CleanPath::new("state.bin").expect("clean"),
            size: 3,
            exec: false,
            hash: Digest::of(b"old"),
            chunks: vec![],
            lengths: vec![],
        };
        let inputs = Manifest::new(vec![before]).expect("valid");
        std::fs::write(dir.path().join(INPUTS), inputs.encode()).expect("written");
        let (input, launch) = (work.join("state.bin"), dir.path().join(LAUNCH));
        std::fs::write(&input, b"new").expect("written");
        // As if it had been changed before the job: until the clock of files, which is coarse, has moved on.
        while {
            std::fs::write(&launch, b"{}").expect("written");
            results::change_time(&launch).expect("there") <= results::change_time(&input).expect("there")
        } {}
        let changed = |clocks: Clocks| {
            let note = StartedNote { started_ms: 1, clocks: Some(clocks), meter: Meter::default() };
            write_json(&dir.path().join(STARTED), &note).expect("written");
            collect(dir.path(), 1 << 20).expect("readable").manifest.files().len()
        };
        assert_eq!(changed(Clocks::now()), 0, "stamped before the job, so nobody reads it");
        let mut ahead = serde_json::to_value(Clocks::now()).expect("plain");
        ahead["wall"] = (ahead["wall"].as_i64().expect("a number") + 3_600_000).into();
        assert_eq!(changed(serde_json::from_value(ahead).expect("plain")), 1);
    }
}
