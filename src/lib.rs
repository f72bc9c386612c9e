//! Homie: friends lend each other their idle machines.
//!
//! One library, two binaries: `homied`, the service on every machine, and `homie-ctl` (installed also as `homie`),
//! its small client. ARCHITECTURE.md draws the rooms and the road of a job.

pub mod ctl;
pub mod model;
pub mod paths;
pub mod transfer;
pub mod wire;

#[cfg(feature = "daemon")]
pub mod blobs;
#[cfg(feature = "daemon")]
mod cached;
pub mod clock;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "daemon")]
pub mod discovery;
#[cfg(feature = "daemon")]
pub mod history;
#[cfg(feature = "daemon")]
pub mod identity;
#[cfg(feature = "daemon")]
pub mod ipc;
#[cfg(feature = "daemon")]
pub mod link;
#[cfg(feature = "daemon")]
pub mod mailbox;
#[cfg(feature = "daemon")]
pub mod monitor;
#[cfg(feature = "daemon")]
pub mod net;
#[cfg(feature = "daemon")]
pub mod networks;
#[cfg(feature = "daemon")]
pub mod pipe;
#[cfg(feature = "daemon")]
pub mod registry;
#[cfg(feature = "daemon")]
pub mod sandbox;
#[cfg(feature = "daemon")]
pub mod scheduler;
#[cfg(feature = "daemon")]
pub mod secret;
