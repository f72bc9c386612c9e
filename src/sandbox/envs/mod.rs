//! The environments of this machine: recipes its owner named, and what was built or fetched for anybody.
//!
//! [`builder`] is the boundary: what it takes to make an environment, as plain data. [`proxy`] is the one road out of a
//! build. Everything else here keeps the books: which recipes have names, what stands ready on disk, who uses it, what has
//! to go when the quota is full.

pub mod build;
pub mod builder;
pub mod proxy;
pub mod tree;
