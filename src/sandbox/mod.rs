//! Jobs that this machine hosts: admission, jail, output, results.

pub mod engine;
pub mod messages;
mod results;
