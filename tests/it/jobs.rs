//! A job's road: where it runs, what comes back, how it ends.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::process::{PATIENCE, Running};
use super::world::{World, examples};

/// The lines that a job of `peer` printed, without the name in front.
fn lines_of(peer: &str, out: &str) -> Vec<String> {
    let mark = format!("[{peer}] ");
    out.lines().filter_map(|line| line.trim_start().strip_prefix(&mark).map(str::to_owned)).collect()
}

#[test]
fn the_training_example_runs_on_the_best_of_the_others_and_its_files_come_home() {
    let world = World::started(&["alice", "bob", "carol"]);
    let alice = world.host("alice");
    let script = std::fs::read(examples().join("ml-training/train.py")).expect("the example");
    alice.write("train.py", &script);
    let done = alice
        .homie(&["run", "--remote", "train.py", "--epochs", "2"])
        .code(0)
        .says("Test accuracy: 0.9")
        .says("model.pkl");
    let job = alice.newest_job(&[]);
    let peer = job["peer"].as_str().or(job["peer_name"].as_str()).expect("a peer").to_owned();
    assert!(["bob", "carol"].contains(&peer.as_str()), "{job}");

    // The same script here gives the same bytes: nothing was changed on the way.
    let here = world.host("carol");
    here.write("train.py", &script);
    let mut python = here.command("/usr/bin/python3");
    python.args(["train.py", "--epochs", "2"]);
    let local = Running::start(python, b"").finish().code(0);
    for file in ["model.pkl", "results.json", "training.log"] {
        assert!(alice.read(file) == here.read(file), "{file} is not what the script makes");
    }
    assert_eq!(lines_of(&peer, &done.out()), local.out().lines().collect::<Vec<_>>());

    // Both sides remember it.
    alice.homie(&["history"]).code(0).says("train.py").says(&peer);
    world.host(&peer).homie(&["history"]).code(0).says("train.py").says("alice");
}

#[test]
fn a_script_s_exit_code_is_homie_s() {
    let world = World::started(&["alice", "bob"]);
    for code in [0, 1, 7, 255] {
        world.host("alice").run_text(&["--peer", "bob"], &format!("exit {code}")).code(code);
    }
    world.host("alice").run_text(&["--peer", "bob"], "kill -TERM $$; sleep 5").code(128 + 15);
    world.host("alice").run_text(&["--local"], "kill -KILL $$; sleep 5").code(128 + 9);
    world.host("alice").homie(&["run", "--peer", "bob", "-c", "import sys; sys.exit(42)"]).code(42);
}

#[test]
fn code_standard_input_and_arguments_reach_the_program() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.homie(&["run", "--peer", "bob", "-c", "print(6 * 7)"]).code(0).says("[bob] 42");
    alice
        .homie_with_input(&["run", "--peer", "bob", "-"], b"print('by stdin')\n")
        .finish()
        .code(0)
        .says("[bob] by stdin");
    alice.write("show.sh", "#!/bin/sh\nfor a in \"$@\"; do echo \"<$a>\"; done\n");
    let done = alice
        .homie(&["run", "show.sh", "--epochs", "10", "--peer", "bob", "a b", "", "--", "--gpu", "--peer", "x"])
        .code(0);
    assert_eq!(lines_of("bob", &done.out()), ["<--epochs>", "<10>", "<a b>", "<>", "<--gpu>", "<--peer>", "<x>"]);
}

#[test]
fn output_arrives_while_the_job_runs() {
    let world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], "echo first; sleep 600; echo never");
    run.wait_for("[bob] first");
    let job = world.host("alice").newest_job(&[]);
    assert_eq!(job["state"], "running", "{job}");
    world.host("alice").homie(&["cancel", "last"]).code(0);
    run.finish().code(130);
}

#[test]
fn a_job_at_its_time_limit_is_killed() {
    let world = World::started(&["alice", "bob"]);
    let stubborn = "trap '' TERM INT HUP; echo up; while :; do sleep 1; done";
    world.host("alice").run_text(&["--peer", "bob", "--timeout", "2"], stubborn).code(124).says("[bob] up");
    assert_eq!(world.host("alice").newest_job(&[])["state"], "timed-out");
}

#[test]
fn an_interrupted_client_without_a_terminal_cancels() {
    let world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], "echo up; sleep 600");
    run.wait_for("[bob] up");
    run.signal(Signal::SIGINT);
    run.finish().code(130);
    world.host("alice").wait_job(&["cancelled"], PATIENCE);
}

#[test]
fn a_detached_job_is_attached_to_and_its_results_fetched() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let id =
        alice.run_text(&["--peer", "bob", "--detach"], "seq 100; sleep 1; seq 101 200; echo made > made.txt; exit 3");
    let id = id.code(0).out();
    let id = id
        .split_whitespace()
        .find(|w| w.len() >= 8 && w.chars().all(|c| c.is_ascii_hexdigit()))
        .expect("an id")
        .to_owned();
    let attached = alice.homie(&["attach", &id]).code(3);
    let wanted: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    assert_eq!(lines_of("bob", &attached.out()), wanted);
    assert_eq!(alice.read("made.txt"), b"made\n");

    // The same output again, from what is kept.
    assert_eq!(lines_of("bob", &alice.homie(&["logs", &id]).code(0).out()), wanted);
}

#[test]
fn results_wait_for_whoever_comes_back() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice
        .run_text(&["--peer", "bob", "--detach"], "head -c 3000000 /dev/urandom > big.bin; sha256sum < big.bin")
        .code(0);
    alice.wait_job(&["succeeded"], PATIENCE);
    assert!(!alice.home.join("big.bin").exists(), "nobody asked for it yet");
    alice.homie(&["jobs", "--all"]).code(0).says("waiting");
    alice.homie(&["results", "last"]).code(0).says("big.bin");
    let mut sum = alice.command("sh");
    sum.args(["-c", "sha256sum < big.bin"]);
    let here = Running::start(sum, b"").finish().code(0).out();
    assert_eq!(lines_of("bob", &alice.homie(&["logs", "last"]).code(0).out()), [here.trim_end()]);
}

#[test]
fn a_job_can_be_cancelled_by_its_id_and_twice_is_no_harm() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let run = alice.start_text(&["--peer", "bob"], "echo up; sleep 600");
    run.wait_for("[bob] up");
    let id = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
    alice.homie(&["cancel", &id[..8]]).code(0);
    run.finish().code(130);
    alice.homie(&["cancel", &id[..8]]);
    assert_eq!(alice.wait_job(&["cancelled"], PATIENCE)["id"], id.as_str());
    // Nothing of it is left at bob's.
    super::process::wait_until("bob hosts nothing", Duration::from_secs(30), || {
        let rows = world.host("bob").homie(&["--json", "jobs", "--hosted"]).code(0).json();
        rows["jobs"].as_array().is_some_and(Vec::is_empty)
    });
}
