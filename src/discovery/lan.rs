//! The network of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::interfaces;
use super::network::{Datagrams, Network};

/// Wished-for receive buffer, for the moment in which a whole group answers a newcomer's hello: 500 beats of 2 KiB
/// as the kernel counts them. It gives what its limit allows.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Opens `port` for hearing and sending broadcasts, shared with other daemons of this machine: a broadcast reaches
/// every socket bound to its port.
pub(super) fn open(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // Elsewhere than on Linux, SO_REUSEADDR alone does not let two sockets have the same port.
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true)?;
    socket.set_broadcast(true)?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    UdpSocket::from_std(socket.into())
}

/// The interfaces of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lan;

impl Network for Lan {
    type Socket = UdpSocket;

    async fn open(&self, port: u16) -> io::Result<UdpSocket> {
        open(port)
    }

    fn broadcast_addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        interfaces::broadcast_addresses()
    }
}

impl Datagrams for UdpSocket {
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        Self::send_to(self, bytes, to).await
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer).await
    }
}
