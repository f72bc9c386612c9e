//! DiscoveryActor: says every two seconds that this machine is there, and hears who else is.
//!
//! Owns the UDP socket of the discovery port and three tasks on it: a *voice* that beats on every interface, an
//! *ear* that drops what carries no right MAC before it looks at it, and a *herald* that tells the registry what was
//! heard and, when the registry says so, asks the link to make sure of it. No datagram is ever answered; a newcomer
//! only brings the next beat forward. Nobody needs discovery to work: if the port is taken, `DiscoveryError` says so,
//! peers added by address are still reached, and the port is tried again.

mod actor;
mod beacon;
mod ear;
mod error;
mod greetings;
mod herald;
mod interfaces;
mod lan;
mod listen;
pub mod messages;
mod network;
mod sources;
mod strangers;
mod voice;

pub use actor::{DiscoveryActor, DiscoveryParts, start, start_on};
pub use network::{Datagrams, Network};
