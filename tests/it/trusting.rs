//! What members may do, where they may come from, and that clocks do not matter.

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};
use crate::need_root;

#[test]
fn an_owner_says_what_a_peer_may_do_here_and_it_holds_at_once() {
    let world = World::started(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    bob.homie(&["trust", "alice", "--role", "boss"]).code(2).says("no role");
    bob.homie(&["trust", "nobody", "--role", "none"]).says("no machine called nobody");
    bob.homie(&["trust", "alice", "--role", "none"]).code(0).says("none");
    alice.run_text(&["--peer", "bob"], "echo never").code(69).says("does not let alice run jobs");
    // The other way round nothing has changed, and both see how it stands.
    bob.run_text(&["--peer", "alice"], "echo yes").code(0).says("[alice] yes");
    bob.homie(&["peers"]).code(0).says("alice may run nothing here");
    assert_eq!(bob.homie(&["--json", "peers"]).json()["peers"][0]["roles"], "none");
    assert_eq!(bob.homie(&["--json", "trust"]).json()["pins"][0]["roles"], "none");
    assert_eq!(alice.homie(&["--json", "peers"]).json()["peers"][0]["roles"], "run,gpu");

    let mut world = world;
    world.host_mut("bob").crash();
    world.host_mut("bob").start();
    world.wait_ready();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.run_text(&["--peer", "bob"], "echo never").code(69).says("does not let alice run jobs");
    bob.homie(&["trust", "alice", "--role", "run"]).code(0);
    alice.run_text(&["--peer", "bob"], "echo again").code(0).says("[bob] again");
}

/// Whether a TCP connection from `from` to this address is taken.
fn reaches(from: &Host, ip: &str) -> bool {
    let connect = format!("exec 3<>/dev/tcp/{ip}/5556");
    let mut command = from.command("bash");
    command.args(["-c", &connect]).stderr(std::process::Stdio::null());
    command.status().expect("bash").success()
}

fn ip(host: &Host, args: &[&str]) {
    assert!(host.command("ip").args(args).status().expect("ip").success(), "ip {args:?}");
}

#[test]
fn strangers_on_a_public_address_find_no_port() {
    need_root!();
    let mut world = World::new(&["alice", "bob"]);
    // One that only documents may use (RFC 5737), and that no rule for private addresses covers.
    ip(world.host("alice"), &["addr", "add", "203.0.113.8/24", "dev", "eth0"]);
    ip(world.host("bob"), &["addr", "add", "203.0.113.7/24", "dev", "eth0"]);
    world.start_all();
    world.wait_ready();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    assert!(reaches(alice, &bob.ip) && !reaches(alice, "203.0.113.7"));
    bob.homie(&["doctor"]).says("10.77.0.2").says("not on 203.0.113.7").says("listen all");
    let status = bob.homie(&["--json", "status"]).code(0).json()["status"].clone();
    assert_eq!(status["worker_not_at"], serde_json::json!(["203.0.113.7"]));
    // Addresses that come are followed, those that the owner wants too.
    ip(alice, &["addr", "add", "10.88.0.8/24", "dev", "eth0"]);
    ip(bob, &["addr", "add", "10.88.0.7/24", "dev", "eth0"]);
    wait_until("bob listens on its new address", PATIENCE, || reaches(alice, "10.88.0.7"));
    bob.homie(&["config", "set", "listen", "all"]).code(0);
    wait_until("bob listens everywhere", PATIENCE, || reaches(alice, "203.0.113.7"));
    bob.homie(&["config", "set", "listen", "private"]).code(0);
    wait_until("bob listens on private addresses only", PATIENCE, || {
        reaches(alice, "10.88.0.7") && !reaches(alice, "203.0.113.7")
    });
    world.wait_acquainted();
}

#[test]
fn jobs_run_between_clocks_that_are_ten_years_apart() {
    let mut world = World::new(&["alice", "bob"]);
    world.host_mut("alice").start();
    world.host_mut("bob").start_at("+10y");
    world.wait_ready();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.run_text(&["--peer", "bob"], "date +%Y; echo there").code(0).says("[bob] there");
    bob.run_text(&["--peer", "alice"], "echo here; sleep 2; echo done")
        .code(0)
        .says("[alice] here")
        .says("[alice] done");
    alice.homie(&["peers"]).code(0).says("years ahead of this machine's").says("timedatectl");
    bob.homie(&["peers"]).code(0).says("years behind this machine's");
    alice.homie(&["status"]).code(0).says("the clock of bob");
    alice.homie(&["doctor"]).says("the clock of bob");
    // homied's clock goes back by twenty years in the middle of a job, as when a wrong date is set right. Supervisors keep
    // the true time here, so the two differ, too.
    let job =
        alice.start_text(&["--peer", "bob"], "echo before; until [ -e go ]; do sleep 0.1; done; echo after; exit 3");
    job.wait_for("[bob] before");
    // It has not run for ten years, whatever homied's clock says of its start.
    bob.homie(&["limit", "last", "--timeout", "+1h"]).code(0);
    bob.turn_clock("-10y");
    wait_until("the new skew to be shown", PATIENCE, || {
        alice.homie(&["peers"]).code(0).err().contains("years behind this machine's")
    });
    std::fs::write(bob.work_of_the_job().join("go"), "").expect("written");
    job.finish().code(3).says("[bob] after");
    alice.run_text(&["--peer", "bob"], "echo still").code(0).says("[bob] still");
    bob.run_text(&["--peer", "alice"], "echo still").code(0).says("[alice] still");
    assert_eq!(alice.sees(), ["bob"]);
    bob.start_text(&["--peer", "alice", "--detach"], "echo kept > kept.txt").finish().code(0);
    bob.wait_job(&["succeeded"], PATIENCE);
    // Over a restart: what it wrote down before lies in the past by decades, and then in the future.
    for (clock, says) in [("+10y", "years ahead of this machine's"), ("-10y", "years behind this machine's")] {
        world.host_mut("bob").crash();
        world.host_mut("bob").start_at(clock);
        world.wait_ready();
        let alice = world.host("alice");
        alice.run_text(&["--peer", "bob"], "echo again > left.txt; echo again").code(0).says("[bob] again");
        assert_eq!(alice.read("left.txt"), b"again\n");
        std::fs::remove_file(alice.home.join("left.txt")).expect("it came home");
        alice.homie(&["peers"]).code(0).says(says);
    }
    let bob = world.host("bob");
    bob.homie(&["results", "last"]).code(0);
    assert_eq!(bob.read("kept.txt"), b"kept\n", "results of a job that ended twenty years ago, it seemed for a while");
}
