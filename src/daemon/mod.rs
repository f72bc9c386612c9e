//! Composition: how homied starts, runs as a service, and ends. Nothing imports this.

mod address;
pub mod background;
mod boot;
mod housekeeping;
pub mod lock;
pub mod logging;
pub mod service;
mod shutdown;
pub mod signals;

pub use boot::{Options, run};
