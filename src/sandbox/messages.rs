//! Words the sandbox understands: jobs that this machine hosts. Admission is decided here.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot, watch};

use crate::mailbox::Word;
use crate::model::{
    BuildFailure, BuildProgress, Digest, EngineKind, EnvView, Epoch, HostedStatus, JobId, JobRecord, LimitChange,
    Manifest, Offer, PeerId, WantedEnv,
};
use crate::pipe::OutputLog;
use crate::wire::doctor::{Check, DoctorRow};
use crate::wire::env::{EnvBuild, EnvCreate, EnvCreated};
use crate::wire::ipc::{LimitedJob, LiveJob};
use crate::wire::refusal::Refusal;

/// Who asks: a hosted job belongs to the peer that offered it, and only that peer may touch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Borrower {
    /// Its key's hash, proven by the link.
    pub peer: PeerId,
    /// Its pinned name.
    pub name: String,
    /// It is this machine itself.
    pub own: bool,
}

/// Takes or refuses a job. Acceptance is persisted before the answer; the same (job, epoch) gets the same answer, a
/// lower epoch is stale, a higher one ends the old one first.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct AdmitJob {
    /// Who asks.
    pub from: Borrower,
    /// What.
    pub offer: Offer,
}

/// Every chunk of the inputs is in the blob store: start.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct StartJob {
    /// Who asks.
    pub from: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// A hosted job to follow.
#[derive(Debug, Clone)]
pub struct HostedFeed {
    /// Its state now and from now on.
    pub status: watch::Receiver<HostedStatus>,
    /// Its output log.
    pub log: OutputLog,
}

/// Follows a hosted job.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedFeed, Refusal>")]
pub struct WatchJob {
    /// Who asks.
    pub from: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// Where the results of an ended job lie, for a transfer that reads them in place.
#[derive(Debug, Clone)]
pub struct HostedResults {
    /// The files, hashed after the job's last process was gone.
    pub manifest: Manifest,
    /// The job's directory; opened component by component without following links.
    pub dir: PathBuf,
    /// How many names those files have that have several, by path.
    pub names: HashMap<String, u64>,
}

pub use super::results::ResultsSource;

/// Asks for the results of an ended job.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedResults, Refusal>")]
pub struct OpenResults {
    /// Who asks.
    pub from: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// Kills a job at once. Answers when the kill is under way; its end comes as a status.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct StopJob {
    /// Who asks.
    pub from: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// Who or what is said to have stopped it: `you` for the submitter.
    pub by: String,
}

/// The submitter has everything: directory, log and pins of the job may go. A job that is unknown is fine.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ForgetJob {
    /// Who asks.
    pub from: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// The jobs hosted now, and those whose results wait.
#[derive(Debug, Word)]
#[rtype(result = "Vec<JobRecord>")]
pub struct HostedJobs;

/// Changes the limits of a running job, by the owner's wish. Answers when they hold.
#[derive(Debug, Word)]
#[rtype(result = "Result<LimitedJob, Refusal>")]
pub struct LimitJob {
    /// Its id or a unique beginning of it.
    pub job: String,
    /// What changes.
    pub change: LimitChange,
}

/// What the jobs hosted here use at this moment.
#[derive(Debug, Word)]
#[rtype(result = "Vec<LiveJob>")]
pub struct LiveJobs;

/// Takes no more jobs. The running ones go on under their supervisors and are adopted by the next homied.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct DrainSandbox;

/// Why no engine is ready, if so: what each one said and what to do.
#[derive(Debug, Word)]
#[rtype(result = "Option<String>")]
pub struct EngineTrouble;

/// What each engine gives here, and what it does not.
#[derive(Debug, Word)]
#[rtype(result = "Vec<Check>")]
pub struct CheckEngines;

/// Runs the escape suite in every engine that is ready. A row comes for each probe; the end of the channel is the end
/// of the suite, and what prevented it comes as a check.
#[derive(Debug, Word)]
#[rtype(result = "Result<mpsc::Receiver<DoctorRow>, Refusal>")]
pub struct TryJails;

/// What the owner should know of the engines that are ready: limits that this kernel or user cannot give.
#[derive(Debug, Word)]
#[rtype(result = "Vec<String>")]
pub struct EngineWarnings;

/// The environments of this machine.
#[derive(Debug, Word)]
#[rtype(result = "Vec<EnvView>")]
pub struct ListEnvs;

/// Everything about one of them.
#[derive(Debug, Word)]
#[rtype(result = "Result<EnvText, Refusal>")]
pub struct ShowEnv {
    /// Its name.
    pub name: String,
}

/// An environment and its recipe as the text of a `homie.env.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvText {
    /// How it stands.
    pub view: EnvView,
    /// The recipe.
    pub recipe: String,
    /// Recipe and lock.
    pub locked: String,
}

/// Reads a recipe and notes it under its name.
#[derive(Debug, Word)]
#[rtype(result = "Result<EnvCreated, Refusal>")]
pub struct CreateEnv {
    /// What was asked.
    pub order: EnvCreate,
    /// The texts of the files, by name.
    pub files: BTreeMap<String, String>,
}

/// A build under way; dropping it stops it.
#[derive(Debug)]
pub struct EnvBuilding {
    /// How far it is.
    pub progress: watch::Receiver<BuildProgress>,
    /// How it ended.
    pub end: oneshot::Receiver<Result<EnvView, BuildFailure>>,
}

/// Has an environment built (or fetched) here, for this machine's owner.
#[derive(Debug, Word)]
#[rtype(result = "Result<EnvBuilding, Refusal>")]
pub struct BuildEnv {
    /// What was asked.
    pub order: EnvBuild,
}

/// Removes a name and what was built for it.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct RemoveEnv {
    /// Its name.
    pub name: String,
}

/// What a name stands for, to be sent along with a job. `None` when it is no name of this machine.
#[derive(Debug, Word)]
#[rtype(result = "Option<WantedEnv>")]
pub struct WishEnv {
    /// The name.
    pub name: String,
}

pub use super::envs::{EnvGiven, EnvHeld, is_image};

/// An environment that is here, held for as long as it is read.
#[derive(Debug, Word)]
#[rtype(result = "Option<EnvHeld>")]
pub struct FindEnv {
    /// Its identity.
    pub digest: Digest,
    /// For which engine.
    pub engine: EngineKind,
}
