//! The engine under test, and a job in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use homie::model::{EngineKind, Epoch, JobId, Limits};
use homie::sandbox::engine::docker::base::{BaseOrder, Recipe, build};
use homie::sandbox::engine::docker::warm::Kind;
use homie::sandbox::engine::docker::{DockerEngine, DockerJob, Surroundings};
use homie::sandbox::engine::{Ended, Engine, EngineError, EngineJob, JobLaunch, Started};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

/// Nobody: whom jobs run as when homied is root.
pub(crate) const NOBODY: u32 = 65534;

/// The engine that the tests share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) engine: DockerEngine,
    pub(crate) socket: PathBuf,
    pub(crate) image: String,
}

/// The shared engine, with environment `base`; `None` (said aloud) where there is none and it is not CI.
pub(crate) async fn shared() -> Option<Shared> {
    static SHARED: OnceCell<Result<Shared, String>> = OnceCell::const_new();
    let found = SHARED.get_or_init(async || {
        let socket = match answering_socket() {
            Some(socket) => socket,
            None => {
                let own = OwnDocker::start("shared")?;
                let socket = own.socket.clone();
                // Ends with this process: see `OwnDocker`.
                std::mem::forget(own);
                socket
            }
        };
        with_base(&socket).await
    });
    match found.await {
        Ok(shared) => Some(shared.clone()),
        Err(why) => {
            absent(why);
            None
        }
    }
}

/// The engine's API without any of homie's doing.
pub(crate) async fn client(shared: &Shared) -> bollard::Docker {
    let socket = shared.socket.to_string_lossy();
    let docker = bollard::Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION).expect("connected");
    docker.negotiate_version().await.expect("a version")
}

/// Whether it is Podman's imitation of the API.
pub(crate) async fn is_podman(shared: &Shared) -> bool {
    let version = client(shared).await.version().await.expect("version");
    version.components.is_some_and(|c| c.iter().any(|c| c.name.contains("Podman")))
}

/// Says why a test cannot run, and fails it in CI.
pub(crate) fn absent(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs a container engine: {why}");
    eprintln!("not run: {why}");
}

/// An engine that is there already: `DOCKER_HOST`, or one of the usual places that answers.
fn answering_socket() -> Option<PathBuf> {
    let chosen = std::env::var("DOCKER_HOST").ok().and_then(|h| h.strip_prefix("unix://").map(PathBuf::from));
    let places = chosen.into_iter().chain(["/var/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from));
    places.into_iter().find(|socket| UnixStream::connect(socket).is_ok())
}

/// The engine at `socket` with its base image built, from a cached tarball where there is one.
pub(crate) async fn with_base(socket: &Path) -> Result<Shared, String> {
    let host = format!("unix://{}", socket.display());
    let engine = DockerEngine::new(Surroundings { docker_host: Some(host), ..Surroundings::of_this_process() });
    let cache = std::env::var_os("HOMIE_TEST_CACHE").map_or_else(|| PathBuf::from("/var/cache/homie"), PathBuf::from);
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let mirror = std::env::var("HOMIE_TEST_MIRROR").ok();
    let order = BaseOrder { recipe: Recipe::for_machine(&os_release), mirror, cache, again: false };
    let image = build(&engine, &order, |line| eprintln!("base: {line}")).await.map_err(|e| e.to_string())?;
    Ok(Shared { engine, socket: socket.to_path_buf(), image })
}

/// A dockerd of the tests' own, out of the way of any other: own socket, state and no bridge.
///
/// It lives as long as the pipe to its keeper, so that not even a killed test process leaves it behind.
#[derive(Debug)]
pub(crate) struct OwnDocker {
    pub(crate) socket: PathBuf,
    dir: PathBuf,
    keeper: Child,
}

impl OwnDocker {
    /// Starts one and waits until it answers.
    pub(crate) fn start(name: &str) -> Result<Self, String> {
        Self::start_with(name, "")
    }

    /// With one more option.
    pub(crate) fn start_with(name: &str, option: &str) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("no engine answers, and only root can start one".to_owned());
        }
        // Short, because a socket's path may have 107 bytes.
        let dir = PathBuf::from(format!("/tmp/homie-docker-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let keeper = Command::new("sh")
            .arg("-c")
            .arg(
                // A line kills the daemon and starts another one; its containerd dies with it and, as nobody's child, may
                // stay a zombie, which the next daemon would take for alive.
                // Shims outlive a daemon that was killed; their command lines name its directory.
                "cd \"$1\" && daemon() { dockerd --host unix://$1/docker.sock --data-root $1/data --exec-root $1/exec \
                 --pidfile $1/pid --bridge=none --iptables=false $2 >>$1/log 2>&1 & child=$!; }; daemon \"$@\"; \
                 while read -r _; do kill -9 $child; wait $child; rm -f $1/docker.sock $1/pid $1/exec/containerd/*.pid; daemon \"$@\"; done; \
                 kill $child; wait $child; \
                 for p in /proc/[0-9]*; do grep -qs \"$1/exec\" $p/cmdline && kill -9 ${p#/proc/}; done; \
                 cd /; umount -R $1/data $1/exec; rm -rf $1",
            )
            .args(["sh", &dir.to_string_lossy(), option])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("sh: {e}"))?;
        let own = Self { socket: dir.join("docker.sock"), dir, keeper };
        own.answers()?;
        Ok(own)
    }

    /// SIGKILL to the daemon, and another one in its place.
    pub(crate) fn kill_and_restart(&mut self) -> Result<(), String> {
        let before = self.pid();
        let keeper = self.keeper.stdin.as_mut().ok_or("no keeper")?;
        keeper.write_all(b"\n").map_err(|e| e.to_string())?;
        let patience = Instant::now() + Duration::from_secs(60);
        let another = || std::fs::read_to_string(self.dir.join("pid")).is_ok_and(|p| p.trim() != before.to_string());
        while !another() {
            if Instant::now() > patience {
                return Err("the daemon does not come back".to_owned());
            }
            // A poll of the condition itself.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(Duration::from_millis(50));
        }
        self.answers()
    }

    fn answers(&self) -> Result<(), String> {
        let own = self;
        let patience = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(&own.socket).is_err() {
            if Instant::now() > patience {
                let log = std::fs::read_to_string(own.dir.join("log")).unwrap_or_default();
                return Err(format!("no engine answers, and a dockerd of our own does not start: {log}"));
            }
            // A poll of the condition itself: dockerd has no way to say that its socket answers.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The process of the daemon itself.
    pub(crate) fn pid(&self) -> i32 {
        std::fs::read_to_string(self.dir.join("pid")).expect("pid file").trim().parse().expect("a number")
    }
}

impl Drop for OwnDocker {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A job's directory and launch, ready to be changed by a test.
#[derive(Debug)]
pub(crate) struct TestJob {
    pub(crate) dir: TempDir,
    pub(crate) launch: JobLaunch,
}

impl TestJob {
    /// Runs `command` in `image` with limits small enough to be felt.
    pub(crate) fn new(shared: &Shared, command: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut id = [0; 16];
        id[..4].copy_from_slice(&std::process::id().to_be_bytes());
        id[4..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let dir = tempfile::Builder::new().prefix("homie-docker-job-").tempdir().expect("tempdir");
        let work = dir.path().join("work");
        std::fs::create_dir(&work).expect("work");
        // An ordinary user gives jobs his own uid, as homied does.
        let (uid, gid) = match nix::unistd::geteuid().is_root() {
            true => (NOBODY, NOBODY),
            false => (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
        };
        std::os::unix::fs::chown(&work, Some(uid), Some(gid)).expect("chown");
        let launch = JobLaunch {
            job: JobId(id),
            epoch: Epoch(1),
            node: format!("TEST-NODE-{}", std::process::id()),
            job_dir: dir.path().into(),
            command: command.iter().map(|&s| s.to_owned()).collect(),
            vars: BTreeMap::new(),
            env: "base".to_owned(),
            limits: Limits {
                cpu_millis: 1000,
                memory_bytes: 256 << 20,
                timeout_s: 60,
                pids: 64,
                disk_bytes: 64 << 20,
                output_bytes: 256 << 20,
                tmp_bytes: 16 << 20,
                gpus: None,
            },
            uid,
            gid,
            gpus: vec![],
            engine: EngineKind::Docker,
            image: Some(shared.image.clone()),
            tree: None,
            warm: None,
        };
        Self { dir, launch }
    }

    /// A Python program.
    pub(crate) fn python(shared: &Shared, program: &str) -> Self {
        Self::new(shared, &["python3", "-c", program])
    }

    /// A file in the job's directory, as an input would be.
    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join("work").join(name);
        std::fs::write(&path, text).expect("input");
        std::os::unix::fs::chown(&path, Some(self.launch.uid), Some(self.launch.gid)).expect("chown");
        self
    }

    /// What the job left in a file of its directory.
    pub(crate) fn result(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join("work").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Gives it a container that was started ahead, the way homied does: the directories change hands.
    pub(crate) async fn ahead(&mut self, shared: &Shared) {
        let kind = Kind::of(&self.launch).expect("a kind");
        let id = self.launch.name();
        let place = self.dir.path().with_extension("ahead");
        let engine = &shared.engine;
        let warm = engine.start_ahead(&self.launch.node, &id, &place, &kind, 300).await.expect("started ahead");
        let work = self.launch.work_dir();
        for file in std::fs::read_dir(&work).expect("work").flatten() {
            std::fs::rename(file.path(), place.join("work").join(file.file_name())).expect("moved");
        }
        std::fs::remove_dir(&work).expect("empty");
        for name in ["work", "ctl"] {
            std::fs::rename(place.join(name), self.dir.path().join(name)).expect("moved");
        }
        std::fs::remove_dir(&place).expect("empty");
        self.launch.warm = Some(warm);
    }

    /// Runs it to its end in a container that is started `how`.
    pub(crate) async fn run_as(mut self, shared: &Shared, how: How) -> (Finished, Self) {
        let container = match how {
            How::Cold => None,
            How::Ahead => {
                self.ahead(shared).await;
                self.launch.warm.as_ref().map(|warm| warm.container.clone())
            }
        };
        let started = shared.engine.start(&self.launch).await.unwrap_or_else(|e| panic!("not started: {e}"));
        // The fallback would hide a container that is no good.
        if let Some(container) = container {
            client(shared).await.inspect_container(&container, None).await.expect("it is the one that waited");
        }
        (finish(started).await, self)
    }

    /// Runs it to its end, as a supervisor does.
    pub(crate) async fn run(&self, shared: &Shared) -> Finished {
        let started = shared.engine.start(&self.launch).await.unwrap_or_else(|e| panic!("not started: {e}"));
        finish(started).await
    }
}

/// When a container is started: once its job is known, or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Cold,
    Ahead,
}

/// Both ways.
pub(crate) const HOWS: [How; 2] = [How::Cold, How::Ahead];

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) ended: Result<Ended, EngineError>,
}

/// Reads both streams to their ends, waits and removes.
pub(crate) async fn finish(started: Started<DockerJob>) -> Finished {
    let Started { mut stdout, mut stderr, mut job } = started;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = async {
        let (a, b, ended) =
            tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err), async { job.wait().await });
        a.expect("stdout");
        b.expect("stderr");
        ended
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), all).await.expect("the job ends");
    job.remove().await.expect("removed").await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { stdout: text(out), stderr: text(err), ended }
}
