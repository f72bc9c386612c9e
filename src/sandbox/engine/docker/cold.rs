//! A container that is made for its job: created, started, entered.

use std::io::ErrorKind;
use std::path::Path;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::connect::Client;
use super::enter::{enter, flavour, hand_over, open_line, write_seccomp};
use super::error::{asked, is_status, words};
use super::init::furnish;
use super::run::{DockerJob, follow, remove_container};
use super::settled;
use super::template::{self, Flavour, Shape};
use crate::sandbox::engine::{EngineError, JobLaunch, Started};

/// Starts `launch` in a container of its own, with its files in the new directory `ctl`.
pub(super) async fn start(
    client: &Client,
    launch: &JobLaunch,
    image: &str,
    ctl: &Path,
) -> Result<Started<DockerJob>, EngineError> {
    let shape = Shape::of(launch, image);
    let flavour = flavour(client, ctl);
    let files = furnish(ctl, template::HOSTS).and_then(|()| write_seccomp(client, ctl));
    files.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => EngineError::Failed(format!("{} was started before: {e}", launch.name())),
        _ => EngineError::Failed(format!("the container's own files: {e}")),
    })?;
    let mut line = open_line(ctl)?;
    let id = create(&client.docker, launch, &shape, &flavour).await?;
    let begun = async {
        client.docker.start_container(&id, None).await.map_err(|e| asked("start the container", &e))?;
        let name = template::container_name(launch.job, launch.epoch);
        let cgroup = enter(client, &id, &name, &shape, &flavour, &mut line, ctl).await?;
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
