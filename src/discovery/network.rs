//! The port to the network for datagrams: the LAN of this machine, or a simulated one in `tests/sim`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// A network on which heartbeats travel.
pub trait Network: Send + Sync + 'static {
    /// Its sockets.
    type Socket: Datagrams;

    /// Opens `port` on every address, for hearing and sending broadcasts; shared with other daemons of this machine.
    ///
    /// # Errors
    /// The port is taken by another program, or may not be had.
    fn open(&self, port: u16) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Where a datagram must go now so that everybody hears it.
    ///
    /// # Errors
    /// The interfaces cannot be listed.
    fn broadcast_addresses(&self) -> io::Result<Vec<Ipv4Addr>>;
}

/// A socket for datagrams.
pub trait Datagrams: Send + Sync + 'static {
    /// Sends one datagram.
    ///
    /// # Errors
    /// There is no way to `to` now.
    fn send_to(&self, bytes: &[u8], to: SocketAddr) -> impl Future<Output = io::Result<usize>> + Send;

    /// Waits for a datagram; one that is longer than `buffer` is cut. Gives its length and where it came from.
    ///
    /// # Errors
    /// The socket is broken.
    fn receive(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
}
