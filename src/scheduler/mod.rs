//! Being built.

pub mod messages;
