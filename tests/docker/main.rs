//! The Docker engine against a real one: Docker or Podman, whichever answers, or a dockerd of our own.
//!
//! Nothing here is simulated. Without an engine the tests say why they cannot run and pass, except with CI=true, where
//! they fail. Tests that kill an engine only ever kill one of their own.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ending;
mod engine;
mod jail;
mod jobs;
mod kept;
mod limits;
mod supervised;
mod template;
mod warm;
