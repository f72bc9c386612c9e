//! What the engine keeps between processes: names that make creation idempotent, labels that find leftovers again.

use std::collections::HashMap;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptionsBuilder;
use homie::model::{Epoch, JobId};
use homie::sandbox::engine::{End, Engine, EngineError};

use crate::engine::{TestJob, client, finish, shared};

#[tokio::test]
async fn one_assignment_is_started_once() {
    let Some(docker) = shared().await else { return };
    let job = TestJob::python(&docker, "import time; time.sleep(1); print('once')");
    let (a, b) = tokio::join!(docker.engine.start(&job.launch), docker.engine.start(&job.launch));
    let (won, lost) = match (a, b) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        other => panic!("exactly one starts: {other:?}"),
    };
    assert!(matches!(&lost, EngineError::Failed(_)), "{lost:?}");
    let done = finish(won).await;
    assert_eq!((done.stdout.as_str(), done.ended.expect("known end").end), ("once\n", End::Exited(0)));
}

#[tokio::test]
async fn a_container_that_was_made_but_never_started_is_no_obstacle() {
    let Some(docker) = shared().await else { return };
    let job = TestJob::python(&docker, "print('now')");
    // As a supervisor leaves it that dies between creating and starting.
    let options = CreateContainerOptionsBuilder::default().name(&format!("homie-{}", job.launch.name())).build();
    let labels = HashMap::from([("homie.node".to_owned(), job.launch.node.clone())]);
    let (image, cmd) = (Some(docker.image.clone()), Some(vec!["true".to_owned()]));
    let body = ContainerCreateBody { image, cmd, labels: Some(labels), ..Default::default() };
    client(&docker).await.create_container(Some(options), body).await.expect("made");
    assert_eq!(job.run(&docker).await.stdout, "now\n");
}

#[tokio::test]
async fn leftovers_are_found_by_their_owner_only_and_removed() {
    let Some(docker) = shared().await else { return };
    let mut job = TestJob::new(&docker, &["sleep", "600"]);
    job.launch.node = format!("LEFT-{}", job.launch.job);
    let (id, epoch, node) = (job.launch.job, job.launch.epoch, job.launch.node.clone());
    let started = docker.engine.start(&job.launch).await.expect("started");
    // Its supervisor dies: nobody waits, nobody removes.
    drop(started);
    assert_eq!(docker.engine.leftovers(&node).await.expect("listed"), [(id, epoch)]);
    assert_eq!(docker.engine.leftovers("SOMEBODY-ELSE").await.expect("listed"), []);
    let refused = docker.engine.remove("SOMEBODY-ELSE", id, epoch).await.expect_err("not theirs").to_string();
    assert!(refused.contains("not this machine's own"), "{refused}");
    let again = docker.engine.start(&job.launch).await.map(|s| s.job).expect_err("it was started before").to_string();
    assert!(again.contains("started before"), "{again}");
    docker.engine.remove(&node, id, epoch).await.expect("removed");
    docker.engine.remove(&node, id, epoch).await.expect("nothing left is fine");
    docker.engine.remove(&node, JobId([9; 16]), Epoch(1)).await.expect("never there is fine");
    assert_eq!(docker.engine.leftovers(&node).await.expect("listed"), []);
}

#[tokio::test]
async fn an_environment_that_is_not_here_is_named() {
    let Some(docker) = shared().await else { return };
    let mut job = TestJob::new(&docker, &["true"]);
    for image in [None, Some(format!("sha256:{}", "0".repeat(64)))] {
        job.launch.image = image;
        let error = docker.engine.start(&job.launch).await.map(|s| s.job).expect_err("no image");
        assert_eq!(error, EngineError::NoEnvironment("base".to_owned()));
    }
}

#[tokio::test]
async fn the_probe_offers_base_and_says_how_strong_it_is() {
    let Some(docker) = shared().await else { return };
    let ready = docker.engine.probe().await.expect("ready");
    assert_eq!(ready.offer.envs, ["base"]);
    assert_eq!(ready.offer.isolation, homie::model::Isolation::Container);
    assert!(ready.images.contains_key("base"), "{ready:?}");
}
