//! The embedded Linux engine: namespaces, a root of its own, seccomp and control groups around a process.
//!
//! The supervisor of a job is the re-executed, single-threaded homied that forks the jail; see [`child`] for its
//! inside. As root the job runs as uid 65534 without a user namespace; an ordinary user gets a user namespace that maps
//! only itself. What the machine does not give (memory limits without a delegated control group) is said, not
//! hidden: [`Engine::probe`] lists it, and the fallbacks in [`watch`] are weaker but real.

mod ahead;
mod cgroup;
mod child;
mod files;
mod probe;
mod root;
mod seccomp;
pub(in crate::sandbox) mod sys;
pub(in crate::sandbox) mod watch;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;

use self::cgroup::{Group, Hierarchies};
use self::child::{Admission, Report};
use super::{
    Afterwards, End, Ended, Engine, EngineError, EngineJob, JobLaunch, Meter, Ready, Started, job_name, parse_job_name,
};
use crate::model::{Epoch, JobId, Limits, Usage};

pub(in crate::sandbox) use ahead::Ahead;
pub(in crate::sandbox) use probe::{WORD as PROBE_WORD, main as probe_main};

/// Building a jail takes a few milliseconds; a machine that swaps may need seconds, never this long.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The embedded Linux engine.
#[derive(Debug, Clone)]
pub struct NativeEngine {
    /// homied's own program, which is executed again for a probe.
    exe: PathBuf,
    /// A directory of ours in which the probe may make its own.
    jobs_dir: PathBuf,
}

impl NativeEngine {
    /// An engine that re-executes `exe` and keeps jobs below `jobs_dir`.
    pub fn new(exe: PathBuf, jobs_dir: PathBuf) -> Self {
        Self { exe, jobs_dir }
    }
}

/// The parent of the groups of one homied's jobs.
fn group_parent(node: &str) -> String {
    // 12 characters of the peer id are 60 bits: enough to keep several homied on one machine apart.
    format!("homie-{}", node.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>().to_lowercase())
}

impl Engine for NativeEngine {
    type Job = NativeJob;

    async fn probe(&self) -> Result<Ready, EngineError> {
        cgroup::settle();
        probe::ask(&self.exe, &self.jobs_dir).await
    }

    async fn leftovers(&self, node: &str) -> Result<Vec<(JobId, Epoch)>, EngineError> {
        let names = cgroup::names_below(&Hierarchies::discover(), &group_parent(node));
        Ok(names.iter().filter_map(|n| parse_job_name(n)).collect())
    }

    async fn remove(&self, node: &str, job: JobId, epoch: Epoch) -> Result<(), EngineError> {
        let name = job_name(job, epoch);
        let parent = group_parent(node);
        let places = Hierarchies::discover();
        retry(|| cgroup::destroy(&places, &parent, &name))
            .await
            .map_err(|e| EngineError::Failed(format!("processes of {name} do not go away: {e}")))
    }

    async fn start(&self, launch: &JobLaunch) -> Result<Started<NativeJob>, EngineError> {
        Self::go_on(Ahead::make(launch)?, launch).await
    }
}

impl NativeEngine {
    /// Starts the job in the jail that is being built for it.
    ///
    /// # Errors
    /// See [`Engine::start`].
    pub(in crate::sandbox) async fn go_on(ahead: Ahead, launch: &JobLaunch) -> Result<Started<NativeJob>, EngineError> {
        let failed = |e: io::Error| EngineError::Failed(format!("process: {e}"));
        let (mut job, stdout, stderr, places) = ahead.take().map_err(failed)?;
        match job.begin(launch, &places).await {
            Ok(()) => Ok(Started { stdout: Box::new(stdout), stderr: Box::new(stderr), job }),
            Err(e) => {
                job.kill().await?;
                // What it says of its end is of no interest; that it is gone is.
                let _ = job.wait().await;
                job.remove().await?.await;
                Err(e)
            }
        }
    }
}

/// A job in its namespaces.
#[derive(Debug)]
pub struct NativeJob {
    /// Init of the job's pid namespace, as we see it.
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
    news: BufReader<pipe::Receiver>,
    /// Init waits for a byte here, and takes a hang-up for our death.
    release: OwnedFd,
    group: Group,
    /// Its mount namespace: the kernel takes it apart, for which it waits for all processors, when the last one lets go.
    /// That is us, when the job's end is told, and not init before it.
    mounts: Option<std::fs::File>,
    watch: watch::Watch,
    reaped: Option<sys::Reaped>,
}

impl NativeJob {
    async fn begin(&mut self, launch: &JobLaunch, places: &Hierarchies) -> Result<(), EngineError> {
        let failed = |what: &'static str| move |e: io::Error| EngineError::Failed(format!("{what}: {e}"));
        self.group.complete(places, &group_parent(&launch.node), &launch.name(), &launch.limits);
        let limited = self.group.limits_memory();
        self.watch = watch::Watch::new((!limited).then_some(launch.limits.memory_bytes));
        self.group.add(self.pid).map_err(failed("control group"))?;
        if let Err(e) = watch::limit_processors(self.pid, &self.group.missing, launch.limits.cpu_millis) {
            tracing::debug!(error = %e, "processors not limited");
        }
        let admission = Admission { memory_is_limited: limited, tasks: self.group.tasks() };
        let admission = serde_json::to_vec(&admission).map_err(|e| failed("jail")(e.into()))?;
        if admission.len() > child::PIPE_BUF {
            return Err(EngineError::Failed("the paths of the control groups are too long".into()));
        }
        nix::unistd::write(&self.release, &admission).map_err(|e| failed("jail")(e.into()))?;
        let mut line = String::new();
        let read = tokio::time::timeout(START_LIMIT, self.news.read_line(&mut line)).await;
        let read = read.map_err(|_| EngineError::Failed("the jail was not ready in 30 s".into()))?;
        read.map_err(failed("jail"))?;
        match serde_json::from_str(&line) {
            Ok(Report::Started) => Ok(()),
            Ok(Report::Spawn(why)) => Err(EngineError::Spawn(why)),
            Ok(Report::NoNetwork(errno)) => Err(ahead::no_namespaces(io::Error::from_raw_os_error(errno))),
            Ok(Report::Jail(why)) => Err(EngineError::Failed(format!("the jail could not be built: {why}"))),
            Ok(Report::Ended(_)) | Err(_) => Err(EngineError::Failed("the jail ended before the program".into())),
        }
    }

    /// `usage` as counted so far, completed by what the kernel said at the end.
    fn usage_of(&self, mut usage: Usage) -> Usage {
        if let Some(reaped) = self.reaped {
            if usage.io_read_bytes == 0 && usage.io_write_bytes == 0 {
                (usage.io_read_bytes, usage.io_write_bytes) = (reaped.read, reaped.written);
            }
            if usage.cpu_ms == 0 {
                usage.cpu_ms = reaped.cpu.as_millis() as u64;
            }
            if usage.peak_memory_bytes == 0 {
                usage.peak_memory_bytes = reaped.peak_memory;
            }
        }
        usage
    }

    /// What could not be limited, and why.
    pub(super) fn missing_limits(&self) -> &[String] {
        &self.group.missing
    }
}

impl EngineJob for NativeJob {
    async fn wait(&mut self) -> Result<Ended, EngineError> {
        let failed = |e: io::Error| EngineError::Failed(format!("waiting for the job: {e}"));
        if self.reaped.is_none() {
            loop {
                tokio::select! {
                    gone = self.pidfd.readable() => {
                        let _ = gone.map_err(failed)?;
                        break;
                    }
                    () = self.watch.over_memory(self.pid) => {
                        sys::pidfd_signal(&self.pidfd, Signal::SIGKILL).map_err(failed)?;
                    }
                }
            }
            self.reaped = Some(sys::wait_child(self.pid).map_err(failed)?);
        }
        let Some(reaped) = self.reaped else { return Err(EngineError::Failed("no wait status".into())) };
        // Every process of the namespace is gone, so the pipe ends here without waiting.
        let mut rest = String::new();
        self.news.read_to_string(&mut rest).await.map_err(failed)?;
        let status = rest.lines().find_map(|l| match serde_json::from_str(l) {
            Ok(Report::Ended(status)) => Some(status),
            _ => None,
        });
        // Without a word of init it was killed itself, and the job with it.
        let status = status.unwrap_or(reaped.status);
        let end = if libc::WIFEXITED(status) {
            End::Exited(libc::WEXITSTATUS(status))
        } else {
            End::Signaled(libc::WTERMSIG(status))
        };
        let seen = self.meter().read();
        let out_of_memory = self.watch.killed() || seen.out_of_memory_kills > 0;
        Ok(Ended { end, out_of_memory, usage: self.usage_of(seen.usage) })
    }

    async fn kill(&mut self) -> Result<(), EngineError> {
        // Init's death takes every process of its pid namespace along: the kernel sees to it.
        sys::pidfd_signal(&self.pidfd, Signal::SIGKILL).map_err(|e| EngineError::Failed(format!("kill: {e}")))
    }

    async fn limit(&mut self, before: &Limits, after: &Limits) -> Result<(), EngineError> {
        let refused = |what: &'static str| move |e: io::Error| EngineError::Failed(format!("{what}: {e}"));
        if before.memory_bytes != after.memory_bytes {
            if self.group.limits_memory() {
                self.group.relimit_memory(after).map_err(refused("memory"))?;
            } else {
                self.watch.set_limit(after.memory_bytes);
            }
        }
        if before.cpu_millis != after.cpu_millis && self.group.limit("cpu", after).is_err() {
            watch::limit_processors(self.pid, &self.group.missing, after.cpu_millis).map_err(refused("processors"))?;
        }
        if before.pids != after.pids {
            self.group.limit("pids", after).map_err(refused("processes"))?;
        }
        Ok(())
    }

    fn meter(&self) -> Meter {
        self.group.meter(self.pid)
    }

    async fn usage(&mut self) -> Usage {
        self.usage_of(self.meter().read().usage)
    }

    async fn remove(self) -> Result<Afterwards, EngineError> {
        let Self { group, mounts, .. } = self;
        retry(|| match group.processes().as_slice() {
            [] => Ok(()),
            left => Err(io::Error::other(format!("processes {left:?} of the job survived in its control group"))),
        })
        .await
        .map_err(|e| EngineError::Failed(e.to_string()))?;
        // Nobody waits for what only takes time now.
        Ok(Box::pin(async move {
            drop(mounts);
            if let Err(e) = retry(|| group.remove()).await {
                eprintln!("a control group stays: {e}");
            }
        }))
    }
}

/// The kernel lets go of an ended process's group a moment after its parent has seen its end.
async fn retry(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    const FIRST_PAUSE: Duration = Duration::from_micros(200);
    const LAST_PAUSE: Duration = Duration::from_secs(1);
    let mut pause = FIRST_PAUSE;
    while pause < LAST_PAUSE {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    attempt()
}

/// Who jobs run as: nobody (65534) when homied is root, else homied's own user.
pub(in crate::sandbox) fn job_user() -> (u32, u32) {
    const NOBODY: u32 = 65534;
    let (uid, gid) = (nix::unistd::Uid::effective(), nix::unistd::Gid::effective());
    if uid.is_root() { (NOBODY, NOBODY) } else { (uid.as_raw(), gid.as_raw()) }
}
