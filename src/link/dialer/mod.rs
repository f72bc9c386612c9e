//! The one place from which peers are dialled.
//!
//! Straight over TCP, or through a proxy (SOCKS5 or HTTP CONNECT) where the configuration or the environment names one;
//! every way ends in the same stream of bytes.

mod routes;
mod through;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::LinkError;
use super::secure::Wire;

pub(super) use routes::Routes;

/// How long a resolver may take; its own default is longer than anybody waits.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// How long one address may take to answer: two lost SYN packets.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 6;

/// Where to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An address a peer was seen at.
    Addr(SocketAddr),
    /// `HOST:PORT`; the name is resolved at every dial, because addresses change.
    Name(String),
    /// This machine, without a network.
    Loopback,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Loopback => f.write_str("this machine"),
        }
    }
}

/// A stream to a target and the address that answered, [`NOWHERE`] if only a proxy knows it.
pub(super) type Dialled = (Box<dyn Wire>, SocketAddr);

/// The address of a peer that a proxy reached by its name.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Routes {
    /// Opens a stream to `target`.
    pub(super) async fn dial(&self, target: &Target) -> Result<Dialled, LinkError> {
        match self.proxy(target) {
            Some(proxy) => through::dial(&proxy, target).await,
            None => direct(target).await.map(|(stream, addr)| -> Dialled { (Box::new(stream), addr) }),
        }
    }
}

async fn direct(target: &Target) -> Result<(TcpStream, SocketAddr), LinkError> {
    let addresses = match target {
        Target::Addr(addr) => vec![*addr],
        Target::Name(name) => resolve(name).await?,
        Target::Loopback => return Err(LinkError::Myself),
    };
    let mut error = LinkError::Slow(target.to_string());
    for addr in addresses.into_iter().take(MAX_ADDRESSES) {
        match timeout(CONNECT_LIMIT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                // Every frame is one message; waiting to fill a packet would only add delay.
                let _ = stream.set_nodelay(true);
                return Ok((stream, addr));
            }
            Ok(Err(source)) => error = LinkError::Connect { target: target.to_string(), source },
            Err(_) => error = LinkError::Slow(target.to_string()),
        }
    }
    Err(error)
}

async fn resolve(name: &str) -> Result<Vec<SocketAddr>, LinkError> {
    let fail = |why: String| LinkError::Resolve { host: name.to_owned(), why };
    match timeout(RESOLVE_LIMIT, lookup_host(name)).await {
        Err(_) => Err(fail("the resolver did not answer in time".into())),
        Ok(Err(e)) => Err(fail(e.to_string())),
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(fail("it has no address".into())) } else { Ok(found) }
        }
    }
}
