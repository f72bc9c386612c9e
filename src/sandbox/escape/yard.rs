//! The yard: what an escaped job could reach, planted for the time of a suite. The owner's file, another job's, and a process
//! with sockets, memory and descriptors worth having.
//!
//! It lies where everybody may look, so that nothing but the jail stands between it and a job.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::model::{JobId, Limits};
use crate::sandbox::engine::native::job_user;
use crate::sandbox::error::SandboxError;
use crate::sandbox::workspace;

/// The program of probes, as build.rs made it.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/escape"));
/// The canary prints a dozen lines and is ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// The planted canaries. Dropped, they go.
#[derive(Debug)]
pub struct Yard {
    /// Beside the job directories, on their disk: canaries that are found by number or hard link.
    near: PathBuf,
    /// In the machine's temporary directory, open to all.
    open: PathBuf,
    vars: BTreeMap<String, String>,
    canary: Child,
}

impl Yard {
    /// Plants the canaries; some of them below `jobs_dir`, on the disk of the jobs.
    ///
    /// # Errors
    /// Something cannot be planted.
    pub async fn plant(jobs_dir: &Path) -> Result<Self, SandboxError> {
        let id = JobId::random().map_err(|e| SandboxError::Supervisor(e.to_string()))?;
        let token = format!("homie-token-{id}");
        // An orphan of this name is removed at the next start, as one of a probe that was killed.
        let near = jobs_dir.join(format!("probe-{}", id.short()));
        let open = std::env::temp_dir().join(format!("homie-probe-{id}"));
        let plant = || -> std::io::Result<()> {
            for dir in [&near, &open] {
                // `create` alone: a directory that somebody else made there first is not ours to use.
                DirBuilder::new().mode(0o755).create(dir)?;
                fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
            }
            for dir in ["free", "free/work"] {
                fs::create_dir(near.join(dir))?;
            }
            for file in [near.join("near"), near.join("free/output"), near.join("free/launch.json")] {
                put(&file, token.as_bytes(), 0o644)?;
            }
            for file in ["canary", "secret-of-another-job"] {
                put(&open.join(file), token.as_bytes(), 0o666)?;
            }
            put(&near.join("free/work/planted-input"), b"input\n", 0o644)?;
            put(&near.join("escape"), PROGRAM, 0o755)?;
            put(&open.join("escape"), PROGRAM, 0o755)
        };
        plant().map_err(SandboxError::io("plant a canary in", &near))?;
        let canary = keep(&open, &token);
        let (canary, mut vars) = match tokio::time::timeout(READY_LIMIT, canary).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(e)) => return Err(SandboxError::io("start the canary of", &open)(e)),
            Err(_) => return Err(SandboxError::Supervisor("the canary was not ready in 20 s".into())),
        };
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        vars.extend([
            ("CANARY_TOKEN".into(), token),
            ("CANARY_FILE".into(), path(open.join("canary"))),
            ("CANARY_OTHER".into(), path(open.join("secret-of-another-job"))),
            ("CANARY_NEAR".into(), path(near.join("near"))),
            ("CANARY_JOB".into(), path(near.join("free"))),
        ]);
        let mut yard = Self { near, open, vars, canary };
        let near = yard.vars["CANARY_NEAR"].clone();
        // A file system without handles gives none, and then there is nothing to try.
        let handle = yard.free(&["handle".to_owned(), near], &BTreeMap::new(), Duration::from_secs(20)).await?;
        yard.vars.insert("CANARY_HANDLE".into(), String::from_utf8_lossy(&handle).trim().to_owned());
        Ok(yard)
    }

    /// The settings by which probes find the canaries and know their limits.
    pub fn vars(&self, limits: &Limits, jailed: bool) -> BTreeMap<String, String> {
        let mut vars = self.vars.clone();
        let files = crate::sandbox::supervisor::max_files(limits.disk_bytes);
        vars.extend(
            [
                ("CANARY_PIDS", u64::from(limits.pids)),
                ("CANARY_MEMORY", limits.memory_bytes),
                ("CANARY_DISK", limits.disk_bytes),
                ("CANARY_FILES", files),
                ("CANARY_TMPFS", limits.tmp_bytes),
                ("CANARY_OUTPUT", limits.output_bytes),
                // What both engines give.
                ("CANARY_OPEN", 1024),
                ("CANARY_UID", u64::from(nix::unistd::Uid::effective().as_raw())),
                ("CANARY_JAILED", u64::from(jailed)),
                // The watchdogs look once a second; outside nobody does.
                ("CANARY_GRACE_S", if jailed { 30 } else { 0 }),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_string())),
        );
        vars
    }

    /// The program of probes.
    pub fn program(&self) -> PathBuf {
        self.near.join("escape")
    }

    /// Where probes run without a jail: as in a job's directory, with the supervisor's files beside it.
    pub(super) fn free_work(&self) -> PathBuf {
        self.near.join("free/work")
    }

    fn command(&self, args: &[String], vars: &BTreeMap<String, String>) -> std::io::Result<Command> {
        let mut command = Command::new(self.program());
        // A directory left open is one of the canaries.
        command.args(args).current_dir(self.free_work()).env_clear().envs(vars).stdin(File::open(&self.open)?);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Runs the program without a jail and gives what it wrote.
    ///
    /// # Errors
    /// It cannot be run, or does not end.
    pub(super) async fn free(
        &self,
        args: &[String],
        vars: &BTreeMap<String, String>,
        limit: Duration,
    ) -> Result<Vec<u8>, SandboxError> {
        let program = self.program();
        let io = || SandboxError::io("run", &program);
        let output = self.command(args, vars).map_err(io())?.output();
        match tokio::time::timeout(limit, output).await {
            Ok(output) => Ok(output.map_err(io())?.stdout),
            Err(_) => Err(SandboxError::Supervisor(format!("{args:?} did not end without a jail"))),
        }
    }

    /// Starts the program without a jail, to be killed.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn free_to_kill(&self, probe: &str, vars: &BTreeMap<String, String>) -> Result<Child, SandboxError> {
        let program = self.program();
        let command = self.command(&["run".to_owned(), probe.to_owned()], vars);
        command.and_then(|mut c| c.spawn()).map_err(SandboxError::io("run", &program))
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // The end of its input is its order to clean up; what it does not manage is killed with it.
        drop(self.canary.stdin.take());
        for dir in [&self.near, &self.open] {
            if let Err(error) = workspace::remove(dir) {
                tracing::warn!(%error, "a canary stays");
            }
        }
    }
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    // Whatever the umask says.
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Starts the canary, as the user that jobs run as: nothing but the jail shall protect it.
async fn keep(open: &Path, token: &str) -> std::io::Result<(Child, BTreeMap<String, String>)> {
    let mut command = Command::new(open.join("escape"));
    command.arg("canary").current_dir(open).env_clear().env("CANARY_TOKEN", token).env("CANARY_KEEPER", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let (uid, gid) = job_user();
    if nix::unistd::Uid::effective().is_root() {
        command.uid(uid).gid(gid);
    }
    let mut child = command.spawn()?;
    let mut vars = BTreeMap::new();
    let Some(stdout) = child.stdout.take() else { return Err(std::io::Error::other("no output")) };
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        match line.split_once('=') {
            Some((name, value)) => drop(vars.insert(name.to_owned(), value.to_owned())),
            None if line == "ready" => return Ok((child, vars)),
            None => {}
        }
    }
    Err(std::io::Error::other("it ended before it was ready"))
}
