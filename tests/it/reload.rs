//! A running homied takes up another name, group or port, and loses no job over it.

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};

const OTHER_SECRET: &str = "it-other-f5e4d3c2b1a0-seven-words-would-be-nicer";

/// Prints 1 to 200 in four seconds, leaves a file, and ends with 7.
const COUNT: &str = "for i in $(seq 200); do echo $i; sleep 0.02; done; echo left > left.txt; exit 7";

fn all_lines(peer: &str) -> Vec<String> {
    (1..=200).map(|n| format!("[{peer}] {n}")).collect()
}

fn marked(out: &str) -> Vec<String> {
    out.lines().map(str::trim_start).filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

fn boot_free_status(host: &Host) -> serde_json::Value {
    host.homie(&["--json", "status"]).code(0).json()["status"].clone()
}

#[test]
fn another_name_is_seen_by_the_others_and_history_and_jobs_stay() {
    let world = World::started(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    bob.run_text(&["--peer", "alice"], "echo before").code(0).says("[alice] before");
    let before = boot_free_status(alice);

    alice.homie(&["config", "set", "name", "alicia"]).code(0);
    bob.wait_sees("alicia");
    assert_eq!(bob.sees(), ["alicia"], "nobody is listed under two names");
    let after = boot_free_status(alice);
    assert_eq!((&after["name"], &after["pid"], &after["id"]), (&"alicia".into(), &before["pid"], &before["id"]));
    bob.run_text(&["--peer", "alicia"], "echo after").code(0).says("[alicia] after");
    bob.homie(&["history"]).code(0).says("alicia").says("alice ");
    alice.homie(&["history"]).code(0).says("bob");
    alice.run_text(&["--peer", "bob"], "echo both ways").code(0).says("[bob] both ways");
}

#[test]
fn a_change_of_name_in_the_middle_of_a_job_costs_no_line() {
    for renamed in ["alice", "bob"] {
        let world = World::started(&["alice", "bob"]);
        let run = world.host("alice").start_text(&["--peer", "bob"], COUNT);
        run.wait_for("[bob] 20\n");
        world.host(renamed).homie(&["config", "set", "name", "robin"]).code(0);
        let done = run.finish().code(7);
        assert_eq!(marked(&done.out()), all_lines("bob"), "{renamed} was renamed");
        assert_eq!(world.host("alice").read("left.txt"), b"left\n");
    }
}

#[test]
fn another_secret_on_one_side_parts_them_and_on_both_they_meet_again() {
    let world = World::started(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let run = alice.start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");

    alice.homie_with_input(&["config", "set", "group_secret", "-"], OTHER_SECRET.as_bytes()).finish().code(0);
    // Whoever leaves a group knows nobody there any more, and those who stay hear a goodbye.
    assert_eq!(alice.sees(), Vec::<String>::new());
    bob.wait_misses("alice");
    bob.run_text(&["--remote"], "echo never").code(69);

    bob.homie_with_input(&["setup", "--yes", "--secret-file", "-"], OTHER_SECRET.as_bytes())
        .finish()
        .code(0)
        .says("goes by it already");
    bob.wait_sees("alice");
    alice.wait_sees("bob");
    // The job went on at bob's all the while.
    let done = run.finish().code(7);
    assert_eq!(marked(&done.out()), all_lines("bob"));
    bob.run_text(&["--peer", "alice"], "echo again").code(0).says("[alice] again");
}

#[test]
fn a_hangup_reads_the_file_again() {
    let world = World::started(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let text = std::fs::read_to_string(bob.state.join("config.yaml")).expect("own file");
    std::fs::write(bob.state.join("config.yaml"), text.replace("name: bob", "name: robert")).expect("own file");
    bob.signal_homied(nix::sys::signal::Signal::SIGHUP);
    alice.wait_sees("robert");
    // What cannot be used changes nothing.
    std::fs::write(bob.state.join("config.yaml"), "worker_port: many\n").expect("own file");
    bob.signal_homied(nix::sys::signal::Signal::SIGHUP);
    wait_until("the log tells of it", PATIENCE, || {
        std::fs::read_to_string(bob.log()).is_ok_and(|log| log.contains("stays as it was"))
    });
    assert_eq!(alice.sees(), ["robert"]);
    assert_eq!(boot_free_status(bob)["name"], "robert");
}

#[test]
fn a_group_can_be_joined_and_left_without_a_restart() {
    let world = {
        let mut world = World::new(&["alice", "bob"]);
        let text = std::fs::read_to_string(world.host("bob").state.join("config.yaml")).expect("own file");
        let alone: String =
            text.lines().filter(|line| !line.starts_with("group_secret")).map(|l| l.to_owned() + "\n").collect();
        std::fs::write(world.host("bob").state.join("config.yaml"), alone).expect("own file");
        world.start_all();
        world
    };
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    assert!(boot_free_status(bob)["worker_error"].is_string(), "alone, so the port is shut");
    bob.homie_with_input(&["config", "set", "group_secret", "-"], super::world::SECRET.as_bytes()).finish().code(0);
    world.wait_acquainted();
    assert!(boot_free_status(bob)["worker_error"].is_null());
    bob.homie(&["config", "unset", "group_secret"]).code(0);
    alice.wait_misses("bob");
    assert!(boot_free_status(bob)["worker_error"].is_string());
}

#[test]
fn other_ports_are_taken_up_and_what_is_not_says_so() {
    let world = World::started(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let port = super::world::free_port();
    bob.homie(&["config", "set", "worker_port", &port.to_string()]).code(0);
    assert_eq!(boot_free_status(bob)["worker_port"], port);
    // Found by its hello where hellos go, by bob's own dial otherwise.
    alice.wait_sees("bob");
    alice.run_text(&["--peer", "bob"], "echo there").code(0).says("[bob] there");

    bob.homie(&["config", "set", "store_limit", "3g"]).code(0).says("restart needed");
    bob.homie(&["status"]).code(0).says("store_limit is not in force yet");
    bob.homie(&["config", "--timeout", "77"]).code(0);
    assert_eq!(boot_free_status(bob)["timeout_limit_ms"], 77_000);
}
