//! A job that runs in its container: followed, limited, killed, removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use tokio::net::unix::pipe::Sender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::cgroup::{Cgroup, Sample};
use super::connect::Client;
use super::enter::Running;
use super::error::{asked, gone, is_status, words};
use super::follower::{Follower, emptied};
use super::init::Line;
use super::template;
use crate::model::{Limits, Usage};
use crate::sandbox::engine::{Afterwards, Ended, EngineError, EngineJob, Meter, Started};

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

/// Follows a program to its end.
pub(super) fn follow(client: &Client, id: &str, Running { line, cgroup, before }: Running) -> Started<DockerJob> {
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
