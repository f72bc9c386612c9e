//! The one place from which peers are dialled.
//!
//! Straight over TCP, or through a proxy (SOCKS5 or HTTP CONNECT) where the configuration or the environment names one;
//! every way ends in the same stream of bytes.

mod routes;
mod through;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::LinkError;
use super::race;
use super::secure::Wire;
use crate::model::Way;

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

impl Target {
    /// As the registry knows it.
    pub(super) fn way(&self) -> Option<Way> {
        match self {
            Self::Addr(addr) => Some(Way::Straight(*addr)),
            Self::Name(name) => Some(Way::Named(name.clone())),
            Self::Loopback => None,
        }
    }
}

impl From<Way> for Target {
    fn from(way: Way) -> Self {
        match way {
            Way::Straight(addr) => Self::Addr(addr),
            Way::Named(name) => Self::Name(name),
        }
    }
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

/// A stream to a target.
pub(super) struct Dialled {
    pub(super) stream: Box<dyn Wire>,
    /// The address that answered, [`NOWHERE`] if only a proxy knows it.
    pub(super) addr: SocketAddr,
    /// The address of this machine that it goes out from.
    pub(super) from: Option<IpAddr>,
    /// How long the connection took in microseconds: a round trip, if it goes straight.
    pub(super) rtt_us: Option<u32>,
}

impl Dialled {
    fn straight((stream, addr, took): (TcpStream, SocketAddr, Duration)) -> Self {
        let from = stream.local_addr().ok().map(|at| at.ip().to_canonical());
        let rtt_us = u32::try_from(took.as_micros()).ok();
        Self { stream: Box::new(stream), addr, from, rtt_us }
    }
}

/// The address of a peer that a proxy reached by its name.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Routes {
    /// Opens a stream to `target`.
    pub(super) async fn dial(&self, target: &Target) -> Result<Dialled, LinkError> {
        match self.proxy(target) {
            Some(proxy) => through::dial(&proxy, target).await,
            None => direct(target).await.map(Dialled::straight),
        }
    }

    /// The addresses behind `target`, each to be dialled by itself: a name may stand for several, and not all of them
    /// need be the peer's. None where a proxy resolves it.
    pub(super) async fn spread(&self, target: &Target) -> Result<Vec<SocketAddr>, LinkError> {
        match target {
            Target::Name(name) if self.proxy(target).is_none() => resolve(name).await,
            _ => Ok(Vec::new()),
        }
    }

    /// A stream straight to an address that [`Self::spread`] gave.
    pub(super) async fn dial_straight(addr: SocketAddr) -> Result<Dialled, LinkError> {
        connect(addr, &addr.to_string()).await.map(Dialled::straight)
    }
}

/// A connection, where it leads, and how long it took.
async fn direct(target: &Target) -> Result<(TcpStream, SocketAddr, Duration), LinkError> {
    let addresses = match target {
        Target::Addr(addr) => vec![*addr],
        Target::Name(name) => resolve(name).await?,
        Target::Loopback => return Err(LinkError::Myself),
    };
    let shown = target.to_string();
    let tries: Vec<_> = addresses.into_iter().map(|addr| connect(addr, &shown).boxed()).collect();
    race::first(tries).await.unwrap_or_else(|| Err(LinkError::Slow(shown.clone())))
}

async fn connect(addr: SocketAddr, shown: &str) -> Result<(TcpStream, SocketAddr, Duration), LinkError> {
    let begun = Instant::now();
    match timeout(CONNECT_LIMIT, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => {
            tune(&stream);
            Ok((stream, addr, begun.elapsed()))
        }
        Ok(Err(source)) => Err(LinkError::Connect { target: shown.to_owned(), source }),
        Err(_) => {
            let source = io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", CONNECT_LIMIT.as_secs()));
            Err(LinkError::Connect { target: shown.to_owned(), source })
        }
    }
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
            let found = take_turns(found.collect());
            if found.is_empty() { Err(fail("it has no address".into())) } else { Ok(found) }
        }
    }
}

/// The first addresses, those of the two families by turns (RFC 8305 §4): a family that leads nowhere costs one try.
fn take_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut mixed = Vec::new();
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    while mixed.len() < MAX_ADDRESSES {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            break;
        }
        mixed.extend(pair.into_iter().flatten());
    }
    mixed.truncate(MAX_ADDRESSES);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_turn() {
        let at = |text: &str| -> SocketAddr { text.parse().expect("address") };
        let (a, b, c) = (at("[::1]:1"), at("[::2]:1"), at("10.0.0.1:1"));
        assert_eq!(take_turns(vec![a, b, c]), [a, c, b]);
        assert_eq!(take_turns(vec![c]), [c]);
        assert_eq!(take_turns((0..99).map(|n| SocketAddr::from(([10, 0, 0, n], 1))).collect()).len(), MAX_ADDRESSES);
    }
}
