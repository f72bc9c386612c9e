//! Why this machine's load cannot be seen.

/// The system does not tell its processors and memory.
#[derive(Debug, thiserror::Error)]
#[error("this machine's processors and memory cannot be read: {0}")]
pub struct MonitorError(pub(super) String);
