//! Jobs that this machine sends out.
//!
//! I own every job of this machine's users from its submission to its last record: which machine gets it
//! ([`ranking`]), what happens next ([`jobs`], a pure state machine), when to give a worker up ([`retry`]). The link
//! does the talking, history the remembering. ipc calls me; the link reports back by [`messages::WorkerReports`].

mod actor;
mod effects;
mod farewell;
mod jobs;
pub mod messages;
mod outlets;
mod ranking;
mod retry;
mod submit;

pub use actor::{SchedulerActor, start};
pub use outlets::{Outlets, SchedulerParts};

#[cfg(test)]
mod tests;
