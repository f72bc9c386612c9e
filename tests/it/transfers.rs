//! Files on the wire: only what lacks is sent, and a transfer that broke off goes on where it was.
//!
//! The transfers are held back by `bandwidth_limit`, so that there is a middle in which they can be disturbed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};

pub const MIB: u64 = 1 << 20;

/// Bytes that no compressor shortens.
pub fn noise(len: u64, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len as usize + 8);
    while (bytes.len() as u64) < len {
        // xorshift64: plain, and the same everywhere.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes
}

/// Two machines that are ready for jobs; alice's transfers take `limit` at most.
fn held_back(limit: &str) -> World {
    with_setting(&["alice"], &format!("bandwidth_limit: {limit}"))
}

/// Two machines that are ready for jobs; those of `whose` have one more setting.
fn with_setting(whose: &[&str], line: &str) -> World {
    let mut world = World::new(&["alice", "bob"]);
    for name in whose {
        let config = world.host(name).state.join("config.yaml");
        let text = fs::read_to_string(&config).expect("a config");
        fs::write(&config, format!("{text}{line}\n")).expect("own file");
    }
    world.start_all();
    world.wait_ready();
    world
}

fn bytes_below(dir: &Path) -> u64 {
    fs::read_dir(dir).into_iter().flatten().flatten().fold(0, |sum, entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => sum + bytes_below(&entry.path()),
        Ok(meta) => sum + meta.len(),
        // Renamed meanwhile.
        Err(_) => sum,
    })
}

/// Bytes in a machine's store.
fn stored(host: &Host) -> u64 {
    bytes_below(&host.state.join("store/blobs")) + bytes_below(&host.state.join("store/packs"))
}

/// What its homied says of the transfers it has completed: bytes that travelled, of how many.
pub fn sent(host: &Host) -> Vec<(u64, u64)> {
    let log = fs::read_to_string(host.log()).unwrap_or_default();
    let number = |line: &str, key: &str| -> Option<u64> {
        let (_, rest) = line.split_once(&format!(" {key}="))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let lines = log.lines().filter(|line| line.contains("inputs sent"));
    lines.filter_map(|line| Some((number(line, "bytes")?, number(line, "of")?))).collect()
}

/// The job tells what it got; that is what was sent.
pub const CHECK: &str = "sha256sum big.bin";

#[track_caller]
pub fn assert_arrived(out: &str, file: &Path) {
    let sum = Command::new("sha256sum").arg(file).output().expect("sha256sum").stdout;
    let sum = String::from_utf8(sum).expect("hex")[..64].to_owned();
    assert!(out.contains(&sum), "{out} has not {sum}");
}

/// What was stored before the break was not sent again.
#[track_caller]
fn assert_resumed(alice: &Host, had: u64, total: u64) {
    let (bytes, of) = *sent(alice).last().expect("a completed transfer");
    assert!(of >= total, "{of}");
    // The store has the list and the script besides.
    assert!(had > 4 * MIB && bytes + had <= of + MIB, "{bytes} of {of} were sent when {had} were there");
}

/// What is stored when nothing more comes: what a broken transfer had brought is still being written down.
fn stored_at_last(host: &Host) -> u64 {
    let (mut had, mut since) = (stored(host), Instant::now());
    wait_until("nothing more comes", PATIENCE, || {
        let now = stored(host);
        if now != had {
            (had, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
    had
}

#[test]
fn a_transfer_goes_on_after_either_homied_was_killed() {
    for victim in ["bob", "alice"] {
        let mut world = held_back("6m");
        let big = world.host("alice").write("big.bin", noise(24 * MIB, 3));
        let alice = world.host("alice");
        alice.run_text(&["--peer", "bob", "-f", "big.bin", "--detach"], CHECK).code(0);
        wait_until("a part is stored", PATIENCE, || stored(world.host("bob")) > 6 * MIB);
        world.host_mut(victim).crash();
        let had = stored_at_last(world.host("bob"));
        world.host_mut(victim).start();
        let done = world.host("alice").homie(&["attach", "last"]).code(0);
        assert_arrived(&done.out(), &big);
        assert_resumed(world.host("alice"), had, 24 * MIB);
    }
}

#[test]
fn small_files_go_on_after_either_homied_was_killed_and_are_known_after_both_were() {
    // Several batches of them, so several packs.
    const FILES: u64 = 3000;
    const BYTES: u64 = 8 << 10;
    let mut world = held_back("6m");
    for (round, victim) in ["bob", "alice"].into_iter().enumerate() {
        let content = noise(FILES * BYTES, 17 + round as u64);
        let names = (0..FILES).map(|n| format!("tree/f{n:04}"));
        for (name, bytes) in names.zip(content.chunks(BYTES as usize)) {
            world.host("alice").write(&name, bytes);
        }
        let all = world.host("alice").write("all.bin", &content);
        let (alice, check) = (world.host("alice"), "cat tree/* | sha256sum");
        let before = stored(world.host("bob"));
        alice.run_text(&["--peer", "bob", "-f", "tree", "--detach"], check).code(0);
        wait_until("a part is stored", PATIENCE, || stored(world.host("bob")) > before + 6 * MIB);
        world.host_mut(victim).crash();
        let had = stored_at_last(world.host("bob")) - before;
        world.host_mut(victim).start();
        let done = world.host("alice").homie(&["attach", "last"]).code(0);
        assert_arrived(&done.out(), &all);
        assert_resumed(world.host("alice"), had, FILES * BYTES);
        for host in ["alice", "bob"] {
            world.host_mut(host).crash();
            world.host_mut(host).start();
        }
        world.wait_ready();
        let done = world.host("alice").run_text(&["--peer", "bob", "-f", "tree"], check).code(0);
        assert_arrived(&done.out(), &all);
        assert_eq!(sent(world.host("alice")).last().expect("a completed transfer").0, 0, "all of it is there");
    }
}

#[test]
fn only_what_changed_travels() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let mut content = noise(24 * MIB, 5);
    let big = alice.write("big.bin", &content);
    let script = alice.write("job.sh", format!("#!/bin/sh\n{CHECK}\n"));
    let run = || {
        let done = alice.homie(&["run", "--peer", "bob", "-f", "big.bin", script.to_str().expect("UTF-8")]).code(0);
        assert_arrived(&done.out(), &big);
        *sent(alice).last().expect("a completed transfer")
    };
    let (first, all) = run();
    assert_eq!(first, all);
    assert_eq!(run(), (0, all), "the same again");
    content.insert(content.len() / 2, 0xA5);
    fs::write(&big, &content).expect("own file");
    let (bytes, of) = run();
    assert_eq!(of, all + 1);
    assert!((1..4 * MIB).contains(&bytes), "{bytes} for one byte");
    assert_eq!(run(), (0, all + 1), "the same again");
    assert!(alice.home.join(".cache/homie").exists(), "what files hold is remembered");
    // Neither size nor time of modification tell of this change.
    let modified = fs::metadata(&big).and_then(|meta| meta.modified()).expect("a time");
    content[1] ^= 1;
    fs::write(&big, &content).expect("own file");
    fs::File::options().write(true).open(&big).and_then(|file| file.set_modified(modified)).expect("set");
    assert!(run().0 > 0, "a change is sent");
}

/// What one job is done with makes room for the next, on both machines, and at once: who sends one big file after the
/// other has a store that holds two of them and no patience.
#[test]
fn files_of_ended_jobs_make_room_for_the_next_ones() {
    let world = with_setting(&["alice", "bob"], "store_limit: 3m");
    let alice = world.host("alice");
    for seed in 1..=12 {
        let big = alice.write("big.bin", noise(MIB, seed));
        let done = alice.run_text(&["--peer", "bob", "-f", "big.bin"], CHECK).code(0);
        assert_arrived(&done.out(), &big);
        for name in ["alice", "bob"] {
            let kept = stored(world.host(name));
            assert!(kept <= 3 * MIB, "{name} keeps {kept} bytes");
        }
    }
}

#[test]
fn a_bandwidth_limit_holds_for_transfers() {
    let world = held_back("2m");
    let alice = world.host("alice");
    let big = alice.write("big.bin", noise(8 * MIB, 7));
    let begun = Instant::now();
    let done = alice.run_text(&["--peer", "bob", "-f", "big.bin"], CHECK).code(0);
    // Never faster; how much slower is the machine's affair.
    assert!(begun.elapsed() > Duration::from_millis(3_600), "{:?}", begun.elapsed());
    assert_arrived(&done.out(), &big);
    alice.homie(&["config"]).code(0).says("bandwidth_limit");
}

/// Rules of a machine's own firewall; they go with the machine.
pub fn firewall(host: &Host, rule: &str) {
    let table =
        "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; flush chain inet cut in";
    let rules = if rule.is_empty() { table.to_owned() } else { format!("{table}; add rule inet cut in {rule}") };
    let done = host.command("nft").arg(rules).output().expect("nft");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// How long a disturbance lasts; `make soak` has longer ones.
fn disturbance(name: &str, usual: u64) -> Duration {
    let given = std::env::var(name).ok().and_then(|n| n.parse().ok());
    Duration::from_secs(given.unwrap_or(usual))
}

fn for_a_while(time: Duration) {
    let begun = Instant::now();
    wait_until("it has lasted", time + PATIENCE, || begun.elapsed() >= time);
}

#[test]
fn a_transfer_survives_a_network_that_is_gone_for_a_while() {
    crate::need_root!();
    let world = held_back("6m");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let big = alice.write("big.bin", noise(24 * MIB, 11));
    let run = alice.start_text(&["--peer", "bob", "-f", "big.bin"], CHECK);
    wait_until("a part is stored", PATIENCE, || stored(bob) > 6 * MIB);
    firewall(bob, "drop");
    // Longer than a connection is believed in.
    for_a_while(disturbance("HOMIE_SOAK_PARTITION_S", 12));
    let had = stored(bob);
    firewall(bob, "");
    let healed = Instant::now();
    wait_until("it goes on", PATIENCE, || stored(bob) > had);
    println!("went on {:?} after the network was back", healed.elapsed());
    let done = run.finish_within(10 * PATIENCE).code(0);
    assert_arrived(&done.out(), &big);
    assert_resumed(alice, had, 24 * MIB);
}

#[test]
fn a_transfer_survives_a_network_that_loses_every_third_packet() {
    crate::need_root!();
    let world = held_back("6m");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let big = alice.write("big.bin", noise(24 * MIB, 13));
    let run = alice.start_text(&["--peer", "bob", "-f", "big.bin"], CHECK);
    wait_until("a part is stored", PATIENCE, || stored(bob) > 6 * MIB);
    for host in [alice, bob] {
        firewall(host, "numgen random mod 100 < 30 drop");
    }
    for_a_while(disturbance("HOMIE_SOAK_LOSS_S", 8));
    for host in [alice, bob] {
        firewall(host, "");
    }
    let done = run.finish_within(10 * PATIENCE).code(0);
    assert_arrived(&done.out(), &big);
}
