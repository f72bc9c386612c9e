//! From a container that waits to the one of a job: taken off the shelf, its directories the job's, and written into the
//! job's `launch.json`, which makes it the job's for every later homied. The engine takes milliseconds to give it the
//! job's name, most of them waiting for its disk, so its supervisor has that done when the program runs.

use std::path::Path;
use std::time::Duration;

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
}

impl Pool {
    /// Reserves a waiting container for `launch`, if one fits. Of `launch` all that says which container fits must be
    /// settled.
    pub(in crate::sandbox) fn reserve(&self, launch: &JobLaunch) -> Option<Reserved> {
        let kind = Kind::of(launch)?;
        let warm = self.pick(launch)?;
        Some(Reserved { kind, warm, since: Instant::now() })
    }

    /// The container for `launch`: the one that was reserved or another one. Its directories are the job's then.
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
    pub(in crate::sandbox) async fn give_back(&self, reserved: Reserved) {
        self.discard(reserved.warm).await;
    }
}

impl Reserved {
    /// What it is.
    pub(in crate::sandbox) fn warm(&self) -> &Warm {
        &self.warm
    }
}

/// Moves the directories into the job's. What the container has mounted moves along: a mount is of a directory, not of
/// its name. The place itself stays until `launch.json` says whose the container is: one without either is nobody's.
fn move_in(from: &Path, to: &Path) -> Result<(), SandboxError> {
    for name in ["work", "ctl"] {
        let (old, new) = (from.join(name), to.join(name));
        std::fs::rename(&old, &new).map_err(SandboxError::io("move", &old))?;
    }
    Ok(())
}
