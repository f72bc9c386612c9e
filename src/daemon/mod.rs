//! Composition: how homied starts, runs as a service, and ends.

pub mod background;
pub mod lock;
pub mod logging;
pub mod service;
pub mod signals;
