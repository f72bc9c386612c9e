//! The worker's side of a job: what is offered to it and what it reports back.

use serde::{Deserialize, Serialize};

use super::env::BuildProgress;
use super::ids::{Digest, Epoch, JobId};
use super::job::{JobSpec, JobState, Totals, Usage};
use super::limits::Limits;
use super::outcome::Outcome;

/// A job offered to a worker. (job, epoch) is its identity: the same pair gets the same answer for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// What to run.
    pub spec: JobSpec,
    /// The manifest of its inputs, sent over a bulk connection before the job starts.
    pub inputs: Digest,
    /// Size of the inputs, for admission by disk.
    pub input_totals: Totals,
}

/// Where a hosted job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostedState {
    /// Accepted and persisted; its inputs are awaited.
    Accepted,
    /// Directory and environment are made ready.
    Preparing,
    /// The engine starts it.
    Starting,
    /// The program runs.
    Running,
    /// The owner holds it.
    Paused,
    /// The program ended; results are listed and hashed.
    Collecting,
    /// Ended: `outcome` is set; results wait until they are acknowledged.
    Done,
}

impl HostedState {
    /// The submitter's word for it.
    pub fn job_state(self) -> JobState {
        match self {
            Self::Accepted => JobState::Uploading,
            Self::Preparing => JobState::Preparing,
            Self::Starting => JobState::Starting,
            Self::Running => JobState::Running,
            Self::Paused => JobState::Paused,
            Self::Collecting | Self::Done => JobState::Collecting,
        }
    }
}

/// The results of a hosted job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRef {
    /// Their manifest.
    pub manifest: Digest,
    /// Their size.
    pub totals: Totals,
    /// What was left behind and why.
    pub skipped: Vec<String>,
}

/// The whole state of a hosted job, as a worker reports it. A lost report is repaired by the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedStatus {
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// Where it stands.
    pub state: HostedState,
    /// How its environment comes about, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparing: Option<BuildProgress>,
    /// Bytes in its output log so far; final when `state` is `Done`.
    pub output_bytes: u64,
    /// `docker` or `native`, once chosen.
    pub engine: Option<String>,
    /// What it used so far.
    pub usage: Usage,
    /// What it gets here; the owner may change it while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it left.
    pub results: Option<ResultRef>,
}

impl HostedStatus {
    /// An assignment that stands at `state` and has nothing to show for it yet.
    pub fn new(job: JobId, epoch: Epoch, state: HostedState) -> Self {
        Self {
            job,
            epoch,
            state,
            preparing: None,
            output_bytes: 0,
            engine: None,
            usage: Usage::default(),
            limits: None,
            outcome: None,
            results: None,
        }
    }
}
