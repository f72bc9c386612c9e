//! From a container that waits to the one of a job: taken off the shelf, named, and its directories the job's.
//!
//! The engine takes milliseconds to name a container, most of them waiting for its disk. So one is reserved as soon as
//! a job is accepted, and gets its name while the submitter is told and what the job needs is laid out.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{MARGIN_S, Pool};
use crate::sandbox::engine::docker::warm::Kind;
use crate::sandbox::engine::{JobLaunch, Warm};
use crate::sandbox::error::SandboxError;
use crate::sandbox::life::blocking;

/// A container that was reserved waits for its job's files no longer than this: its init gives up [`MARGIN_S`] after the
/// longest time on the shelf.
const FRESH: Duration = Duration::from_secs(MARGIN_S / 2);

/// A container that is one job's alone from now on. Must be used or given back: nobody else knows of it.
#[derive(Debug)]
pub(in crate::sandbox) struct Reserved {
    kind: Kind,
    warm: Warm,
    since: Instant,
    /// Gives it the job's name; says whether that came about.
    naming: JoinSet<bool>,
}

impl Pool {
    /// Reserves a waiting container for `launch`, if one fits, and begins to name it. Of `launch` all that says which
    /// container fits must be settled.
    pub(in crate::sandbox) fn reserve(&self, launch: &JobLaunch) -> Option<Reserved> {
        let kind = Kind::of(launch)?;
        let warm = self.pick(launch)?;
        let (engine, named, job, epoch) = (self.engine.clone(), warm.clone(), launch.job, launch.epoch);
        let mut naming = JoinSet::new();
        naming.spawn(async move {
            let done = engine.dedicate(&named, job, epoch).await;
            done.map_err(|error| tracing::warn!(%job, %error, "a waiting container cannot be used")).is_ok()
        });
        Some(Reserved { kind, warm, since: Instant::now(), naming })
    }

    /// The container for `launch`: the one that was reserved or another one. Its directories are the job's then. It still
    /// may lack its name, which it must have before anything runs in it: see [`Reserved::named`].
    pub(in crate::sandbox) async fn take(&self, launch: &JobLaunch, reserved: Option<Reserved>) -> Option<Reserved> {
        let reserved = match reserved {
            Some(one) if one.since.elapsed() < FRESH && Kind::of(launch).is_some_and(|kind| kind == one.kind) => {
                Some(one)
            }
            Some(other) => {
                self.give_back(other).await;
                self.reserve(launch)
            }
            None => self.reserve(launch),
        }?;
        let (from, to) = (reserved.warm.made_in.clone(), launch.job_dir.clone());
        if let Err(error) = blocking(move || move_in(&from, &to)).await {
            tracing::warn!(job = %launch.job, %error, "a waiting container cannot be used");
            self.give_back(reserved).await;
            return None;
        }
        Some(reserved)
    }

    /// Destroys a container that its job does not need after all.
    pub(in crate::sandbox) async fn give_back(&self, mut reserved: Reserved) {
        // A name that is given meanwhile makes no difference: it is destroyed by the engine's own.
        reserved.naming.abort_all();
        self.discard(reserved.warm).await;
    }
}

impl Reserved {
    /// What it is.
    pub(in crate::sandbox) fn warm(&self) -> &Warm {
        &self.warm
    }

    /// Waits until it has the job's name; `false` when that cannot be: it must be given back.
    pub(in crate::sandbox) async fn named(&mut self) -> bool {
        matches!(self.naming.join_next().await, Some(Ok(true)))
    }
}

/// Moves the directories into the job's. What the container has mounted moves along: a mount is of a directory, not of
/// its name.
fn move_in(from: &Path, to: &Path) -> Result<(), SandboxError> {
    for name in ["work", "ctl"] {
        let (old, new) = (from.join(name), to.join(name));
        std::fs::rename(&old, &new).map_err(SandboxError::io("move", &old))?;
    }
    std::fs::remove_dir(from).map_err(SandboxError::io("remove", from))
}
