//! Real processes with a patience: what they print can be waited for, and nothing waits for ever.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything in these tests may take before it counts as hung: ten times what the slowest should need on two
/// busy cores.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks at `condition` until it holds. The one place where these tests let time pass.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "still not after {patience:?}: {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// What a process has written to one of its streams so far.
#[derive(Default)]
struct Captured {
    state: Mutex<Stream>,
    changed: Condvar,
}

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn read_all(self: &Arc<Self>, mut from: impl Read + Send + 'static) {
        let into = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 64 << 10];
            loop {
                let n = from.read(&mut buffer).unwrap_or(0);
                let mut state = into.state.lock().expect("reader");
                state.bytes.extend_from_slice(&buffer[..n]);
                state.ended = n == 0;
                into.changed.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
    }

    /// Waits until `enough` holds of the bytes, or the stream ends, or the time is over.
    fn wait(&self, patience: Duration, mut enough: impl FnMut(&[u8]) -> bool) -> MutexGuard<'_, Stream> {
        let state = self.state.lock().expect("reader");
        let waiting = |stream: &mut Stream| !(stream.ended || enough(&stream.bytes));
        self.changed.wait_timeout_while(state, patience, waiting).expect("reader").0
    }
}

/// A process that runs.
pub struct Running {
    child: Child,
    what: String,
    out: Arc<Captured>,
    err: Arc<Captured>,
}

/// A process that has ended.
pub struct Finished {
    what: String,
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Everything it wrote.
    pub stdout: Vec<u8>,
    /// Everything it complained about.
    pub stderr: Vec<u8>,
}

impl Running {
    /// Starts `command` with `input` on its standard input.
    pub fn start(mut command: Command, input: &[u8]) -> Self {
        let what = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        let (out, err) = (Arc::<Captured>::default(), Arc::<Captured>::default());
        out.read_all(child.stdout.take().expect("piped"));
        err.read_all(child.stderr.take().expect("piped"));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // From a thread, because a process that reads nothing would block us once the pipe is full.
        thread::spawn(move || stdin.write_all(&input));
        Self { child, what, out, err }
    }

    /// Its process id (that of the program itself: everything here is started by exec).
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Waits until its standard output contains `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let has = |bytes: &[u8]| find(bytes, text.as_bytes());
        let found = has(&self.out.wait(PATIENCE, has).bytes);
        assert!(found, "{}: no {text:?} in time\n{}", self.what, self.so_far());
    }

    /// What it printed so far, for people.
    pub fn so_far(&self) -> String {
        let text = |c: &Captured| String::from_utf8_lossy(&c.state.lock().expect("reader").bytes).into_owned();
        format!("--- stdout\n{}\n--- stderr\n{}", text(&self.out), text(&self.err))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.pid());
        nix::sys::signal::kill(pid, signal).unwrap_or_else(|e| panic!("{}: {signal}: {e}", self.what));
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("own child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(PATIENCE)
    }

    /// Waits for its end, at most so long.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Finished {
        let deadline = Instant::now() + patience;
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            status = self.child.try_wait().expect("own child");
            if status.is_none() {
                thread::park_timeout(Duration::from_millis(5));
            }
        }
        let Some(status) = status else {
            let _ = self.child.kill();
            panic!("{} did not end in {patience:?}\n{}", self.what, self.so_far());
        };
        let rest = |c: &Captured| std::mem::take(&mut c.wait(Duration::from_secs(10), |_| false).bytes);
        Finished { code: status.code(), stdout: rest(&self.out), stderr: rest(&self.err), what: self.what.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Its output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its complaints as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Fails unless it ended with this exit code.
    #[track_caller]
    pub fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, Some(wanted), "exit code of {}\n{}", self.what, self.both());
        self
    }

    /// Fails unless stdout or stderr contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = find(&self.stdout, text.as_bytes()) || find(&self.stderr, text.as_bytes());
        assert!(said, "{} does not say {text:?}\n{}", self.what, self.both());
        self
    }

    /// Its one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: not one JSON document: {e}\n{}", self.what, self.both()))
    }

    fn both(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", shorten(&self.out()), shorten(&self.err()))
    }
}

fn shorten(text: &str) -> String {
    let tail: Vec<&str> = text.lines().rev().take(60).collect();
    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}
