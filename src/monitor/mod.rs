//! Own load: what this machine has, how busy it is, and what it offers.
//!
//! Samples processors, memory, disk and GPUs every 2 s, takes in what other rooms report (engines, hosted jobs,
//! limits), and publishes the whole as [`crate::model::Facts`] through a `watch` when it changed by more than noise.
//! A leaf: it asks nobody. This room alone names sysinfo and nvml-wrapper.

mod actor;
mod change;
mod error;
mod gpu;
pub mod messages;
mod sample;
mod smoothing;

pub use actor::{Monitor, MonitorActor, MonitorParts, start};
pub use error::MonitorError;
