//! A job: what is asked ([`JobSpec`]), where it stands ([`JobState`]), what is kept of it ([`JobRecord`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::env::WantedEnv;
use super::ids::{Digest, Epoch, JobId, PeerId};
use super::limits::{Limits, Needs};
use super::outcome::Outcome;

/// Where a job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The best machine, this one included.
    #[default]
    Any,
    /// Only this machine.
    Local,
    /// Only other machines.
    Remote,
}

/// What a user asks for. The client resolves it to an argument vector; a worker sees no path of the submitter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    /// What people call it: the script's name as typed, or `-c`.
    pub name: String,
    /// The argument vector, started in the job's directory without a shell.
    pub command: Vec<String>,
    /// Environment variables beside the fixed few.
    pub vars: BTreeMap<String, String>,
    /// The named environment; `None` is `base`.
    pub env: Option<String>,
    /// What that environment is made of, for machines that lack it; `None` means whatever has that name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Box<WantedEnv>>,
    /// What it needs of a machine.
    pub needs: Needs,
    /// The name (or id prefix) of the peer it must run on.
    pub peer: Option<String>,
    /// Where it may run.
    pub placement: Placement,
    /// Globs of results that may replace inputs or have hidden components.
    pub outputs: Vec<String>,
    /// Never run it a second time, even if its worker is lost.
    pub at_most_once: bool,
}

/// Where a job stands. The order of the first eight is the usual order of a job's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Persisted; no worker has it yet.
    Queued,
    /// A worker took it and its inputs travel.
    Uploading,
    /// The worker makes its environment and directory ready.
    Preparing,
    /// The engine starts it.
    Starting,
    /// The program runs.
    Running,
    /// The worker's owner holds it.
    Paused,
    /// The link to its worker is dead; it may well run on there.
    Unreachable,
    /// The program ended; results travel.
    Collecting,
    /// Exit code 0.
    Succeeded,
    /// A non-zero exit code, a signal, or Homie failed.
    Failed,
    /// Killed at its time limit.
    TimedOut,
    /// Cancelled.
    Cancelled,
    /// Gone with its worker.
    Lost,
}

impl JobState {
    /// Whether nothing more will happen to the job.
    pub fn is_terminal(self) -> bool {
        self >= Self::Succeeded
    }

    /// The name used in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Uploading => "uploading",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Unreachable => "unreachable",
            Self::Collecting => "collecting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// Which side of a job a record tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// This machine's user sent it.
    Sent,
    /// This machine ran it for a peer (or for itself).
    Hosted,
}

/// What has become of a job's results on the submitter's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// There are none (yet).
    #[default]
    None,
    /// They wait in homied's store for `homie results JOB`.
    Waiting,
    /// A client has put them where the user wanted them.
    Delivered,
    /// They were dropped by age or quota; the manifest is kept.
    Expired,
}

/// What a job used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// From the program's start to its end, monotonic, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of all its processes, in milliseconds.
    pub cpu_ms: u64,
    /// Largest memory use in bytes; 0 when the engine could not tell.
    pub peak_memory_bytes: u64,
    /// Bytes read from disks (not from the page cache); 0 when the engine could not tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub io_read_bytes: u64,
    /// Bytes written to disks.
    #[serde(skip_serializing_if = "is_zero")]
    pub io_write_bytes: u64,
    /// Largest use of GPU memory that was seen, of all its GPUs together, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpu_memory_bytes: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Plain files.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

/// One assignment of a job to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub epoch: Epoch,
    /// The worker.
    pub peer: PeerId,
    /// The worker's name at that time.
    pub peer_name: String,
    /// When it was offered, milliseconds since 1970 by the submitter's clock.
    pub offered_ms: u64,
    /// Whether the worker accepted it.
    pub accepted: bool,
    /// How it ended, or why it was refused or given up.
    pub end: Option<String>,
    /// Given up only because its worker was out of reach: what that worker still brings counts, if it is the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
}

/// Everything that is kept of a job, on the side named by `role`. Times are milliseconds since 1970 (UTC) by the
/// keeping machine's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id, made by the client.
    pub id: JobId,
    /// Which side this is.
    pub role: Role,
    /// The local user that submitted it (sent) or 0 (hosted).
    pub uid: u32,
    /// What was asked.
    pub spec: JobSpec,
    /// The directory `run` was called from; only the client ever opens it, and it never leaves this machine.
    pub home_dir: Option<String>,
    /// The manifest of its inputs.
    pub inputs: Digest,
    /// Size of the inputs.
    pub input_totals: Totals,
    /// Where it stands.
    pub state: JobState,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who wants it to end, from the moment on in which that is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// The latest assignment; of an ended job the one whose end it has.
    pub epoch: Epoch,
    /// Every assignment so far (sent), or the one hosted.
    pub attempts: Vec<Attempt>,
    /// The worker (sent) or the submitter (hosted).
    pub peer: Option<PeerId>,
    /// Its name.
    pub peer_name: Option<String>,
    /// `docker` or `native`, once started.
    pub engine: Option<String>,
    /// When it was submitted or accepted.
    pub created_ms: u64,
    /// When its program started.
    pub started_ms: Option<u64>,
    /// When it reached a terminal state.
    pub ended_ms: Option<u64>,
    /// What it used.
    pub usage: Usage,
    /// What its worker gives it, as last heard; the worker's owner may change it while the job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Bytes of the output log kept on this machine (records with their headers, see wire::output).
    pub output_bytes: u64,
    /// The manifest of its results.
    pub results: Option<Digest>,
    /// Size of the results.
    pub result_totals: Totals,
    /// What became of them.
    pub delivery: Delivery,
    /// Results that were left behind, with the reason (`out.lnk: symbolic link`).
    pub skipped: Vec<String>,
}

impl JobRecord {
    /// The first record of a job: queued, given to nobody yet. The size of its inputs is left to the caller.
    pub fn new(id: JobId, role: Role, spec: JobSpec, inputs: Digest, created_ms: u64) -> Self {
        Self {
            id,
            role,
            uid: 0,
            spec,
            home_dir: None,
            inputs,
            input_totals: Totals::default(),
            state: JobState::Queued,
            outcome: None,
            cancel: None,
            epoch: Epoch(0),
            attempts: Vec::new(),
            peer: None,
            peer_name: None,
            engine: None,
            created_ms,
            started_ms: None,
            ended_ms: None,
            usage: Usage::default(),
            limits: None,
            output_bytes: 0,
            results: None,
            result_totals: Totals::default(),
            delivery: Delivery::None,
            skipped: Vec::new(),
        }
    }

    /// Whether nothing more will happen to the job.
    pub fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }
}

/// A step whose progress is shown in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Inputs to the worker.
    Uploading,
    /// The environment is built.
    Building,
    /// The environment is fetched.
    Pulling,
    /// Results from the worker.
    Collecting,
}

/// What a follower of a job is told. Each carries whole state, so that a missed one is repaired by the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JobEvent {
    /// The job's record changed (state, worker, outcome...). The last event of a follow has a terminal state.
    Record {
        /// The whole record.
        record: Box<JobRecord>,
    },
    /// Progress of a long step.
    Progress {
        /// Which step.
        stage: Stage,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// One line for the user (`mike is busy; trying raj`).
    Note {
        /// The line.
        text: String,
    },
}
