//! A stranger on the LAN: forged and recorded heartbeats, scans, and connections that only take up room.
//!
//! The stranger is `tests/fixtures/stranger.py` on a machine without homied, and knows no secret. How much of a core it
//! costs is a matter for `benches/attacks.py`.

use std::time::Duration;

use serde_json::Value;

use super::process::{Finished, Running, wait_until};
use super::world::{Host, World};
use crate::need_root;

const STRANGER: &str = include_str!("../fixtures/stranger.py");
/// An attack of some seconds, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);
/// Strangers are hung up on after 5 s; ten times that.
const MOST_HELD_S: f64 = 50.0;
/// What an attack may add to homied's memory: ten times what it should.
const MOST_GROWN_KIB: u64 = 80 << 10;

fn attack(stranger: &Host, args: &[&str]) -> Running {
    let mut command = stranger.command("/usr/bin/python3");
    command.arg("-c").arg(STRANGER).args(args);
    Running::start(command, b"")
}

/// The last line that the stranger printed.
fn report(done: &Finished) -> Value {
    let out = done.out();
    serde_json::from_str(out.lines().last().expect("a report")).unwrap_or_else(|e| panic!("{e}: {out}"))
}

fn resident_kib(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.homied_pid())).expect("homied lives");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// Whom a machine lists, with address and state.
fn listed(host: &Host) -> Vec<(String, String, String)> {
    let rows = host.homie(&["--json", "peers", "--all"]).code(0).json()["peers"].clone();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (text(row, "name"), text(row, "addr"), text(row, "status"));
    rows.as_array().expect("rows").iter().map(row).collect()
}

/// Beats of `sources` as a stranger hears them.
fn recorded(stranger: &Host, sources: &[&Host], each: u32) -> String {
    let path = stranger.home.join("beats.json").display().to_string();
    let sources: Vec<&str> = sources.iter().map(|h| h.ip.as_str()).collect();
    attack(stranger, &["capture", &path, &sources.join(","), &each.to_string()]).finish_within(PATIENCE).code(0);
    path
}

#[test]
fn forged_heartbeats_add_nobody_lose_nobody_and_are_not_answered() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "stranger"]);
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let (alice, bob, stranger) = (world.host("alice"), world.host("bob"), world.host("stranger"));
    alice.wait_sees("bob");
    bob.wait_sees("alice");
    let beats = recorded(stranger, &[alice, bob], 1);
    let (before, memory) = (listed(alice), resident_kib(alice));

    let flood = attack(stranger, &["forge", &beats, &stranger.ip, &alice.ip, "5", "4000"]);
    alice.run_text(&["--peer", "bob"], "echo in spite of it").code(0).says("[bob] in spite of it");
    bob.run_text(&["--peer", "alice"], "echo and back").code(0).says("[alice] and back");
    let told = report(&flood.finish_within(PATIENCE).code(0));
    assert!(told["sent"].as_u64().expect("a number") >= 1000, "{told}");
    assert_eq!((&told["answers"], &told["dials"]), (&0.into(), &0.into()), "{told}");
    // A load that just ended may be listed for another beat.
    wait_until("the list is as it was", PATIENCE, || listed(alice) == before);
    let grown = resident_kib(alice).saturating_sub(memory);
    assert!(grown <= MOST_GROWN_KIB, "{grown} KiB for forgeries");
}

#[test]
fn recorded_heartbeats_neither_move_nor_revive_anybody() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "carol", "stranger"]);
    for name in ["alice", "bob", "carol"] {
        world.host_mut(name).start();
    }
    let (alice, stranger) = (world.host("alice"), world.host("stranger"));
    alice.wait_sees("bob");
    alice.wait_sees("carol");
    let beats = recorded(stranger, &[world.host("bob"), world.host("carol")], 2);
    world.host_mut("carol").stop().code(0);
    let (alice, stranger) = (world.host("alice"), world.host("stranger"));
    alice.wait_misses("carol");
    let before = listed(alice);

    // All of it was heard before: not even a dial comes of it.
    for machine in ["bob", "carol"] {
        let again = ["replay", &beats, &stranger.ip, &alice.ip, &world.host(machine).ip, "20"];
        let told = report(&attack(stranger, &again).finish_within(PATIENCE).code(0));
        assert_eq!((&told["answers"], &told["dials"]), (&0.into(), &0.into()), "{machine}: {told}");
        assert_eq!(listed(alice), before, "{machine}");
    }

    // A homied that was started since has heard nothing yet. It may look who is there, and finds nobody who can prove it.
    world.host_mut("alice").stop().code(0);
    world.host_mut("alice").start();
    let (alice, bob, stranger) = (world.host("alice"), world.host("bob"), world.host("stranger"));
    let again = ["replay", &beats, &stranger.ip, &alice.ip, &world.host("carol").ip, "20"];
    let told = report(&attack(stranger, &again).finish_within(PATIENCE).code(0));
    assert_eq!(told["answers"], 0, "{told}");
    assert!(told["dials"].as_u64().expect("a number") <= 1, "one look at each address in 5 s: {told}");
    alice.wait_sees("bob");
    assert_eq!(alice.sees(), ["bob"]);
    let at = listed(alice).into_iter().find(|row| row.0 == "bob").expect("listed").1;
    assert_eq!(at, bob.address());
    alice.run_text(&["--peer", "bob"], "echo still bob").code(0).says("[bob] still bob");
}

#[test]
fn a_scan_of_every_port_finds_one_that_says_nothing() {
    need_root!();
    let mut world = World::new(&["alice", "stranger"]);
    world.host_mut("alice").start();
    let (alice, stranger) = (world.host("alice"), world.host("stranger"));
    let told = report(&attack(stranger, &["scan", &alice.ip]).finish_within(PATIENCE).code(0));
    assert_eq!(told["open"], serde_json::json!([alice.port]), "{told}");
    assert_eq!(told["bytes"], 0, "{told}");
    alice.homie(&["status"]).code(0);
}

#[test]
fn connections_that_say_nothing_keep_no_friend_out() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "stranger"]);
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let from = world.host("stranger").ip.clone();
    world.host("bob").wait_sees("alice");
    let memory = resident_kib(world.host("alice"));

    let flood = attack(world.host("stranger"), &["hold", &world.host("alice").ip, "500", "15"]);
    flood.wait_for("held");
    // A friend that has a link already, and one that must first get one past the crowd.
    world.host("bob").run_text(&["--peer", "alice"], "echo through").code(0).says("[alice] through");
    world.host_mut("bob").stop().code(0);
    world.host_mut("bob").start();
    world.host("bob").wait_sees("alice");
    world.host("bob").run_text(&["--peer", "alice"], "echo anew").code(0).says("[alice] anew");

    let told = report(&flood.finish_within(PATIENCE).code(0));
    assert_eq!(told["bytes"], 0, "{told}");
    assert!(told["closed"].as_u64().expect("a number") >= 500, "{told}");
    assert!(told["longest_s"].as_f64().expect("a number") <= MOST_HELD_S, "{told}");
    let alice = world.host("alice");
    let grown = resident_kib(alice).saturating_sub(memory);
    assert!(grown <= MOST_GROWN_KIB, "{grown} KiB for strangers");
    wait_until("the strangers' connections are gone", PATIENCE, || {
        let mut ss = alice.command("ss");
        ss.args(["-Htn", "dst", &from]);
        Running::start(ss, b"").finish().code(0).out().trim().is_empty()
    });
}
