//! The Docker engine against a real one: Docker or Podman, whichever answers, or a dockerd of our own.
//!
//! Nothing here is simulated. Without an engine the tests say why they cannot run and pass, except with CI=true, where
//! they fail. Tests that kill an engine only ever kill one of their own.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]

// Real homied processes, as in tests/it; not everything of them is used here.
#[path = "../it/many.rs"]
#[allow(unreachable_pub, missing_debug_implementations)]
mod many;
#[path = "../it/process.rs"]
#[allow(unreachable_pub, missing_debug_implementations, dead_code)]
mod process;
#[path = "../it/world.rs"]
#[allow(unreachable_pub, missing_debug_implementations, dead_code)]
mod world;

mod ending;
mod engine;
mod envs;
mod homied;
mod jail;
mod jobs;
mod kept;
mod limits;
mod lost;
mod pool;
mod relimited;
mod soak;
mod supervised;
mod template;
mod travel;
mod warm;
