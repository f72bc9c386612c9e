//! Links to the other machines of the group: everything that crosses the network crosses here.
//!
//! Owns the worker port, the connections, the tickets and the direct peers. The scheduler asks it to hand jobs out, follow
//! them and bring results; discovery asks it to greet; ipc manages direct peers. For jobs that this machine hosts it
//! asks the sandbox, and it tells the registry who is there. It never decides whether a job may run.
//!
//! ```text
//! listener ─ secure (gate*, tls, handshake*) ─ connect ─ session ─ serve ──> sandbox
//! dialer, race ─┘                                │          └────── streams (logs with credit)
//!                                              actor, upkeep (table, links*, direct*, greet*)   bulk (tickets*) <──> blobs
//! ```
//! A stranger gets no byte and reaches no parser; a friend has proven a device key and the group secret on this very
//! connection. This machine itself is a peer like the others, over a pipe in memory.

mod actor;
mod bulk;
mod calls;
mod connect;
mod dialer;
mod direct;
mod error;
mod find;
mod gate;
mod greet;
mod handle;
mod handshake;
mod hint;
mod invites;
mod join;
mod links;
mod listener;
pub mod messages;
mod pace;
mod parts;
mod race;
mod room;
mod roster;
mod rotate;
mod secure;
mod serve;
mod session;
mod streams;
mod table;
mod taking;
#[cfg(test)]
mod tests;
mod tickets;
mod tls;
mod upkeep;

pub use actor::{PeerLinkActor, start};
pub use error::LinkError;
pub use parts::LinkParts;
pub use room::{RegistryOutlets, SandboxOutlets};
