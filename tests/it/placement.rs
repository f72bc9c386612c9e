//! On which machine a job runs, and how it is told why.

use super::world::World;

#[test]
fn a_busy_machine_s_jobs_go_to_the_next() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    for host in ["bob", "carol"] {
        world.host(host).configure("job_slots: 1\n");
    }
    if world.host("alice").namespace.is_none() {
        return super::world::skip("on the loopback a new config would lose the addresses");
    }
    world.start_all();
    world.wait_ready();
    let alice = world.host("alice");
    let held = alice.start_text(&["--peer", "bob"], "echo up; sleep 600");
    held.wait_for("[bob] up");
    // Every time, not only when the ranking happens to like carol.
    for _ in 0..3 {
        alice.run_text(&["--remote"], "echo here").code(0).says("[carol] here");
    }
    drop(held);
}

#[test]
fn local_stays_here_and_remote_does_not() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.run_text(&["--local"], "echo here").code(0).says("here");
    let job = alice.newest_job(&[]);
    assert!(job.to_string().contains("alice"), "{job}");
    alice.run_text(&["--remote"], "echo there").code(0).says("[bob] there");
}

#[test]
fn alone_a_job_runs_here_and_remote_says_that_nobody_is_there() {
    let world = World::started(&["alice"]);
    let alice = world.host("alice");
    alice.run_text(&[], "echo alone").code(0).says("alone");
    alice.run_text(&["--remote"], "echo never").code(69);
}

#[test]
fn an_unknown_peer_is_a_usage_error_that_suggests_names() {
    let world = World::started(&["alice", "bob", "carol"]);
    world.host("alice").run_text(&["--peer", "carl"], "echo never").code(2).says("carol");
}

#[test]
fn explain_shows_every_candidate_and_why_it_lost() {
    let world = World::started(&["alice", "bob", "carol"]);
    let alice = world.host("alice");
    alice.write("job.sh", "#!/bin/sh\necho never\n");
    alice.homie(&["run", "--explain", "--remote", "job.sh"]).code(0).says("alice").says("bob").says("carol");
    let rows = alice.homie(&["--json", "run", "--explain", "--memory", "400t", "job.sh"]).out();
    assert!(rows.contains("bob") && rows.contains("memory"), "{rows}");
    // Nothing ran.
    assert_eq!(alice.newest_job(&[]), serde_json::Value::Null);
}

#[test]
fn more_than_anybody_has_is_refused_with_the_reason() {
    let world = World::started(&["alice", "bob"]);
    world.host("alice").run_text(&["--memory", "400t"], "echo never").code(69).says("memory");
    world.host("alice").run_text(&["--gpu=64"], "echo never").code(69).says("GPU");
}
