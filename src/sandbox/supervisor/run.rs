//! One job from start to end, over any engine.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::disk::{Holders, Watchdog, occupied};
use super::files::{OUTPUT, STARTED, StartedNote, boot_id, write_json};
use super::limits::Ear;
use super::log::{Log, Room};
use crate::clock::wall_ms;
use crate::model::{FailKind, Outcome, Usage, format_bytes};
use crate::sandbox::clocks::Clocks;
use crate::sandbox::engine::{Afterwards, End, Ended, EngineError, EngineJob, ExitReport, JobLaunch, Started};
use crate::wire::output::{MAX_RECORD, Source};

/// How long a job that reached its output cap is held before it is ended.
const OVER_CAP: Duration = Duration::from_secs(5);
/// After a kill: how long until the next one. The kernel needs milliseconds, an engine's API more.
const KILL_AGAIN: Duration = Duration::from_secs(1);
/// After this many kills the engine is declared gone.
const KILLS: u32 = 30;
/// The pipes of a job whose processes are all gone end at once; an engine's stream may lag behind.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Why the supervisor ends a job.
enum Reason {
    Deadline,
    Stop,
    Disk(String),
    Output,
    Broken(String),
}

type Stream = Box<dyn AsyncRead + Unpin>;

/// The job's two streams and the log they go to.
struct Copier {
    streams: [Option<Stream>; 2],
    buffers: [Vec<u8>; 2],
    log: Log,
    /// More than the cap came: nothing is read any more, so the job blocks.
    over: bool,
}

impl Copier {
    fn new(stdout: Stream, stderr: Stream, log: Log) -> Self {
        let buffer = || vec![0; MAX_RECORD];
        Self { streams: [Some(stdout), Some(stderr)], buffers: [buffer(), buffer()], log, over: false }
    }

    /// Reads once from whichever stream has something and appends it. Resolves to `false` when both have ended;
    /// never while the cap is exceeded. Cancel-safe.
    ///
    /// # Errors
    /// The log cannot be written.
    async fn step(&mut self) -> std::io::Result<bool> {
        if self.over {
            return std::future::pending().await;
        }
        let [out, err] = &mut self.streams;
        let [out_buffer, err_buffer] = &mut self.buffers;
        let (which, source, got) = tokio::select! {
            got = read(out, out_buffer) => (0, Source::Stdout, got),
            got = read(err, err_buffer) => (1, Source::Stderr, got),
            else => return Ok(false),
        };
        match got {
            // An engine's stream that breaks has said all it will say; the job's end tells the rest.
            Some(0) | None => self.streams[which] = None,
            Some(n) => self.over = self.log.append(source, wall_ms(), &self.buffers[which][..n])? == Room::Over,
        }
        Ok(self.streams.iter().any(Option::is_some))
    }
}

async fn read(stream: &mut Option<Stream>, buffer: &mut [u8]) -> Option<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await.ok(),
        None => std::future::pending().await,
    }
}

/// Starts the job and stands by it; says how it ended, and what is left to do once that is reported. Only what prevents any
/// report is an error.
pub(super) async fn run<J: EngineJob>(
    launch: &JobLaunch,
    start: impl AsyncFnOnce(&JobLaunch) -> Result<Started<J>, EngineError>,
) -> Result<(ExitReport, Afterwards), String> {
    let text = |e: std::io::Error| e.to_string();
    let mut stop = signal(SignalKind::terminate()).map_err(text)?;
    let mut ear = Ear::open(launch).map_err(text)?;
    let launch = &JobLaunch { limits: ear.limits.clone(), ..launch.clone() };
    let log = Log::open(&launch.job_dir.join(OUTPUT), launch.limits.output_bytes).map_err(text)?;
    // Before the job can write: what it manages to write while it is being started counts, too.
    let before = occupied(&launch.work_dir());
    let Started { stdout, stderr, mut job } = match start(launch).await {
        Ok(started) => started,
        Err(e) => return Ok((report(not_started(e), Usage::default(), log.len()), nothing())),
    };
    let began = Instant::now();
    let note = StartedNote { started_ms: wall_ms(), clocks: Some(Clocks::now()), meter: job.meter() };
    write_json(&launch.job_dir.join(STARTED), &note).map_err(text)?;
    // The thread starts only now: an engine may fork, and a process with threads must not.
    let holders = job.roster().map_or(Holders::Below, Holders::Listed);
    let watchdog = Watchdog::start(launch.work_dir(), before, launch.limits.disk_bytes, holders);
    let (mut watchdog, mut disk) = watchdog.map_err(text)?;
    let mut copier = Copier::new(stdout, stderr, log);

    let mut over_cap = pin!(sleep_until(began));
    let (mut open, mut held) = (true, false);
    let natural = loop {
        let deadline = began + Duration::from_secs(ear.limits.timeout_s);
        let happened = {
            let mut wait = pin!(job.wait());
            loop {
                tokio::select! {
                    more = copier.step(), if open => match more {
                        Ok(more) => open = more,
                        Err(e) => break Some(Err(Reason::Disk(format!("the worker cannot keep the output: {e}")))),
                    },
                    ended = &mut wait => break Some(Ok(ended)),
                    () = sleep_until(deadline) => break Some(Err(Reason::Deadline)),
                    _ = stop.recv() => break Some(Err(Reason::Stop)),
                    () = ear.ordered() => break None,
                    reason = bark(&mut disk) => break Some(Err(Reason::Disk(reason))),
                    () = &mut over_cap, if held => break Some(Err(Reason::Output)),
                }
                if copier.over && !held {
                    held = true;
                    over_cap.as_mut().reset(Instant::now() + OVER_CAP);
                }
            }
        };
        match happened {
            Some(natural) => break natural,
            None => ear.obey(&mut job).await,
        }
    };
    let launch = &JobLaunch { limits: ear.limits.clone(), ..launch.clone() };
    let (ended, reason) = match natural {
        Ok(ended) => (ended, None),
        Err(reason) => (end(&mut job, &mut copier).await, Some(reason)),
    };
    watchdog.stop();
    let wall_ms = began.elapsed().as_millis() as u64;
    // What was written before the end is still in the pipes.
    let mut reason = reason;
    if let Err(e) = drain(&mut copier).await {
        reason = reason.or(Some(Reason::Disk(format!("the worker cannot keep the output: {e}"))));
    }
    if copier.over {
        reason = reason.or(Some(Reason::Output));
    }
    let usage = match &ended {
        Ok(ended) => ended.usage,
        Err(_) => job.usage().await,
    };
    let afterwards = job.remove().await.unwrap_or_else(|e| {
        eprintln!("{}: {e}", launch.name());
        reason = reason.take().or(Some(Reason::Broken(e.to_string())));
        nothing()
    });
    let afterwards = Box::pin(async move {
        afterwards.await;
        drop(watchdog);
    });
    let outcome = outcome(reason, ended, launch);
    Ok((report(outcome, Usage { wall_ms, ..usage }, copier.log.len()), afterwards))
}

/// For when nothing is left to do.
fn nothing() -> Afterwards {
    Box::pin(std::future::ready(()))
}

/// Kills until the engine says that everything is gone.
async fn end<J: EngineJob>(job: &mut J, copier: &mut Copier) -> Result<Ended, EngineError> {
    let mut last = EngineError::Failed("the job does not die".into());
    for _ in 0..KILLS {
        if let Err(e) = job.kill().await {
            last = e;
        }
        let mut wait = pin!(job.wait());
        let again = Instant::now() + KILL_AGAIN;
        loop {
            tokio::select! {
                ended = &mut wait => return ended,
                () = sleep_until(again) => break,
                // Room in the pipe: an engine whose stream is full may not get round to the kill.
                more = copier.step() => if !more.unwrap_or(false) {
                    match timeout(KILL_AGAIN, &mut wait).await {
                        Ok(ended) => return ended,
                        Err(_) => break,
                    }
                },
            }
        }
    }
    Err(last)
}

/// Reads to the end of both streams, or to the cap.
async fn drain(copier: &mut Copier) -> std::io::Result<()> {
    let all = async {
        while !copier.over && copier.streams.iter().any(Option::is_some) {
            copier.step().await?;
        }
        Ok(())
    };
    timeout(LAST_WORDS, all).await.unwrap_or(Ok(()))
}

/// The watchdog's word; a watchdog that ended without one never speaks.
async fn bark(disk: &mut oneshot::Receiver<String>) -> String {
    if disk.is_terminated() {
        return std::future::pending().await;
    }
    match disk.await {
        Ok(reason) => reason,
        Err(_) => std::future::pending().await,
    }
}

fn report(outcome: Outcome, usage: Usage, output_bytes: u64) -> ExitReport {
    ExitReport { outcome, usage, output_bytes, ended_ms: wall_ms(), boot: boot_id() }
}

fn not_started(error: EngineError) -> Outcome {
    let kind = match &error {
        EngineError::Spawn(_) => FailKind::Spawn,
        EngineError::DiskFull(_) => FailKind::DiskLimit,
        EngineError::NotReady(_) | EngineError::NoEnvironment(_) | EngineError::Failed(_) => FailKind::Engine,
    };
    Outcome::failed(kind, error.to_string())
}

/// The supervisor's own reason stands before whatever the killed program left as its end.
fn outcome(reason: Option<Reason>, ended: Result<Ended, EngineError>, launch: &JobLaunch) -> Outcome {
    /// What a shell says of a child that SIGKILL ended.
    const KILLED_CHILD: i32 = 128 + libc::SIGKILL;
    /// And of one that wrote past RLIMIT_FSIZE.
    const FILE_TOO_LARGE: i32 = 128 + libc::SIGXFSZ;
    let limits = &launch.limits;
    match (reason, ended) {
        (Some(Reason::Deadline), _) => Outcome::TimedOut,
        (Some(Reason::Stop), _) => Outcome::Cancelled { by: "you".into() },
        (Some(Reason::Disk(why)), _) => Outcome::failed(FailKind::DiskLimit, why),
        (Some(Reason::Output), _) => Outcome::failed(
            FailKind::OutputLimit,
            format!(
                "more than {} of output; all up to there was kept. Let the job write to a file, or print less",
                format_bytes(limits.output_bytes)
            ),
        ),
        (Some(Reason::Broken(why)), Err(e)) => Outcome::failed(FailKind::Engine, format!("{e}; {why}")),
        (Some(Reason::Broken(why)), Ok(_)) => Outcome::failed(FailKind::Engine, why),
        // An engine with an init program learns only from its words that the job's could not be started.
        (None, Err(e)) => not_started(e),
        (None, Ok(Ended { end, out_of_memory, .. })) => match end {
            End::Signaled(libc::SIGKILL) | End::Exited(KILLED_CHILD) if out_of_memory => Outcome::failed(
                FailKind::OutOfMemory,
                format!("the job needed more than its {} of memory", format_bytes(limits.memory_bytes)),
            ),
            End::Signaled(libc::SIGXFSZ) | End::Exited(FILE_TOO_LARGE) => Outcome::failed(
                FailKind::DiskLimit,
                format!("a file of the job grew over its disk limit of {}", format_bytes(limits.disk_bytes)),
            ),
            End::Exited(code) => Outcome::Exited { code },
            End::Signaled(signal) => Outcome::Signaled { signal },
        },
    }
}
