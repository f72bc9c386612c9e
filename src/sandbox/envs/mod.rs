//! The environments of this machine: recipes its owner named, and what was built or fetched for anybody.
//!
//! [`builder`] is the boundary: what it takes to make an environment, as plain data. [`proxy`] is the one road out of a
//! build. [`read`] understands the files people write,
//! [`locks`] those of other tools. [`books`] knows and decides, [`shelf`] is the disk, and
//! [`keeper`] is the handle that the rest of the room holds: it says what is here, has it brought here, and lets nobody
//! take away what a job uses.

mod actor;
mod books;
pub mod build;
pub mod builder;
mod give;
mod held;
mod job;
mod keeper;
mod locks;
mod names;
pub mod proxy;
mod read;
mod shelf;
pub mod tree;

pub(super) use books::Key;
pub use build::is_image;
pub use give::EnvGiven;
pub use held::EnvHeld;
pub(super) use job::{EnvRoad, for_job, roads};
pub(super) use keeper::Keeper;
pub(super) use shelf::end_builds;

/// Whether a file of this name and text describes an environment, for the fuzzer.
#[cfg(fuzzing)]
pub fn reads(name: &str, text: &str) -> bool {
    read::read(name, &read::Files::from([(name.to_owned(), text.to_owned())]), "fuzzed").is_ok()
}
