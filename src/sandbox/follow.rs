//! Standing by a supervisor from homied's side: starting it, noticing what it writes, telling it to stop.
//!
//! Nothing is polled: inotify tells that a file of the directory changed (see [`super::lookout`]), a pidfd that the
//! supervisor is gone.

use std::fs;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::engine::ExitReport;
use super::engine::native::sys;
use super::error::SandboxError;
use super::lookout::Eyes;
use super::supervisor::{
    self, EXIT, LIMITED, LimitedNote, LimitsOrder, OUTPUT, STARTED, SUPERVISOR, StartedNote, SupervisorNote, boot_id,
    read_json, start_ticks, try_lock,
};
use crate::pipe::LogAnnouncer;
use crate::wire::output::MAX_RECORD;

/// From being told to stop until a supervisor must be gone: it kills for 30 s at most, then reads out the pipes. One that
/// takes longer is killed, and its job with it.
const STOP_LIMIT: Duration = Duration::from_secs(90);
/// A process that SIGKILL does not end in this time hangs in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks whether it is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Output that grows by as much as a supervisor reads at once comes faster than anybody reads along ...
const TORRENT: u64 = MAX_RECORD as u64;
/// ... so it is told of in larger pieces: each costs a dozen wake-ups on its way to the submitter, and a processor that is
/// busy with those is missing for the job.
const GATHER: Duration = Duration::from_millis(2);
/// Variables by which a Docker engine is found; a supervisor gets no others of homied's.
const PASSED_ON: [&str; 6] = ["HOME", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "PATH", "LANG"];

/// What homied is told to do with a job; only ever added to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// Its inputs are here.
    pub(super) start: bool,
    /// It shall end, and who says so.
    pub(super) stop: Option<String>,
    /// Its submitter has everything.
    pub(super) forget: bool,
    /// Other limits, by the owner's wish.
    pub(super) limits: Option<LimitsOrder>,
}

impl Orders {
    /// The number of the last order of limits.
    pub(super) fn limits_seq(&self) -> u64 {
        self.limits.as_ref().map_or(0, |order| order.seq)
    }
}

/// What following hears of the job on the way.
#[derive(Debug)]
pub(super) enum News {
    /// Its program runs.
    Started(StartedNote),
    /// The supervisor has answered an order of limits.
    Limited(LimitedNote),
}

/// Starts a supervisor for `dir`, which has its `launch.json`. `None` when one is there already.
///
/// # Errors
/// It cannot be executed.
pub(super) fn supervise(exe: &Path, dir: &Path, docker_host: Option<&str>) -> Result<Option<Child>, SandboxError> {
    begin(exe, dir, docker_host, None)
}

/// The same; with `told`, one that first waits to be told there.
pub(super) fn begin(
    exe: &Path,
    dir: &Path,
    docker_host: Option<&str>,
    told: Option<PipeReader>,
) -> Result<Option<Child>, SandboxError> {
    let Some(lock) = try_lock(dir).map_err(SandboxError::io("lock", dir))? else { return Ok(None) };
    let log = dir.join("supervisor.log");
    let errors = fs::File::create(&log).map_err(SandboxError::io("make", &log))?;
    let mut command = Command::new(exe);
    command.arg(supervisor::WORD).arg(dir).current_dir("/").env_clear();
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    if let Some(host) = docker_host.map(str::to_owned).or_else(|| std::env::var("DOCKER_HOST").ok()) {
        command.env("DOCKER_HOST", host);
    }
    if told.is_some() {
        command.arg(supervisor::WHEN_TOLD);
    }
    // The lock travels as standard input and is held for as long as the supervisor lives.
    command.stdin(Stdio::from(lock)).stdout(told.map_or_else(Stdio::null, Stdio::from)).stderr(Stdio::from(errors));
    command.spawn().map(Some).map_err(|e| SandboxError::Supervisor(format!("{}: {e}", exe.display())))
}

/// How following ended.
#[derive(Debug)]
pub(super) enum Followed {
    /// The job ended; this is the report.
    Ended(ExitReport),
    /// The supervisor is gone and left no report: nobody knows how the job ended.
    Vanished,
}

/// Follows the supervisor of `dir` to its end, announcing output as it is written.
///
/// # Errors
/// The supervisor cannot be watched, or its report not be read. It may well go on.
pub(super) async fn follow(
    dir: &Path,
    eyes: Eyes,
    announce: &LogAnnouncer,
    orders: &mut watch::Receiver<Orders>,
    child: &mut Option<Child>,
    mut tell: impl FnMut(News),
) -> Result<Followed, SandboxError> {
    let mut supervisor = match child.as_ref().and_then(Child::id) {
        Some(pid) => Some(open_process(pid as i32).map_err(SandboxError::io("follow the supervisor of", dir))?),
        None => None,
    };
    let mut has_started = false;
    let mut told_at: Option<Instant> = None;
    // Orders of limits: the last one that the supervisor was told of, and the last one it has answered.
    let (mut sent, mut answered) = (0, 0);
    let mut gone = false;
    loop {
        announce.grown(output_len(dir));
        if !has_started && let Ok(note) = read_json(&dir.join(STARTED)) {
            has_started = true;
            tell(News::Started(note));
        }
        if let Ok(note) = read_json::<LimitedNote>(&dir.join(LIMITED))
            && note.seq > answered
        {
            answered = note.seq;
            tell(News::Limited(note));
        }
        let exit = dir.join(EXIT);
        if exit.exists() {
            let report = supervisor::read_exit(dir).map_err(SandboxError::io("read", &exit))?;
            let Some(report) = report else { return Ok(Followed::Vanished) };
            announce.grown(report.output_bytes);
            // It may still tidy up; tokio reaps a child that nobody holds.
            return Ok(Followed::Ended(report));
        }
        if gone {
            return Ok(Followed::Vanished);
        }
        let note = read_json::<SupervisorNote>(&dir.join(SUPERVISOR)).ok();
        if supervisor.is_none() {
            match adopt(dir, note.as_ref()).map_err(SandboxError::io("follow the supervisor of", dir))? {
                Adopted::Alive(process) => supervisor = Some(process),
                Adopted::NotYet => {}
                // Once more round, for a report written between the two looks.
                Adopted::Gone => {
                    gone = true;
                    continue;
                }
            }
        }
        // The note is written once the supervisor can take a signal.
        let stop = orders.borrow_and_update().stop.is_some();
        if let (None, true, Some(process), Some(_)) = (told_at, stop, &supervisor, &note) {
            sys::pidfd_signal(process, Signal::SIGTERM).map_err(SandboxError::io("stop the supervisor of", dir))?;
            told_at = Some(Instant::now());
        }
        let order = orders.borrow().limits.clone();
        // Before the program runs the supervisor reads the file by itself, and could not take the signal yet.
        if let (Some(order), Some(process), true) = (order.filter(|o| o.seq > sent), &supervisor, has_started) {
            sent = order.seq;
            if sent > answered {
                sys::pidfd_signal(process, Signal::SIGUSR1)
                    .map_err(SandboxError::io("give new limits to the supervisor of", dir))?;
            }
        }
        tokio::select! {
            () = changed(&eyes, dir, announce) => {}
            () = ended(supervisor.as_ref()) => gone = true,
            changed = orders.changed() => if changed.is_err() {
                // homied is on its way down; the supervisor goes on.
                return std::future::pending().await;
            },
            () = sleep_until(told_at.unwrap_or_else(Instant::now) + STOP_LIMIT), if told_at.is_some() => {
                if let Some(process) = &supervisor {
                    sys::pidfd_signal(process, Signal::SIGKILL)
                        .map_err(SandboxError::io("stop the supervisor of", dir))?;
                }
                told_at = Some(Instant::now());
            }
        }
    }
}

/// Ends a supervisor that cannot be followed, and its job with it. Returns when it is gone, or cannot be ended.
pub(super) async fn end_unfollowed(dir: &Path, child: &mut Option<Child>) {
    let gone = async {
        if let Some(child) = child {
            // Only a child that is gone already cannot be killed.
            let _ = child.kill().await;
        }
        // Nothing tells of the end of another's child without one more descriptor, which we may not get.
        while matches!(try_lock(dir), Ok(None)) {
            if let Ok(note) = read_json::<SupervisorNote>(&dir.join(SUPERVISOR))
                && note.boot == boot_id()
                && start_ticks(note.pid) == Some(note.start_ticks)
            {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(note.pid), Signal::SIGKILL);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(KILL_LIMIT, gone).await.is_err() {
        tracing::error!(dir = %dir.display(), "a supervisor that cannot be followed cannot be ended either");
    }
}

/// Resolves when something has changed that is more than the output, and tells of that in between: thousands of times a
/// second in a job that says much, so no other file is looked at.
async fn changed(eyes: &Eyes, dir: &Path, announce: &LogAnnouncer) {
    while !eyes.changed().await {
        let before = announce.state().len;
        announce.grown(output_len(dir));
        if announce.state().len - before >= TORRENT {
            sleep(GATHER).await;
        }
    }
}

fn output_len(dir: &Path) -> u64 {
    fs::metadata(dir.join(OUTPUT)).map_or(0, |m| m.len())
}

fn open_process(pid: i32) -> io::Result<AsyncFd<OwnedFd>> {
    sys::watch(sys::pidfd_open(pid)?)
}

async fn ended(process: Option<&AsyncFd<OwnedFd>>) {
    match process {
        Some(process) => drop(process.readable().await.map(|mut guard| guard.retain_ready())),
        None => std::future::pending().await,
    }
}

enum Adopted {
    Alive(AsyncFd<OwnedFd>),
    /// It holds the lock but has not yet said who it is.
    NotYet,
    Gone,
}

/// Finds the supervisor that an earlier homied started.
fn adopt(dir: &Path, note: Option<&SupervisorNote>) -> io::Result<Adopted> {
    if try_lock(dir)?.is_some() {
        return Ok(Adopted::Gone);
    }
    let Some(note) = note else { return Ok(Adopted::NotYet) };
    match open_process(note.pid) {
        // Looked at after the descriptor was opened, the start time proves that it is of the right process.
        Ok(process) if note.boot == boot_id() && start_ticks(note.pid) == Some(note.start_ticks) => {
            Ok(Adopted::Alive(process))
        }
        Ok(_) => Ok(Adopted::NotYet),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(Adopted::NotYet),
        Err(e) => Err(e),
    }
}
