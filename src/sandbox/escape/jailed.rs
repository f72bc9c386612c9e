//! The probes in jobs: each goes the way of all jobs, through a supervisor and an engine, and what it leaves through the
//! collector of results.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::free::{lives_on, planted_name, run_args};
use super::list::{Attempt, Inside, Kind, Probe, Verdict, find, parse_attempts, row};
use super::{Ground, Yard, bomb_limits};
use crate::model::{CleanPath, Digest, EngineKind, Epoch, FileEntry, JobId, Limits, Manifest, Outcome};
use crate::sandbox::engine::native::job_user;
use crate::sandbox::engine::{ExitReport, JobLaunch, job_name};
use crate::sandbox::error::SandboxError;
use crate::sandbox::follow::supervise;
use crate::sandbox::life::blocking;
use crate::sandbox::results::{self, Results};
use crate::sandbox::supervisor::{EXIT, LAUNCH, OUTPUT, read_json, write_json};
use crate::sandbox::workspace;
use crate::wire::doctor::{Evidence, ProbeRow};
use crate::wire::output::RecordReader;

/// Jobs at once: most of a bomb's time is waiting for the watchdog.
const AT_ONCE: usize = 4;
/// Beyond a job's own time limit: start, kill and removal by an engine on a busy machine.
const OVERTIME: Duration = Duration::from_secs(90);
/// A job past its deadline is gone within 2 s on a machine with nothing else to do. That it is gone at all is what is
/// proven here, so a busy one gets ten times that (milliseconds).
const DEADLINE_MS: u64 = 20_000;
/// The probe that nests directories.
const DEEP: &str = "deep-tree";
/// The deadline that the lingering probes get: ten times what they need to leave something behind.
const LINGER_S: u64 = 3;

/// One engine under test.
pub(super) struct Jail<'a> {
    pub(super) ground: &'a Ground,
    pub(super) yard: &'a Yard,
    pub(super) engine: EngineKind,
    pub(super) image: Option<String>,
}

/// A job that has ended. Its directory goes with it.
struct Ran {
    dir: PathBuf,
    report: ExitReport,
    output: Vec<u8>,
    inputs: Manifest,
    started: i128,
}

impl Jail<'_> {
    /// Runs every probe and sends its row.
    pub(super) async fn all(
        &self,
        probes: &[Probe],
        free: &[Attempt],
        rows: &mpsc::Sender<ProbeRow>,
    ) -> Result<(), SandboxError> {
        let out = Rows { engine: self.engine, free, rows };
        let of = |kind| -> Vec<Probe> { probes.iter().filter(|p| p.kind == kind).cloned().collect() };

        let tried = self.tries().await;
        for probe in of(Kind::Try) {
            let inside = match &tried {
                Ok(attempts) => said(attempts, &probe.name),
                Err(e) => Err(e.to_string()),
            };
            out.send(&probe, inside, None).await;
        }
        let bombs = of(Kind::Bomb).into_iter().map(|probe| async {
            let inside = self.bomb(&probe.name).await;
            (probe, inside)
        });
        let mut bombs = futures_util::stream::iter(bombs).buffered(AT_ONCE);
        while let Some((probe, inside)) = bombs.next().await {
            out.send(&probe, inside, None).await;
            if rows.is_closed() {
                return Ok(());
            }
        }
        // Alone, because their time counts.
        for probe in of(Kind::Linger) {
            out.send(&probe, self.linger(&probe.name).await, None).await;
        }
        let plants = [of(Kind::Plant), of(Kind::Print)].concat();
        match self.plant(probes).await {
            Ok(mut judged) => {
                for probe in plants {
                    let found = judged.remove(&probe.name).unwrap_or((Err("it said nothing inside".into()), None));
                    out.send(&probe, found.0, found.1).await;
                }
            }
            Err(e) => {
                for probe in plants {
                    out.send(&probe, Err(e.to_string()), None).await;
                }
            }
        }
        Ok(())
    }

    /// All plain attempts in one job.
    async fn tries(&self) -> Result<Vec<Attempt>, SandboxError> {
        let limits = Limits { memory_bytes: 512 << 20, timeout_s: 600, pids: 64, ..bomb_limits() };
        let ran = self.run(vec!["all".into()], limits).await?;
        let attempts = parse_attempts(&ran.output);
        match &ran.report.outcome {
            Outcome::Exited { code: 0 } => Ok(attempts),
            outcome => Err(SandboxError::Supervisor(format!("the job of the attempts ended otherwise: {outcome:?}"))),
        }
    }

    async fn bomb(&self, name: &str) -> Inside {
        let ran = self.run(vec!["run".into(), name.into()], bomb_limits()).await.map_err(|e| e.to_string())?;
        match (said(&parse_attempts(&ran.output), name), &ran.report.outcome) {
            (Ok(said), _) => Ok(said),
            (Err(_), Outcome::Failed { reason, message }) => match reason {
                crate::model::FailKind::OutOfMemory
                | crate::model::FailKind::DiskLimit
                | crate::model::FailKind::OutputLimit => Ok((Verdict::Held, format!("ended: {message}"))),
                _ => Err(format!("the job did not run: {message}")),
            },
            (Err(_), Outcome::Signaled { signal }) => Ok((Verdict::Held, format!("ended by signal {signal}"))),
            (Err(e), outcome) => Err(format!("{e}; the job ended as {outcome:?}")),
        }
    }

    async fn linger(&self, name: &str) -> Inside {
        let limits = Limits { timeout_s: LINGER_S, ..bomb_limits() };
        let ran = self.run(vec!["run".into(), name.into()], limits).await.map_err(|e| e.to_string())?;
        let beat = ran.dir.join("work/beat");
        if fs::metadata(&beat).map_or(0, |m| m.len()) == 0 {
            return Err("it left nothing behind inside".into());
        }
        let late = ran.report.usage.wall_ms.saturating_sub(LINGER_S * 1000);
        Ok(if lives_on(&beat).await {
            (Verdict::Reached, "something of it lives on".into())
        } else if let Outcome::Failed { message, .. } = &ran.report.outcome {
            (Verdict::Reached, message.clone())
        } else if late > DEADLINE_MS {
            (Verdict::Reached, format!("gone only {late} ms after its deadline"))
        } else {
            (Verdict::Held, format!("gone after {} ms", ran.report.usage.wall_ms))
        })
    }

    /// All that is left among the results or said to a terminal, in one job.
    async fn plant(&self, probes: &[Probe]) -> Result<BTreeMap<String, (Inside, Option<Evidence>)>, SandboxError> {
        let limits = Limits { memory_bytes: 256 << 20, ..bomb_limits() };
        let names = run_args(probes, &[Kind::Plant, Kind::Print]).into_iter().filter(|name| name != DEEP);
        let ran = self.run(names.collect(), limits.clone()).await?;
        let attempts = parse_attempts(&ran.output);
        let (work, inputs, started) = (ran.dir.join("work"), ran.inputs.clone(), ran.started);
        let results: Results = blocking(move || results::collect(&work, &inputs, started, limits.disk_bytes)).await?;
        let mut judged = BTreeMap::new();
        for attempt in attempts {
            let name = String::from_utf8_lossy(planted_name(&attempt.name)).into_owned();
            let taken = results.manifest.files().iter().any(|f| f.path.as_str().starts_with(&name));
            let evidence = match attempt.name.as_str() {
                "dot-file" if taken => Some(Evidence::NewFile(name.clone())),
                "replaced-input" if taken => Some(Evidence::SentFile(name.clone())),
                "terminal-escapes" => Some(Evidence::Output(ran.output.clone())),
                _ => None,
            };
            // What the client has to deal with has got past the worker.
            let verdict = if attempt.verdict == Verdict::Reached && (taken || evidence.is_some()) {
                Verdict::Reached
            } else {
                Verdict::Held
            };
            let skipped = results.skipped.iter().find(|line| line.starts_with(&name)).cloned();
            let note = match verdict {
                Verdict::Reached => "it is among the results".into(),
                _ if attempt.verdict == Verdict::Reached => skipped.unwrap_or_else(|| "not among the results".into()),
                _ => attempt.note,
            };
            judged.insert(attempt.name, (Ok((verdict, note)), evidence));
        }
        judged.insert(DEEP.to_owned(), (self.deep().await, None));
        Ok(judged)
    }

    /// In a job of its own, because the watchdog may end it.
    async fn deep(&self) -> Inside {
        let run = self.run(vec!["run".into(), DEEP.into()], bomb_limits()).await;
        let ran = run.map_err(|e| e.to_string())?;
        let dir = ran.dir.clone();
        match blocking(move || workspace::remove(&dir)).await {
            Err(e) => Ok((Verdict::Reached, format!("it stays for ever: {e}"))),
            Ok(()) => Ok((Verdict::Held, "removed with all that is in it".into())),
        }
    }

    /// One job from its directory to its end.
    async fn run(&self, args: Vec<String>, limits: Limits) -> Result<Ran, SandboxError> {
        let job = JobId::random().map_err(|e| SandboxError::Supervisor(e.to_string()))?;
        let dir = self.ground.jobs_dir.join(job_name(job, Epoch(0)));
        let (uid, gid) = job_user();
        let inputs = lay_out(&dir, &self.yard.program(), uid, gid).map_err(SandboxError::io("lay out", &dir))?;
        let patience = Duration::from_secs(limits.timeout_s) + OVERTIME;
        let launch = JobLaunch {
            job,
            epoch: Epoch(0),
            node: self.ground.node.clone(),
            job_dir: dir.clone(),
            command: std::iter::once("/work/escape".to_owned()).chain(args).collect(),
            vars: self.yard.vars(&limits, true),
            env: "base".to_owned(),
            limits,
            uid,
            gid,
            gpus: vec![],
            engine: self.engine,
            image: self.image.clone(),
            tree: None,
            warm: None,
        };
        write_json(&dir.join(LAUNCH), &launch).map_err(SandboxError::io("write", &dir))?;
        let started = results::change_time(&dir.join(LAUNCH))?;
        let gone = |what: &str| SandboxError::Supervisor(format!("the supervisor of a probe {what}"));
        let child = supervise(&self.ground.exe, &dir, self.ground.docker_host.as_deref())?;
        let mut child = child.ok_or_else(|| gone("was there already"))?;
        let ended = tokio::time::timeout(patience, child.wait()).await.map_err(|_| gone("does not end"))?;
        ended.map_err(SandboxError::io("wait for the supervisor of", &dir))?;
        let report: ExitReport = read_json(&dir.join(EXIT)).map_err(|e| gone(&format!("left no report: {e}")))?;
        let output = written(&dir.join(OUTPUT))?;
        Ok(Ran { dir, report, output, inputs, started })
    }
}

/// Where rows go.
struct Rows<'a> {
    engine: EngineKind,
    free: &'a [Attempt],
    rows: &'a mpsc::Sender<ProbeRow>,
}

impl Rows<'_> {
    async fn send(&self, probe: &Probe, inside: Inside, evidence: Option<Evidence>) {
        let row = ProbeRow { evidence, ..row(self.engine, probe, find(self.free, &probe.name), inside) };
        // Nobody listens any more: the caller looks.
        let _ = self.rows.send(row).await;
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        // What could not be removed was said where it counts.
        let _ = workspace::remove(&self.dir);
    }
}

/// What a probe said of itself.
fn said(attempts: &[Attempt], name: &str) -> Inside {
    let attempt = find(attempts, name).ok_or("it said nothing inside")?;
    Ok((attempt.verdict, attempt.note.clone()))
}

/// A job's directory with the program and one input.
fn lay_out(dir: &Path, program: &Path, uid: u32, gid: u32) -> std::io::Result<Manifest> {
    let work = dir.join("work");
    DirBuilder::new().mode(0o700).create(dir)?;
    DirBuilder::new().mode(0o755).create(&work)?;
    let mut entries = vec![];
    for (name, exec) in [("escape", true), ("planted-input", false)] {
        let path = work.join(name);
        match exec {
            true => drop(fs::copy(program, &path)?),
            false => fs::write(&path, "input\n")?,
        }
        chown(&path, Some(uid), Some(gid))?;
        let bytes = fs::read(&path)?;
        let path = CleanPath::new(name).map_err(std::io::Error::other)?;
        entries.push(FileEntry {
            path,
            size: bytes.len() as u64,
            exec,
            hash: Digest::of(&bytes),
            chunks: vec![],
            lengths: vec![],
        });
    }
    chown(&work, Some(uid), Some(gid))?;
    Manifest::new(entries).map_err(std::io::Error::other)
}

/// The data of an output log.
fn written(path: &Path) -> Result<Vec<u8>, SandboxError> {
    let mut reader = RecordReader::default();
    reader.push(&fs::read(path).map_err(SandboxError::io("read", path))?);
    let mut data = vec![];
    while let Ok(Some(record)) = reader.next_record() {
        data.extend_from_slice(&record.data);
    }
    Ok(data)
}
