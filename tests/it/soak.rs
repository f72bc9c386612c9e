//! Many jobs, and nothing of them left: no process, control group, mount, file or descriptor.
//!
//! Two hundred jobs as a rule, a hundred of them at once; `make soak` runs a thousand. [`super::many`] is shared with the
//! suite of the container engine.

use std::collections::BTreeSet;

use super::many::{Plan, jobs_in_all, many_jobs};
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
