//! PeerRegistryActor: who is there, what they last said of themselves, and whose key a name stands for.
//!
//! Owns the table of peers and the pins (`peers.json`). Discovery tells it what it heard, the link what it proved;
//! anybody may ask it for the list. It asks nobody: a leaf. A heartbeat is only a hint, so a peer is listed as
//! online when a link has proven its key for this run of it, and stays so for as long as its beats (or its link)
//! are heard.

mod actor;
mod claims;
mod error;
mod introductions;
mod liveness;
pub mod messages;
mod paths;
mod pins;
mod pins_file;
mod table;

pub use actor::{PeerRegistryActor, RegistryParts, start};
pub use error::RegistryError;
