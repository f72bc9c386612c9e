//! `homie limit` on a job that runs in a container.

use crate::homied::{Engine, node, send, wait_state};
use crate::process::{PATIENCE, wait_until};

/// Tries to have 160 MiB, again and again, in a child that its memory limit ends; says whether it could.
const TRY: &str = "import subprocess, sys\n\
                   hog = 'b = bytearray(160 << 20)\\nfor i in range(0, len(b), 4096): b[i] = 1'\n\
                   said = None\n\
                   while True:\n\
                   \x20 now = 'enough' if subprocess.call([sys.executable, '-c', hog]) == 0 else 'too little'\n\
                   \x20 if now != said: print(now, flush=True)\n\
                   \x20 said = now\n";

#[test]
fn other_limits_hold_for_a_container_that_runs() {
    let Some(engine) = Engine::of_these_tests() else { return };
    if engine.podman {
        // Podman 4 has no way to change a container that runs; the refusal is the matter of another test.
        return;
    }
    let world = engine.world("");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let node = node(bob);
    alice.write("try.py", TRY);
    let trying = alice.homie_start(&["run", "--peer", "bob", "--memory", "96m", "--timeout", "300", "try.py"]);
    trying.wait_for("[bob] too little");
    let job = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
    let container = engine.container_of(&node, &job);
    let held = || {
        let there = engine.host_config(&container);
        (there.memory, there.memory_swap, there.nano_cpus, there.pids_limit)
    };
    assert_eq!((held().0, held().1), (Some(96 << 20), Some(96 << 20)));

    bob.homie(&["limit", &job, "--memory", "320m"]).code(0).says("320");
    trying.wait_for("[bob] enough");
    assert_eq!((held().0, held().1), (Some(320 << 20), Some(320 << 20)));
    // Refused for as long as a child of the job has more at that moment: the kernel takes nothing back.
    wait_until("it has less", PATIENCE, || bob.homie(&["limit", &job, "--memory", "96m"]).code == Some(0));
    wait_until("it is too little again", PATIENCE, || trying.so_far().matches("too little").count() == 2);
    bob.homie(&["limit", &job, "--cpu", "0.25", "--pids", "77"]).code(0);
    assert_eq!((held().2, held().3), (Some(250_000_000), Some(77)));
    // What the kernel itself holds it to.
    let pid = engine.inspect(&container).and_then(|c| c.state).and_then(|s| s.pid).expect("it runs");
    assert_eq!(kernel_limit(pid, "pids", "pids.max", "pids.max"), "77");
    let cpu = kernel_limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert_eq!(cpu.split(' ').next(), Some("25000"), "{cpu}");
    // The job's owner is told, and nobody else may do it.
    let row = alice.newest_job(&[]);
    assert_eq!(row["id"], job.as_str());
    alice.homie(&["limit", &job, "--memory", "64m"]).code(125);
    alice.homie(&["cancel", &job]).code(0);
}

/// A limit of the control group of a process, by its file's name in version 1 and in version 2.
#[track_caller]
fn kernel_limit(pid: i64, controller: &str, old: &str, new: &str) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    let of = |wanted: &str| {
        let line =
            groups.lines().find(|line| line.split(':').nth(1).is_some_and(|c| c.split(',').any(|c| c == wanted)));
        line.and_then(|line| line.splitn(3, ':').nth(2)).map(|path| path.trim_start_matches('/').to_owned())
    };
    let path = match of(controller) {
        Some(path) => std::path::Path::new("/sys/fs/cgroup").join(controller).join(path).join(old),
        None => std::path::Path::new("/sys/fs/cgroup").join(of("").expect("version 2")).join(new),
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

#[test]
fn two_hours_more_save_a_job_from_its_deadline_and_less_time_ends_it() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let world = engine.world("job_slots: 2\n");
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    // Long enough for the order to come in time on a machine that has other things to do.
    let saved = alice.start_text(&["--peer", "bob", "--timeout", "25"], "echo here; sleep 27; echo past; exit 4");
    saved.wait_for("[bob] here");
    let job = alice.newest_job(&[])["id"].as_str().expect("an id").to_owned();
    bob.homie(&["limit", &job, "--timeout", "+2h"]).code(0).says("2h");
    let ended = send(alice, &[], "sleep 1000");
    wait_state(alice, &ended, "running");
    let shorter = || bob.homie(&["limit", &ended, "--timeout", "5s"]).code;
    // Five seconds may have gone by already; then it takes a longer time than it has run.
    if shorter() != Some(0) {
        bob.homie(&["limit", &ended, "--timeout", "60s"]).code(0);
    }
    wait_state(alice, &ended, "timed-out");
    let saved = saved.finish().code(4);
    saved.says("[bob] past");
}
