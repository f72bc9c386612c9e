//! One job in one container: create, attach, start, follow, kill, remove.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, StatsOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};

use super::cgroup::{Cgroup, Sample};
use super::connect::Client;
use super::error::{asked, gone, is_status, spawn_problem, words};
use super::streams::{self, Drained};
use super::template::{self, Flavour};
use super::{image_of, seccomp};
use crate::model::Usage;
use crate::sandbox::engine::{End, Ended, EngineError, EngineJob, JobLaunch, Started};

/// A wait lasts as long as its job, whose own limit ends it; the client's limit must only never be the first.
const WAIT_LIMIT: Duration = Duration::from_secs(400 * 86_400);
/// A kill comes at a deadline: an engine that does not answer it soon is bypassed.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long a dead job's cgroup may take to empty: the kernel frees a large process's memory first.
const EMPTY_LIMIT: Duration = Duration::from_secs(5);
/// Between a job's exit and the last of its output: the engine copies what is in the pipe. Bounded, because a reader
/// that holds the output back (over its cap) holds this back too.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);
/// The same where the words decide what the exit code means.
const WORDS_LIMIT: Duration = Duration::from_secs(10);
/// Counters are gone with the cgroup, so they are read as the job runs: soon at first, for short jobs have use too.
const FIRST_SAMPLE: Duration = Duration::from_millis(20);
/// Later looks, while the cgroup's files can be read (microseconds).
const LAST_SAMPLE: Duration = Duration::from_secs(1);
/// Later looks where only the engine can tell (milliseconds of its time).
const API_SAMPLE: Duration = Duration::from_secs(5);

/// A running job's container.
#[derive(Debug)]
pub struct DockerJob {
    docker: Docker,
    id: String,
    cgroup: Option<Cgroup>,
    sample: Arc<Mutex<Sample>>,
    /// Tells the reading of the attached stream that the job was killed.
    killed: watch::Sender<bool>,
    pump: AbortHandle,
    follower: JoinHandle<Result<Ended, EngineError>>,
    ended: Option<Result<Ended, EngineError>>,
}

/// Starts `launch`; see [`crate::sandbox::engine::Engine::start`].
pub(super) async fn start(client: &Client, launch: &JobLaunch) -> Result<Started<DockerJob>, EngineError> {
    let image = image_of(launch)?;
    let name = template::container_name(launch);
    let mut flavour = Flavour {
        podman: client.found.pong.podman,
        rootless: client.found.rootless,
        init: true,
        seccomp: seccomp_option(client, launch).await?,
    };
    write(&template::hosts_file(launch), template::HOSTS).await?;
    loop {
        match create_and_start(&client.docker, launch, image, &name, &flavour).await {
            // Not every distribution's engine package brings its init program along.
            Err(StartError::NoInit) if flavour.init => flavour.init = false,
            Err(StartError::NoInit) => return Err(EngineError::Failed("the engine insists on an init program".into())),
            Err(StartError::Other(e)) => return Err(e),
            Ok(started) => return Ok(started),
        }
    }
}

enum StartError {
    NoInit,
    Other(EngineError),
}

impl From<EngineError> for StartError {
    fn from(e: EngineError) -> Self {
        Self::Other(e)
    }
}

/// Docker takes the profile itself; Podman takes the name of a file.
async fn seccomp_option(client: &Client, launch: &JobLaunch) -> Result<String, EngineError> {
    let profile = seccomp::profile().to_string();
    if !client.found.pong.podman {
        return Ok(profile);
    }
    let file = launch.job_dir.join("seccomp.json");
    write(&file, &profile).await?;
    Ok(file.to_string_lossy().into_owned())
}

/// Writes a file that the container is made with, beside the job's directory.
async fn write(file: &Path, text: &str) -> Result<(), EngineError> {
    let written = tokio::fs::write(file, text).await;
    written.map_err(|e| EngineError::Failed(format!("{} cannot be written: {e}", file.display())))
}

async fn create_and_start(
    docker: &Docker,
    launch: &JobLaunch,
    image: &str,
    name: &str,
    flavour: &Flavour,
) -> Result<Started<DockerJob>, StartError> {
    let id = create(docker, launch, image, name, flavour).await?;
    match attach_and_start(docker, launch, &id).await {
        Ok(started) => Ok(started),
        Err((what, e)) => {
            // Best effort: what is left is found again by its label.
            let _ = remove_container(docker, &id).await;
            let text = words(&e);
            if flavour.init && (text.contains("docker-init") || text.contains("catatonit")) {
                return Err(StartError::NoInit);
            }
            let program = launch.command.first().map_or("", String::as_str);
            Err(spawn_problem(program, &launch.env, &text).unwrap_or_else(|| asked(what, &e)).into())
        }
    }
}

/// Makes the container and gives its id. From here on it is named by that: the name may pass to another one.
///
/// The name is free, or held by one that was made for the same assignment and never started, because its supervisor
/// died in between: that one is replaced. One that was started is another supervisor's.
async fn create(
    docker: &Docker,
    launch: &JobLaunch,
    image: &str,
    name: &str,
    flavour: &Flavour,
) -> Result<String, EngineError> {
    let make = async || {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        docker.create_container(Some(options), template::container(launch, image, flavour)).await
    };
    let mut answer = make().await;
    if answer.as_ref().is_err_and(name_is_taken) {
        clear(docker, launch, name).await?;
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
    let there = match docker.inspect_container(name, None).await {
        Err(e) if is_status(&e, 404) => return Ok(()),
        answer => answer.map_err(|e| asked("inspect the container", &e))?,
    };
    let labels = there.config.and_then(|c| c.labels).unwrap_or_default();
    if labels.get(template::LABEL_NODE) != Some(&launch.node) {
        return Err(EngineError::Failed(format!("container {name} belongs to somebody else")));
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

/// Attaches before the start, so that not a byte is missed.
async fn attach_and_start(
    docker: &Docker,
    launch: &JobLaunch,
    id: &str,
) -> Result<Started<DockerJob>, (&'static str, Error)> {
    let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
    let attached = docker.attach_container(id, Some(options)).await.map_err(|e| ("attach to the container", e))?;
    docker.start_container(id, None).await.map_err(|e| ("start the container", e))?;
    let (killed, when_killed) = watch::channel(false);
    let (stdout, stderr, pump) = streams::split(attached.output, when_killed);
    let pump = tokio::spawn(pump);
    let cgroup = cgroup_of(docker, id).await;
    let sample = Arc::new(Mutex::new(Sample::default()));
    let follower = Follower {
        docker: docker.clone(),
        id: id.to_owned(),
        cgroup: cgroup.clone(),
        sample: sample.clone(),
        program: launch.command.first().cloned().unwrap_or_default(),
        env: launch.env.clone(),
    };
    let job = DockerJob {
        docker: docker.clone(),
        id: id.to_owned(),
        cgroup,
        sample,
        killed,
        pump: pump.abort_handle(),
        follower: tokio::spawn(follower.run(pump)),
        ended: None,
    };
    Ok(Started { stdout: Box::new(stdout), stderr: Box::new(stderr), job })
}

/// The cgroup of a container that runs; a job that has ended already has none.
async fn cgroup_of(docker: &Docker, id: &str) -> Option<Cgroup> {
    let inspected = docker.inspect_container(id, None).await.ok()?;
    let pid = i32::try_from(inspected.state?.pid?).ok().filter(|pid| *pid > 0)?;
    Cgroup::of(pid, id)
}

/// Watches a container until it has ended.
struct Follower {
    docker: Docker,
    id: String,
    cgroup: Option<Cgroup>,
    sample: Arc<Mutex<Sample>>,
    program: String,
    env: String,
}

impl Follower {
    async fn run(self, mut pump: JoinHandle<Drained>) -> Result<Ended, EngineError> {
        // `not-running`, asked after the start has returned, cannot miss the end, however short the job was.
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let patient = self.docker.clone().with_timeout(WAIT_LIMIT);
        let mut wait = patient.wait_container(&self.id, Some(options));
        let mut drained = None;
        let mut pause = FIRST_SAMPLE;
        let answer = loop {
            tokio::select! {
                answer = wait.next() => break answer,
                // The end of the output is the last moment at which a short job's counters are still there.
                end = &mut pump, if drained.is_none() => {
                    drained = Some(end.unwrap_or_default());
                    self.look().await;
                }
                () = sleep(pause) => {
                    self.look().await;
                    pause = (pause * 2).min(if self.cgroup.is_some() { LAST_SAMPLE } else { API_SAMPLE });
                }
            }
        };
        let code = match answer {
            Some(Ok(end)) => end.status_code,
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(e)) => return Err(gone(&words(&e))),
            None => return Err(gone("it closed the connection")),
        };
        let drained = match drained {
            Some(drained) => drained,
            None => {
                let limit = if INIT_CODES.contains(&code) { WORDS_LIMIT } else { DRAIN_LIMIT };
                timeout(limit, pump).await.ok().and_then(Result::ok).unwrap_or_default()
            }
        };
        self.judge(code, drained).await
    }

    async fn look(&self) {
        let now = match &self.cgroup {
            Some(cgroup) => cgroup.sample(),
            None => sample_by_api(&self.docker, &self.id).await,
        };
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).merge(now);
    }

    async fn judge(&self, code: i64, drained: Drained) -> Result<Ended, EngineError> {
        if let Some(problem) = init_problem(&drained.first_error, code)
            && let Some(spawn) = spawn_problem(&self.program, &self.env, &problem)
        {
            return Err(spawn);
        }
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.docker.inspect_container(&self.id, None).await.ok().and_then(|c| c.state);
        if let Some(broken) = drained.broken {
            return Err(gone(&broken));
        }
        let out_of_memory = sample.oom_killed || state.and_then(|s| s.oom_killed).unwrap_or_default();
        Ok(Ended { end: end_of(code), out_of_memory, usage: sample.usage })
    }
}

/// With these codes an init program ends when it cannot start the job's: tini as a shell does, catatonit always 1.
const INIT_CODES: [i64; 3] = [1, 126, 127];

/// What the init program (tini in Docker, catatonit in Podman) says when it cannot start the job's program. Its code
/// alone would prove nothing.
fn init_problem(first_error: &[u8], code: i64) -> Option<String> {
    let text = String::from_utf8_lossy(first_error);
    let from_init = text.starts_with("[FATAL tini (") || text.starts_with("ERROR (catatonit:");
    (from_init && INIT_CODES.contains(&code)).then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// A container's exit code says `128 + n` for death by signal n, as a shell does, and so do the programs that start
/// others. The signals are those that end a program by default.
fn end_of(code: i64) -> End {
    const FATAL: [i32; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 31];
    let code = i32::try_from(code).unwrap_or(255);
    match code - 128 {
        signal if FATAL.contains(&signal) => End::Signaled(signal),
        _ => End::Exited(code),
    }
}

async fn sample_by_api(docker: &Docker, name: &str) -> Sample {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut stats = docker.stats(name, Some(options));
    let Ok(Some(Ok(stats))) = timeout(KILL_LIMIT, stats.next()).await else { return Sample::default() };
    let cpu_ns = stats.cpu_stats.and_then(|c| c.cpu_usage).and_then(|u| u.total_usage).unwrap_or_default();
    let memory = stats.memory_stats.and_then(|m| m.max_usage.or(m.usage)).unwrap_or_default();
    let usage = Usage { wall_ms: 0, cpu_ms: cpu_ns / 1_000_000, peak_memory_bytes: memory };
    Sample { usage, oom_killed: false }
}

/// Removes a container, killing what runs in it. One that is gone, or on its way out, is fine.
pub(super) async fn remove_container(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
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
        self.killed.send_replace(true);
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        let answer = timeout(KILL_LIMIT, self.docker.kill_container(&self.id, Some(options))).await;
        let refused = match answer {
            Ok(Ok(())) => return Ok(()),
            // Gone, or not running any more.
            Ok(Err(e)) if is_status(&e, 404) || is_status(&e, 409) => return Ok(()),
            Ok(Err(e)) => asked("kill the container", &e),
            Err(_) => gone("no answer to a kill"),
        };
        // The engine's death does not end its containers; nor may it keep a job alive past its deadline.
        match self.cgroup.as_ref().map(Cgroup::kill_all) {
            Some(Ok(())) => Ok(()),
            _ => Err(refused),
        }
    }

    fn roster(&self) -> Option<std::path::PathBuf> {
        self.cgroup.as_ref().map(Cgroup::roster)
    }

    async fn usage(&mut self) -> Usage {
        if let Some(cgroup) = &self.cgroup {
            self.sample.lock().unwrap_or_else(PoisonError::into_inner).merge(cgroup.sample());
        }
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).usage
    }

    async fn remove(self) -> Result<(), EngineError> {
        // Nobody wants output any more; an engine that still has some to hand over would hold the removal for it.
        self.pump.abort();
        self.follower.abort();
        let removed = remove_container(&self.docker, &self.id).await;
        if let Some(cgroup) = self.cgroup {
            let emptied = async {
                while !cgroup.is_empty() {
                    // A process that forks as it is killed may need more than one round.
                    let _ = cgroup.kill_all();
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(EMPTY_LIMIT, emptied)
                .await
                .map_err(|_| EngineError::Failed(format!("processes of {} survived SIGKILL", self.id)))?;
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_of_shells_are_read_back() {
        for (code, end) in [
            (0, End::Exited(0)),
            (3, End::Exited(3)),
            (127, End::Exited(127)),
            (128, End::Exited(128)),
            (137, End::Signaled(9)),
            (139, End::Signaled(11)),
            (143, End::Signaled(15)),
            (255, End::Exited(255)),
        ] {
            assert_eq!(end_of(code), end, "{code}");
        }
    }

    #[test]
    fn only_the_init_programs_own_words_are_a_failed_start() {
        let tini = b"[FATAL tini (7)] exec nodejs failed: No such file or directory\n";
        assert!(init_problem(tini, 127).is_some_and(|t| t.ends_with("No such file or directory")));
        assert!(init_problem(b"ERROR (catatonit:2): failed to exec pid1: No such file or directory", 127).is_some());
        assert_eq!(init_problem(tini, 0), None);
        assert_eq!(init_problem(b"sh: 1: nodejs: not found", 127), None);
    }
}
