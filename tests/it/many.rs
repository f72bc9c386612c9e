//! Many jobs on one machine, and the look at what is left of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::process::wait_until;
use super::world::{Host, World, is_root};

/// Clients that wait for a job at the same time, after that.
const CLIENTS: usize = 10;
/// A hundred supervisors start on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How many jobs `make soak` asks for.
pub fn jobs_in_all() -> Option<usize> {
    std::env::var("HOMIE_SOAK_JOBS").ok().and_then(|n| n.parse().ok())
}

/// What is run.
pub struct Plan<'a> {
    /// Jobs that run at once at first.
    pub in_flight: usize,
    /// Jobs in all.
    pub jobs: usize,
    /// Lines for the config of the machine that hosts them.
    pub config: &'a str,
    /// So many control groups, at least, or things that the engine holds, are there while the first ones run.
    pub groups: usize,
}

/// What is looked at before and after.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    processes: BTreeSet<String>,
    groups: BTreeSet<PathBuf>,
    mounts: usize,
    files: BTreeSet<PathBuf>,
    /// What an engine beside homied holds.
    held: BTreeSet<String>,
}

/// Everything below `dir` whose name has one of `ids` in it, and is not below another such.
pub fn named_after(dir: &Path, ids: &BTreeSet<String>, into: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.split(|c: char| !c.is_ascii_hexdigit()).any(|part| ids.contains(part)) {
            into.insert(entry.path());
        } else if entry.file_type().is_ok_and(|t| t.is_dir()) {
            named_after(&entry.path(), ids, into);
        }
    }
}

/// What of `ids` is left on `host`, which hosted them, beside what its engine holds.
fn left(host: &Host, ids: &BTreeSet<String>, held: BTreeSet<String>) -> Left {
    let own = host.state.as_os_str().to_string_lossy().into_owned();
    // A supervisor holds the lock of its job's directory, as its standard input; one waits for the next job.
    // One that outlives the directory counts: the kernel says of its lock that it is deleted.
    let lock = |pid: &Path| {
        let lock = fs::read_link(pid.join("fd/0"))?.to_string_lossy().into_owned();
        Ok::<_, std::io::Error>(lock.strip_suffix(" (deleted)").unwrap_or(&lock).to_owned())
    };
    let all = fs::read_dir("/proc").expect("proc").flatten().filter_map(|e| lock(&e.path()).ok());
    let (mut groups, mut files) = (BTreeSet::new(), BTreeSet::new());
    named_after(Path::new("/sys/fs/cgroup"), ids, &mut groups);
    named_after(&host.state, ids, &mut files);
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", host.homied_pid())).expect("homied lives");
    Left {
        processes: all
            .filter(|lock| lock.starts_with(&own) && lock.ends_with("/lock") && !lock.contains("/spare-"))
            .collect(),
        groups,
        // Other tests make and remove network namespaces, which are mounts too.
        mounts: mounts.lines().filter(|line| line.contains(&own)).count(),
        files,
        held,
    }
}

fn descriptors(host: &Host) -> usize {
    fs::read_dir(format!("/proc/{}/fd", host.homied_pid())).expect("homied lives").count()
}

fn hosted(host: &Host, state: &str) -> usize {
    let rows = host.homie(&["--json", "jobs", "--all", "--hosted"]).json();
    let rows = rows["jobs"].as_array().cloned().unwrap_or_default();
    rows.iter().filter(|job| job["state"] == state).count()
}

/// Runs them from alice at bob, and fails unless nothing is left. `held` tells what an engine holds for a machine's jobs.
pub fn many_jobs(world: &mut World, plan: &Plan<'_>, held: &dyn Fn(&Host) -> BTreeSet<String>) {
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    // In namespaces they hear each other; otherwise bob has to know where alice is.
    let peers = if is_root() { String::new() } else { format!("broadcast: false\ndirect:\n  - {}\n", alice.address()) };
    bob.configure(&format!("{peers}job_slots: {}\n{}", plan.in_flight, plan.config));
    world.start_all();
    world.wait_ready();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.run_text(&["--peer", "bob"], "echo first > out.txt").code(0);
    let (began_alice, began_bob) = (descriptors(alice), descriptors(bob));
    // The first job's supervisor ends a moment after its results are home.
    let left_of = |ids: &BTreeSet<String>| left(bob, ids, held(bob));
    wait_until("nothing runs at bob", PATIENCE, || left_of(&BTreeSet::new()) == Left::default());

    alice.write("long.sh", "#!/bin/sh\nsleep 100000\n");
    let mut ids = BTreeSet::new();
    for _ in 0..plan.in_flight {
        let sent = alice.homie(&["--json", "run", "--peer", "bob", "--detach", "long.sh"]).code(0);
        ids.insert(sent.json()["jobs"][0]["id"].as_str().unwrap_or_else(|| panic!("{}", sent.out())).to_owned());
    }
    assert_eq!(ids.len(), plan.in_flight);
    wait_until("all of them run at once", PATIENCE, || hosted(bob, "running") == plan.in_flight);
    // The look itself must be able to find something.
    let during = left_of(&ids);
    assert_eq!((during.processes.len(), during.files.len()), (plan.in_flight, plan.in_flight), "{during:?}");
    assert!(during.groups.len() + during.held.len() >= plan.groups, "{during:?}");
    for id in &ids {
        alice.homie(&["cancel", id]).code(0);
    }
    wait_until("all of them have ended", PATIENCE, || hosted(bob, "running") == 0);

    let mut to_go = plan.jobs.saturating_sub(plan.in_flight);
    while to_go > 0 {
        let clients = CLIENTS.min(to_go);
        to_go -= clients;
        let script = "echo line; echo same > out.txt; (sleep 1000 &) ; exit 3";
        let running: Vec<_> = (0..clients).map(|_| alice.start_text(&["--peer", "bob"], script)).collect();
        for run in running {
            run.finish_within(PATIENCE).code(3);
        }
    }
    let rows = alice.homie(&["--json", "jobs", "--all"]).json();
    let all: BTreeSet<String> =
        rows["jobs"].as_array().into_iter().flatten().filter_map(|j| Some(j["id"].as_str()?.to_owned())).collect();
    ids.extend(all);

    let began = Instant::now();
    wait_until("nothing of them is left at bob", PATIENCE, || {
        let after = left_of(&ids);
        if began.elapsed() > PATIENCE / 10 * 9 {
            eprintln!("still there: {after:?}");
        }
        after == Left::default()
    });
    // The submitter keeps outputs for `homie logs`, and nothing else of a job whose results are home.
    let mut files = BTreeSet::new();
    named_after(&alice.state, &ids, &mut files);
    let odd: Vec<_> = files.iter().filter(|p| !p.starts_with(alice.state.join("sent"))).collect();
    assert!(odd.is_empty(), "{odd:?}");
    // A link may have been replaced or be closing; a leak of one per job would be hundreds.
    for (host, began) in [(alice, began_alice), (bob, began_bob)] {
        wait_until(&format!("{} has its descriptors back", host.name), PATIENCE, || descriptors(host) <= began + 4);
    }
}
