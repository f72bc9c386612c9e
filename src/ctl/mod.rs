//! Being built.

pub mod config_file;
