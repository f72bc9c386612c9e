//! The supervisor that waits for the next job, whichever it will be: one, once there was a job, for as long as waiting
//! containers wait. It stands in a directory of its own, which becomes the job's.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::error::SandboxError;
use super::life::blocking;
use super::standby::Standby;
use super::warm::{SETTLE, START_LIMIT};
use super::workspace;
use crate::config::Settings;

/// How the directory of a waiting supervisor begins.
pub(super) const PREFIX: &str = "spare-";

/// Whether `dir` is that of a waiting supervisor.
pub(super) fn is_spare(dir: &Path) -> bool {
    dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

/// The spare; all copies are the same one.
#[derive(Debug, Clone)]
pub(super) struct Spare {
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
    /// Held while one is made.
    at_work: Arc<tokio::sync::Mutex<()>>,
    exe: PathBuf,
    jobs_dir: PathBuf,
    docker_host: Option<String>,
    settings: watch::Receiver<Settings>,
}

#[derive(Debug)]
struct State {
    waiting: Option<Waiting>,
    /// One is wanted so long: jobs come.
    until: Instant,
    /// Nothing is made before: a job is being started.
    quiet: Instant,
    /// homied is on its way down.
    closed: bool,
}

/// What the tending task does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Make,
    Discard,
    /// Nothing before this moment, or before it is woken.
    Wait(Option<Instant>),
    End,
}

impl State {
    fn next(&self, now: Instant) -> Next {
        match &self.waiting {
            _ if self.closed => Next::End,
            Some(_) if now >= self.until => Next::Discard,
            Some(_) => Next::Wait(Some(self.until)),
            None if now >= self.until => Next::Wait(None),
            None if now < self.quiet => Next::Wait(Some(self.quiet)),
            None => Next::Make,
        }
    }
}

/// A supervisor and where it stands.
#[derive(Debug)]
struct Waiting {
    standby: Standby,
    dir: PathBuf,
}

impl Waiting {
    /// Ends it; nothing of it is left.
    fn discard(self) {
        drop(self.standby);
        if let Err(error) = workspace::remove(&self.dir) {
            tracing::warn!(%error, "the directory of a waiting supervisor stays");
        }
    }
}

impl Spare {
    /// None yet; [`Spare::tend`] makes one when there was a job.
    pub(super) fn new(
        exe: PathBuf,
        jobs_dir: PathBuf,
        docker_host: Option<String>,
        settings: watch::Receiver<Settings>,
    ) -> Self {
        let now = Instant::now();
        let state = State { waiting: None, until: now, quiet: now, closed: false };
        let state = Arc::new(Mutex::new(state));
        Self { state, wake: Arc::default(), at_work: Arc::default(), exe, jobs_dir, docker_host, settings }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that waits, if there is one. `dir`, which must not be there yet, is made of its directory. Blocks.
    pub(super) fn take(&self, dir: &Path) -> Option<Standby> {
        let idle = Duration::from_secs(self.settings.borrow().warm_idle_s);
        let waiting = {
            let mut state = self.state();
            let now = Instant::now();
            (state.until, state.quiet) = (now + idle, now + START_LIMIT);
            state.waiting.take()
        };
        self.wake.notify_one();
        let waiting = waiting?;
        match std::fs::rename(&waiting.dir, dir) {
            Ok(()) => Some(waiting.standby),
            Err(error) => {
                tracing::debug!(%error, "a waiting supervisor cannot be used");
                waiting.discard();
                None
            }
        }
    }

    /// A job's program runs: the machine has time for the next supervisor soon.
    pub(super) fn started(&self) {
        self.state().quiet = Instant::now() + SETTLE;
        self.wake.notify_one();
    }

    /// Sees to it that one waits while jobs come, until homied ends.
    pub(super) async fn tend(self) {
        loop {
            // Held over the decision, so that nothing is begun once the other side has seen that nothing is at work.
            let work = self.at_work.lock().await;
            let next = self.state().next(Instant::now());
            match next {
                Next::End => return,
                Next::Make => {
                    let spare = self.clone();
                    let made = blocking(move || {
                        spare.make().map(|waiting| {
                            if let Some(late) = spare.put(waiting) {
                                late.discard();
                            }
                        })
                    });
                    if let Err(error) = made.await {
                        tracing::debug!(%error, "no supervisor could be started ahead");
                        // Until there is a job again: it starts its own.
                        self.state().until = Instant::now();
                    }
                }
                Next::Discard => self.discard().await,
                Next::Wait(at) => {
                    drop(work);
                    let at = async {
                        match at {
                            Some(at) => sleep_until(at).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = at => {}
                        () = self.wake.notified() => {}
                    }
                }
            }
        }
    }

    /// Ends the one that waits; no other is started any more.
    pub(super) async fn close(&self) {
        self.state().closed = true;
        self.wake.notify_one();
        self.discard().await;
        // What is made now finds that it is closed and is ended by its maker.
        drop(self.at_work.lock().await);
    }

    async fn discard(&self) {
        let waiting = self.state().waiting.take();
        if let Some(waiting) = waiting {
            let _ = blocking(move || {
                waiting.discard();
                Ok(())
            })
            .await;
        }
    }

    fn make(&self) -> Result<Waiting, SandboxError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|e| SandboxError::Supervisor(format!("no random bytes: {e}")))?;
        let dir = self.jobs_dir.join(format!("{PREFIX}{}", data_encoding::HEXLOWER.encode(&bytes)));
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(SandboxError::io("make", &dir))?;
        match Standby::start(&self.exe, &dir, self.docker_host.as_deref()) {
            Some(standby) => Ok(Waiting { standby, dir }),
            None => {
                workspace::remove(&dir)?;
                Err(SandboxError::Supervisor("the next supervisor does not start".to_owned()))
            }
        }
    }

    /// This one waits from now on; given back when homied is on its way down.
    fn put(&self, waiting: Waiting) -> Option<Waiting> {
        let mut state = self.state();
        if state.closed {
            return Some(waiting);
        }
        state.waiting.replace(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_when_jobs_come_and_the_machine_has_time() {
        let now = Instant::now();
        let later = |s| now + Duration::from_secs(s);
        let state = |until, quiet| State { waiting: None, until, quiet, closed: false };
        assert_eq!(state(now, now).next(now), Next::Wait(None));
        assert_eq!(state(later(9), later(3)).next(now), Next::Wait(Some(later(3))));
        assert_eq!(state(later(9), later(3)).next(later(3)), Next::Make);
        assert_eq!(state(later(9), later(3)).next(later(9)), Next::Wait(None));
        assert_eq!(State { closed: true, ..state(later(9), now) }.next(now), Next::End);
    }
}
