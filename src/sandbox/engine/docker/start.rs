//! The start of a job: in the container that waits for it, or in a new one.

use std::io::ErrorKind;
use std::path::Path;

use tokio::time::sleep;

use super::cgroup::Cgroup;
use super::cold;
use super::connect::{Client, connect};
use super::enter::{Running, enter, flavour, hand_over, open_line, unreachable};
use super::find::Surroundings;
use super::init::Line;
use super::run::{DockerJob, follow, remove_container};
use super::template;
use super::{image_of, warm};
use crate::sandbox::engine::{EngineError, JobLaunch, Started, Warm};

/// Starts `launch`; see [`crate::sandbox::engine::Engine::start`].
///
/// A container that waits for this very job is given it before the engine is found: it need not be asked.
pub(super) async fn start(env: &Surroundings, launch: &JobLaunch) -> Result<Started<DockerJob>, EngineError> {
    let image = image_of(launch)?;
    let ctl = template::control_dir(&launch.job_dir);
    let ready = match &launch.warm {
        Some(waiting) => enter_ready(launch, waiting, &ctl).await,
        None => Entered::AskFirst,
    };
    // A program that runs without an engine to look after it is not kept: its pipes are dropped here, and it ends.
    let client = &connect(env).await?;
    if let Some(waiting) = &launch.warm {
        let entered = match ready {
            Entered::AskFirst => match enter_waiting(client, launch, waiting, image, &ctl).await {
                Ok((cgroup, line)) => Ok(hand_over(launch, cgroup, line).await.map(Box::new)),
                Err(e) => Err(e),
            },
            Entered::Silent(e) => Err(e),
            Entered::Given(run) => Ok(run),
        };
        match entered {
            Ok(run) => {
                // From here on its program may have run, so there is no second attempt.
                if run.is_err() {
                    // Best effort: what is left is found again by `launch.json`.
                    let _ = remove_container(&client.docker, &waiting.container).await;
                }
                let started = follow(client, &waiting.container, *run?);
                let (client, launch, waiting) = (client.clone(), launch.clone(), waiting.clone());
                tokio::spawn(async move {
                    sleep(warm::NAMED_AFTER).await;
                    warm::name(client, &launch, &waiting).await;
                });
                return Ok(started);
            }
            Err(e) => {
                eprintln!("the container that was started ahead is not used: {e}");
                warm::give_up(client, launch, waiting).await?;
                match std::fs::remove_dir_all(&ctl) {
                    Err(e) if e.kind() != ErrorKind::NotFound => {
                        return Err(EngineError::Failed(format!("{}: {e}", ctl.display())));
                    }
                    _ => {}
                }
            }
        }
    }
    cold::start(client, launch, image, &ctl).await
}

/// Whether a container that was started ahead has its job.
enum Entered {
    /// The engine has something to do first.
    AskFirst,
    /// It does not answer; nothing of the job has begun.
    Silent(EngineError),
    /// It was given its job.
    Given(Result<Box<Running>, EngineError>),
}

/// Gives the job to a container that was started ahead, if the limits of that need no change.
///
/// The container was compared with its template when it was started. It is still that one if the init seen then lives in
/// the control group of that name, so nobody is asked.
async fn enter_ready(launch: &JobLaunch, waiting: &Warm, ctl: &Path) -> Entered {
    let cgroup = waiting.checked.and_then(|init| Cgroup::of(init, &waiting.container));
    if cgroup.is_none() || !warm::has_limits(launch, waiting) {
        return Entered::AskFirst;
    }
    let called = async {
        let mut line = open_line(ctl)?;
        line.call(ctl).await.map_err(unreachable)?;
        Ok(line)
    };
    match called.await {
        Ok(line) => Entered::Given(hand_over(launch, cgroup, line).await.map(Box::new)),
        Err(e) => Entered::Silent(e),
    }
}

/// Calls the init of a container that was started ahead, with the job's limits in place, and looks whether it is still
/// what it should be.
async fn enter_waiting(
    client: &Client,
    launch: &JobLaunch,
    waiting: &Warm,
    image: &str,
    ctl: &Path,
) -> Result<(Option<Cgroup>, Line), EngineError> {
    let shape = warm::shape(launch, waiting, image);
    let flavour = flavour(client, &template::control_dir(&waiting.made_in));
    let name = warm::waiting_name(&waiting.id);
    let mut line = open_line(ctl)?;
    warm::set_limits(client, launch, waiting).await?;
    let cgroup = enter(client, &waiting.container, &name, &shape, &flavour, &mut line, ctl).await?;
    Ok((cgroup, line))
}
