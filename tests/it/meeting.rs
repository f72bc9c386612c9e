//! How machines find each other, and who is kept out.

use std::time::{Duration, Instant};

use super::process::{PATIENCE, Running, wait_until};
use super::world::{Host, World};
use crate::need_root;

#[test]
fn three_machines_find_each_other_at_once() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "carol"]);
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    world.host("alice").wait_sees("bob");
    world.host_mut("carol").start();
    let began = Instant::now();
    world.wait_acquainted();
    // 300 ms is what it should take (a hello, not a beat of 2 s); ten times that on a busy machine, from when carol answers:
    // how long homied takes to start says nothing of this.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3000), "a newcomer was known to all only after {took:?}");
}

#[test]
fn a_planned_leave_is_seen_at_once_and_a_silent_death_after_missed_beats() {
    need_root!();
    let mut world = World::started(&["alice", "bob", "carol"]);
    world.host_mut("bob").stop().code(0);
    let left = Instant::now();
    world.host("alice").wait_misses("bob");
    let took = left.elapsed();
    assert!(took < Duration::from_secs(3), "the goodbye was heard only after {took:?}");

    world.host_mut("carol").pull_plug();
    world.host("alice").wait_misses("carol");
    // Offline ones are kept for `--all`.
    world.host("alice").homie(&["peers", "--all"]).code(0).says("carol").says("bob");
}

#[test]
fn a_wrong_secret_sees_and_reaches_nobody() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "mallory"]);
    world.host("mallory").configure("group_secret: not-the-secret-of-the-others-at-all\n");
    world.start_all();
    let alice = world.host("alice");
    alice.wait_sees("bob");
    world.host("bob").wait_sees("alice");
    // Mallory knows where alice is and dials her, so by now each side had its chance to be wrong.
    let mallory = world.host("mallory");
    mallory.homie(&["add", &alice.address()]).code(0);
    wait_until("mallory's dial has failed", PATIENCE, || {
        let rows = mallory.homie(&["--json", "list-direct"]).json();
        rows.to_string().contains("\"error\":\"")
    });
    assert_eq!(mallory.sees(), Vec::<String>::new());
    assert_eq!(alice.sees(), ["bob"]);
    // Each is told that somebody is there whom it cannot understand, and of nobody else.
    for (who, of) in [(alice, mallory), (world.host("bob"), mallory)] {
        wait_until(&format!("{} hears a stranger", who.name), PATIENCE, || {
            let rows = who.homie(&["--json", "peers"]).json()["strangers"].clone();
            rows.as_array().is_some_and(|rows| rows.len() == 1 && rows[0]["addr"] == of.ip.as_str())
        });
        who.homie(&["peers"]).code(0).says(&format!("heard {}, but its group or secret differs", of.ip));
        who.homie(&["status"]).code(0).says(&format!("heard {}, but its group or secret differs", of.ip));
    }
    wait_until("mallory hears both", PATIENCE, || {
        mallory.homie(&["--json", "peers"]).json()["strangers"].as_array().is_some_and(|rows| rows.len() == 2)
    });
    mallory.homie(&["peers"]).code(0).says(&format!("heard {}, but", alice.ip)).says("No other machine");
    mallory.run_text(&["--remote"], "echo never").code(69);
}

/// Connects, says `hello` (in Python), and prints how many bytes came back before the end or five seconds.
const KNOCK: &str = "
import socket, sys
s = socket.create_connection((sys.argv[1], 5556), timeout=5)
got = 0
try:
    s.sendall(eval(sys.argv[2]))
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        got += len(piece)
except OSError:
    pass
print('bytes:', got)
";

#[test]
fn a_stranger_who_knocks_hears_nothing() {
    need_root!();
    let mut world = World::new(&["alice", "stranger"]);
    world.host_mut("alice").start();
    let stranger = world.host("stranger");
    let knocks =
        ["b''", "b'GET / HTTP/1.1\\r\\n\\r\\n'", "b'\\x16\\x03\\x01' + b'\\0' * 600", "bytes(48)", "bytes(1 << 20)"];
    let open: Vec<Running> = knocks
        .iter()
        .map(|hello| {
            let mut command = stranger.command("/usr/bin/python3");
            command.args(["-c", KNOCK, &world.host("alice").ip, hello]);
            Running::start(command, b"")
        })
        .collect();
    for knock in open {
        knock.finish().code(0).says("bytes: 0");
    }
    world.host("alice").homie(&["status"]).code(0);
}

#[test]
fn direct_peers_need_no_broadcast_and_one_side_is_enough() {
    need_root!();
    let mut world = World::new(&["alice", "bob"]);
    for host in ["alice", "bob"] {
        world.host(host).configure("broadcast: false\n");
    }
    world.start_all();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    assert_eq!(alice.sees(), Vec::<String>::new());
    alice.homie(&["add", &bob.ip]).code(0);
    alice.wait_sees("bob");
    bob.wait_sees("alice");
    alice.homie(&["list-direct"]).code(0).says(&bob.ip);
    bob.run_text(&["--peer", "alice"], "echo from bob").code(0).says("[alice] from bob");
    alice.homie(&["remove", &bob.ip]).code(0);
    let rows = alice.homie(&["--json", "list-direct"]).code(0).out();
    assert!(!rows.contains(&bob.ip), "{rows}");
}

#[test]
fn a_peer_that_was_added_survives_a_restart() {
    let mut world = World::new(&["alice", "bob"]);
    for host in ["alice", "bob"] {
        world.host(host).configure("broadcast: false\n");
    }
    world.start_all();
    world.host("alice").homie(&["add", &world.host("bob").address(), "--name", "bobby"]).code(0);
    world.host("alice").wait_sees("bob");
    world.host_mut("alice").stop().code(0);
    world.host_mut("alice").start();
    world.host("alice").wait_sees("bob");
}

#[test]
fn nothing_but_the_group_is_spoken_to() {
    need_root!();
    let world = World::started(&["alice", "bob"]);
    world.host("alice").run_text(&["--peer", "bob"], "echo ok").code(0);
    // Every socket of alice's machine is local, or with bob, or the beacon's.
    let mut ss = world.host("alice").command("ss");
    ss.args(["-H", "-tun"]);
    let sockets = Running::start(ss, b"").finish().code(0).out();
    for line in sockets.lines() {
        let peer = line.split_whitespace().nth(5).unwrap_or_default();
        assert!(peer.starts_with("10.77.0."), "alice speaks to {peer}\n{sockets}");
    }
}

#[test]
fn a_machine_set_up_anew_is_refused_until_its_new_key_is_trusted() {
    let mut world = World::started(&["alice", "bob"]);
    let id = |who: &Host| who.homie(&["--json", "whoami"]).code(0).json()["whoami"]["id"].as_str().unwrap().to_owned();
    let old = id(world.host("bob"));
    world.host("alice").homie(&["trust"]).code(0).says("bob").says(&old);
    world.host("alice").homie(&["trust", "bob", "--new-key"]).code(2).says("no such other key");

    world.host_mut("bob").stop().code(0);
    let state = world.host("bob").state.clone();
    let config = std::fs::read(state.join("config.yaml")).expect("own file");
    std::fs::remove_dir_all(&state).expect("own directory");
    std::fs::create_dir(&state).expect("own directory");
    std::fs::write(state.join("config.yaml"), config).expect("own directory");
    world.host_mut("bob").start();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let new = id(bob);
    assert_ne!(old, new);
    wait_until("alice was shown the new key", PATIENCE, || {
        alice.homie(&["--json", "trust", "bob"]).json()["pins"][0]["others"][0]["id"] == new.as_str()
    });
    assert_eq!(alice.sees(), Vec::<String>::new());
    alice.homie(&["trust"]).code(0).says("homie trust bob --new-key");
    alice.homie(&["trust", "bob", "--new-key=AAAAAAA"]).code(2);
    alice.homie(&["trust", "bob", "--new-key"]).code(0).says(&old).says(&new);
    alice.wait_sees("bob");
    alice.run_text(&["--peer", "bob"], "echo it is me").code(0).says("[bob] it is me");
}
