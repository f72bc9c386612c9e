//! Many jobs in containers, and nothing of them left: what tests/it looks for, and no container, control group, process
//! or layer of the engine's either.
//!
//! Fifty as a rule, 25 of them at once; `make soak` runs a thousand, a hundred of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::homied::{Engine, is_waiting, node};
use crate::many::{PATIENCE, Plan, jobs_in_all, many_jobs, named_after};
use crate::process::wait_until;
use crate::world::{Host, World};

/// A container that was seen: its layer's directory, where the engine tells.
type Seen = BTreeMap<String, Option<PathBuf>>;

/// Takes note of the containers of a machine. None may have a volume or a network, which could outlive it.
fn note(engine: &Engine, node: &str, seen: &RefCell<Seen>) -> BTreeMap<String, String> {
    let all = engine.containers(node);
    for id in all.values().filter(|id| !seen.borrow().contains_key(*id)) {
        let Some(there) = engine.inspect(id) else { continue };
        let volumes = there.mounts.iter().flatten().filter(|m| m.typ.as_deref() == Some("volume")).count();
        let networks = there.network_settings.and_then(|n| n.networks).unwrap_or_default();
        let connected = networks.keys().filter(|name| *name != "none").count();
        assert_eq!((volumes, connected), (0, 0), "{:?} {networks:?}", there.mounts);
        let merged = there.graph_driver.and_then(|d| d.data.get("MergedDir").cloned());
        let layer = merged.as_deref().and_then(|dir| Path::new(dir).parent()).map(Path::to_path_buf);
        seen.borrow_mut().insert(id.clone(), layer);
    }
    all
}

/// What is there of the containers that were seen, but for those of `all` that wait for a job.
fn held(seen: &Seen, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let waiting: BTreeSet<&String> = all.iter().filter(|(name, _)| is_waiting(name)).map(|(_, id)| id).collect();
    let ours: BTreeSet<String> = seen.keys().filter(|id| !waiting.contains(id)).cloned().collect();
    let mut held: BTreeSet<String> = all.keys().filter(|name| !is_waiting(name)).cloned().collect();
    let mut groups = BTreeSet::new();
    named_after(Path::new("/sys/fs/cgroup"), &ours, &mut groups);
    held.extend(groups.iter().map(|path| path.display().to_string()));
    let layers = ours.iter().filter_map(|id| seen.get(id)?.as_ref()).filter(|dir| dir.exists());
    held.extend(layers.map(|dir| dir.display().to_string()));
    // Shims and monitors have the container's id in their words.
    for process in std::fs::read_dir("/proc").expect("proc").flatten() {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.split([' ', '/']).any(|word| ours.contains(word)) {
            held.insert(words);
        }
    }
    held
}

#[test]
fn nothing_is_left_of_many_containers() {
    let Some(engine) = Engine::of_these_tests() else { return };
    let (in_flight, jobs) = match jobs_in_all() {
        Some(jobs) => (100.min(jobs), jobs),
        None => (25, 50),
    };
    let mut world = World::new(&["alice", "bob"]);
    let config = engine.config();
    let plan = Plan { in_flight, jobs, config: &config, groups: 2 * in_flight };
    let seen = RefCell::new(Seen::new());
    let id = RefCell::new(None);
    let look = |host: &Host| {
        let all = note(&engine, id.borrow_mut().get_or_insert_with(|| node(host)), &seen);
        held(&seen.borrow(), &all)
    };
    many_jobs(&mut world, &plan, &look);
    // Those that still wait for a job go with homied.
    let node = id.into_inner().expect("looked at");
    world.host_mut("bob").stop();
    wait_until("nothing is left in the engine", PATIENCE, || {
        held(&seen.borrow(), &note(&engine, &node, &seen)).is_empty() && engine.containers(&node).is_empty()
    });
    let places = std::fs::read_dir(world.host("bob").state.join("jobs")).expect("jobs").flatten();
    let left: Vec<_> = places.map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}
