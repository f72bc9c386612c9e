//! The local socket: how the users of this machine reach homied.
//!
//! I own the socket, the sessions on it (one task a client) and changes of the config file, one at a time. A request
//! is checked against the caller's rights ([`rights`], by the kernel's word on who is at the other end), becomes one
//! word to another room, and its answer goes back. Nobody calls me but daemon/.

mod actor;
mod follow;
mod listener;
pub mod messages;
mod methods;
mod outlets;
mod reload;
mod rights;
mod session;

pub use actor::{IpcActor, start};
pub use listener::{Socket, SocketError, bind};
pub use outlets::{IpcParts, Outlets};
