//! Waiting with a bound: for a program to end, for a condition to hold.

use std::future::Future;
use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at. Fast enough that nobody notices, slow enough to cost nothing.
const LOOK: Duration = Duration::from_millis(20);

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output, if that was piped.
    pub stdout: String,
    /// Its standard error, if that was piped.
    pub stderr: String,
}

/// Waits until `child` ends; after `limit` it is killed. Only for programs that say little: more than a pipe holds
/// (64 KiB) would stop them.
///
/// # Errors
/// It did not end in time, or the system cannot tell.
pub async fn finish(mut child: Child, limit: Duration) -> io::Result<Finished> {
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end after {} s", limit.as_secs())));
        }
        sleep(LOOK).await;
    };
    Ok(Finished { status, stdout: said(child.stdout.take()), stderr: said(child.stderr.take()) })
}

/// What is in the pipe of a program that has ended.
fn said(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(64 << 10).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// Asks `ready` again and again until it gives something, at most for `limit`.
pub async fn until<T, F: Future<Output = Option<T>>>(limit: Duration, mut ready: impl FnMut() -> F) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = ready().await {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn sh(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh")
    }

    #[tokio::test]
    async fn a_program_is_waited_for_or_killed() {
        let done = finish(sh("echo hi; echo oops >&2; exit 3"), Duration::from_secs(60)).await.expect("ends");
        assert_eq!((done.status.code(), done.stdout.as_str(), done.stderr.as_str()), (Some(3), "hi", "oops"));
        let late = finish(sh("exec sleep 600"), Duration::from_millis(50)).await.expect_err("too late");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_condition_is_waited_for_with_a_bound() {
        let mut looks = 0;
        let found = until(Duration::from_secs(60), || {
            looks += 1;
            std::future::ready((looks == 3).then_some("there"))
        });
        assert_eq!(found.await, Some("there"));
        assert_eq!(until(Duration::ZERO, || std::future::ready(None::<()>)).await, None);
    }
}
