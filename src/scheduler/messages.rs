//! Words the scheduler understands.

use tokio::sync::broadcast;

use crate::mailbox::Word;
use crate::model::{HostedStatus, JobEvent, JobId, JobRecord, PeerId};
use crate::pipe::OutputLog;
use crate::wire::ipc::{Candidate, ExplainParams, Submit};
use crate::wire::refusal::Refusal;

/// Takes a job: persists it, then answers. The same id again gives the same record.
#[derive(Debug, Word)]
#[rtype(result = "Result<JobRecord, Refusal>")]
pub struct SubmitJob {
    /// The local user.
    pub uid: u32,
    /// The job.
    pub submit: Submit,
}

/// Cancels a job. Answers once that is decided and persisted; the worker is told in the background, for as long as
/// it takes.
#[derive(Debug, Word)]
#[rtype(result = "Result<JobRecord, Refusal>")]
pub struct CancelJob {
    /// Which.
    pub job: JobId,
}

/// Fetches the results of an ended job that could not be brought home then; its worker still keeps them.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct FetchAgain {
    /// Its last record.
    pub record: JobRecord,
}

/// Ranks the machines for a job without running it.
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<Candidate>, Refusal>")]
pub struct ExplainJob {
    /// What would run.
    pub params: ExplainParams,
}

/// Jobs that are not ended (the ended ones are history's).
#[derive(Debug, Word)]
#[rtype(result = "Vec<JobRecord>")]
pub struct OpenJobs;

/// What a follower of an open job needs.
#[derive(Debug)]
pub struct JobFeed {
    /// The record now.
    pub record: JobRecord,
    /// Our copy of the output of its present assignment (`record.epoch`); `None` before there is one. It is done
    /// when that assignment is given up or the job has ended: ask again.
    pub log: Option<OutputLog>,
    /// What it waits for while nobody can take it; told before, perhaps when nobody followed.
    pub waiting: Option<String>,
    /// What happens from now on. A lagging receiver loses progress events, never the last record: it asks history.
    pub events: broadcast::Receiver<JobEvent>,
}

/// Follows an open job; `None` when it is not open (any more).
#[derive(Debug, Word)]
#[rtype(result = "Option<JobFeed>")]
pub struct FollowJob {
    /// Which.
    pub job: JobId,
}

/// A worker reported how a job stands (whole state).
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct WorkerReports {
    /// Which worker.
    pub peer: PeerId,
    /// What it said.
    pub status: HostedStatus,
}

/// A link came up or went down.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct LinkChanged {
    /// To whom.
    pub peer: PeerId,
    /// Whether it is up.
    pub up: bool,
    /// How long nothing had been heard over it when it went down: the worker is out of reach since then.
    pub silent: std::time::Duration,
}

/// Stops taking jobs and gives up following; the jobs go on at their workers.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct DrainScheduler;
