//! Real homied processes on machines of their own, driven by the real `homie`. One binary, so that it links once.
//!
//! As root every machine is a network namespace; otherwise a set of ports of the loopback, and the tests that need
//! more say that they are left out.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// The modules of a test binary have no outside that could reach them.
#![allow(unreachable_pub, missing_debug_implementations)]

mod many;
mod process;
mod world;

mod attacks;
mod doctor;
mod documents;
mod envs;
mod files;
mod frames;
mod gpu;
mod jobs;
mod joining;
mod keys;
mod kicking;
mod meeting;
mod messages;
mod output;
mod paths;
mod placement;
mod proxies;
mod reaching;
mod refusals;
mod reload;
mod roster;
mod soak;
mod survival;
mod transfers;
mod trusting;
