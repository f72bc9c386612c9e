//! Bad input: one clear error, a code that is not zero, and nothing lost.

use std::net::{TcpListener, UdpSocket};

use super::process::{PATIENCE, Running, wait_until};
use super::world::{World, binary};
use crate::need_root;

#[test]
fn what_cannot_be_run_is_a_usage_error() {
    let world = World::started(&["alice"]);
    let alice = world.host("alice");
    alice.homie(&["run", "no-such-file.py"]).code(2).says("no-such-file.py");
    std::fs::create_dir(alice.home.join("folder")).expect("own directory");
    alice.homie(&["run", "folder"]).code(2).says("folder");
    alice.write("job.sh", "#!/bin/sh\necho ok\n");
    alice.homie(&["run", "-f", "missing.csv", "job.sh"]).code(2).says("missing.csv");
    alice.homie(&["run", "--memory", "lots", "job.sh"]).code(2).says("lots");
    alice.homie(&["run", "--timeout", "-1", "job.sh"]).code(2);
    alice.homie(&["run", "--no-such-flag", "job.sh"]).code(2).says("--no-such-flag");
    alice.homie(&["frobnicate"]).code(2);
    alice.homie(&["run"]).code(2);
    assert_eq!(alice.newest_job(&[]), serde_json::Value::Null, "something was submitted");
}

#[test]
fn a_program_that_cannot_start_says_why() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.write("odd.sh", "#!/no/such/brainwave\n");
    // The interpreter is named as the worker looks for it: by its base name on the worker's PATH, since directories of
    // this machine mean nothing there. That it is not the script that is missing must be clear from it.
    let done = alice.homie(&["run", "--peer", "bob", "odd.sh"]).code(125);
    done.says("brainwave is not on this machine").says("/usr/local/bin:/usr/bin:/bin");
}

#[test]
fn without_homied_a_command_says_how_to_start_one() {
    let world = World::new(&["alice"]);
    let alice = world.host("alice");
    alice.write("job.sh", "#!/bin/sh\necho never\n");
    for args in [&["run", "job.sh"][..], &["peers"], &["status"], &["jobs"]] {
        alice.homie(args).code(69).says("homie up");
    }
}

#[test]
fn a_config_that_cannot_be_used_is_named_by_file_line_and_key() {
    let world = World::new(&["alice"]);
    let alice = world.host("alice");
    for (text, wanted) in [
        ("name: alice\nworker_port: many\n", &["config.yaml:2", "worker_port"][..]),
        ("name: alice\ngroup_secret: [not, closed\n", &["config.yaml"]),
        ("name: alice\ncontainer_memory_limit: 4 elephants\n", &["config.yaml:2", "container_memory_limit"]),
        // YAML itself refuses a raw control character, before there are keys to name; spelled out it is the key's fault.
        ("name: \"\u{1b}[31m\"\n", &["config.yaml:1"]),
        ("name: \"\\e[31m\"\n", &["config.yaml:1", "name"]),
    ] {
        std::fs::write(alice.state.join("config.yaml"), text).expect("own directory");
        let done = Running::start(alice.command(binary("homied")), b"").finish();
        assert!(done.code.is_some_and(|c| c != 0), "homied took {text:?}");
        for part in wanted {
            assert!(done.err().contains(part), "{text:?}: no {part} in\n{}", done.err());
        }
        assert!(!done.err().contains('\u{1b}'), "the file's control characters reached the terminal");
    }
    std::fs::write(alice.state.join("config.yaml"), b"\xff\xfe\x00broken").expect("own directory");
    assert!(Running::start(alice.command(binary("homied")), b"").finish().code.is_some_and(|c| c != 0));
}

#[test]
fn an_unknown_key_is_a_warning_with_its_line_and_homied_runs() {
    let mut world = World::new(&["alice"]);
    world.host("alice").configure("worker_prot: 5556\n");
    world.start_all();
    let log = std::fs::read_to_string(world.host("alice").log()).expect("a log");
    assert!(log.contains("worker_prot") && log.contains("worker_port"), "{log}");
}

#[test]
fn a_taken_port_is_named_and_everything_else_works() {
    need_root!();
    let mut world = World::new(&["alice"]);
    // Taken inside alice's machine, by a process that stays until the world ends.
    const TAKE: &str = "import socket, sys
t = socket.create_server(('', 5556))
u = socket.socket(type=socket.SOCK_DGRAM)
u.bind(('', 5555))
print('taken', flush=True)
sys.stdin.read()";
    let mut holder = world.host("alice").command("sh");
    holder.args(["-c", "sleep 600 | exec /usr/bin/python3 -c \"$0\""]).arg(TAKE);
    let holder = Running::start(holder, b"");
    holder.wait_for("taken");
    world.start_all();
    let alice = world.host("alice");
    alice.homie(&["status"]).code(0).says("5556").says("in use");
    alice.run_text(&["--local"], "echo still works").code(0).says("still works");
}

#[test]
fn a_second_homied_of_the_same_home_refuses_to_start() {
    let mut world = World::new(&["alice"]);
    world.start_all();
    let second = Running::start(world.host("alice").command(binary("homied")), b"").finish();
    assert!(second.code.is_some_and(|c| c != 0), "two homied share one state");
    assert!(!second.err().is_empty());
    world.host("alice").homie(&["status"]).code(0);
}

#[test]
fn no_engine_is_said_before_anything_is_sent() {
    let mut world = World::new(&["alice"]);
    world.host("alice").configure("engine: docker\ndocker_host: unix:///nonexistent/docker.sock\n");
    world.start_all();
    let alice = world.host("alice");
    alice.homie(&["status"]).code(0).says("engine");
    let done = alice.run_text(&[], "echo never");
    assert_eq!(done.code, Some(69), "{}\n{}", done.out(), done.err());
    assert!(done.err().contains("engine"), "{}", done.err());
}

#[test]
fn a_full_disk_of_the_worker_fails_the_job_and_nothing_else() {
    need_root!();
    let mut world = World::new(&["alice", "bob"]);
    let bob = world.host("bob");
    // 512 MiB stay with the owner whatever a guest asks, so this leaves 88 MiB to guests.
    bob.mount_small(&bob.state, 600 << 20);
    bob.configure("");
    world.start_all();
    world.wait_ready();
    let alice = world.host("alice");
    // More input than there is room for is refused before it is sent, and more output ends the job.
    alice.write("big.bin", vec![7; 120 << 20]);
    let done = alice.run_text(&["--peer", "bob", "--yes", "-f", "big.bin"], "echo never").code(69);
    assert!(done.err().contains("disk"), "{}", done.err());
    let fill = "echo up; head -c 700000000 /dev/zero > out.bin; echo still here";
    let done = alice.run_text(&["--peer", "bob"], fill);
    assert!(done.code.is_some_and(|c| c != 0), "{}\n{}", done.out(), done.err());
    // Bob's homied lives and takes the next job.
    wait_until("bob has room again", PATIENCE, || alice.run_text(&["--peer", "bob"], "echo small").code == Some(0));
}

#[test]
fn a_full_disk_of_the_submitter_keeps_the_results_safe() {
    need_root!();
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let small = alice.home.join("small");
    std::fs::create_dir(&small).expect("own directory");
    alice.mount_small(&small, 1 << 20);
    alice.write("small/job.sh", "#!/bin/sh\nhead -c 8000000 /dev/urandom > out.bin\n");
    let mut command = alice.command(binary("homie-ctl"));
    command.current_dir(&small).args(["run", "--peer", "bob", "job.sh"]);
    let done = Running::start(command, b"").finish().code(125);
    assert!(done.err().contains("homie results"), "{}", done.err());
    assert_eq!(std::fs::read_dir(&small).expect("readable").count(), 1, "something half-written lies in {small:?}");
    std::fs::create_dir(alice.home.join("roomy")).expect("own directory");
    alice.homie(&["results", "last", "--output-dir", "roomy"]).code(0).says("out.bin");
    assert_eq!(alice.read("roomy/out.bin").len(), 8_000_000);
    let _ = std::process::Command::new("umount").arg("-l").arg(&small).status();
}

#[test]
fn ports_of_the_loopback_can_be_chosen() {
    // Guards the harness itself: two daemons on one machine need ports of their own.
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    assert!(UdpSocket::bind(("127.0.0.1", tcp.local_addr().expect("bound").port())).is_ok());
}
