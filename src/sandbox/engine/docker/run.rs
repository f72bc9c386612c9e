//! One job in one container: create, start, hand over, follow, kill, remove.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use tokio::net::unix::pipe::Sender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::cgroup::{Cgroup, Sample};
use super::compare::differences;
use super::connect::{Client, connect};
use super::error::{asked, gone, is_status, spawn_problem, words};
use super::find::Surroundings;
use super::follower::{Follower, emptied};
use super::init::{Line, NoAnswer, Order, furnish};
use super::template::{self, Flavour, Shape};
use super::{image_of, seccomp, settled, warm};
use crate::model::{Limits, Usage};
use crate::sandbox::engine::{Afterwards, Ended, EngineError, EngineJob, INSIDE_WORK, JobLaunch, Meter, Started, Warm};

/// A kill comes at a deadline: an engine that does not answer it soon is bypassed.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long a supervisor waits for an engine that went away, to remove the container's record.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);
/// Between two attempts at that.
const REMOVE_AGAIN: Duration = Duration::from_secs(1);

/// How often the removal of a container that just ends is tried again, and at what pace: it takes a moment.
const RACES: u32 = 20;
const RACE_PAUSE: Duration = Duration::from_millis(50);

/// A running job's container.
#[derive(Debug)]
pub struct DockerJob {
    docker: Docker,
    id: String,
    cgroup: Option<Cgroup>,
    sample: Arc<Mutex<Sample>>,
    /// Kept open for as long as the job may live.
    order: Option<Sender>,
    killed: Arc<AtomicBool>,
    follower: JoinHandle<Result<Ended, EngineError>>,
    ended: Option<Result<Ended, EngineError>>,
}

/// Starts `launch`; see [`crate::sandbox::engine::Engine::start`].
///
/// A container that waits for this very job is given it while the engine is still being found: it need not be asked.
pub(super) async fn start(env: &Surroundings, launch: &JobLaunch) -> Result<Started<DockerJob>, EngineError> {
    let image = image_of(launch)?;
    let ctl = template::control_dir(&launch.job_dir);
    let (ready, client) = match &launch.warm {
        Some(waiting) => tokio::join!(enter_ready(launch, waiting, &ctl), connect(env)),
        None => (Entered::AskFirst, connect(env).await),
    };
    // A program that runs without an engine to look after it is not kept: its pipes are dropped here, and it ends.
    let client = &client?;
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
                    // Best effort: what is left is found again by its name.
                    let _ = remove_container(&client.docker, &waiting.container).await;
                }
                return run.map(|run| follow(client, &waiting.container, *run));
            }
            Err(e) => {
                eprintln!("the container that was started ahead is not used: {e}");
                // By the job's name: one that is not named for it is not its to destroy.
                let name = template::container_name(launch.job, launch.epoch);
                remove_container(&client.docker, &name).await?;
                match std::fs::remove_dir_all(&ctl) {
                    Err(e) if e.kind() != ErrorKind::NotFound => {
                        return Err(EngineError::Failed(format!("{}: {e}", ctl.display())));
                    }
                    _ => {}
                }
            }
        }
    }
    let shape = Shape::of(launch, image);
    let flavour = flavour(client, &ctl);
    let files = furnish(&ctl, template::HOSTS).and_then(|()| write_seccomp(client, &ctl));
    files.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => EngineError::Failed(format!("{} was started before: {e}", launch.name())),
        _ => EngineError::Failed(format!("the container's own files: {e}")),
    })?;
    let mut line = open_line(&ctl)?;
    let id = create(&client.docker, launch, &shape, &flavour).await?;
    let begun = async {
        client.docker.start_container(&id, None).await.map_err(|e| asked("start the container", &e))?;
        let name = template::container_name(launch.job, launch.epoch);
        let cgroup = enter(client, &id, &name, &shape, &flavour, &mut line, &ctl).await?;
        Ok(follow(client, &id, hand_over(launch, cgroup, line).await?))
    };
    match begun.await {
        Ok(started) => Ok(started),
        Err(e) => {
            // Best effort: what is left is found again by its label.
            let _ = remove_container(&client.docker, &id).await;
            Err(e)
        }
    }
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

fn open_line(ctl: &Path) -> Result<Line, EngineError> {
    Line::open(ctl).map_err(|e| EngineError::Failed(format!("{}: {e}", ctl.display())))
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
    let name = template::container_name(launch.job, launch.epoch);
    let mut line = open_line(ctl)?;
    warm::set_limits(client, launch, waiting).await?;
    let cgroup = enter(client, &waiting.container, &name, &shape, &flavour, &mut line, ctl).await?;
    Ok((cgroup, line))
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
async fn enter(
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

fn unreachable(e: NoAnswer) -> EngineError {
    match e {
        NoAnswer::Silent(why) => EngineError::Failed(format!("the container's init cannot be reached: {why}")),
        NoAnswer::Refused(errno) => EngineError::Failed(format!("the container's init failed with error {errno}")),
    }
}

/// A program that runs in its container.
struct Running {
    line: Line,
    cgroup: Option<Cgroup>,
    /// Processor time that was used before.
    before: u64,
}

/// Makes the job's program run in a container whose init waits.
async fn hand_over(launch: &JobLaunch, cgroup: Option<Cgroup>, mut line: Line) -> Result<Running, EngineError> {
    // What the engine needed for the start is not the job's doing.
    let before = cgroup.as_ref().map(Cgroup::sample).unwrap_or_default().usage.cpu_ms;
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

/// Follows a program to its end.
fn follow(client: &Client, id: &str, Running { line, cgroup, before }: Running) -> Started<DockerJob> {
    let Line { order, status, stdout, stderr } = line;
    let sample = Arc::new(Mutex::new(Sample::default()));
    let killed = Arc::new(AtomicBool::new(false));
    let follower = Follower {
        docker: client.docker.clone(),
        id: id.to_owned(),
        cgroup: cgroup.clone(),
        before,
        sample: Arc::clone(&sample),
        killed: Arc::clone(&killed),
    };
    let job = DockerJob {
        docker: client.docker.clone(),
        id: id.to_owned(),
        cgroup,
        sample,
        order: Some(order),
        killed,
        follower: tokio::spawn(follower.run(status)),
        ended: None,
    };
    Started { stdout: Box::new(stdout), stderr: Box::new(stderr), job }
}

/// Makes the container and gives its id. From here on it is named by that: the name may pass to another one.
///
/// The name is free, or held by one that was made for the same assignment and never started, because its supervisor
/// died in between: that one is replaced. One that was started is another supervisor's.
async fn create(docker: &Docker, launch: &JobLaunch, shape: &Shape, flavour: &Flavour) -> Result<String, EngineError> {
    let name = template::container_name(launch.job, launch.epoch);
    let make = async || {
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        docker.create_container(Some(options), template::container(shape, flavour)).await
    };
    let mut answer = make().await;
    if answer.as_ref().is_err_and(name_is_taken) {
        clear(docker, launch, &name).await?;
        answer = make().await;
    }
    let created = answer.map_err(|e| match e {
        e if is_status(&e, 404) => EngineError::NoEnvironment(launch.env.clone()),
        e => asked("create the container", &e),
    })?;
    for warning in created.warnings {
        tracing::warn!(container = name, "{warning}");
    }
    Ok(created.id)
}

fn name_is_taken(e: &Error) -> bool {
    // Podman has no code of its own for it.
    is_status(e, 409) || words(e).contains("is already in use")
}

/// Removes a container of this assignment that was never started.
async fn clear(docker: &Docker, launch: &JobLaunch, name: &str) -> Result<(), EngineError> {
    let there = match settled(|| docker.inspect_container(name, None)).await {
        Err(e) if is_status(&e, 404) => return Ok(()),
        answer => answer.map_err(|e| asked("inspect the container", &e))?,
    };
    let labels = there.config.and_then(|c| c.labels).unwrap_or_default();
    if labels.get(template::LABEL_NODE) != Some(&launch.node) {
        return Err(EngineError::Failed(format!("container {name} belongs to somebody else")));
    }
    if labels.contains_key(template::LABEL_WARM) {
        // Named for this assignment by a homied that was killed before it could say so to a supervisor.
        return remove_container(docker, name).await;
    }
    let started = || EngineError::Failed(format!("container {name} was started before"));
    if there.state.and_then(|s| s.status) != Some(ContainerStateStatusEnum::CREATED) {
        return Err(started());
    }
    // Not by force: the engine refuses if it was started since.
    match docker.remove_container(&there.id.unwrap_or_default(), None).await {
        Err(e) if is_status(&e, 404) => Ok(()),
        answer => answer.map_err(|_| started()),
    }
}

/// The first process of a container that runs.
pub(super) fn init_of(there: &ContainerInspectResponse) -> Option<i32> {
    i32::try_from(there.state.as_ref()?.pid?).ok().filter(|pid| *pid > 0)
}

/// Removes a container, killing what runs in it. One that is gone, or on its way out, is fine.
pub(super) async fn remove_container(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let attempt = async || {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker.remove_container(name, Some(options)).await
    };
    let mut answer = attempt().await;
    for _ in 0..RACES {
        // Podman cannot remove one that ends at this moment.
        if !answer.as_ref().is_err_and(|e| words(e).contains("state improper")) {
            break;
        }
        sleep(RACE_PAUSE).await;
        answer = attempt().await;
    }
    match answer {
        Err(e) if !is_status(&e, 404) && !is_status(&e, 409) => Err(asked("remove the container", &e)),
        _ => Ok(()),
    }
}

impl EngineJob for DockerJob {
    async fn wait(&mut self) -> Result<Ended, EngineError> {
        if self.ended.is_none() {
            // Polled through a reference: dropping this future in the middle loses nothing.
            let end = (&mut self.follower).await;
            self.ended = Some(end.unwrap_or_else(|e| Err(EngineError::Failed(format!("the follower failed: {e}")))));
        }
        self.ended.clone().unwrap_or_else(|| Err(EngineError::Failed("the end is not known".into())))
    }

    async fn kill(&mut self) -> Result<(), EngineError> {
        self.killed.store(true, Ordering::Relaxed);
        // Init hears it and ends, and the kernel kills the rest of its pid namespace. Needs neither engine nor rights.
        self.order = None;
        // A second way that needs no engine, for root.
        if self.cgroup.as_ref().is_some_and(|cgroup| cgroup.kill_all().is_ok()) {
            return Ok(());
        }
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        match timeout(KILL_LIMIT, self.docker.kill_container(&self.id, Some(options))).await {
            Ok(Ok(())) => Ok(()),
            // Gone, or not running any more.
            Ok(Err(e)) if is_status(&e, 404) || is_status(&e, 409) => Ok(()),
            Ok(Err(e)) => Err(asked("kill the container", &e)),
            Err(_) => Err(gone("no answer to a kill")),
        }
    }

    async fn limit(&mut self, before: &Limits, after: &Limits) -> Result<(), EngineError> {
        let engines = |l: &Limits| (l.memory_bytes, l.cpu_millis, l.pids);
        // Time is the supervisor's; Podman 4 has no way to change a container and must not be asked for nothing.
        if engines(before) == engines(after) {
            return Ok(());
        }
        let body = template::update(before, after);
        self.docker.update_container(&self.id, body).await.map_err(|e| asked("change the limits", &e))
    }

    fn meter(&self) -> Meter {
        self.cgroup.as_ref().map(|cgroup| cgroup.meter.clone()).unwrap_or_default()
    }

    fn roster(&self) -> Option<std::path::PathBuf> {
        self.cgroup.as_ref().map(Cgroup::roster)
    }

    async fn usage(&mut self) -> Usage {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).usage
    }

    async fn remove(mut self) -> Result<Afterwards, EngineError> {
        self.follower.abort();
        self.order = None;
        if let Some(cgroup) = &self.cgroup {
            if !cgroup.is_empty() {
                // May lack the right; then init's end has to do.
                let _ = cgroup.kill_all();
            }
            emptied(cgroup, &self.id).await?;
        }
        let (docker, id) = (self.docker, self.id);
        Ok(Box::pin(async move {
            let attempts = async {
                while remove_container(&docker, &id).await.is_err() {
                    sleep(REMOVE_AGAIN).await;
                }
            };
            if timeout(REMOVE_LIMIT, attempts).await.is_err() {
                eprintln!("container {id} stays until homied removes it: the engine does not do it");
            }
        }))
    }
}
