//! The process that stands by one job: `homied __supervise DIR`.
//!
//! It outlives homied (own session, no parent needed), starts the job by its engine, writes what the job says into a
//! bounded log the job cannot reach, holds it to its time, output and disk, and leaves `exit.json` behind. homied, also
//! a later one, learns everything from the files of the directory:
//!
//! ```text
//! launch.json      what to run; written by homied before the supervisor exists
//! supervisor.json  which process stands by it
//! started.json     the program runs
//! output           its output, as records (see wire::output), appended to
//! limits.json      new limits, ordered by homied with SIGUSR1; limited.json is the answer
//! exit.json        how it ended; after its appearance a supervisor only tidies up what the engine holds
//! work/            the job's directory, /work inside
//! ```
//! A lock on `lock`, inherited as standard input, tells whether the supervisor lives. SIGTERM to it stops the job.

mod disk;
mod files;
mod limits;
mod log;
mod run;

pub(in crate::sandbox) use disk::max_files;

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::unistd::dup2_stdout;

pub(in crate::sandbox) use files::{
    EXIT, LAUNCH, OUTPUT, STARTED, SUPERVISOR, StartedNote, SupervisorNote, boot_id, date_in_doubt, read_exit,
    read_json, start_ticks, try_lock, write_json, write_json_durably,
};
pub(in crate::sandbox) use limits::{LIMITED, LIMITS, LimitedNote, LimitsOrder};

use super::engine::docker::DockerEngine;
use super::engine::native::{Ahead, NativeEngine, sys};
use super::engine::{Afterwards, Engine, EngineError, ExitReport, JobLaunch};
use crate::clock::wall_ms;
use crate::model::{EngineKind, FailKind, Outcome, Usage};

/// The word on homied's command line.
pub(in crate::sandbox) const WORD: &str = "__supervise";
/// Behind the directory: begin only when told so on standard output, which is a pipe to be read: there comes the path that
/// the directory has by then, and the pipe's end. The end alone: end, too.
pub(in crate::sandbox) const WHEN_TOLD: &str = "when-told";

/// `homied __supervise DIR`: stands by the job in `dir` until it has ended and everything about it is on disk.
pub(super) fn main(dir: &Path, when_told: bool) -> ExitCode {
    // The standard three are the lock, nothing (or the pipe), and supervisor.log; the rest is homied's and none of our
    // business.
    if let Err(e) = sys::close_all_but(&[0, 1, 2]) {
        eprintln!("descriptors stay open: {e}");
    }
    // A session of its own: neither a closed terminal nor homied's process group takes it along.
    if let Err(e) = nix::unistd::setsid() {
        eprintln!("no session of its own: {e}");
    }
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    // What needs no order is done while it is awaited.
    let early = when_told.then(runtime);
    let dir = &match when_told.then(told) {
        None => dir.to_path_buf(),
        Some(Some(now)) => now,
        Some(None) => return ExitCode::SUCCESS,
    };
    let failed = |e: String| ExitReport {
        outcome: Outcome::failed(FailKind::Internal, e),
        usage: Usage::default(),
        output_bytes: std::fs::metadata(dir.join(OUTPUT)).map_or(0, |m| m.len()),
        ended_ms: wall_ms(),
        boot: boot_id(),
    };
    let text = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut launch: JobLaunch = match read_json(&dir.join(LAUNCH)) {
        Ok(launch) => launch,
        Err(e) => return leave(dir, &failed(text(e))),
    };
    // The directory may have been moved as a whole; what the command line says is where it is.
    launch.job_dir.clone_from(dir);
    // Before there are threads, and while everything else is seen to.
    let ahead = (launch.engine == EngineKind::Native).then(|| Ahead::make(&launch));
    let runtime = match early.unwrap_or_else(runtime) {
        Ok(runtime) => runtime,
        Err(e) => return leave(dir, &failed(text(e))),
    };
    match runtime.block_on(stand_by(&launch, ahead)) {
        Ok((report, afterwards)) => {
            let left = leave(dir, &report);
            runtime.block_on(afterwards);
            left
        }
        Err(e) => leave(dir, &failed(e)),
    }
}

/// Waits for the word to begin: the path of the directory. `None` when it never comes.
fn told() -> Option<PathBuf> {
    let mut path = Vec::new();
    let word = std::io::stdout().as_fd().try_clone_to_owned();
    let heard = word.and_then(|pipe| std::fs::File::from(pipe).read_to_end(&mut path));
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        // As for every other supervisor. Nothing is ever written there, so a pipe would do no harm.
        let _ = dup2_stdout(null);
    }
    (heard.is_ok() && !path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path)))
}

fn leave(dir: &Path, report: &ExitReport) -> ExitCode {
    match files::write_exit(dir, report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{}: {e}", dir.join(EXIT).display());
            ExitCode::FAILURE
        }
    }
}

async fn stand_by(
    launch: &JobLaunch,
    ahead: Option<Result<Ahead, EngineError>>,
) -> Result<(ExitReport, Afterwards), String> {
    let dir = &launch.job_dir;
    let text = |e: std::io::Error| format!("{}: {e}", dir.display());
    let pid = std::process::id();
    let ticks = start_ticks(pid as i32).unwrap_or(0);
    // Before the program can run: a homied that comes after both were killed must know that it may have.
    write_json(&dir.join(SUPERVISOR), &SupervisorNote { pid: pid as i32, start_ticks: ticks, boot: boot_id() })
        .map_err(text)?;
    files::reserve_exit(dir).map_err(text)?;
    match ahead {
        Some(ahead) => run::run(launch, async |launch| NativeEngine::go_on(ahead?, launch).await).await,
        None => run::run(launch, async |launch| DockerEngine::of_this_process().start(launch).await).await,
    }
}
