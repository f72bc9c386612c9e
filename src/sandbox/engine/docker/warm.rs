//! Containers that are started before their job is known. Made from the same template by the same lines as any other,
//! they wait in their init for one order, ever; then they are that job's, and are destroyed with it.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RenameContainerOptionsBuilder,
};

use super::connect::{Client, connect};
use super::error::{asked, is_status};
use super::template::{self, For, Shape};
use super::{DockerEngine, enter, init, list, run};
use crate::model::{EngineKind, Epoch, JobId, Limits};
use crate::sandbox::engine::{EngineError, JobLaunch, Warm, parse_job_name};

/// How long after its program's start a container that waited is given its job's name. The engine writes that to its disk
/// and its processors work for 5 ms at it, half of what python needs to start; most programs are over the worst by then, and
/// a trivial one is over altogether.
pub(super) const NAMED_AFTER: Duration = Duration::from_millis(100);

/// What jobs must have in common to be served by the same waiting container: all that cannot be changed once it runs.
#[derive(Debug, Clone)]
pub struct Kind {
    image: String,
    tree: Option<PathBuf>,
    uid: u32,
    gid: u32,
    /// Memory, processor and processes can be changed; the job's files and its /tmp cannot.
    limits: Limits,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        let fixed = |k: &Self| (k.uid, k.gid, k.limits.disk_bytes, k.limits.tmp_bytes);
        self.image == other.image && self.tree == other.tree && fixed(self) == fixed(other)
    }
}

impl Kind {
    /// The kind that serves `launch`; none does where devices are asked for.
    pub fn of(launch: &JobLaunch) -> Option<Self> {
        let servable = launch.engine == EngineKind::Docker && launch.gpus.is_empty();
        let image = launch.image.clone().filter(|_| servable)?;
        let (tree, limits) = (launch.tree.clone(), launch.limits.clone());
        Some(Self { image, tree, uid: launch.uid, gid: launch.gid, limits })
    }
}

/// The name of a container that waits, before it is a job's.
pub(super) fn waiting_name(id: &str) -> String {
    format!("homie-warm-{id}")
}

impl DockerEngine {
    /// homied: starts a container of `kind` that waits for `patience_s` seconds, with `dir` (which must be new) for its
    /// directories.
    ///
    /// # Errors
    /// The engine refuses or does not answer. Nothing of it is left then but `dir`.
    pub async fn start_ahead(
        &self,
        node: &str,
        id: &str,
        dir: &Path,
        kind: &Kind,
        patience_s: u32,
    ) -> Result<Warm, EngineError> {
        let client = connect(&self.env).await?;
        let ctl = template::control_dir(dir);
        let flavour = enter::flavour(&client, &ctl);
        let files = || {
            DirBuilder::new().mode(0o700).create(dir)?;
            let work = template::work_dir(dir);
            DirBuilder::new().mode(0o755).create(&work)?;
            if nix::unistd::geteuid().is_root() {
                chown(&work, Some(kind.uid), Some(kind.gid))?;
            }
            init::furnish(&ctl, template::HOSTS)?;
            enter::write_seccomp(&client, &ctl)
        };
        files().map_err(|e: std::io::Error| EngineError::Failed(format!("{}: {e}", dir.display())))?;
        let shape = Shape {
            node: node.to_owned(),
            whom: For::Whoever(id.to_owned()),
            dir: dir.to_path_buf(),
            image: kind.image.clone(),
            uid: kind.uid,
            gid: kind.gid,
            limits: kind.limits.clone(),
            gpus: vec![],
            tree: kind.tree.clone(),
            patience_s,
        };
        let name = waiting_name(id);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = client.docker.create_container(Some(options), template::container(&shape, &flavour)).await;
        let container = created.map_err(|e| asked("create a container", &e))?.id;
        let begun = async {
            let started = client.docker.start_container(&container, None).await;
            started.map_err(|e| asked("start a container", &e))?;
            // Now, while nobody waits for it: its job then need not.
            enter::compared(&client, &container, &name, &shape, &flavour).await
        };
        match begun.await {
            Ok(there) => {
                let checked = enter::init_of(&there);
                Ok(Warm {
                    id: id.to_owned(),
                    container,
                    made_in: dir.to_path_buf(),
                    limits: kind.limits.clone(),
                    patience_s,
                    checked,
                })
            }
            Err(e) => {
                // Best effort: what is left is found again by its label.
                let _ = run::remove_container(&client.docker, &container).await;
                Err(e)
            }
        }
    }

    /// homied: destroys a container that waits.
    ///
    /// # Errors
    /// The engine refuses or does not answer.
    pub async fn discard(&self, container: &str) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        if client.found.pong.podman {
            // Its removal first waits ten seconds for init to heed SIGTERM, which process 1 of a container does not hear.
            let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
            // One that has ended is fine; anything else the removal tells.
            let _ = client.docker.kill_container(container, Some(options)).await;
        }
        run::remove_container(&client.docker, container).await
    }

    /// homied: all containers of `node` that wait and are no job's: (own id, the engine's id).
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn waiting(&self, node: &str) -> Result<Vec<(String, String)>, EngineError> {
        let client = connect(&self.env).await?;
        let labels = vec![format!("{}={node}", template::LABEL_NODE), template::LABEL_WARM.to_owned()];
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let all = list(&client.docker, &filters).await?;
        let of_nobody = all.into_iter().filter(|c| of_names(c.names.as_deref()).is_none());
        Ok(of_nobody.filter_map(|c| Some((c.labels?.remove(template::LABEL_WARM)?, c.id?))).collect())
    }
}

/// The assignment that a container is named for.
pub(super) fn of_names(names: Option<&[String]>) -> Option<(JobId, Epoch)> {
    names?.iter().find_map(|name| parse_job_name(name.trim_start_matches('/').strip_prefix("homie-")?))
}

/// What the container of `warm` must look like now that it is `launch`'s.
pub(super) fn shape(launch: &JobLaunch, warm: &Warm, image: &str) -> Shape {
    Shape {
        whom: For::Whoever(warm.id.clone()),
        dir: warm.made_in.clone(),
        patience_s: warm.patience_s,
        ..Shape::of(launch, image)
    }
}

/// Gives a container that waited the name of its job, by which its owner knows it, and with which a second one of the same
/// assignment cannot be made.
pub(super) async fn name(client: Client, launch: &JobLaunch, warm: &Warm) {
    let name = template::container_name(launch.job, launch.epoch);
    let options = RenameContainerOptionsBuilder::default().name(&name).build();
    match client.docker.rename_container(&warm.container, options).await {
        // The job is over already.
        Err(e) if is_status(&e, 404) => {}
        Err(e) => eprintln!("the container keeps its name: {}", asked("rename a container", &e)),
        Ok(()) => {}
    }
}

/// Destroys a container that `launch` was to have and cannot use; but not one that is another job's.
pub(super) async fn give_up(client: &Client, launch: &JobLaunch, warm: &Warm) -> Result<(), EngineError> {
    let there = match client.docker.inspect_container(&warm.container, None).await {
        Err(e) if is_status(&e, 404) => return Ok(()),
        answer => answer.map_err(|e| asked("inspect the container", &e))?,
    };
    match of_names(there.name.map(|name| vec![name]).as_deref()) {
        Some(whose) if whose != (launch.job, launch.epoch) => Ok(()),
        _ => run::remove_container(&client.docker, &warm.container).await,
    }
}

/// Whether a waiting container has the limits of its job already.
pub(super) fn has_limits(launch: &JobLaunch, warm: &Warm) -> bool {
    let changeable = |l: &Limits| (l.memory_bytes, l.cpu_millis, l.pids);
    changeable(&launch.limits) == changeable(&warm.limits)
}

/// Gives a waiting container the limits of its job, where they are others.
pub(super) async fn set_limits(client: &Client, launch: &JobLaunch, warm: &Warm) -> Result<(), EngineError> {
    if has_limits(launch, warm) {
        return Ok(());
    }
    let now = &launch.limits;
    let body = ContainerUpdateBody {
        memory: Some(template::memory(now)),
        memory_swap: Some(template::memory(now)),
        nano_cpus: Some(template::nano_cpus(now)),
        pids_limit: Some(i64::from(now.pids)),
        ..ContainerUpdateBody::default()
    };
    let updated = client.docker.update_container(&warm.container, body).await;
    updated.map(drop).map_err(|e| asked("limit the container", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_a_job_from_one_that_waits() {
        let job = JobId([3; 16]);
        let name = |n: String| vec![n];
        assert_eq!(
            of_names(Some(&name(format!("/{}", template::container_name(job, Epoch(2)))))),
            Some((job, Epoch(2)))
        );
        assert_eq!(of_names(Some(&name(format!("/{}", waiting_name("ab12"))))), None);
        assert_eq!(of_names(None), None);
    }
}
