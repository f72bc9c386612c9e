//! Whether this machine can carry the engine: by trying, in a process of its own (`homied __probe DIR`), because homied
//! has threads and must not fork.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cgroup::lacking;
use super::{NativeEngine, files, root};
use crate::model::{EngineKind, EngineOffer, Epoch, Isolation, JobId, Lack, Limits};
use crate::sandbox::engine::{End, Engine, EngineError, EngineJob, JobLaunch, Ready};

/// The word on homied's command line.
pub(in crate::sandbox) const WORD: &str = "__probe";
/// Jail and `true` take milliseconds; a machine that needs this long is in no state to take jobs.
const LIMIT: Duration = Duration::from_secs(20);

/// Said where the second fence is missing.
const NO_LANDLOCK: &str = "no Landlock (Linux 5.13, and `landlock` in the kernel's lsm= list): a job's files are fenced by \
                           its mount namespace alone";

/// What the probe prints.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    error: Option<String>,
    warnings: Vec<String>,
    lacks: Vec<Lack>,
}

/// Tries the engine below `jobs_dir`.
pub(super) async fn ask(exe: &Path, jobs_dir: &Path) -> Result<Ready, EngineError> {
    let not_ready = |e: std::io::Error| EngineError::NotReady(format!("{}: {e}", exe.display()));
    let mut probe = tokio::process::Command::new(exe);
    // Not killed when nobody waits any more: it ends by itself, and takes its directory and control group along.
    probe.arg(WORD).arg(jobs_dir).stdin(Stdio::null()).stderr(Stdio::null());
    let output = tokio::time::timeout(LIMIT, probe.output())
        .await
        .map_err(|_| EngineError::NotReady("the native engine did not answer its probe in 20 s".into()))?
        .map_err(not_ready)?;
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|e| EngineError::NotReady(format!("the native engine's probe ended with {}: {e}", output.status)))?;
    match answer.error {
        Some(error) => Err(EngineError::NotReady(error)),
        None => Ok(Ready {
            offer: EngineOffer {
                kind: EngineKind::Native,
                isolation: Isolation::Namespace.without(&answer.lacks),
                envs: vec!["base".to_owned()],
                lacks: answer.lacks,
            },
            images: BTreeMap::new(),
            warnings: answer.warnings,
            // Nodes and libraries can be bound into any jail; without a driver the monitor sees no GPU to give.
            gpus: true,
        }),
    }
}

/// `homied __probe DIR`: runs `true` in a jail and prints what came of it.
pub(in crate::sandbox) fn main(jobs_dir: &Path) -> ExitCode {
    let answer = match attempt(jobs_dir) {
        Ok(mut warnings) => {
            let mut lacks: Vec<Lack> = warnings.iter().filter_map(|line| lacking(line)).collect();
            if !nix::unistd::geteuid().is_root() {
                lacks.push(Lack::OwnUser);
            }
            // The last thing this process does with files.
            if !files::kernel_has_it() {
                warnings.push(NO_LANDLOCK.to_owned());
                lacks.push(Lack::Landlock);
            }
            Answer { error: None, warnings, lacks }
        }
        Err(e) => Answer { error: Some(e.to_string()), warnings: vec![], lacks: vec![] },
    };
    match serde_json::to_string(&answer) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn attempt(jobs_dir: &Path) -> Result<Vec<String>, EngineError> {
    let failed = |e: std::io::Error| EngineError::Failed(format!("{}: {e}", jobs_dir.display()));
    let job_dir = jobs_dir.join(format!("probe-{}", std::process::id()));
    std::fs::create_dir_all(job_dir.join("work")).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let tried = runtime.block_on(run_true(&job_dir));
    std::fs::remove_dir_all(&job_dir).map_err(failed)?;
    tried
}

async fn run_true(job_dir: &Path) -> Result<Vec<String>, EngineError> {
    let (uid, gid) = super::job_user();
    let launch = JobLaunch {
        job: JobId::random().map_err(|e| EngineError::Failed(e.to_string()))?,
        epoch: Epoch(0),
        node: "probe".to_owned(),
        job_dir: job_dir.to_path_buf(),
        command: vec!["true".to_owned()],
        vars: BTreeMap::new(),
        env: "base".to_owned(),
        limits: Limits::default(),
        uid,
        gid,
        gpus: vec![],
        engine: EngineKind::Native,
        image: None,
        tree: None,
        warm: None,
    };
    let engine = NativeEngine::new("/proc/self/exe".into(), job_dir.to_path_buf());
    let mut started = engine.start(&launch).await?;
    let ended = started.job.wait().await?;
    let mut warnings: Vec<String> = started.job.missing_limits().to_vec();
    started.job.remove().await?.await;
    if ended.end != End::Exited(0) {
        return Err(EngineError::Failed(format!("`true` ended with {:?} in the jail", ended.end)));
    }
    if !root::has_program("python3") {
        warnings.push("no python3 in /usr/bin or /usr/local/bin: Python jobs cannot run here".to_owned());
    }
    Ok(warnings)
}
