//! What both ways to start a job share: to see that a container is what was asked for, to reach its init, and to hand the
//! job over.

use std::path::Path;

use bollard::models::ContainerInspectResponse;

use super::cgroup::Cgroup;
use super::compare::differences;
use super::connect::Client;
use super::error::{asked, spawn_problem};
use super::init::{Line, NoAnswer, Order};
use super::seccomp;
use super::template::{self, Flavour, Shape};
use crate::sandbox::engine::{EngineError, INSIDE_WORK, JobLaunch};

/// Opens the pipes to the init of the container whose files are in `ctl`.
pub(super) fn open_line(ctl: &Path) -> Result<Line, EngineError> {
    Line::open(ctl).map_err(|e| EngineError::Failed(format!("{}: {e}", ctl.display())))
}

/// What the template must know of this engine.
pub(super) fn flavour(client: &Client, ctl: &Path) -> Flavour {
    let podman = client.found.pong.podman;
    // Docker takes the profile itself; Podman takes the name of a file.
    let seccomp = match podman {
        true => seccomp_file(ctl).to_string_lossy().into_owned(),
        false => seccomp::profile().to_string(),
    };
    Flavour { podman, rootless: client.found.rootless, seccomp }
}

fn seccomp_file(ctl: &Path) -> std::path::PathBuf {
    ctl.join("seccomp.json")
}

/// Writes the profile where [`flavour`] says it is.
pub(super) fn write_seccomp(client: &Client, ctl: &Path) -> std::io::Result<()> {
    match client.found.pong.podman {
        true => std::fs::write(seccomp_file(ctl), seccomp::profile().to_string()),
        false => Ok(()),
    }
}

/// Calls the init of a container that was started, and compares the container with its template meanwhile.
pub(super) async fn enter(
    client: &Client,
    id: &str,
    name: &str,
    shape: &Shape,
    flavour: &Flavour,
    line: &mut Line,
    ctl: &Path,
) -> Result<Option<Cgroup>, EngineError> {
    let (called, there) = tokio::join!(line.call(ctl), compared(client, id, name, shape, flavour));
    let there = there?;
    called.map_err(unreachable)?;
    Ok(init_of(&there).and_then(|init| Cgroup::of(init, id)))
}

/// What the engine says of a container that was started; an error when that is not what the template asked for.
pub(super) async fn compared(
    client: &Client,
    id: &str,
    name: &str,
    shape: &Shape,
    flavour: &Flavour,
) -> Result<ContainerInspectResponse, EngineError> {
    let there = client.docker.inspect_container(id, None).await.map_err(|e| asked("inspect the container", &e))?;
    let different = differences(&there, name, &template::container(shape, flavour), flavour);
    if !different.is_empty() {
        return Err(EngineError::Failed(format!(
            "the container is not what was asked for, so no job is put into it: {}",
            different.join("; ")
        )));
    }
    Ok(there)
}

/// As an error of the engine.
pub(super) fn unreachable(e: NoAnswer) -> EngineError {
    match e {
        NoAnswer::Silent(why) => EngineError::Failed(format!("the container's init cannot be reached: {why}")),
        NoAnswer::Refused(errno) => EngineError::Failed(format!("the container's init failed with error {errno}")),
    }
}

/// The first process of a container that runs.
pub(super) fn init_of(there: &ContainerInspectResponse) -> Option<i32> {
    i32::try_from(there.state.as_ref()?.pid?).ok().filter(|pid| *pid > 0)
}

/// A program that runs in its container.
pub(super) struct Running {
    pub(super) line: Line,
    pub(super) cgroup: Option<Cgroup>,
    /// Processor time that was used before.
    pub(super) before: u64,
}

/// Makes the job's program run in a container whose init waits.
pub(super) async fn hand_over(
    launch: &JobLaunch,
    cgroup: Option<Cgroup>,
    mut line: Line,
) -> Result<Running, EngineError> {
    // What the engine needed for the start is not the job's doing.
    let before = cgroup.as_ref().map(|cgroup| cgroup.meter.group_cpu_ms()).unwrap_or_default();
    let order = Order {
        dir: INSIDE_WORK.into(),
        command: launch.command.iter().map(|word| word.clone().into_bytes()).collect(),
        vars: launch.environment().into_iter().map(|(k, v)| (k.into_bytes(), v.into_bytes())).collect(),
    };
    line.give(&order).await.map_err(|e| match e {
        NoAnswer::Refused(errno) => {
            spawn_problem(launch.command.first().map_or("", String::as_str), &launch.env, errno)
        }
        NoAnswer::Silent(why) => EngineError::Failed(format!("the container's init did not start the job: {why}")),
    })?;
    Ok(Running { line, cgroup, before })
}
