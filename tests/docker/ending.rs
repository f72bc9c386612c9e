//! Engines and supervisors that go away in the middle.

use std::time::{Duration, Instant};

use homie::sandbox::engine::{Engine, EngineError, EngineJob, Started};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;

use crate::engine::{OwnDocker, TestJob, absent, with_base};

#[tokio::test]
async fn an_engine_killed_in_the_middle_is_a_named_failure_and_leaves_no_process() {
    let own = match OwnDocker::start("killed") {
        Ok(own) => own,
        Err(why) => return absent(&why),
    };
    let docker = with_base(&own.socket).await.expect("base");
    let job = TestJob::python(&docker, "import time\nprint('here', flush=True)\nwhile True: time.sleep(0.1)");
    let Started { mut stdout, mut stderr, job: mut running } = docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 5];
    stdout.read_exact(&mut text).await.expect("it runs");
    let began = Instant::now();
    kill(Pid::from_raw(own.pid()), Signal::SIGKILL).expect("killed");
    let ended = tokio::time::timeout(Duration::from_secs(30), running.wait()).await.expect("noticed");
    assert!(matches!(&ended, Err(EngineError::Failed(text)) if text.contains("went away")), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // The streams end too, rather than hang.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stdout.read_to_end(&mut rest)).await.expect("ends").expect("read");
    tokio::time::timeout(Duration::from_secs(30), stderr.read_to_end(&mut rest)).await.expect("ends").expect("read");
    // The container outlives its engine; the deadline must not depend on it.
    running.kill().await.expect("killed without the engine");
    let marker = job.launch.work_dir().to_string_lossy().into_owned();
    let patience = Instant::now() + Duration::from_secs(30);
    while holds(&marker) {
        assert!(Instant::now() < patience, "the job runs on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The engine cannot remove its record now; homied's next look at the leftovers does.
    assert!(running.remove().await.is_err());
}

/// Whether any process has the job's directory mounted at /work.
fn holds(work: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|p| {
        let mounts = std::fs::read_to_string(p.path().join("mountinfo")).unwrap_or_default();
        mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/work") && line.contains(work.trim_start_matches('/')))
    })
}
