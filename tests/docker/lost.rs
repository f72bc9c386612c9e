//! A supervisor that is killed in the middle of a job.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::homied::{Engine, node};
use crate::process::{PATIENCE, wait_until};
use crate::world::Host;

fn kill_supervisor(bob: &Host, job: &str) {
    let note = std::fs::read(bob.state.join(format!("jobs/{job}-1/supervisor.json"))).expect("supervisor.json");
    let note: serde_json::Value = serde_json::from_slice(&note).expect("a note");
    let supervisor = i32::try_from(note["pid"].as_i64().expect("pid")).expect("pid");
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).expect("killed");
}

#[test]
fn a_job_whose_supervisor_is_killed_ends_and_its_owner_is_told_why() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let world = engine.world("");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let node = node(bob);
    let run = alice.start_text(&["--peer", "bob", "--at-most-once"], "echo here; sleep 1000");
    run.wait_for("[bob] here");
    let job = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
    let container = engine.container_of(&node, &job);
    let init = engine.inspect(&container).and_then(|c| c.state).and_then(|s| s.pid).expect("it runs");
    kill_supervisor(bob, &job);

    let done = run.finish().code(125);
    // What it said until then is kept, and what happened is said.
    done.says("[bob] here").says("supervisor");
    wait_until("its container is gone", PATIENCE, || engine.inspect(&container).is_none());
    let lives = || std::path::Path::new(&format!("/proc/{init}/cmdline")).exists();
    wait_until("its processes are gone", PATIENCE, || !lives());
    wait_until("its directory is gone", PATIENCE, || !bob.state.join(format!("jobs/{job}-1")).exists());
}

/// Between the program's start and the engine's answer, a container that was started ahead has no job's name.
#[test]
fn a_container_that_has_not_got_its_jobs_name_is_the_jobs_and_goes_with_it() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let mut world = engine.world("warm_containers: 1\n");
    let node = node(world.host("bob"));
    let (run, job, container) = engine.in_one_that_waited(&world, &["--at-most-once"], "echo here; sleep 1000");
    let other = engine.wait_waiting(&node, 1);
    engine.rename(&container, "homie-warm-0123456789abcdef");

    world.host_mut("bob").crash();
    world.host_mut("bob").start();
    wait_until("what waited is removed", PATIENCE, || engine.inspect(&other[0]).is_none());
    assert!(engine.inspect(&container).is_some(), "the job's own is not");
    kill_supervisor(world.host("bob"), &job);
    run.finish().code(125).says("supervisor");
    wait_until("its container is gone", PATIENCE, || engine.inspect(&container).is_none());
}
