//! Assignments that nobody wants any more, at workers that may be out of reach: they are told when they are back, also by
//! a later homied. What is still to be said is a file beside the job's output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::effects::WIRE;
use super::jobs::passing;
use super::outlets::SchedulerParts;
use crate::link::messages::{AcknowledgeJob, StopRemoteJob};
use crate::mailbox::{AskError, ask_outlet};
use crate::model::{Epoch, JobId, PeerId};

/// A worker that is out of reach is tried at this pace ...
const PAUSE: Duration = Duration::from_secs(15);
/// ... and for at most a day in one run of homied: a job ends at its own time limit, its results are dropped in days.
const TRIES: u32 = 24 * 60 * 4;
/// The file's name is this and the epoch; its content is the worker's id.
const MARK: &str = "abandoned-";

/// One assignment to be stopped and forgotten by its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Farewell {
    pub(super) job: JobId,
    pub(super) peer: PeerId,
    pub(super) epoch: Epoch,
}

impl Farewell {
    fn path(&self, sent_dir: &Path) -> PathBuf {
        sent_dir.join(self.job.to_string()).join(format!("{MARK}{}", self.epoch))
    }

    /// Writes down that it is to be said.
    pub(super) async fn note(&self, sent_dir: &Path) {
        let path = self.path(sent_dir);
        let noted = async {
            tokio::fs::create_dir_all(path.parent().unwrap_or(sent_dir)).await?;
            tokio::fs::write(&path, self.peer.to_string()).await
        };
        if let Err(error) = noted.await {
            // It is said all the same, only not after a restart.
            tracing::warn!(path = %path.display(), %error, "cannot note that an assignment was given up");
        }
    }

    /// What an earlier homied noted and did not get round to say. Blocks.
    pub(super) fn unsaid(sent_dir: &Path) -> Vec<Self> {
        let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut found = Vec::new();
        for dir in entries(sent_dir) {
            let Some(job) = dir.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            for file in entries(&dir.path()) {
                let name = file.file_name();
                let epoch = name.to_str().and_then(|n| n.strip_prefix(MARK)?.parse().ok()).map(Epoch);
                let peer = || std::fs::read_to_string(file.path()).ok()?.trim().parse().ok();
                if let Some(epoch) = epoch
                    && let Some(peer) = peer()
                {
                    found.push(Self { job, peer, epoch });
                }
            }
        }
        found
    }

    /// Stops the assignment and lets its worker forget it, for as long as it takes.
    pub(super) async fn say(self, parts: &SchedulerParts) {
        let Self { job, peer, epoch } = self;
        for _ in 0..TRIES {
            match ask_outlet(&parts.outlets.stop, StopRemoteJob { peer, job, epoch }, WIRE).await {
                // It is us who shut down; the next homied goes on.
                Err(AskError::Stopped(_)) => return,
                Err(AskError::TimedOut(_)) => tokio::time::sleep(PAUSE).await,
                Ok(Err(refusal)) if passing(&refusal) => tokio::time::sleep(PAUSE).await,
                Ok(_) => {
                    let _ = ask_outlet(&parts.outlets.acknowledge, AcknowledgeJob { peer, job, epoch }, WIRE).await;
                    break;
                }
            }
        }
        // Said once more by a later homied it does no harm.
        let _ = tokio::fs::remove_file(self.path(&parts.dir)).await;
    }
}
