//! The Docker engine: jobs as containers of Docker or Podman, over the engine's API.
//!
//! Only this folder names bollard for jobs. `find` searches the socket, `connect` agrees on a version, `template` and
//! `seccomp` decide what a container may do and `compare` whether the engine did as told, `init` is its process 1 and the
//! way a job gets in and its output out, `start` puts it into a container that waits (`warm`) or a new one (`cold`), both by
//! `enter`, `run` holds it, `follower` notices its end, `cgroup` counts, `base` makes the image. homied holds a [`DockerEngine`] to probe and to reconcile; each job's supervisor holds one
//! of its own. It keeps no state: the engine's labels and names are the state.

pub mod base;
mod cgroup;
mod cold;
mod compare;
mod connect;
mod enter;
mod error;
mod find;
mod follower;
mod gpu;
pub(in crate::sandbox) mod images;
mod init;
mod run;
mod seccomp;
mod start;
mod template;
pub mod warm;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerSummary, SystemInfo};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};

use tokio::time::sleep;

use self::connect::{Client, connect};
pub use self::find::Surroundings;
pub use self::run::DockerJob;
use crate::model::{EngineKind, EngineOffer, Epoch, Isolation, JobId, Lack};
use crate::sandbox::engine::{Engine, EngineError, JobLaunch, Ready, Started};

/// Repository of the images that hold environment `base`.
const BASE_REPOSITORY: &str = "homie-base";
/// The environment that always exists (once built).
const BASE: &str = "base";

/// Jobs in containers of Docker or Podman.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    env: Surroundings,
}

impl DockerEngine {
    /// The engine that a search from `env` finds.
    pub fn new(env: Surroundings) -> Self {
        Self { env }
    }

    /// The engine that this process's environment leads to.
    pub fn of_this_process() -> Self {
        Self::new(Surroundings::of_this_process())
    }

    /// The engine at `place` (`unix:///…` or a path; the owner's configuration), or where a search finds one.
    pub fn at(place: Option<&str>) -> Self {
        let mut env = Surroundings::of_this_process();
        env.docker_host = place.map(str::to_owned).or(env.docker_host);
        Self::new(env)
    }

    /// The newest image of environment `base`, by digest.
    async fn base_image(client: &Client) -> Result<Option<String>, EngineError> {
        let filters = HashMap::from([("reference".to_owned(), vec![BASE_REPOSITORY.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let images = client.docker.list_images(Some(options)).await.map_err(|e| error::asked("list images", &e))?;
        Ok(images.into_iter().max_by_key(|image| image.created).map(|image| image.id))
    }
}

impl Engine for DockerEngine {
    type Job = DockerJob;

    async fn probe(&self) -> Result<Ready, EngineError> {
        let client = connect(&self.env).await?;
        let info = client.docker.info().await.map_err(|e| error::asked("describe itself", &e))?;
        let own_user = !client.found.rootless && nix::unistd::geteuid().is_root();
        let (lacks, mut warnings): (Vec<Lack>, Vec<String>) = shortcomings(&info, own_user).into_iter().unzip();
        let mut images = BTreeMap::new();
        match Self::base_image(&client).await? {
            Some(id) => drop(images.insert(BASE.to_owned(), id)),
            None => warnings.push("environment base is not built yet: run `homie env build base`".to_owned()),
        }
        let envs = images.keys().cloned().collect();
        let isolation = Isolation::Container.without(&lacks);
        let offer = EngineOffer { kind: EngineKind::Docker, isolation, envs, lacks };
        let gpus = gpu::given(&info, client.found.pong);
        Ok(Ready { offer, images, warnings, gpus })
    }

    async fn leftovers(&self, node: &str) -> Result<Vec<(JobId, Epoch)>, EngineError> {
        let client = connect(&self.env).await?;
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={node}", template::LABEL_NODE)])]);
        let all = list(&client.docker, &filters).await?;
        // One that was started ahead has the label of none, and the name of its job once that runs.
        let of = |c: ContainerSummary| assignment(&c.labels?).or_else(|| warm::of_names(c.names.as_deref()));
        Ok(all.into_iter().filter_map(of).collect())
    }

    async fn remove(&self, node: &str, job: JobId, epoch: Epoch) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let name = template::container_name(job, epoch);
        let there = match settled(|| client.docker.inspect_container(&name, None)).await {
            Err(e) if error::is_status(&e, 404) => return Ok(()),
            answer => answer.map_err(|e| error::asked("inspect the container", &e))?,
        };
        let labels = there.config.and_then(|c| c.labels).unwrap_or_default();
        if labels.get(template::LABEL_NODE).is_some_and(|owner| owner == node) {
            return run::remove_container(&client.docker, &name).await;
        }
        Err(EngineError::Failed(format!("container {name} is not this machine's own")))
    }

    async fn start(&self, launch: &JobLaunch) -> Result<Started<DockerJob>, EngineError> {
        start::start(&self.env, launch).await
    }
}

/// Asks again while Podman answers with `stopped`, a word that the API does not have, of a container that ends at this
/// moment.
async fn settled<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> Result<T, Error> {
    /// How often, and at what pace.
    const RACES: u32 = 20;
    const RACE_PAUSE: Duration = Duration::from_millis(50);
    let mut answer = ask().await;
    for _ in 0..RACES {
        if !answer.as_ref().is_err_and(|e| error::words(e).contains("`stopped`")) {
            break;
        }
        sleep(RACE_PAUSE).await;
        answer = ask().await;
    }
    answer
}

/// All containers that `filters` let through, running or not.
async fn list(docker: &Docker, filters: &HashMap<String, Vec<String>>) -> Result<Vec<ContainerSummary>, EngineError> {
    let options = || ListContainersOptionsBuilder::default().all(true).filters(filters).build();
    let all = settled(|| docker.list_containers(Some(options()))).await;
    all.map_err(|e| error::asked("list containers", &e))
}

/// The image a launch names.
fn image_of(launch: &JobLaunch) -> Result<&str, EngineError> {
    launch.image.as_deref().ok_or_else(|| EngineError::NoEnvironment(launch.env.clone()))
}

/// Which assignment a container's labels tell of.
fn assignment(labels: &HashMap<String, String>) -> Option<(JobId, Epoch)> {
    let job = labels.get(template::LABEL_JOB)?.parse().ok()?;
    Some((job, Epoch(labels.get(template::LABEL_EPOCH)?.parse().ok()?)))
}

/// What this engine cannot hold a job to: for others to count with, and for its owner to know. `own_user`: jobs run as a
/// user that is nobody else's.
fn shortcomings(info: &SystemInfo, own_user: bool) -> Vec<(Lack, String)> {
    let options = info.security_options.as_deref().unwrap_or_default();
    let all = [
        (
            info.memory_limit == Some(false),
            Lack::Memory,
            "the engine cannot limit memory (no memory cgroup delegated to it)",
        ),
        (
            info.cpu_cfs_quota == Some(false),
            Lack::Cpu,
            "the engine cannot limit processor time (no cpu cgroup delegated to it)",
        ),
        (
            info.pids_limit == Some(false),
            Lack::Pids,
            "the engine cannot limit the number of processes (no pids cgroup delegated to it)",
        ),
        (
            !options.iter().any(|o| o.contains("seccomp")),
            Lack::Seccomp,
            "the engine has no seccomp: jobs reach every system call of the kernel",
        ),
        (
            !own_user,
            Lack::OwnUser,
            "jobs run as the user of homied or of the engine, not as one of their own; both would have to \
             run as root",
        ),
    ];
    all.into_iter().filter(|(lacking, ..)| *lacking).map(|(_, lack, text)| (lack, text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_hold_a_job_is_told_about() {
        let able = SystemInfo {
            memory_limit: Some(true),
            cpu_cfs_quota: Some(true),
            pids_limit: Some(true),
            security_options: Some(vec!["name=seccomp,profile=default".to_owned()]),
            ..SystemInfo::default()
        };
        let lacks = |info: &SystemInfo, own_user| -> Vec<Lack> {
            shortcomings(info, own_user).into_iter().map(|(lack, _)| lack).collect()
        };
        assert_eq!(lacks(&able, true), []);
        assert_eq!(lacks(&able, false), [Lack::OwnUser]);
        let unable = SystemInfo {
            memory_limit: Some(false),
            cpu_cfs_quota: Some(false),
            pids_limit: Some(false),
            security_options: None,
            ..able
        };
        assert_eq!(lacks(&unable, true), [Lack::Memory, Lack::Cpu, Lack::Pids, Lack::Seccomp]);
    }

    #[test]
    fn only_whole_labels_name_an_assignment() {
        let job = JobId([1; 16]);
        let mut labels = HashMap::from([("homie.job".to_owned(), job.to_string()), ("homie.epoch".into(), "2".into())]);
        assert_eq!(assignment(&labels), Some((job, Epoch(2))));
        labels.insert("homie.epoch".into(), "x".into());
        assert_eq!(assignment(&labels), None);
    }
}
