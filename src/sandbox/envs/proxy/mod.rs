//! The only road out of a build: an HTTP proxy on a unix socket, one for each build.
//!
//! A build has no network of its own. Its directory holds a socket on which this proxy listens; inside, a few lines of
//! the build's driver carry connections from 127.0.0.1 to it. Through it go `CONNECT` (pip, over TLS) and plain `GET`
//! and `HEAD` (apt), to hosts that the owner allows, at addresses of the internet: a name is resolved here, its addresses
//! are judged, and those very addresses are dialled. Redirects are the client's to follow, so each is judged anew.
//!
//! What it does not see: the inside of a TLS tunnel. A build can speak to whatever an allowed server serves.

mod address;
mod request;
mod rules;
mod serve;
#[cfg(test)]
mod tests;
mod upstream;

pub use address::{Net, nearby};
pub use request::{Request, Target};
pub use rules::{Allowed, Denied, Rules};
pub use serve::{Egress, Proxy, Resolve, own_networks, system_resolver};
pub use upstream::Upstream;
