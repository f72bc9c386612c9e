//! The engines of this machine: which are ready, what they offer, and what they left behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::engine::docker::{DockerEngine, Surroundings};
use super::engine::native::NativeEngine;
use super::engine::{Engine, EngineError, JobLaunch, Ready, Warm, job_name};
use super::lookout::Lookout;
use super::supervisor::{EXIT, LAUNCH, read_json, try_lock};
use super::warm::PREFIX;
use crate::config::EngineChoice;
use crate::model::{EngineKind, EngineOffer, Epoch, JobId};
use crate::wire::doctor::{Check, Level};

/// What a look at all engines found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Those that are ready.
    pub(super) offers: Vec<EngineOffer>,
    /// The images that hold each environment, by engine.
    images: BTreeMap<(&'static str, String), String>,
    /// What each one that is not ready said.
    trouble: Vec<String>,
    /// What the owner should know of those that are.
    pub(super) warnings: Vec<String>,
    /// Those that can give a job a GPU.
    pub(super) gpu_engines: Vec<EngineKind>,
}

impl Survey {
    /// Why no engine is ready; `None` when one is.
    pub(super) fn trouble(&self) -> Option<String> {
        self.offers.is_empty().then(|| self.trouble.join("; "))
    }

    /// The image of an environment.
    pub(super) fn image(&self, engine: EngineKind, env: &str) -> Option<String> {
        self.images.get(&(engine.as_str(), env.to_owned())).cloned()
    }

    /// The engines that are ready, each with the image of environment `base` if it has images.
    pub(super) fn engines(&self) -> Vec<(EngineKind, Option<String>)> {
        self.offers.iter().map(|offer| (offer.kind, self.image(offer.kind, "base"))).collect()
    }

    /// What each engine gives, what it does not, and why one is not ready.
    pub(super) fn checks(&self) -> Vec<Check> {
        let row = |subject: &str, level, text: String| Check { subject: subject.to_owned(), level, text };
        let ready = self.offers.iter().map(|offer| {
            let envs = if offer.envs.is_empty() { "none".to_owned() } else { offer.envs.join(", ") };
            let lacks: Vec<&str> = offer.lacks.iter().map(|lack| lack.as_text()).collect();
            let without = if lacks.is_empty() { String::new() } else { format!(" (without {})", lacks.join(", ")) };
            let text = format!("{} isolation{without}; environments: {envs}", offer.level());
            row(&format!("{} engine", offer.kind.as_str()), Level::Good, text)
        });
        let split = |line: &'_ String| {
            let (subject, text) = line.split_once(": ").unwrap_or(("engines", line));
            (subject.to_owned(), text.to_owned())
        };
        let less = self.warnings.iter().map(split).map(|(subject, text)| row(&subject, Level::Less, text));
        // One engine is enough to host jobs.
        let level = if self.offers.is_empty() { Level::Bad } else { Level::Less };
        let trouble = self.trouble.iter().map(split).map(|(name, text)| row(&format!("{name} engine"), level, text));
        ready.chain(less).chain(trouble).collect()
    }

    fn add(&mut self, kind: EngineKind, probed: Result<Ready, EngineError>) {
        let name = kind.as_str();
        match probed {
            Ok(ready) => {
                self.offers.push(ready.offer);
                self.gpu_engines.extend(ready.gpus.then_some(kind));
                self.images.extend(ready.images.into_iter().map(|(env, image)| ((name, env), image)));
                self.warnings.extend(ready.warnings.into_iter().map(|w| format!("{name} engine: {w}")));
            }
            Err(e) => self.trouble.push(format!("{name}: {e}")),
        }
    }
}

/// Both engines, as homied uses them.
#[derive(Debug, Clone)]
pub(super) struct Engines {
    native: NativeEngine,
    docker_host: Option<String>,
}

impl Engines {
    pub(super) fn new(exe: PathBuf, jobs_dir: PathBuf, docker_host: Option<String>) -> Self {
        Self { native: NativeEngine::new(exe, jobs_dir), docker_host }
    }

    pub(super) fn docker(&self) -> DockerEngine {
        let mut env = Surroundings::of_this_process();
        if self.docker_host.is_some() {
            env.docker_host.clone_from(&self.docker_host);
        }
        DockerEngine::new(env)
    }

    /// Asks those that `choice` names, all at once.
    pub(super) async fn survey(&self, choice: EngineChoice) -> Survey {
        let mut survey = Survey::default();
        let wanted = preferred(choice);
        let docker =
            async { if wanted.contains(&EngineKind::Docker) { Some(self.docker().probe().await) } else { None } };
        let native =
            async { if wanted.contains(&EngineKind::Native) { Some(self.native.probe().await) } else { None } };
        let (docker, native) = tokio::join!(docker, native);
        for (kind, probed) in [(EngineKind::Docker, docker), (EngineKind::Native, native)] {
            if let Some(probed) = probed {
                survey.add(kind, probed);
            }
        }
        survey
    }

    /// Removes what an engine still holds of the job in `dir` whose supervisor is gone or was never started.
    pub(super) async fn clear(&self, kind: EngineKind, node: &str, dir: &Path, job: JobId, epoch: Epoch) {
        // One that was started ahead gets the job's name only when the program runs.
        if let Some(warm) = given_to(dir)
            && let Err(error) = self.docker().discard(&warm.container).await
        {
            tracing::warn!(%job, %epoch, %error, "a container that was started ahead stays");
        }
        self.remove(kind, node, job, epoch).await;
    }

    /// Removes what an engine holds under the name of a job.
    async fn remove(&self, kind: EngineKind, node: &str, job: JobId, epoch: Epoch) {
        let removed = match kind {
            EngineKind::Docker => self.docker().remove(node, job, epoch).await,
            EngineKind::Native => self.native.remove(node, job, epoch).await,
        };
        if let Err(error) = removed {
            tracing::warn!(%job, %epoch, %error, "a job left something behind");
        }
    }

    /// Removes what engines hold of jobs of this node that nobody stands by: those without a directory, and those that have
    /// ended without their supervisor being able to clear up. Builds have their directories elsewhere, but `lookout` sees
    /// those that go on. An engine that does not answer holds it until it is back.
    pub(super) async fn sweep(&self, node: &str, jobs_dir: &Path, survey: &Survey, lookout: &Lookout) {
        for offer in &survey.offers {
            let left = match offer.kind {
                EngineKind::Docker => {
                    self.sweep_waiting(node, jobs_dir).await;
                    self.docker().leftovers(node).await
                }
                EngineKind::Native => self.native.leftovers(node).await,
            };
            for (job, epoch) in left.unwrap_or_default() {
                if !lookout.sees(job, epoch) && is_orphan(&jobs_dir.join(job_name(job, epoch))) {
                    tracing::info!(%job, %epoch, engine = offer.kind.as_str(), "removing an orphan");
                    self.remove(offer.kind, node, job, epoch).await;
                }
            }
        }
    }

    /// Removes containers that an earlier homied started ahead: those whose directories are gone, and that no job has been
    /// given. One that was just given away may not have its job's name yet.
    async fn sweep_waiting(&self, node: &str, jobs_dir: &Path) {
        for (id, container) in self.docker().waiting(node).await.unwrap_or_default() {
            if jobs_dir.join(format!("{PREFIX}{id}")).exists() || is_given(jobs_dir, &container) {
                continue;
            }
            if let Err(error) = self.docker().discard(&container).await {
                tracing::warn!(%error, "a container that an earlier homied started ahead stays");
            }
        }
    }
}

/// Whether nobody stands by the job of this directory any more.
fn is_orphan(dir: &Path) -> bool {
    !dir.exists() || dir.join(EXIT).exists() && try_lock(dir).is_ok_and(|lock| lock.is_some())
}

/// Whether a job that somebody stands by has this container.
fn is_given(jobs_dir: &Path, container: &str) -> bool {
    let dirs = std::fs::read_dir(jobs_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut given = dirs.filter(|dir| given_to(dir).is_some_and(|warm| warm.container == container));
    given.any(|dir| !is_orphan(&dir))
}

/// The container that the job of this directory was given.
fn given_to(dir: &Path) -> Option<Warm> {
    read_json::<JobLaunch>(&dir.join(LAUNCH)).ok()?.warm
}

/// The engines that may be used, the preferred first.
pub(super) fn preferred(choice: EngineChoice) -> Vec<EngineKind> {
    match choice {
        EngineChoice::Auto => vec![EngineKind::Docker, EngineKind::Native],
        EngineChoice::Docker => vec![EngineKind::Docker],
        EngineChoice::Native => vec![EngineKind::Native],
    }
}
