//! One run of a tool in the jail of a build: as a job under a supervisor, with the egress proxy as its only road.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::interval;

use super::failure;
use super::lines::Lines;
use super::{Host, internal};
use crate::model::{BuildFailure, EngineKind, Epoch, FailedBuild, JobId, Limits};
use crate::pipe::{LogState, OutputLog};
use crate::sandbox::engine::{JobLaunch, native};
use crate::sandbox::envs::builder::ProgressSink;
use crate::sandbox::envs::proxy::{Egress, Proxy};
use crate::sandbox::follow::{Followed, Orders, follow, supervise};
use crate::sandbox::life::blocking;
use crate::sandbox::lookout::Eyes;
use crate::sandbox::supervisor::{EXIT, LAUNCH, OUTPUT, STARTED, SUPERVISOR, write_json};
use crate::wire::output::RecordReader;

/// The driver that runs inside.
const DRIVER: &str = include_str!("driver.py");
/// Its name there.
pub(super) const DRIVER_FILE: &str = "driver.py";
/// The socket of the proxy.
const SOCKET: &str = "egress.sock";
/// Output of a build that is kept; pip says a line a package, a compiler some thousands.
const OUTPUT_BYTES: u64 = 32 << 20;
/// How often the bytes that moved are told.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Bytes of output read at once.
const PIECE: usize = 64 << 10;

/// A directory of a build, with `work` inside, which the jail sees as `/work`.
#[derive(Debug)]
pub(super) struct Jail {
    /// The directory.
    pub(super) dir: PathBuf,
    /// With which engine.
    pub(super) engine: EngineKind,
    /// Of which image.
    pub(super) image: Option<String>,
}

/// What is run.
#[derive(Debug)]
pub(super) struct Errand {
    /// The argument vector.
    pub(super) command: Vec<String>,
    /// Variables.
    pub(super) vars: BTreeMap<String, String>,
    /// Bytes on disk, and seconds.
    pub(super) limits: (u64, u64),
    /// Where it may go, if anywhere.
    pub(super) egress: Option<Egress>,
}

impl Jail {
    /// What the jail sees as `/work`.
    pub(super) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// Makes the directory, with the driver and `files` in it, all belonging to the jail's user.
    pub(super) async fn prepare(&self, files: Vec<(&'static str, Vec<u8>)>) -> Result<(), BuildFailure> {
        let work = self.work();
        let made = blocking(move || make(&work, files).map_err(crate::sandbox::SandboxError::io("prepare", &work)));
        made.await.map_err(|e| internal(&e))
    }

    /// Runs `errand` to its end, telling `progress` of every line. The future may be dropped: the jail dies.
    pub(super) async fn run(
        &self,
        host: &Host,
        errand: Errand,
        lines: &mut Lines,
        progress: &ProgressSink,
    ) -> Result<(), BuildFailure> {
        let Begun { launch, proxy, eyes, mut child } = self.begin(host, errand)?;
        let pid = child.as_ref().and_then(Child::id);
        let (announce, log) = OutputLog::new(self.dir.join(OUTPUT), LogState::default());
        let (_orders, mut orders) = watch::channel(Orders::default());
        let mut cursor = log.cursor(0);
        let mut reader = RecordReader::default();
        let mut tick = interval(TELL_EVERY);
        let report = {
            let mut following = pin!(follow(&self.dir, eyes, &announce, &mut orders, &mut child, |_| ()));
            // Dropped first: while the child is not reaped, its number is not another's.
            let mut stop = StopOnDrop(pid);
            let followed = loop {
                tokio::select! {
                    followed = &mut following => break followed,
                    piece = cursor.next(PIECE) => match piece {
                        Ok(Some(piece)) => lines.take(&mut reader, &piece, progress),
                        _ => std::future::pending().await,
                    },
                    _ = tick.tick() => lines.moved(proxy.as_ref().map_or(0, Proxy::moved), progress),
                }
            };
            stop.0 = None;
            match followed.map_err(|e| internal(&e))? {
                Followed::Ended(report) => report,
                Followed::Vanished => {
                    return Err(BuildFailure::new(FailedBuild::Internal, "the supervisor of the build is gone"));
                }
            }
        };
        announce.done();
        while let Ok(Some(piece)) = cursor.next(PIECE).await {
            lines.take(&mut reader, &piece, progress);
        }
        lines.moved(proxy.as_ref().map_or(0, Proxy::moved), progress);
        let refused = proxy.as_ref().map(Proxy::refused).unwrap_or_default();
        failure::judge(&report.outcome, lines, &refused, &launch.limits)
    }

    /// Starts a job that others lean on and waits until it says that it is ready. Dropping what is returned ends it.
    pub(super) async fn stand(
        &self,
        host: &Host,
        errand: Errand,
        progress: &ProgressSink,
    ) -> Result<Standing, BuildFailure> {
        const LIMIT: Duration = Duration::from_secs(60);
        let Begun { launch, proxy, eyes, mut child } = self.begin(host, errand)?;
        let stop = StopOnDrop(child.as_ref().and_then(Child::id));
        let (announce, log) = OutputLog::new(self.dir.join(OUTPUT), LogState::default());
        let dir = self.dir.clone();
        let mut tasks = tokio::task::JoinSet::new();
        let (_orders, mut orders) = watch::channel(Orders::default());
        tasks.spawn(async move {
            let _held = _orders;
            let _ = follow(&dir, eyes, &announce, &mut orders, &mut child, |_| ()).await;
            announce.done();
        });
        let mut lines = Lines::default();
        let ready = async {
            let (mut cursor, mut reader) = (log.cursor(0), RecordReader::default());
            while let Ok(Some(piece)) = cursor.next(PIECE).await {
                lines.take(&mut reader, &piece, progress);
                if lines.last().is_some_and(|l| l.contains("ready")) {
                    return true;
                }
            }
            false
        };
        if tokio::time::timeout(LIMIT, ready).await == Ok(true) {
            return Ok(Standing { name: launch.name(), proxy, _stop: stop, _tasks: tasks });
        }
        Err(BuildFailure::new(FailedBuild::Internal, "the road for the steps of the image could not be opened"))
    }

    fn begin(&self, host: &Host, errand: Errand) -> Result<Begun, BuildFailure> {
        let io = |what: &'static str| move |e: std::io::Error| internal(&format!("cannot {what}: {e}"));
        let (uid, gid) = native::job_user();
        let (disk_bytes, timeout_s) = errand.limits;
        let launch = JobLaunch {
            job: JobId::random().map_err(|e| internal(&e))?,
            epoch: Epoch(1),
            node: host.node.clone(),
            job_dir: self.dir.clone(),
            command: errand.command,
            vars: errand.vars,
            env: "base".to_owned(),
            limits: Limits { disk_bytes, timeout_s, output_bytes: OUTPUT_BYTES, ..host.limits.clone() },
            uid,
            gid,
            gpus: vec![],
            engine: self.engine,
            image: self.image.clone(),
            tree: None,
            warm: None,
        };
        // What an earlier run in this directory left.
        for name in [OUTPUT, EXIT, STARTED, SUPERVISOR] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
        write_json(&self.dir.join(LAUNCH), &launch).map_err(io("write the order of a build"))?;
        let socket = self.work().join(SOCKET);
        let _ = std::fs::remove_file(&socket);
        let proxy = match errand.egress {
            Some(egress) => Some(Proxy::start(&socket, egress).map_err(io("open the road of a build"))?),
            None => None,
        };
        let eyes = host.lookout.open(&self.dir, (launch.job, launch.epoch)).map_err(|e| internal(&e))?;
        let child = supervise(&host.exe, &self.dir, host.docker_host.as_deref()).map_err(|e| internal(&e))?;
        if child.is_none() {
            return Err(internal(&format!("another build stands in {}", self.dir.display())));
        }
        Ok(Begun { launch, proxy, eyes, child })
    }
}

/// A supervisor that was just started.
struct Begun {
    launch: JobLaunch,
    proxy: Option<Proxy>,
    eyes: Eyes,
    child: Option<Child>,
}

/// A job that others lean on; dropping it ends it.
#[derive(Debug)]
pub(super) struct Standing {
    /// `JOB-EPOCH`.
    pub(super) name: String,
    proxy: Option<Proxy>,
    _stop: StopOnDrop,
    _tasks: tokio::task::JoinSet<()>,
}

impl Standing {
    /// See [`Proxy::refused`].
    pub(super) fn refused(&self) -> Vec<String> {
        self.proxy.as_ref().map(Proxy::refused).unwrap_or_default()
    }

    /// See [`Proxy::moved`].
    pub(super) fn moved(&self) -> u64 {
        self.proxy.as_ref().map_or(0, Proxy::moved)
    }
}

/// Tells a supervisor to end its job when nobody waits for it any more.
#[derive(Debug)]
struct StopOnDrop(Option<u32>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // One that is gone needs nothing.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

fn make(work: &Path, files: Vec<(&'static str, Vec<u8>)>) -> std::io::Result<()> {
    std::fs::create_dir_all(work)?;
    for (name, content) in files.into_iter().chain([(DRIVER_FILE, DRIVER.as_bytes().to_vec())]) {
        let path = work.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::write(&path, content)?,
        }
    }
    give(work)
}

/// Makes a directory belong to the jail's user, as far as that is another one.
pub(super) fn give(path: &Path) -> std::io::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let (uid, gid) = native::job_user();
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}
