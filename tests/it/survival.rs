//! What a crash may cost: nothing that was written, and no exit code.

use std::time::Duration;

use super::process::{PATIENCE, wait_until};
use super::world::World;

/// Prints 1 to 200 in four seconds, leaves a file, and ends with 7.
const COUNT: &str = "for i in $(seq 200); do echo $i; sleep 0.02; done; echo left > left.txt; exit 7";

fn all_lines(peer: &str) -> Vec<String> {
    (1..=200).map(|n| format!("[{peer}] {n}")).collect()
}

fn marked(out: &str) -> Vec<String> {
    out.lines().map(str::trim_start).filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

#[test]
fn a_crash_of_the_worker_s_homied_loses_no_line_and_no_exit_code() {
    let mut world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");
    world.host_mut("bob").crash();
    world.host_mut("bob").start();
    let done = run.finish().code(7);
    assert_eq!(marked(&done.out()), all_lines("bob"));
    assert_eq!(world.host("alice").read("left.txt"), b"left\n");
}

#[test]
fn a_crash_of_the_worker_s_homied_in_a_flood_loses_and_repeats_no_byte() {
    /// 50 MB in lines of 100 bytes: two seconds' work of these unoptimised programs, minutes on a machine that is busy.
    const LINES: u64 = 500_000;
    /// What may be written before homied is back.
    const FREE: u64 = 375_000;
    let mut world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let flood = format!(
        "seq -f %099.f {FREE}; until [ -e go ]; do sleep 0.01; done; seq -f %099.f {} {LINES}; exit 7",
        FREE + 1
    );
    alice.run_text(&["--peer", "bob", "--detach"], &flood).code(0);
    let jobs = world.host("bob").state.join("jobs");
    let dirs = || std::fs::read_dir(&jobs).into_iter().flatten().flatten().map(|entry| entry.path());
    let written = || dirs().filter_map(|dir| std::fs::metadata(dir.join("output")).ok()).map(|m| m.len()).sum::<u64>();
    wait_until("the flood has begun", PATIENCE, || written() > LINES * 10);
    world.host_mut("bob").crash();
    let at_crash = written();
    world.host_mut("bob").start();
    assert!(at_crash < LINES * 100, "{at_crash} bytes: the whole flood was over before the crash");
    std::fs::write(world.host("bob").work_of_the_job().join("go"), "").expect("written");
    let alice = world.host("alice");
    let job = alice.wait_job(&["failed"], PATIENCE * 2);
    assert_eq!(job["exit_code"], 7, "{job}");
    let kept = alice.homie(&["logs", "last", "--raw"]).code(0).stdout;
    // Not compared as a whole: a difference would be printed as a whole, too.
    let mut lines = kept.chunks(100);
    for n in 1..=LINES {
        let line = lines.next().unwrap_or_default();
        assert!(line == format!("{n:099}\n").as_bytes(), "line {n} is {:?}", String::from_utf8_lossy(line));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_job_that_ends_while_the_worker_s_homied_is_down_is_still_reported() {
    let mut world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");
    world.host_mut("bob").crash();
    // The job's own processes tell when it is over: its supervisor is the last that has bob's directory in its words.
    let state = world.host("bob").state.clone();
    wait_until("the job ends without homied", PATIENCE, || {
        !std::fs::read_dir("/proc").expect("proc").flatten().any(|entry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let dir = state.as_os_str().as_encoded_bytes();
            words.windows(dir.len()).any(|window| window == dir)
        })
    });
    world.host_mut("bob").start();
    let done = run.finish().code(7);
    assert_eq!(marked(&done.out()), all_lines("bob"));
}

#[test]
fn a_crash_of_the_submitter_s_homied_loses_no_line_and_no_exit_code() {
    let mut world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    // However busy this machine is, the job is not over before the crash.
    let script = COUNT.replace("exit 7", "until [ -e go ]; do sleep 0.01; done; exit 7");
    alice.run_text(&["--peer", "bob", "--detach"], &script).code(0);
    alice.wait_job(&["running"], PATIENCE);
    world.host_mut("alice").crash();
    world.host_mut("alice").start();
    std::fs::write(world.host("bob").work_of_the_job().join("go"), "").expect("written");
    let done = world.host("alice").homie(&["attach", "last"]).code(7);
    assert_eq!(marked(&done.out()), all_lines("bob"));
    assert_eq!(world.host("alice").read("left.txt"), b"left\n");
}

#[test]
fn a_client_whose_homied_crashes_ends_with_a_word_on_how_to_go_on() {
    let mut world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");
    world.host_mut("alice").crash();
    world.host_mut("alice").spawn();
    // It may find the new homied by itself, or say what to do; it may not hang or invent an exit code.
    let done = run.finish();
    match done.code {
        Some(7) => assert_eq!(marked(&done.out()), all_lines("bob")),
        _ => {
            let done = done.says("homie attach");
            assert!(matches!(done.code, Some(69 | 125)), "{:?}", done.code);
            wait_until("homied is back", PATIENCE, || world.host("alice").homie(&["status"]).code == Some(0));
            let attached = world.host("alice").homie(&["attach", "last"]).code(7);
            assert_eq!(marked(&attached.out()), all_lines("bob"));
        }
    }
}

#[test]
fn a_client_that_is_killed_costs_the_job_nothing() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let run = alice.start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");
    drop(run);
    let attached = alice.homie(&["attach", "last"]).code(7);
    assert_eq!(marked(&attached.out()), all_lines("bob"));
}

#[test]
fn a_worker_that_is_unplugged_is_noticed_and_the_job_runs_elsewhere() {
    crate::need_root!();
    let mut world = World::started(&["alice", "bob", "carol"]);
    let run = world.host("alice").start_text(&["--remote"], "echo up; sleep 8; echo done");
    run.wait_for("] up");
    let worker = if run.so_far().contains("[bob] up") { "bob" } else { "carol" };
    let other = if worker == "bob" { "carol" } else { "bob" };
    world.host_mut(worker).pull_plug();
    // Unreachable after 45 s without a sign, elsewhere after 120 s (design): give it three times that.
    let done = run.finish_within(Duration::from_secs(360)).code(0);
    assert!(done.out().contains(&format!("[{other}] done")), "{}", done.out());
}

#[test]
fn stopping_homied_in_order_keeps_the_jobs_it_hosts() {
    let mut world = World::started(&["alice", "bob"]);
    let run = world.host("alice").start_text(&["--peer", "bob"], COUNT);
    run.wait_for("[bob] 20\n");
    world.host_mut("bob").stop().code(0);
    world.host_mut("bob").start();
    let done = run.finish().code(7);
    assert_eq!(marked(&done.out()), all_lines("bob"));
}
