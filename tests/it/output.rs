//! What a job writes arrives: all of it, in order, whatever it is.

use super::world::World;

#[test]
fn a_million_lines_arrive_in_order() {
    let world = World::started(&["alice", "bob"]);
    let done = world.host("alice").run_text(&["--peer", "bob", "--raw"], "seq 1000000").code(0);
    let out = done.out();
    let mut lines = out.lines();
    for n in 1..=1_000_000 {
        assert_eq!(lines.next().and_then(|l| l.parse().ok()), Some(n));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_last_line_without_its_end_arrives() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let done = alice.run_text(&["--peer", "bob", "--raw"], "printf 'one\\ntwo'").code(0);
    assert_eq!(done.stdout, b"one\ntwo");
    alice.run_text(&["--peer", "bob"], "printf 'one\\ntwo'").code(0).says("[bob] two");
}

#[test]
fn bytes_that_are_no_text_arrive_raw_and_are_made_visible_otherwise() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let script = "printf '\\377\\376\\000\\001 latin \\351\\n\\033[31mred\\033]0;title\\007\\n'";
    let raw = alice.run_text(&["--peer", "bob", "--raw"], script).code(0);
    assert_eq!(raw.stdout, b"\xff\xfe\x00\x01 latin \xe9\n\x1b[31mred\x1b]0;title\x07\n");
    // Nothing of a worker's may steer the user's terminal.
    let shown = alice.run_text(&["--peer", "bob"], script).code(0).says("latin");
    assert!(!shown.stdout.contains(&0x1b) && !shown.stdout.contains(&0x07), "{:?}", shown.out());
    assert!(String::from_utf8(shown.stdout).is_ok());
}

#[test]
fn stdout_and_stderr_keep_apart() {
    let world = World::started(&["alice", "bob"]);
    let done = world.host("alice").run_text(&["--peer", "bob", "--raw"], "echo to-out; echo to-err >&2").code(0);
    assert_eq!(done.out(), "to-out\n");
    assert!(done.err().contains("to-err"), "{}", done.err());
}

#[test]
fn a_flood_ends_the_job_at_the_limit_and_says_so() {
    let mut world = World::new(&["alice"]);
    world.host("alice").configure("container_output_limit: 1m\n");
    world.start_all();
    world.host("alice").run_text(&["--local"], "yes").code(125).says("output");
    assert_eq!(world.host("alice").newest_job(&[])["state"], "failed");
}

#[test]
fn a_slow_reader_stalls_nobody_and_loses_nothing() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    // A reader that reads nothing: its pipe is full after 64 KiB.
    let mut stuck = alice.command("sh");
    alice.write("flood.sh", "#!/bin/sh\nseq 300000\n");
    stuck
        .args(["-c", "\"$0\" run --peer bob --raw flood.sh | (sleep 600; cat)"])
        .arg(super::world::binary("homie-ctl"));
    let stuck = super::process::Running::start(stuck, b"");
    alice.wait_job(&["succeeded"], super::process::PATIENCE);
    let kept = alice.homie(&["logs", "last", "--raw"]).code(0).out();
    assert_eq!(kept.lines().count(), 300_000);
    drop(stuck);
}
