//! `homied --background`: for machines without a service manager.
//!
//! The process forks (crate daemonize) before any thread exists; the parent waits until the child says that its
//! socket answers, and only then exits with 0. If the child fails, the parent prints why and exits with 1, so that
//! `homie up` and scripts need no guessing.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daemonize::{Daemonize, Outcome};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A start takes well under a second; an old disk with a large history takes some. Then something hangs.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What the child says when it is ready. Everything else is the reason why it is not.
const READY: &[u8] = b"ready\n";
/// Longest reason that is passed on.
const MAX_REASON: u64 = 16 << 10;
/// A log that is longer at the start makes way for a new one; one old log is kept.
const MAX_LOG: u64 = 16 << 20;

/// Why homied did not go to the background.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundError {
    /// The log file or its directory cannot be made.
    #[error("{}: {why}", .path.display())]
    Log {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// The process cannot fork, or has no pipe.
    #[error("cannot go to the background: {0}")]
    Fork(String),
}

/// How the child tells its waiting parent how the start went. In the foreground there is no parent and nothing happens.
#[derive(Debug, Default)]
pub struct Readiness(Option<PipeWriter>);

impl Readiness {
    /// The socket answers; the parent ends with 0.
    pub fn ready(&mut self) {
        self.tell(READY);
    }

    /// The start failed; the parent prints `why` and ends with 1.
    pub fn failed(&mut self, why: &str) {
        self.tell(why.as_bytes());
    }

    fn tell(&mut self, words: &[u8]) {
        if let Some(mut pipe) = self.0.take() {
            // A parent that was killed does not matter to homied.
            let _ = pipe.write_all(words);
        }
    }
}

/// Where a homied in the background logs to.
pub fn log_path(state: &Path) -> PathBuf {
    state.join("homied.log")
}

/// Goes to the background and returns there. In the parent it does not return: the process ends with the outcome of
/// the child's start. Must be called before any thread exists, so before the runtime and the log.
///
/// # Errors
/// The log file cannot be opened or the process cannot fork.
pub fn detach(state: &Path) -> Result<Readiness, BackgroundError> {
    let path = log_path(state);
    let log = open_log(&path).map_err(|why| BackgroundError::Log { path: path.clone(), why })?;
    let twin = log.try_clone().map_err(|why| BackgroundError::Log { path: path.clone(), why })?;
    let (reader, writer) = std::io::pipe().map_err(|e| BackgroundError::Fork(e.to_string()))?;
    // 022 as service managers set it, instead of daemonize's 027: files that are private say so themselves.
    let fork = Daemonize::new().umask(0o022).stdout(log).stderr(twin);
    match fork.execute() {
        Outcome::Parent(Ok(_)) => {
            drop(writer);
            std::process::exit(wait(reader, &path, START_LIMIT));
        }
        Outcome::Child(Ok(_)) => {
            drop(reader);
            Ok(Readiness(Some(writer)))
        }
        Outcome::Parent(Err(e)) | Outcome::Child(Err(e)) => Err(BackgroundError::Fork(e.to_string())),
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    if std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_LOG) {
        let mut old = OsString::from(path);
        old.push(".old");
        std::fs::rename(path, old)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Waits for the child's word; returns the exit code of the parent.
fn wait(mut from: PipeReader, log: &Path, limit: Duration) -> i32 {
    let end = Instant::now() + limit;
    let mut said = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], timeout);
        match ready {
            Ok(0) => return fail(&format!("did not get ready within {} s", limit.as_secs()), log),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(e) => return fail(&format!("cannot be waited for: {e}"), log),
            Ok(_) => {}
        }
        let mut piece = [0; 4096];
        match from.read(&mut piece) {
            Ok(n) if n > 0 && (said.len() as u64) < MAX_REASON => said.extend_from_slice(&piece[..n]),
            Ok(_) if said == READY => return 0,
            Ok(_) if said.is_empty() => return fail("ended before it was ready", log),
            Ok(_) => return fail(String::from_utf8_lossy(&said).trim_end(), log),
            Err(e) => return fail(&format!("cannot be waited for: {e}"), log),
        }
    }
}

fn fail(why: &str, log: &Path) -> i32 {
    let _ = writeln!(std::io::stderr(), "homied: {why}\nits log: {}", log.display());
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    /// Not a test of its own: forks in a process that the next tests start. The test harness has threads, which the
    /// real caller has not; this one only writes to a pipe after the fork.
    #[test]
    fn in_another_process() {
        let Ok(how) = std::env::var("HOMIE_TEST_DETACH") else { return };
        let state = PathBuf::from(std::env::var_os("HOMIE_TEST_STATE").expect("state"));
        let mut readiness = detach(&state).expect("detach");
        eprintln!("in the background as {}", std::process::id());
        match how.as_str() {
            "ready" => readiness.ready(),
            "failed" => readiness.failed("port 5556 is taken\n"),
            _ => {}
        }
        std::process::exit(0);
    }

    fn background(state: &Path, how: &str) -> Output {
        Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "daemon::background::tests::in_another_process", "--nocapture", "--test-threads=1"])
            .env("HOMIE_TEST_DETACH", how)
            .env("HOMIE_TEST_STATE", state)
            .output()
            .expect("run")
    }

    #[test]
    fn the_parent_ends_with_the_outcome_of_the_start() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state = dir.path().join("a/b");
        for (how, code, said) in [
            ("ready", 0, ""),
            ("failed", 1, "homied: port 5556 is taken\nits log: "),
            ("dead", 1, "homied: ended before it was ready\n"),
        ] {
            let out = background(&state, how);
            let stderr = String::from_utf8_lossy(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{how}: {stderr}");
            assert!(stderr.starts_with(said) && (code != 0 || stderr.is_empty()), "{how}: {stderr}");
        }
        let log = log_path(&state);
        assert_eq!(std::fs::metadata(&log).expect("log").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&log).expect("log").matches("in the background").count(), 3);
        let e = detach(Path::new("/proc/none")).expect_err("no directory").to_string();
        assert!(e.starts_with("/proc/none/homied.log: "), "{e}");
    }

    #[test]
    fn a_child_that_hangs_is_given_up() {
        let (reader, writer) = std::io::pipe().expect("pipe");
        assert_eq!(wait(reader, Path::new("log"), Duration::from_millis(50)), 1);
        drop(writer);
    }

    #[test]
    fn a_long_log_makes_way() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = log_path(dir.path());
        let long = File::create(&path).and_then(|f| f.set_len(MAX_LOG + 1));
        long.expect("long log");
        open_log(&path).expect("new log");
        assert_eq!(std::fs::metadata(&path).expect("new").len(), 0);
        assert_eq!(std::fs::metadata(dir.path().join("homied.log.old")).expect("old").len(), MAX_LOG + 1);
    }
}
