//! Jobs as homied runs them: `homied __supervise DIR`, a process that lives as long as the job and leaves a report.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use homie::model::{FailKind, Outcome};
use homie::sandbox::engine::{Engine, ExitReport};
use homie::wire::output::{RecordReader, Source};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine::{Shared, TestJob, shared};

/// Starts a supervisor under a shell that stands for homied: it is the parent, and can be killed.
fn supervise(docker: &Shared, job: &TestJob) -> Child {
    let launch = serde_json::to_vec(&job.launch).expect("launch");
    std::fs::write(job.launch.job_dir.join("launch.json"), launch).expect("launch.json");
    Command::new("sh")
        .args(["-c", "\"$1\" __supervise \"$2\" </dev/null & wait", "sh", env!("CARGO_BIN_EXE_homied")])
        .arg(&job.launch.job_dir)
        .env("DOCKER_HOST", format!("unix://{}", docker.socket.display()))
        .stdin(Stdio::null())
        .spawn()
        .expect("sh")
}

async fn appears(path: &Path) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !path.exists() {
        assert!(Instant::now() < patience, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the job wrote to `source`, and how the supervisor says it ended.
async fn report(job: &TestJob) -> (Vec<u8>, ExitReport) {
    let exit = job.launch.job_dir.join("exit.json");
    appears(&exit).await;
    let report: ExitReport = serde_json::from_slice(&std::fs::read(exit).expect("exit.json")).expect("a report");
    let log = std::fs::read(job.launch.job_dir.join("output")).expect("output");
    assert_eq!(log.len() as u64, report.output_bytes);
    let (mut reader, mut stdout) = (RecordReader::default(), Vec::new());
    reader.push(&log);
    while let Some(record) = reader.next_record().expect("whole records") {
        if record.source == Source::Stdout {
            stdout.extend_from_slice(&record.data);
        }
    }
    assert_eq!(reader.pending(), 0);
    (stdout, report)
}

#[tokio::test]
async fn a_killed_parent_costs_no_line_and_no_exit_code() {
    let Some(docker) = shared().await else { return };
    let program = "import time, sys\nfor i in range(200): print(i, flush=True); time.sleep(0.01)\nsys.exit(5)";
    let job = TestJob::python(&docker, program);
    let mut homied = supervise(&docker, &job);
    appears(&job.launch.job_dir.join("started.json")).await;
    homied.kill().expect("kill -9");
    homied.wait().expect("reaped");
    let (stdout, report) = report(&job).await;
    let want: String = (0..200).map(|i| format!("{i}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&stdout), want);
    assert_eq!(report.outcome, Outcome::Exited { code: 5 });
    assert!(report.usage.wall_ms >= 2000 && report.usage.peak_memory_bytes > 0, "{:?}", report.usage);
    // What is left of the container is removed once the report is written.
    let patience = Instant::now() + Duration::from_secs(120);
    while docker.engine.leftovers(&job.launch.node).await.expect("listed").iter().any(|l| l.0 == job.launch.job) {
        assert!(Instant::now() < patience, "the container stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_job_past_its_time_is_over_whatever_it_ignores() {
    let Some(docker) = shared().await else { return };
    let stubborn = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
                    os.fork(); os.write(1, b'here\\n')\nwhile True: time.sleep(1)";
    let mut job = TestJob::python(&docker, stubborn);
    job.launch.limits.timeout_s = 2;
    let mut homied = supervise(&docker, &job);
    let (stdout, report) = report(&job).await;
    homied.wait().expect("reaped");
    assert_eq!((stdout.as_slice(), report.outcome), (&b"here\nhere\n"[..], Outcome::TimedOut));
    assert!((2000..30_000).contains(&report.usage.wall_ms), "{:?}", report.usage);
}

#[tokio::test]
async fn each_failure_has_its_own_name() {
    let Some(docker) = shared().await else { return };
    let hog = TestJob::python(&docker, "b = []\nwhile True: b.append(bytearray(1 << 20))");
    let missing = TestJob::new(&docker, &["nodejs", "x.js"]);
    let mut chatty = TestJob::python(&docker, "while True: print('x' * 1000)");
    chatty.launch.limits.output_bytes = 1 << 20;
    let mut elsewhere = TestJob::new(&docker, &["true"]);
    elsewhere.launch.image = Some("homie-base:no-such-tag".to_owned());
    for (job, kind) in [
        (hog, FailKind::OutOfMemory),
        (missing, FailKind::Spawn),
        (chatty, FailKind::OutputLimit),
        (elsewhere, FailKind::Engine),
    ] {
        let mut homied = supervise(&docker, &job);
        let (_, report) = report(&job).await;
        homied.wait().expect("reaped");
        assert!(matches!(&report.outcome, Outcome::Failed { reason, .. } if *reason == kind), "{kind:?}: {report:?}");
    }
}

#[tokio::test]
async fn a_word_from_homied_stops_a_job() {
    let Some(docker) = shared().await else { return };
    let job = TestJob::new(&docker, &["sleep", "600"]);
    let mut homied = supervise(&docker, &job);
    appears(&job.launch.job_dir.join("started.json")).await;
    let note = std::fs::read(job.launch.job_dir.join("supervisor.json")).expect("supervisor.json");
    let note: serde_json::Value = serde_json::from_slice(&note).expect("a note");
    let pid = i32::try_from(note["pid"].as_i64().expect("pid")).expect("pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("sent");
    let (_, report) = report(&job).await;
    homied.wait().expect("reaped");
    assert!(matches!(report.outcome, Outcome::Cancelled { .. }), "{report:?}");
}
