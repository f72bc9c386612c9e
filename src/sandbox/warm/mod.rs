//! The one-shot warm pool: containers of the kinds that jobs used lately, started ahead from the same closed template.
//!
//! Most of a container's start is the engine's work before the job's first instruction. One that waits in its init has
//! it behind it: its job gets its own limits, files and order at the last moment, has the container alone, and takes it
//! along when it ends. None is ever used twice. Size and idle time are the owner's; there are none on battery.
//!
//! `shelf` decides, `power` looks at the battery, this file makes, gives away and destroys. Only the job's own preparation takes one.

mod power;
mod shelf;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use self::shelf::{Caps, Next, Shelf};
use super::engine::docker::DockerEngine;
use super::engine::docker::warm::Kind;
use super::engine::{JobLaunch, Warm};
use super::life::blocking;
use super::workspace;
use crate::config::Settings;
use crate::model::Facts;

/// Between the start of a job's program and the making of the next container: the engine works for 0.2 s on two cores at
/// it, and so may the job, which would be the slower for it. A trivial one is over in half this time.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
/// How long a job may take to start its program before the next container is made without it. Hundred times what a machine
/// with nothing else to do needs.
pub(super) const START_LIMIT: Duration = Duration::from_secs(3);
/// After a failure, and between two looks at the battery.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How much longer than the idle time a container's init waits before it ends by itself: homied is late now and then.
const MARGIN_S: u64 = 300;
/// How the directory of a waiting container begins.
pub(super) const PREFIX: &str = "warm-";

/// The pool; all copies are the same one.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    shelf: Arc<Mutex<State>>,
    wake: Arc<Notify>,
    /// Held while a container is made or destroyed on the pool's own account.
    at_work: Arc<tokio::sync::Mutex<()>>,
    engine: DockerEngine,
    node: String,
    jobs_dir: PathBuf,
    settings: watch::Receiver<Settings>,
    facts: watch::Receiver<Facts>,
    began: Instant,
}

#[derive(Debug)]
struct State {
    shelf: Shelf<Kind, Warm>,
    /// homied is on its way down.
    closed: bool,
    /// Nothing is made before: a job is being started.
    quiet: Instant,
}

impl Pool {
    /// An empty pool; [`Pool::tend`] fills it.
    pub(super) fn new(
        engine: DockerEngine,
        node: String,
        jobs_dir: PathBuf,
        settings: watch::Receiver<Settings>,
        facts: watch::Receiver<Facts>,
    ) -> Self {
        let began = Instant::now();
        let state = State { shelf: Shelf::new(), closed: false, quiet: began };
        Self {
            shelf: Arc::new(Mutex::new(state)),
            wake: Arc::default(),
            at_work: Arc::default(),
            engine,
            node,
            jobs_dir,
            settings,
            facts,
            began,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn caps(&self) -> Caps {
        let settings = self.settings.borrow();
        let resting = self.facts.borrow().paused.is_some() || power::on_battery(Path::new(power::SUPPLIES));
        let size = if resting { 0 } else { usize::from(settings.warm_containers) };
        Caps { size, idle_ms: settings.warm_idle_s.saturating_mul(1000) }
    }

    /// Takes a waiting container for `launch` off the shelf, if one fits; notes that its kind is in use. It is that job's
    /// alone from now on and must be used or discarded: nobody else knows of it until `launch.json` says whose it is.
    ///
    /// It has the job's name later: the engine takes milliseconds for that, so the supervisor has it done once the program
    /// has begun.
    pub(super) fn take(&self, launch: &JobLaunch) -> Option<Warm> {
        let kind = Kind::of(launch)?;
        let warm = {
            let mut state = self.state();
            let warm = state.shelf.take(|k| *k == kind);
            state.shelf.used(kind, self.now());
            state.quiet = Instant::now() + START_LIMIT;
            warm
        };
        self.wake.notify_one();
        warm
    }

    /// A job is about to be started: the engine is left to it.
    pub(super) fn starting(&self) {
        self.state().quiet = Instant::now() + START_LIMIT;
    }

    /// A job's program runs: the engine is free again soon.
    pub(super) fn started(&self) {
        self.state().quiet = Instant::now() + SETTLE;
        self.wake.notify_one();
    }

    /// Keeps the pool filled until homied ends. What an earlier homied left goes with the other orphans.
    pub(super) async fn tend(self) {
        loop {
            let work = self.at_work.lock().await;
            let (Next { discard, make, at }, quiet) = {
                let caps = self.caps();
                let mut state = self.state();
                if state.closed {
                    return;
                }
                (state.shelf.next(caps, self.now()), state.quiet)
            };
            for warm in discard {
                self.discard(warm).await;
            }
            let until = match make {
                Some(_) if Instant::now() < quiet => quiet,
                Some(kind) => match self.make(kind).await {
                    true => continue,
                    false => Instant::now() + LOOK_AGAIN,
                },
                // Something waits: look at the clock and the battery. Nothing does: nothing to look at.
                None => match at {
                    Some(at) => (self.began + Duration::from_millis(at)).min(Instant::now() + LOOK_AGAIN),
                    None => {
                        drop(work);
                        self.wake.notified().await;
                        continue;
                    }
                },
            };
            drop(work);
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Destroys everything that waits, also what is being made at this moment; nothing is made any more.
    pub(super) async fn close(&self) {
        let all = {
            let mut state = self.state();
            state.closed = true;
            state.shelf.clear()
        };
        self.wake.notify_one();
        futures_util::future::join_all(all.into_iter().map(|warm| self.discard(warm))).await;
        // What is made now finds the pool closed and is destroyed by its maker.
        drop(self.at_work.lock().await);
    }

    async fn make(&self, kind: Kind) -> bool {
        let mut bytes = [0; 8];
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::warn!(%error, "no random bytes");
            return false;
        }
        let id = data_encoding::HEXLOWER.encode(&bytes);
        let dir = self.jobs_dir.join(format!("{PREFIX}{id}"));
        let patience = self.settings.borrow().warm_idle_s.saturating_add(MARGIN_S);
        let patience = u32::try_from(patience).unwrap_or(u32::MAX);
        match self.engine.start_ahead(&self.node, &id, &dir, &kind, patience).await {
            Ok(warm) => match self.put(kind, warm) {
                None => true,
                Some(warm) => {
                    self.discard(warm).await;
                    false
                }
            },
            Err(error) => {
                tracing::debug!(%error, "no container could be started ahead");
                remove_dir(dir).await;
                false
            }
        }
    }

    /// One more waits; given back when the pool was closed meanwhile.
    fn put(&self, kind: Kind, warm: Warm) -> Option<Warm> {
        let now = self.now();
        let mut state = self.state();
        if state.closed {
            return Some(warm);
        }
        state.shelf.put(kind, warm, now);
        None
    }

    /// Destroys a container and what is left of its directory, which does not wait for the engine: one whose directory
    /// is gone is known for nobody's.
    pub(super) async fn discard(&self, warm: Warm) {
        let (destroyed, ()) = tokio::join!(self.engine.discard(&warm.container), remove_dir(warm.made_in));
        if let Err(error) = destroyed {
            tracing::warn!(%error, "a waiting container stays until it gives up by itself");
        }
    }
}

/// Moves the directories of a container that waited into the job's. What it has mounted moves along: a mount is of a
/// directory, not of its name. The place itself stays until `launch.json` says whose the container is: one without either
/// is nobody's. `false` when that cannot be done; the container is of no use then.
pub(super) fn move_in(warm: &Warm, job_dir: &Path) -> bool {
    ["work", "ctl"].iter().all(|name| {
        let moved = std::fs::rename(warm.made_in.join(name), job_dir.join(name));
        moved.inspect_err(|error| tracing::warn!(%error, "a waiting container cannot be used")).is_ok()
    })
}

async fn remove_dir(dir: PathBuf) {
    if let Err(error) = blocking(move || workspace::remove(&dir)).await {
        tracing::warn!(%error, "the directory of a waiting container stays");
    }
}
