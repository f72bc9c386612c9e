//! Noticing how a container's job ends, and what it used until then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{StatsOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{sleep, timeout};

use super::cgroup::{Cgroup, Sample};
use super::error::{gone, words};
use super::init::Said;
use crate::model::Usage;
use crate::sandbox::engine::{End, Ended, EngineError};

/// How long a dead job's cgroup may take to empty: the kernel frees a large process's memory first.
const EMPTY_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether it is empty: with init's death the kernel has sent its signals already.
const EMPTY_LOOK: Duration = Duration::from_millis(1);
/// Counters are gone with the cgroup, so they are read as the job runs: soon at first, for short jobs have use too.
const FIRST_SAMPLE: Duration = Duration::from_millis(20);
/// Later looks, while the cgroup's files can be read (microseconds).
const LAST_SAMPLE: Duration = Duration::from_secs(1);
/// Later looks where only the engine can tell (milliseconds of its time).
const API_SAMPLE: Duration = Duration::from_secs(5);
/// How long the engine may take to tell.
const STATS_LIMIT: Duration = Duration::from_secs(5);

/// Listens to a container's init until it has ended.
pub(super) struct Follower {
    pub(super) docker: Docker,
    pub(super) id: String,
    pub(super) cgroup: Option<Cgroup>,
    /// Processor time that was used before the job began.
    pub(super) before: u64,
    pub(super) sample: Arc<Mutex<Sample>>,
    pub(super) killed: Arc<AtomicBool>,
}

impl Follower {
    /// How it ended; by `status` init speaks.
    ///
    /// # Errors
    /// It was ended from outside, or something of it does not end.
    pub(super) async fn run(self, mut status: Receiver) -> Result<Ended, EngineError> {
        let mut message = [0; Said::BYTES];
        let mut pause = FIRST_SAMPLE;
        let heard = {
            let mut hear = std::pin::pin!(status.read_exact(&mut message));
            loop {
                tokio::select! {
                    heard = &mut hear => break heard,
                    () = sleep(pause) => {
                        self.look().await;
                        pause = (pause * 2).min(if self.cgroup.is_some() { LAST_SAMPLE } else { API_SAMPLE });
                    }
                }
            }
        };
        // The last moment at which a short job's counters are still there.
        self.look().await;
        let said = heard.ok().and_then(|_| Said::decode(message));
        self.until_empty().await?;
        let end = match said {
            Some(Said::Ended(status)) if libc::WIFEXITED(status) => End::Exited(libc::WEXITSTATUS(status)),
            Some(Said::Ended(status)) => End::Signaled(libc::WTERMSIG(status)),
            // Without a word, init was killed, and everything else with it.
            _ => End::Signaled(libc::SIGKILL),
        };
        let mut out_of_memory = self.sample.lock().unwrap_or_else(PoisonError::into_inner).oom_killed;
        let killed_itself = matches!(end, End::Signaled(libc::SIGKILL) | End::Exited(KILLED_CHILD));
        if !out_of_memory && killed_itself && !self.killed.load(Ordering::Relaxed) {
            // The counter may have gone with the cgroup before it was read.
            let state = self.docker.inspect_container(&self.id, None).await.ok().and_then(|c| c.state);
            out_of_memory = state.and_then(|s| s.oom_killed).unwrap_or_default();
        }
        if said.is_none() && !out_of_memory && !self.killed.load(Ordering::Relaxed) {
            return Err(EngineError::Failed(
                "the job's container was ended from outside (by its owner, or by a restart of the container engine)"
                    .into(),
            ));
        }
        let usage = self.sample.lock().unwrap_or_else(PoisonError::into_inner).usage;
        Ok(Ended { end, out_of_memory, usage })
    }

    async fn look(&self) {
        let mut now = match &self.cgroup {
            Some(cgroup) => cgroup.sample(),
            None => sample_by_api(&self.docker, &self.id).await,
        };
        now.usage.cpu_ms = now.usage.cpu_ms.saturating_sub(self.before);
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).merge(now);
    }

    /// Init is gone or goes: waits until nothing of the job is left.
    async fn until_empty(&self) -> Result<(), EngineError> {
        if let Some(cgroup) = &self.cgroup {
            return emptied(cgroup, &self.id).await;
        }
        // `not-running`, asked after the start, cannot miss the end.
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut wait = self.docker.wait_container(&self.id, Some(options));
        match timeout(EMPTY_LIMIT, wait.next()).await {
            Ok(Some(Ok(_) | Err(Error::DockerContainerWaitError { .. }))) => Ok(()),
            Ok(Some(Err(e))) => Err(gone(&words(&e))),
            Ok(None) => Err(gone("it closed the connection")),
            Err(_) => Err(EngineError::Failed(format!("container {} does not end", self.id))),
        }
    }
}

/// What a shell says of a child that SIGKILL ended.
const KILLED_CHILD: i32 = 128 + libc::SIGKILL;

/// Waits until no process is left in a container that ends.
///
/// # Errors
/// One survives.
pub(super) async fn emptied(cgroup: &Cgroup, id: &str) -> Result<(), EngineError> {
    let empty = async {
        while !cgroup.is_empty() {
            sleep(EMPTY_LOOK).await;
        }
    };
    let limit = timeout(EMPTY_LIMIT, empty).await;
    limit.map_err(|_| EngineError::Failed(format!("processes of container {id} survived its init")))
}

async fn sample_by_api(docker: &Docker, name: &str) -> Sample {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut stats = docker.stats(name, Some(options));
    let Ok(Some(Ok(stats))) = timeout(STATS_LIMIT, stats.next()).await else { return Sample::default() };
    let cpu_ns = stats.cpu_stats.and_then(|c| c.cpu_usage).and_then(|u| u.total_usage).unwrap_or_default();
    let memory = stats.memory_stats.and_then(|m| m.max_usage.or(m.usage)).unwrap_or_default();
    let usage = Usage { wall_ms: 0, cpu_ms: cpu_ns / 1_000_000, peak_memory_bytes: memory, ..Usage::default() };
    Sample { usage, oom_killed: false }
}
