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
/// How long sent bytes may stay unacknowledged before the connection is given up (TCP_USER_TIMEOUT, RFC 5482). The
/// pauses between TCP's own tries double, so that after a break of a minute it would look again a minute later; a new
/// connection looks at once, and a transfer goes on where it was. Shorter, and a line that loses every third packet
/// would be given up again and again.
#[cfg(target_os = "linux")]
const DEAF_LIMIT: Duration = Duration::from_secs(8);
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
                tune(&stream);
                return Ok((stream, addr));
            }
            Ok(Err(source)) => error = LinkError::Connect { target: target.to_string(), source },
            Err(_) => error = LinkError::Slow(target.to_string()),
        }
    }
    Err(error)
}

/// What every connection between peers wants of its socket, whoever dialled it. A kernel that cannot has connections
/// that are noticed to be dead later.
pub(super) fn tune(stream: &TcpStream) {
    // Every frame is one message; waiting to fill a packet would only add delay.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(DEAF_LIMIT));
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
