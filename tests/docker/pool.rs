//! The one-shot warm pool as a real homied keeps it: who is served by what, and what is left when homied goes.

use std::collections::BTreeSet;

use crate::homied::{Engine, is_waiting, node, send, wait_state};
use crate::process::{PATIENCE, wait_until};
use crate::world::Host;

/// Says everything that a job can see of how it is held, but for names that are its own.
const LOOK: &str = "id; pwd; env | sort; ls -lan --time-style=+ . /tmp /run/homie | grep -v total; cat given.txt\n\
                    ulimit -a; grep -E 'Cap|Seccomp:|NoNewPrivs|Groups' /proc/self/status; cat /proc/self/oom_score_adj\n\
                    sed -E 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ [^ ]+ ([^ ]+) ([^ ]+) .*- ([^ ]+) .*$/\\1 \\2 \\3/' /proc/self/mountinfo | sort\n\
                    cat /etc/hosts /etc/hostname; set -- /proc/[0-9]*; echo $#; cat /proc/net/dev | wc -l\n\
                    for f in memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us memory.max pids.max cpu.max; do\n\
                    [ ! -e /sys/fs/cgroup/$f ] || cat /sys/fs/cgroup/$f; done\n\
                    echo some > out.txt; exit 5";

/// The look of a job with these flags, but for the names that are its own.
fn look(alice: &Host, flags: &[&str]) -> Vec<String> {
    alice.write("given.txt", "given\n");
    let flags = [&["--peer", "bob", "-f", "given.txt"][..], flags].concat();
    let done = alice.run_text(&flags, LOOK).code(5);
    assert_eq!(alice.read("out.txt"), b"some\n");
    let out = done.out();
    // The script's own name, which is another each time.
    let said =
        out.lines().filter(|l| l.trim_start().starts_with("[bob]") && !l.contains(".sh") && !l.contains("HOMIE_JOB="));
    said.map(str::to_owned).collect()
}

#[test]
fn a_waiting_container_serves_one_job_of_one_submitter_and_goes_with_it() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let world = engine.world("warm_containers: 2\njob_slots: 4\n");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let node = node(bob);
    assert!(engine.waiting(&node).is_empty(), "no kind was used yet");
    alice.run_text(&["--peer", "bob"], "true").code(0);
    let first: BTreeSet<String> = engine.wait_waiting(&node, 2).into_iter().collect();

    // Two jobs at once, of a friend and of bob himself: each has one of the two, alone.
    let friends = send(alice, &[], "sleep 1000");
    let own = send(bob, &[], "sleep 1000");
    wait_state(alice, &friends, "running");
    wait_state(bob, &own, "running");
    let used = [engine.container_of(&node, &friends), engine.container_of(&node, &own)];
    assert_eq!(used.iter().cloned().collect::<BTreeSet<_>>(), first, "each one serves one job");
    // Others come in their place, and are not those.
    let second: BTreeSet<String> = engine.wait_waiting(&node, 2).into_iter().collect();
    assert!(second.is_disjoint(&first), "{second:?} {first:?}");
    alice.homie(&["cancel", &friends]).code(0);
    bob.homie(&["cancel", &own]).code(0);
    for id in &used {
        wait_until("a used one is destroyed", PATIENCE, || engine.inspect(id).is_none());
    }
    // Never more than the owner allows, and the next job has one of those that wait now.
    let next = send(alice, &[], "sleep 1000");
    wait_state(alice, &next, "running");
    assert!(second.contains(&engine.container_of(&node, &next)));
    assert!(engine.waiting(&node).len() <= 2);
    alice.homie(&["cancel", &next]).code(0);
}

#[test]
fn a_job_cannot_tell_a_waiting_container_from_one_made_for_it() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let mut world = engine.world("warm_containers: 1\n");
    let node = node(world.host("bob"));
    // Other limits than those with which the second one waits, where the engine can change them.
    let flags: &[&[&str]] = if engine.podman {
        &[&[], &[]]
    } else {
        &[&["--memory", "200m", "--cpu", "0.5"], &["--memory", "300m", "--cpu", "0.7"]]
    };
    let mut ahead = vec![];
    for flags in flags {
        // The pool is empty at first; then one waits that was made for the limits of the other.
        let waited = engine.waiting(&node);
        ahead.push((waited.len(), look(world.host("alice"), flags)));
        engine.wait_waiting(&node, 1);
        wait_until("one that waited is used up", PATIENCE, || waited.iter().all(|id| engine.inspect(id).is_none()));
    }
    assert_eq!(ahead.iter().map(|(waited, _)| *waited).collect::<Vec<_>>(), [0, 1]);
    // The same with nothing started ahead.
    world.host_mut("bob").stop();
    let config = engine.config();
    let alice = world.host("alice").address();
    let peers = match crate::world::is_root() {
        true => String::new(),
        false => format!("broadcast: false\ndirect:\n  - {alice}\n"),
    };
    world.host("bob").configure(&format!("{peers}{config}warm_containers: 0\n"));
    world.host_mut("bob").start();
    world.wait_ready();
    for (flags, (_, ahead)) in flags.iter().zip(ahead) {
        let cold = look(world.host("alice"), flags);
        assert!(cold.len() > 40, "{cold:?}");
        assert_eq!(ahead, cold);
        assert!(engine.waiting(&node).is_empty());
    }
}

#[test]
fn the_pool_is_no_larger_than_allowed_and_empties_when_nobody_comes() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let world = engine.world("warm_containers: 2\nwarm_idle: 8\n");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let node = node(bob);
    // Three kinds, as the size of a job's files cannot be changed later.
    let mut most = 0;
    for disk in ["100m", "200m", "300m"] {
        let run = alice.start_text(&["--peer", "bob", "--disk", disk], "true");
        wait_until("it is over", PATIENCE, || {
            most = most.max(engine.waiting(&node).len());
            alice.newest_job(&[])["state"] == "succeeded" && most > 0
        });
        run.finish().code(0);
    }
    wait_until("nobody came for a while", PATIENCE, || {
        let now = engine.waiting(&node).len();
        most = most.max(now);
        now == 0
    });
    assert!(most <= 2, "{most} waited at once");
    wait_until("their directories are gone too", PATIENCE, || places(bob).is_empty());
}

/// The directories of containers that wait.
fn places(bob: &Host) -> Vec<String> {
    let all = std::fs::read_dir(bob.state.join("jobs")).expect("jobs").flatten();
    all.filter_map(|e| e.file_name().into_string().ok()).filter(|name| name.starts_with("warm-")).collect()
}

#[test]
fn nothing_waits_once_homied_has_stopped_or_a_killed_one_is_back() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let mut world = engine.world("warm_containers: 2\n");
    let node = node(world.host("bob"));
    let fill = |world: &crate::world::World| {
        world.host("alice").run_text(&["--peer", "bob"], "true").code(0);
        engine.wait_waiting(&node, 2)
    };
    fill(&world);
    world.host_mut("bob").stop();
    assert!(engine.waiting(&node).is_empty(), "{:?}", engine.waiting(&node));
    // The job's own container, and the place at which it waited, are its supervisor's to remove, which outlives homied by a
    // moment.
    wait_until("the job's container and its place are gone", PATIENCE, || {
        engine.containers(&node).is_empty() && places(world.host("bob")).is_empty()
    });

    world.host_mut("bob").start();
    world.wait_ready();
    let left = fill(&world);
    world.host_mut("bob").crash();
    // They are there: nobody could remove them.
    assert!(left.iter().all(|id| engine.inspect(id).is_some()));
    assert_eq!(places(world.host("bob")).len(), 2);
    world.host_mut("bob").start();
    wait_until("the next homied removes them", PATIENCE, || {
        engine.containers(&node).is_empty() && places(world.host("bob")).is_empty()
    });
    assert!(left.iter().all(|id| engine.inspect(id).is_none()));
}

#[test]
fn a_job_that_has_its_container_is_not_taken_for_one_that_waits_after_a_crash() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let mut world = engine.world("warm_containers: 1\n");
    let node = node(world.host("bob"));
    let (run, job, container) =
        engine.in_one_that_waited(&world, &[], "echo here; until [ -e go ]; do sleep 0.1; done; echo there; exit 6");
    let other = engine.wait_waiting(&node, 1);
    world.host_mut("bob").crash();
    world.host_mut("bob").start();
    wait_until("what waited is removed", PATIENCE, || engine.inspect(&other[0]).is_none());
    assert!(engine.inspect(&container).is_some(), "the job's own is not");
    std::fs::write(world.host("bob").state.join(format!("jobs/{job}-1/work/go")), "").expect("written");
    run.finish().code(6).says("[bob] there");
    wait_until("nothing is left of it", PATIENCE, || engine.containers(&node).keys().all(|name| is_waiting(name)));
}

#[test]
fn a_container_that_waited_for_a_homied_that_was_killed_is_removed_though_a_job_was_accepted() {
    let Some(engine) = Engine::of_these_tests() else { return };
    // The inputs take so long that homied is killed while they come.
    let mut world = engine.world("warm_containers: 1\nbandwidth_limit: 300k\n");
    let node = node(world.host("bob"));
    let alice = world.host("alice");
    alice.run_text(&["--peer", "bob"], "true").code(0);
    let waited = engine.wait_waiting(&node, 1);
    let noise: Vec<u8> = (0..750_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    alice.write("in.bin", &noise);
    let first = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
    let run = alice.start_text(&["--peer", "bob", "-f", "in.bin"], "wc -c < in.bin; exit 6");
    let mut job = String::new();
    // Alice must have heard it: an offer whose answer never came is made to another machine, and there is none.
    wait_until("it is accepted", PATIENCE, || {
        let newest = alice.newest_job(&[]);
        job = newest["id"].as_str().expect("an id").to_owned();
        job != first && newest["attempts"][0]["accepted"] == true
    });
    let dir = world.host("bob").state.join(format!("jobs/{job}-1"));
    assert!(dir.exists() && !dir.join("launch.json").exists(), "nothing runs in it yet");
    world.host_mut("bob").crash();
    assert!(engine.inspect(&waited[0]).is_some(), "nobody could remove it");
    world.host_mut("bob").start();
    run.finish().code(6).says("[bob] 3000000");
    wait_until("nothing is left of it", PATIENCE, || engine.containers(&node).keys().all(|name| is_waiting(name)));
    assert!(engine.inspect(&waited[0]).is_none());
}

#[test]
fn on_battery_nothing_waits() {
    let Some(engine) = Engine::of_these_tests() else { return };
    if !crate::world::is_root() {
        return crate::world::skip("another machine's battery needs mounts");
    }
    let mut world = crate::world::World::new(&["alice", "bob"]);
    let bob = world.host("bob");
    bob.configure(&format!("{}warm_containers: 2\n", engine.config()));
    let put = |name: &str, text: &str| {
        let path = bob.power().join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    put("AC/type", "Mains\n");
    put("AC/online", "1\n");
    put("BAT0/type", "Battery\n");
    put("BAT0/status", "Charging\n");
    world.start_all();
    world.wait_ready();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let node = node(bob);
    alice.run_text(&["--peer", "bob"], "true").code(0);
    engine.wait_waiting(&node, 2);
    // The plug is pulled: what waits goes with the next look, which a job brings on; with mains one of two would be left.
    std::fs::write(bob.power().join("AC/online"), "0\n").expect("written");
    std::fs::write(bob.power().join("BAT0/status"), "Discharging\n").expect("written");
    alice.run_text(&["--peer", "bob"], "true").code(0);
    wait_until("nothing waits on battery", PATIENCE, || engine.waiting(&node).is_empty());
    alice.run_text(&["--peer", "bob"], "true").code(0);
    assert!(engine.waiting(&node).is_empty());
    std::fs::write(bob.power().join("AC/online"), "1\n").expect("written");
    alice.run_text(&["--peer", "bob"], "true").code(0);
    engine.wait_waiting(&node, 2);
}
