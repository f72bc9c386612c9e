//! Configuration: file shape -> merged layers (origin kept) -> validated settings.
//!
//! One file is read (see [`crate::paths`]); over it lie `HOMIE_*` variables, over these the flags of homied. Each
//! value remembers where it came from, so that `homie config` can say it. Changes by commands edit the file by line.

mod direct;
mod edit;
mod error;
mod file;
mod keys;
mod load;
mod proxy;
mod rotation;
mod settings;
mod shape;
#[cfg(test)]
mod tests;

pub use direct::{Direct, address};
pub use edit::{add_direct, remove_direct};
pub use error::ConfigError;
#[cfg(fuzzing)]
pub use load::from_text;
pub use load::{Loaded, host_name, load};
pub use proxy::{Destination, Exit, ProxyChoice, ProxyRule, without_login};
pub use rotation::{Owed, Rotation, Verdict, Word};
pub use settings::{DEFAULT_DISCOVERY_PORT, DEFAULT_GROUP, EngineChoice, Listen, Settings};
