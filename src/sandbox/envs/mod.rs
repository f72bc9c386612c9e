//! Environments that jobs run in: built, kept, fetched.

pub mod proxy;
