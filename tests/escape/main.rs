//! Does the jail hold? Every probe of the escape suite, on both engines, and on a plain container, which must not.
//!
//! See `homie::sandbox::escape` for what counts. As root this is the jail of a homied that root runs; the pass as an ordinary
//! user tests that of everybody else, the packaged service among them.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod plain;

use std::path::{Path, PathBuf};

use homie::model::EngineKind;
use homie::sandbox::engine::Engine;
use homie::sandbox::engine::docker::DockerEngine;
use homie::sandbox::escape::{self, Ground};
use homie::wire::doctor::{ProbeResult, ProbeRow};

/// Attempts that end at the client's rules, not at the worker's; `homie doctor` judges them (tests/it).
const CLIENTS: [&str; 3] = ["dot-file", "replaced-input", "terminal-escapes"];

/// The built homied, which supervises the jobs.
fn homied() -> PathBuf {
    match std::env::var_os("HOMIE_TEST_BIN") {
        Some(dir) => PathBuf::from(dir).join("homied"),
        None => env!("CARGO_BIN_EXE_homied").into(),
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says that a test cannot run, and fails it where nothing may be left out.
fn absent(why: &str) {
    let ci = std::env::var("CI").as_deref() == Ok("true") && std::env::var("HOMIE_TEST_PASS").is_err();
    assert!(!ci, "cannot run here, and with CI=true nothing is left out: {why}");
    eprintln!("left out: {why}");
}

async fn suite(jobs_dir: &Path, engine: EngineKind, image: Option<String>) -> Vec<ProbeRow> {
    let ground = Ground {
        exe: homied(),
        jobs_dir: jobs_dir.canonicalize().expect("there"),
        node: "ESCAPE-SUITE".to_owned(),
        docker_host: None,
        engines: vec![(engine, image)],
    };
    let (to, mut from) = tokio::sync::mpsc::channel(1);
    let suite = tokio::spawn(escape::run(ground, to));
    let mut rows = vec![];
    while let Some(row) = from.recv().await {
        eprintln!("{:20} {:9?} {}", row.name, row.result, row.note);
        rows.push(row);
    }
    suite.await.expect("no panic").expect("the suite ran");
    let left: Vec<_> = std::fs::read_dir(jobs_dir).expect("there").collect();
    assert!(left.is_empty(), "the suite left {left:?}");
    rows
}

fn check(rows: &[ProbeRow], most_untried: usize) {
    let named = |result| -> Vec<String> {
        let some = rows.iter().filter(|r| r.result == result);
        some.map(|r| format!("{}: {}", r.name, r.note)).collect()
    };
    let reached: Vec<_> = named(ProbeResult::Reached)
        .into_iter()
        .filter(|r| !CLIENTS.iter().any(|client| r.starts_with(client)))
        .collect();
    assert!(reached.is_empty(), "reached from inside: {reached:#?}");
    let broken = named(ProbeResult::Broken);
    assert!(broken.is_empty(), "probes that prove nothing: {broken:#?}");
    let untried = named(ProbeResult::Untried);
    assert!(untried.len() <= most_untried, "too much cannot be tried here: {untried:#?}");
    let held = named(ProbeResult::Held).len();
    assert!(held >= 60, "only {held} probes were held");
}

#[tokio::test]
async fn nothing_is_reached_from_the_native_jail() {
    let dir = tempfile::tempdir().expect("tempdir");
    let rows = suite(dir.path(), EngineKind::Native, None).await;
    // What a kernel lacks; an ordinary user lacks many rights outside, too.
    check(&rows, if is_root() { 40 } else { 70 });
}

#[tokio::test]
async fn nothing_is_reached_from_a_container() {
    let engine = DockerEngine::of_this_process();
    let ready = match engine.probe().await {
        Ok(ready) => ready,
        Err(e) => return absent(&e.to_string()),
    };
    let Some(image) = ready.images.get("base").cloned() else {
        return absent("environment base is not built: run tests/docker first, or `homie env build base`");
    };
    let dir = tempfile::tempdir().expect("tempdir");
    let rows = suite(dir.path(), EngineKind::Docker, Some(image)).await;
    check(&rows, 40);
}
