//! Engines and supervisors that go away in the middle.

use std::time::Duration;

use homie::sandbox::engine::{End, Engine, EngineJob, Started};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;

use crate::engine::{OwnDocker, TestJob, absent, with_base};

#[tokio::test]
async fn a_job_does_not_notice_that_its_engine_is_killed_and_comes_back() {
    // With this setting containers outlive the daemon, as for owners who want their own ones to.
    let mut own = match OwnDocker::start_with("restored", "--live-restore") {
        Ok(own) => own,
        Err(why) => return absent(&why),
    };
    let docker = with_base(&own.socket).await.expect("base");
    let program = "import os, sys, time\nprint('here', flush=True)\n\
                   while not os.path.exists('go'): time.sleep(0.01)\n\
                   for i in range(1000): print(i, flush=True)\nsys.exit(7)";
    let job = TestJob::python(&docker, program);
    let Started { mut stdout, stderr: _stderr, job: mut running } =
        docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 5];
    stdout.read_exact(&mut text).await.expect("it runs");
    own.kill_and_restart().expect("back again");
    std::fs::write(job.launch.work_dir().join("go"), "").expect("written");
    let (mut rest, all) = (String::new(), Duration::from_secs(60));
    tokio::time::timeout(all, stdout.read_to_string(&mut rest)).await.expect("in time").expect("read");
    assert_eq!(rest, (0..1000).map(|i| format!("{i}\n")).collect::<String>());
    assert_eq!(running.wait().await.expect("a known end").end, End::Exited(7));
    running.remove().await.expect("nothing is left").await;
    assert_eq!(docker.engine.leftovers(&job.launch.node).await.expect("listed"), []);
}

#[tokio::test]
async fn an_engine_killed_in_the_middle_keeps_no_job_alive_past_its_deadline() {
    let own = match OwnDocker::start("killed") {
        Ok(own) => own,
        Err(why) => return absent(&why),
    };
    let docker = with_base(&own.socket).await.expect("base");
    let job = TestJob::python(&docker, "import time\nprint('here', flush=True)\nwhile True: time.sleep(0.1)");
    let Started { mut stdout, mut stderr, job: mut running } = docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 5];
    stdout.read_exact(&mut text).await.expect("it runs");
    kill(Pid::from_raw(own.pid()), Signal::SIGKILL).expect("killed");
    // The container outlives its engine; the deadline must not depend on it.
    running.kill().await.expect("killed without the engine");
    let ended = tokio::time::timeout(Duration::from_secs(30), running.wait()).await.expect("in time");
    assert_eq!(ended.expect("a known end").end, End::Signaled(9));
    // The streams end too, rather than hang.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stdout.read_to_end(&mut rest)).await.expect("ends").expect("read");
    tokio::time::timeout(Duration::from_secs(30), stderr.read_to_end(&mut rest)).await.expect("ends").expect("read");
    let marker = job.launch.work_dir().to_string_lossy().into_owned();
    assert!(!holds(&marker), "a process of the job is left");
    // The record stays until the engine is back: for as long as the supervisor waits, then for homied's next look.
    drop(running.remove().await.expect("no process is left"));
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
