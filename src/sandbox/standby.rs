//! A supervisor that is started while its job is still being prepared, or before there is one ([`Spare`](super::spare)).
//! To load a program, have it linked and make its runtime takes milliseconds.
//!
//! Until it is told to begin it does nothing and leaves nothing: it ends without a trace when homied does, however that
//! comes about, and the next homied finds the job as it was. It holds the job's lock like any other, so there is one.

use std::io::{PipeWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::error::SandboxError;
use super::follow::{begin, supervise};
use super::supervisor::{SUPERVISOR, try_lock};

/// How long a supervisor that an earlier homied left may take to go, or to say who it is: both need one turn on a
/// processor, on a machine that may be very busy.
const SETTLED_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A supervisor that waits for the word to begin. Dropped without it, it is killed.
#[derive(Debug)]
pub(super) struct Standby {
    /// Taken by the word.
    child: Option<Child>,
    word: PipeWriter,
}

impl Standby {
    /// Starts one that stands in `dir`, which need not have its `launch.json` yet, and may be moved to where the job's is
    /// to be. `None` when that cannot be done now: the supervisor can still be started when it is needed.
    pub(super) fn start(exe: &Path, dir: &Path, docker_host: Option<&str>) -> Option<Self> {
        let (told, word) = std::io::pipe().ok()?;
        match begin(exe, dir, docker_host, Some(told)) {
            Ok(child) => Some(Self { child: Some(child?), word }),
            Err(error) => {
                tracing::debug!(%error, "no supervisor could be started ahead");
                None
            }
        }
    }

    /// Tells it to begin with `dir`, which is where it stands; `None` when it is gone, and has done nothing.
    async fn tell(mut self, dir: &Path) -> Option<Child> {
        let mut child = self.child.take()?;
        // Shorter than what a pipe takes at once (PIPE_BUF, POSIX): all of it is said or nothing. The end is said by closing.
        if self.word.write_all(dir.as_os_str().as_bytes()).is_ok() {
            return Some(child);
        }
        // Its lock is free once it is no more.
        let _ = child.kill().await;
        None
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Before its pipe closes. The runtime reaps what nobody waits for.
            let _ = child.start_kill();
        }
    }
}

/// A supervisor that is had ahead.
#[derive(Debug, Default)]
pub(super) enum Early {
    /// None, or it was taken.
    #[default]
    No,
    /// It stands by.
    Here(Standby),
    /// It is being started.
    Coming(JoinHandle<Option<Standby>>),
}

impl Early {
    /// Takes it, if there is one.
    pub(super) async fn take(&mut self) -> Option<Standby> {
        match std::mem::take(self) {
            Self::No => None,
            Self::Here(standby) => Some(standby),
            Self::Coming(starting) => starting.await.unwrap_or_default(),
        }
    }
}

/// Has a supervisor begin with `dir`, which has its `launch.json`: the one that stands by, or a new one. `None` when one
/// of an earlier homied is at it already.
///
/// # Errors
/// None can be started.
pub(super) async fn commence(
    standby: Option<Standby>,
    exe: &Path,
    dir: &Path,
    docker_host: Option<&str>,
) -> Result<Option<Child>, SandboxError> {
    if let Some(standby) = standby
        && let Some(child) = standby.tell(dir).await
    {
        return Ok(Some(child));
    }
    settled(dir).await?;
    supervise(exe, dir, docker_host)
}

/// Waits until nobody holds the lock of `dir`, or who does has said so: one that stood by for an earlier homied ends a
/// moment after that.
async fn settled(dir: &Path) -> Result<(), SandboxError> {
    let limit = Instant::now() + SETTLED_LIMIT;
    let held = || try_lock(dir).map(|free| free.is_none()).map_err(SandboxError::io("lock", dir));
    while !dir.join(SUPERVISOR).exists() && held()? && Instant::now() < limit {
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
