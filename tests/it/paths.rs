//! One peer, several networks: when one dies, links and transfers go on over another.

use super::process::{PATIENCE, wait_until};
use super::transfers::{CHECK, MIB, assert_arrived, noise};
use super::world::{Host, World};
use crate::need_root;

/// alice and bob on two networks, ready for jobs, and alice knows that bob is on both.
fn on_two_networks(more: &str) -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.second_network();
    world.host("alice").configure(more);
    world.start_all();
    world.wait_ready();
    world
}

/// bob's ways as alice shows them: address, whether it works, whether it is in use.
fn ways(host: &Host) -> Vec<(String, Option<bool>, bool)> {
    let rows = host.homie(&["--json", "peers", "--all"]).json()["peers"].as_array().cloned().unwrap_or_default();
    let paths = rows.first().and_then(|row| row["paths"].as_array().cloned()).unwrap_or_default();
    let way = |p: &serde_json::Value| {
        (p["address"].as_str().unwrap_or_default().to_owned(), p["works"].as_bool(), p["in_use"] == true)
    };
    paths.iter().map(way).collect()
}

/// The network (10.77 or 10.78) on which the link is, once it is on one that `fits`.
#[track_caller]
fn wait_on(host: &Host, fits: impl Fn(&str) -> bool) -> String {
    let mut on = String::new();
    wait_until("the link is on a network that works", PATIENCE, || {
        on = ways(host).into_iter().find(|(_, _, used)| *used).map(|(at, ..)| at[..5].to_owned()).unwrap_or_default();
        fits(&on)
    });
    on
}

/// Waits until the link to bob goes this way.
#[track_caller]
pub fn wait_in_use(host: &Host, address: &str) {
    wait_until(&format!("{} reaches bob by {address}", host.name), PATIENCE, || {
        ways(host).iter().any(|(at, works, used)| at == address && *used && *works == Some(true))
    });
}

/// What a transfer took, as the log says it.
fn bytes_in(line: &str) -> Option<u64> {
    line.split(" bytes=").nth(1)?.split(' ').next()?.parse().ok()
}

const COUNT: &str = "i=1; while [ $i -le 60 ]; do echo line $i; i=$((i+1)); sleep 0.2; done";

#[test]
fn a_running_job_goes_on_when_the_interface_of_its_link_goes_and_that_is_used_again_when_it_is_back() {
    need_root!();
    let world = on_two_networks("");
    // The side that may move the link is the one that looks at the other network, too.
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let job = alice.start_text(&["--peer", "bob"], COUNT);
    alice.wait_job(&["running"], PATIENCE);
    let first = wait_on(alice, |on| !on.is_empty());
    let interface = if first == "10.77" { "eth0" } else { "eth1" };
    alice.interface(interface, false);
    let second = wait_on(alice, |on| !on.is_empty() && on != first);
    let said = job.finish().code(0).out();
    let wanted: Vec<String> = (1..=60).map(|n| format!("[bob] line {n}")).collect();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("line ")).collect();
    assert_eq!(lines, wanted, "each line once");

    alice.interface(interface, true);
    wait_until("the first network leads to bob again", PATIENCE, || {
        [alice, bob]
            .iter()
            .any(|host| ways(host).iter().any(|(at, works, _)| at.starts_with(&first) && *works == Some(true)))
    });
    alice.interface(if interface == "eth0" { "eth1" } else { "eth0" }, false);
    wait_on(alice, |on| !on.is_empty() && on != second);
    alice.run_text(&["--peer", "bob"], "echo again").code(0).says("[bob] again");
}

#[test]
fn a_transfer_goes_on_over_the_other_network_when_one_swallows_everything() {
    need_root!();
    let world = on_two_networks("bandwidth_limit: 4m\n");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let noise: Vec<u8> = (0..8_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    alice.write("in.bin", &noise);
    let job = alice.start_text(&["--peer", "bob", "-f", "in.bin"], "sha256sum in.bin; cp in.bin out.bin");
    wait_until("some of it is there", PATIENCE, || bob.stored() > 4 << 20);
    let first = wait_on(alice, |on| !on.is_empty());
    world.swallow(if first == "10.77" { 'p' } else { 'q' }, true);
    wait_on(alice, |on| !on.is_empty() && on != first);
    job.finish().code(0);
    assert!(alice.read("out.bin") == noise, "byte for byte");
    let log = std::fs::read_to_string(alice.log()).expect("log");
    let sent = log.lines().rfind(|line| line.contains("inputs sent")).expect("a transfer ended well").to_owned();
    assert!(bytes_in(&sent).is_some_and(|bytes| bytes < 28 << 20), "it did not begin anew: {sent}");
}

#[test]
fn results_come_home_over_the_other_network_when_one_swallows_everything() {
    need_root!();
    let world = on_two_networks("bandwidth_limit: 4m\n");
    let alice = world.host("alice");
    let job = alice.start_text(&["--peer", "bob"], "head -c 32000000 /dev/urandom > out.bin; sha256sum out.bin");
    // Nothing was sent there, so what alice's store gets is on its way home.
    wait_until("some of it is home", PATIENCE, || alice.stored() > 4 << 20);
    let first = wait_on(alice, |on| !on.is_empty());
    world.swallow(if first == "10.77" { 'p' } else { 'q' }, true);
    wait_on(alice, |on| !on.is_empty() && on != first);
    let said = job.finish().code(0).out();
    assert_arrived(&said, &alice.home.join("out.bin"));
    let log = std::fs::read_to_string(alice.log()).expect("log");
    let fetched = log.lines().rfind(|line| line.contains("results fetched")).expect("a transfer ended well").to_owned();
    assert!(bytes_in(&fetched).is_some_and(|bytes| bytes < 28 << 20), "it did not begin anew: {fetched}");
}

#[test]
fn a_link_moves_to_a_clearly_shorter_way_and_disturbs_no_job() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "relay"]);
    world.part("alice");
    world.part("bob");
    let _slow = world.slow_way("relay", "bob");
    world.host_mut("alice").start();
    world.host_mut("bob").start();
    let (alice, bob, relay) = (world.host("alice"), world.host("bob"), world.host("relay"));
    alice.homie(&["add", &relay.ip]).code(0);
    alice.wait_sees("bob");
    wait_in_use(alice, &relay.address());
    alice.wait_engines("bob");
    alice.write("job.sh", "true");
    wait_until("the long way counts where a job is placed", PATIENCE, || {
        alice.homie(&["run", "--explain", "--remote", "job.sh"]).out().contains("on the road")
    });
    // How fast files go there is learned from a large one.
    let big = alice.write("big.bin", noise(2 * MIB, 5));
    let done = alice.run_text(&["--peer", "bob", "-f", "big.bin"], CHECK).code(0);
    assert_arrived(&done.out(), &big);
    wait_until("the speed is known", PATIENCE, || {
        let shown = alice.homie(&["--json", "peers"]).json();
        shown["peers"][0]["paths"][0]["bytes_per_s"].as_u64().is_some_and(|rate| rate > 0)
    });
    let job = alice.start_text(&["--peer", "bob"], COUNT);
    job.wait_for("line 2");
    world.swallow('p', false);
    wait_in_use(alice, &bob.address());
    let said = job.finish().code(0).out();
    let wanted: Vec<String> = (1..=60).map(|n| format!("[bob] line {n}")).collect();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("line ")).collect();
    assert_eq!(lines, wanted, "each line once");
}
