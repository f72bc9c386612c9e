//! The environments of this machine: recipes its owner named, and what was built or fetched for anybody.
//!
//! [`builder`] is the boundary: what it takes to make an environment, as plain data. [`read`] understands the files
//! people write. [`books`] knows and decides, [`shelf`] is the disk, and [`keeper`] is the handle that the rest of the
//! room holds: it says what is here, has it brought here, and lets nobody take away what a job uses.

mod books;
pub mod builder;
mod keeper;
mod read;
mod shelf;

pub(super) use books::Key;
pub(super) use keeper::{Ask, InUse, Keeper};
pub(super) use read::{Files, Reading, read, write};
