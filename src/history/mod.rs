//! What became of every job, on both sides: one SQLite database in homied's state directory.
//!
//! Scheduler and sandbox write whole records as jobs go on and read the open ones after a restart; ipc reads lists
//! and sums. A leaf: it asks nobody. This room alone names rusqlite.

mod actor;
mod error;
pub mod messages;
mod schema;
mod store;
#[cfg(test)]
mod tests;

pub use actor::{HistoryActor, start};
pub use error::HistoryError;
