//! What runs a job: the [`Engine`] trait and the plain data that crosses it.
//!
//! An engine is used from two processes. homied asks it whether it is ready and what it left behind ([`Engine::probe`],
//! [`Engine::leftovers`], [`Engine::remove`]). The job's supervisor, a process of its own that outlives homied, asks it
//! to start the one job ([`Engine::start`]) and holds the [`EngineJob`] until the last process is gone. Everything
//! that passes in is serde data: no descriptor, closure or future, so an engine can live in another process.
//!
//! ```text
//! homied:      probe -> (launch.json) -> spawn `homied __supervise DIR` ... exit.json -> collect
//! supervisor:  start -> copy output, watch deadline, disk, output -> [kill] -> wait -> remove -> exit.json
//! ```

pub mod docker;
mod meter;
pub mod native;
mod seccomp;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use crate::model::{EngineKind, EngineOffer, Epoch, GpuDevice, JobId, Limits, Outcome, Usage};

pub use meter::{Meter, Reading};

/// Everything an engine must know to run a job, written to `launch.json` by homied and read by the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLaunch {
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// Who hosts it: the full text of this machine's peer id. Containers are labelled with it, so that several homied
    /// on one engine touch only their own.
    pub node: String,
    /// The job's directory: [`JobLaunch::work_dir`] and the supervisor's files lie in it. The job sees only the
    /// former.
    pub job_dir: PathBuf,
    /// The argument vector, started in the working directory without a shell.
    pub command: Vec<String>,
    /// Environment variables the submitter asked for; checked names, never overriding the fixed few.
    pub vars: BTreeMap<String, String>,
    /// The environment it runs in, `base` unless a recipe was asked for.
    pub env: String,
    /// What it gets.
    pub limits: Limits,
    /// The user it runs as; owner of the working directory.
    pub uid: u32,
    /// The group it runs as.
    pub gid: u32,
    /// The GPUs it may use.
    pub gpus: Vec<GpuDevice>,
    /// Which engine runs it.
    pub engine: EngineKind,
    /// The image that holds `env`, by digest, for engines that have images.
    pub image: Option<String>,
    /// The directory that holds `env`, to be seen read-only at [`INSIDE_ENV`]; `None` for `base` and for images.
    #[serde(default)]
    pub tree: Option<PathBuf>,
    /// The container that was started ahead and is this job's now, if one was there.
    pub warm: Option<Warm>,
}

/// A container that was started before its job was known. Its init waits in it for one order, ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    /// Its label.
    pub id: String,
    /// The engine's name for it, which stays when it is renamed.
    pub container: String,
    /// Where its directories were when it was made; they belong to the job's directory now. The engine still tells the
    /// old place.
    pub made_in: PathBuf,
    /// The limits it was made with.
    pub limits: Limits,
    /// How long its init was told to wait, in seconds.
    pub patience_s: u32,
    /// Its init, as this machine numbers it, since the engine was seen to have made of it what was asked for.
    #[serde(default)]
    pub checked: Option<i32>,
}

impl JobLaunch {
    /// Where the job works: `/work` inside.
    pub fn work_dir(&self) -> PathBuf {
        self.job_dir.join("work")
    }

    /// `JOB-EPOCH`, the name of its directory, its cgroup and (after `homie-`) its container.
    pub fn name(&self) -> String {
        job_name(self.job, self.epoch)
    }

    /// Where its programs are looked up.
    pub fn search_path(&self) -> &'static str {
        if self.tree.is_some() { INSIDE_PATH_ENV } else { INSIDE_PATH }
    }

    /// The variables the job starts with: the submitter's, then the fixed few that it may not change.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut vars = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]);
        vars.extend(self.vars.clone());
        vars.extend(
            [
                ("PATH", self.search_path()),
                ("HOME", INSIDE_WORK),
                ("TMPDIR", "/tmp"),
                // Python would otherwise hold back lines in a 8 KiB buffer, because its output is no terminal.
                ("PYTHONUNBUFFERED", "1"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        if self.tree.is_some() {
            // What activating it would set; tools that look for an environment look for this.
            vars.insert("VIRTUAL_ENV".to_owned(), INSIDE_ENV.to_owned());
        }
        vars.insert("HOMIE_JOB".to_owned(), self.job.to_string());
        vars.insert("HOMIE_EPOCH".to_owned(), self.epoch.to_string());
        // By their own names, which mean the same inside and outside. `void` keeps a container engine whose default
        // runtime is NVIDIA's from handing over all of them because an image or a submitter says so.
        let uuids: Vec<&str> = self.gpus.iter().map(|g| g.uuid.as_str()).filter(|u| !u.is_empty()).collect();
        if self.gpus.is_empty() {
            vars.insert("NVIDIA_VISIBLE_DEVICES".to_owned(), "void".to_owned());
        } else if uuids.len() == self.gpus.len() {
            for name in ["NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"] {
                vars.insert(name.to_owned(), uuids.join(","));
            }
        }
        vars
    }
}

/// Where a job's programs are looked up, in every engine.
pub const INSIDE_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Where a job finds its environment, if it is a directory.
pub const INSIDE_ENV: &str = "/env";
/// [`INSIDE_PATH`] behind the programs of an environment.
pub const INSIDE_PATH_ENV: &str = "/env/bin:/usr/local/bin:/usr/bin:/bin";
/// Where a job finds its directory, in every engine.
pub const INSIDE_WORK: &str = "/work";

/// `JOB-EPOCH`: one assignment of a job, as a file or container name.
pub fn job_name(job: JobId, epoch: Epoch) -> String {
    format!("{job}-{epoch}")
}

/// The inverse of [`job_name`].
pub fn parse_job_name(name: &str) -> Option<(JobId, Epoch)> {
    let (job, epoch) = name.split_once('-')?;
    Some((job.parse().ok()?, Epoch(epoch.parse().ok()?)))
}

/// How a supervised job ended: `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// How.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// The final length of the output log.
    pub output_bytes: u64,
    /// When it ended, milliseconds since 1970.
    pub ended_ms: u64,
    /// The kernel's boot id: after a power cut, files that this report speaks of may be older than it.
    pub boot: String,
}

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What peers are told.
    pub offer: EngineOffer,
    /// The image that holds each environment, for engines that have images.
    pub images: BTreeMap<String, String>,
    /// What its owner should know (`no memory limit: the cgroup is not delegated`).
    pub warnings: Vec<String>,
    /// Whether it can give a job a GPU.
    pub gpus: bool,
}

/// How the program ended, before the supervisor's own reasons (deadline, cancel, caps) are laid over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Exit or signal.
    pub end: End,
    /// The kernel killed a process of the job for its memory limit.
    pub out_of_memory: bool,
    /// What it used; `wall_ms` is the supervisor's to fill.
    pub usage: Usage,
}

/// Exit or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The program returned this code.
    Exited(i32),
    /// This signal (Linux number) ended it.
    Signaled(i32),
}

/// Why an engine cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It does not answer, or this machine cannot carry it. The text says what to do.
    #[error("{0}")]
    NotReady(String),
    /// The job's program cannot be started: not found, not executable, wrong format. The job's own fault.
    #[error("{0}")]
    Spawn(String),
    /// The environment is not here.
    #[error("environment {0} is not on this machine")]
    NoEnvironment(String),
    /// The disk or a quota is full.
    #[error("{0}")]
    DiskFull(String),
    /// Anything else the engine refused or failed at.
    #[error("{0}")]
    Failed(String),
}

/// A thing that runs jobs.
///
/// Futures of homied's side are `Send`; those of the supervisor's side run on its single thread.
pub trait Engine {
    /// A job it runs.
    type Job: EngineJob;

    /// homied: whether it is ready and what it gives. Takes at most a few seconds, also when nothing answers.
    ///
    /// # Errors
    /// [`EngineError::NotReady`] with the reason and the next step.
    fn probe(&self) -> impl Future<Output = Result<Ready, EngineError>> + Send;

    /// homied: jobs of `node` of which the engine still holds something (a container, a cgroup), running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    fn leftovers(&self, node: &str) -> impl Future<Output = Result<Vec<(JobId, Epoch)>, EngineError>> + Send;

    /// homied: kills and removes whatever is left of a job whose supervisor is gone. Nothing left is fine.
    ///
    /// # Errors
    /// The engine does not answer or something cannot be removed.
    fn remove(&self, node: &str, job: JobId, epoch: Epoch) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Supervisor: starts the job. Returns once its program runs.
    ///
    /// # Errors
    /// See [`EngineError`]; nothing of the job is left then.
    fn start(&self, launch: &JobLaunch) -> impl Future<Output = Result<Started<Self::Job>, EngineError>>;
}

/// What the supervisor still does once it has reported the job's end. Bounded; whatever it fails at is left to homied's
/// next look at the leftovers.
pub type Afterwards = Pin<Box<dyn Future<Output = ()>>>;

/// A job that was just started.
pub struct Started<J> {
    /// What it writes. Reading nothing makes the job block: that is how the output cap holds it.
    pub stdout: Box<dyn AsyncRead + Unpin>,
    /// What it writes to its standard error.
    pub stderr: Box<dyn AsyncRead + Unpin>,
    /// The handle on it.
    pub job: J,
}

impl<J: std::fmt::Debug> std::fmt::Debug for Started<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("job", &self.job).finish_non_exhaustive()
    }
}

/// The supervisor's handle on the running job.
pub trait EngineJob {
    /// Waits until the program has ended and every other process of the job is gone too. Cancel-safe: the supervisor
    /// drops it when a deadline fires, kills, and calls it again.
    ///
    /// # Errors
    /// The engine went away; what became of the job is unknown.
    fn wait(&mut self) -> impl Future<Output = Result<Ended, EngineError>>;

    /// SIGKILL to all processes of the job, whatever they do; returns when it is sent. A job that is gone is fine.
    ///
    /// # Errors
    /// The engine refused or went away.
    fn kill(&mut self) -> impl Future<Output = Result<(), EngineError>>;

    /// A file of this machine that lists the job's processes, one number a line (`cgroup.procs`), where the engine has
    /// them elsewhere than below the supervisor.
    fn roster(&self) -> Option<PathBuf> {
        None
    }
    /// Holds the running job to `after` instead of `before` from now on: processors, memory and processes; time is the
    /// supervisor's. What does not differ is not touched.
    ///
    /// # Errors
    /// The engine or the kernel refuses; some of it may hold already.
    fn limit(&mut self, before: &Limits, after: &Limits) -> impl Future<Output = Result<(), EngineError>>;

    /// Where its counters are, as far as they can be read from here.
    fn meter(&self) -> Meter;

    /// What it used so far (`wall_ms` is not filled); zeros where the engine cannot tell.
    fn usage(&mut self) -> impl Future<Output = Usage>;

    /// After `wait`: checks that no process is left and frees what can be freed at once. What takes longer and concerns
    /// nobody (a container's record) is left to the future that is returned.
    ///
    /// # Errors
    /// A process survived, or something could not be removed.
    fn remove(self) -> impl Future<Output = Result<Afterwards, EngineError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_assignments_round_trip_and_strangers_are_refused() {
        let job = JobId([0xab; 16]);
        assert_eq!(parse_job_name(&job_name(job, Epoch(3))), Some((job, Epoch(3))));
        for bad in ["", "ab-1", "x", &format!("{job}"), &format!("{job}-"), &format!("{job}--1"), &format!("{job}-1-2")]
        {
            assert_eq!(parse_job_name(bad), None, "{bad}");
        }
    }
}
