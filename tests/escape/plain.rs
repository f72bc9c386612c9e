//! The same probes in a plain container, as `docker run IMAGE` makes it: many must get through, or they prove nothing.

use std::collections::BTreeSet;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptions,
};
use futures_util::StreamExt;
use homie::sandbox::engine::Engine;
use homie::sandbox::engine::docker::DockerEngine;
use homie::sandbox::escape::{Kind, Verdict, Yard, bomb_limits, parse_attempts, parse_list};

use super::absent;

#[tokio::test]
async fn a_plain_container_lets_many_of_them_through() {
    let Ok(ready) = DockerEngine::of_this_process().probe().await else {
        return absent("no container engine answers");
    };
    let Some(image) = ready.images.get("base").cloned() else {
        return absent("environment base is not built");
    };
    let docker =
        bollard::Docker::connect_with_defaults().expect("an engine").negotiate_version().await.expect("answers");
    let dir = tempfile::tempdir().expect("tempdir");
    let yard = Yard::plant(&dir.path().canonicalize().expect("there")).await.expect("planted");
    let list = std::process::Command::new(yard.program()).arg("list").output().expect("runs").stdout;
    let bombs =
        parse_list(&String::from_utf8_lossy(&list)).into_iter().filter(|p| p.kind == Kind::Bomb).map(|p| p.name);
    let bombs: Vec<String> = bombs.collect();
    // Its own network, unless the engine was started without one.
    let networks =
        docker.list_networks(None::<bollard::query_parameters::ListNetworksOptions>).await.expect("networks");
    let bridge = std::path::Path::new("/sys/class/net/docker0").exists() && networks.len() > 2;
    let network = (!bridge).then(|| "none".to_owned());
    let mut reached = BTreeSet::new();
    for args in [vec!["all".to_owned()], [vec!["run".to_owned()], bombs].concat()] {
        let command = [vec!["/escape".to_owned()], args].concat();
        let vars = yard.vars(&bomb_limits(), true).into_iter().filter(|(name, _)| name != "CANARY_GRACE_S");
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            entrypoint: Some(command),
            env: Some(vars.map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some("/tmp".to_owned()),
            host_config: Some(HostConfig {
                network_mode: network.clone(),
                binds: Some(vec![format!("{}:/escape:ro", yard.program().display())]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let id = docker.create_container(None::<CreateContainerOptions>, body).await.expect("created").id;
        docker.start_container(&id, None::<StartContainerOptions>).await.expect("started");
        let ended = docker.wait_container(&id, None::<WaitContainerOptions>).next().await;
        let logs = LogsOptionsBuilder::default().stdout(true).build();
        let logs: Vec<_> = docker.logs(&id, Some(logs)).collect().await;
        let output: Vec<u8> = logs.into_iter().flat_map(|l| l.expect("log").into_bytes()).collect();
        let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker.remove_container(&id, Some(force)).await.expect("removed");
        ended.expect("an end").expect("ended well");
        let attempts = parse_attempts(&output).into_iter().filter(|a| a.verdict == Verdict::Reached);
        reached.extend(attempts.map(|a| a.name));
    }
    eprintln!("a plain container lets {} through: {reached:?}", reached.len());
    assert!(reached.len() >= 10, "{reached:?}");
    // Whatever the engine's age, these it does not stop.
    for name in ["fork-bomb", "memory-bomb", "disk-bomb", "raw-socket", "make-device", "root"] {
        assert!(reached.contains(name), "{name} was held by a plain container: {reached:?}");
    }
}
