//! Three machines in a simulated network: discovery and registry as they are, on turmoil's datagrams and clock.
//!
//! A run is a function of its seed. That is checked first; what the other tests find can then be found again.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "daemon")]

mod node;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::{Sight, run_node};
use turmoil::{Builder, Sim};

/// What each machine saw, ten times a second.
type Trace = Arc<Mutex<Vec<Sight>>>;

const NODES: [u8; 3] = [1, 2, 3];

fn name(node: u8) -> String {
    format!("node{node}")
}

fn group(seed: u64) -> (Sim<'static>, Trace) {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(300))
        .tick_duration(Duration::from_millis(5))
        .max_message_latency(Duration::from_millis(80))
        .build();
    let trace = Trace::default();
    for node in NODES {
        let trace = Arc::clone(&trace);
        let starts = Arc::new(Mutex::new(0));
        sim.host(name(node), move || run_node(node, Arc::clone(&starts), Arc::clone(&trace)));
    }
    (sim, trace)
}

fn run_until(sim: &mut Sim<'_>, second: u64) {
    while sim.elapsed() < Duration::from_secs(second) {
        sim.step().expect("no machine fails");
    }
}

/// Whom `node` saw last.
fn seen_by(trace: &Trace, node: u8) -> BTreeSet<u8> {
    let trace = trace.lock().expect("not poisoned");
    trace.iter().rfind(|sight| sight.by == node).map(|sight| sight.online.clone()).unwrap_or_default()
}

fn others(node: u8) -> BTreeSet<u8> {
    NODES.into_iter().filter(|n| *n != node).collect()
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let run = |seed| {
        let (mut sim, trace) = group(seed);
        run_until(&mut sim, 12);
        sim.partition(name(1), name(2));
        run_until(&mut sim, 30);
        trace.lock().expect("not poisoned").clone()
    };
    let first = run(7);
    assert!(first.len() > 500, "{}", first.len());
    assert_eq!(first, run(7));
    assert_ne!(first, run(8), "the trace is fine enough to tell two runs apart");
}

#[test]
fn a_partition_is_seen_by_both_sides_and_healed() {
    for seed in 0..4 {
        let (mut sim, trace) = group(seed);
        run_until(&mut sim, 3);
        for node in NODES {
            assert_eq!(seen_by(&trace, node), others(node), "seed {seed}: everybody sees everybody");
        }
        sim.partition(name(3), name(1));
        sim.partition(name(3), name(2));
        run_until(&mut sim, 6);
        assert_eq!(seen_by(&trace, 1), others(1), "seed {seed}: a missed beat is no loss");
        run_until(&mut sim, 14);
        assert_eq!(seen_by(&trace, 1), BTreeSet::from([2]), "seed {seed}");
        assert_eq!(seen_by(&trace, 2), BTreeSet::from([1]), "seed {seed}");
        assert_eq!(seen_by(&trace, 3), BTreeSet::new(), "seed {seed}");
        sim.repair(name(3), name(1));
        sim.repair(name(3), name(2));
        run_until(&mut sim, 18);
        for node in NODES {
            assert_eq!(seen_by(&trace, node), others(node), "seed {seed}: healed within two beats");
        }
    }
}

#[test]
fn a_crashed_machine_ages_out_and_its_next_run_is_seen_at_once() {
    for seed in 0..4 {
        let (mut sim, trace) = group(seed);
        run_until(&mut sim, 5);
        sim.crash(name(2));
        run_until(&mut sim, 15);
        assert_eq!(seen_by(&trace, 1), BTreeSet::from([3]), "seed {seed}");
        sim.bounce(name(2));
        run_until(&mut sim, 16);
        for node in NODES {
            assert_eq!(seen_by(&trace, node), others(node), "seed {seed}: a hello does not wait for a beat");
        }
    }
}
