//! The same thing over and over: what goes wrong once in many times shows here.
//!
//! Many jobs, and nothing of them left: no process, control group, mount, file or descriptor. Two hundred as a rule, a
//! hundred of them at once; `make soak` runs a thousand. [`super::many`] is shared with the suite of the container engine.
//!
//! Many files whose ends fall on those of frames or beside them, each sent at the first attempt.

use std::collections::BTreeSet;
use std::fs;

use homie::wire::frame::MAX_RAW_BULK;

use super::many::{PATIENCE, Plan, jobs_in_all, many_jobs};
use super::transfers::{assert_arrived, noise, sent};
use super::world::{World, is_root};

/// At once.
const IN_FLIGHT: usize = 100;

#[test]
fn nothing_is_left_of_many_jobs_a_hundred_of_them_at_once() {
    let mut world = World::new(&["alice", "bob"]);
    let plan = Plan {
        in_flight: IN_FLIGHT,
        jobs: jobs_in_all().unwrap_or(2 * IN_FLIGHT),
        config: "",
        // An ordinary user often gets no control groups.
        groups: if is_root() { IN_FLIGHT } else { 0 },
    };
    many_jobs(&mut world, &plan, &|_| BTreeSet::new());
}

/// Rounds of sends; `make soak` asks for more.
fn rounds() -> usize {
    std::env::var("HOMIE_SOAK_SENDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

#[test]
fn content_that_ends_with_a_frame_or_beside_it_is_sent_at_the_first_attempt_each_time() {
    // The last ones are cut into several chunks, at places that have nothing to do with frames.
    let sizes: Vec<usize> = [1, 2, 3, 4, 6]
        .iter()
        .flat_map(|n| [-1, 0, 1].map(|d| n * MAX_RAW_BULK as i64 + d))
        .map(|n| n as usize)
        .collect();
    let mut world = World::new(&["alice", "bob"]);
    let config = world.host("bob").state.join("config.yaml");
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(&config, format!("{text}job_slots: {}\n", sizes.len())).expect("own file");
    world.start_all();
    world.wait_ready();
    let (alice, check) = (world.host("alice"), "sha256sum in.*");
    // From here on the script is there, and what travels is the file alone.
    alice.run_text(&["--peer", "bob"], check);
    let mut done = sent(alice).len();
    for round in 0..rounds() {
        let begin = |(index, size): (usize, &usize)| {
            let (name, seed) = (format!("in.{index}"), 1 + round * sizes.len() + index);
            // Multiplied, so that no two of them begin alike.
            let file = alice.write(&name, noise(*size as u64, (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            (alice.start_text(&["--peer", "bob", "-f", &name], check), file)
        };
        let running: Vec<_> = sizes.iter().enumerate().map(begin).collect();
        for (run, file) in running {
            assert_arrived(&run.finish_within(PATIENCE).code(0).out(), &file);
        }
        // A transfer that broke off at its end is made up for by another, which has nothing to send.
        let all = sent(alice);
        let mut bytes: Vec<usize> = all[done..].iter().map(|(bytes, _)| *bytes as usize).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, sizes, "round {round}");
        done = all.len();
    }
}
