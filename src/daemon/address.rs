//! What this machine's network looks like from inside.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Threads that move bytes: homied is a guest of its machine, and four carry more than a fast network brings.
const MOST_WORKERS: usize = 4;

/// How many worker threads the runtime gets here.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(1, MOST_WORKERS)
}

/// The address other machines of the LAN most likely know this one by; unspecified when there is none.
pub(super) fn own_address() -> IpAddr {
    routed().or_else(first_up).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The address the default route would use. Connecting a UDP socket sends nothing; the address asked about is one
/// that is reserved for documentation (RFC 5737), so that nobody can be meant.
fn routed() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

/// Without a default route: the first network that is not this machine itself.
fn first_up() -> Option<IpAddr> {
    let all = if_addrs::get_if_addrs().ok()?;
    all.into_iter().map(|i| i.ip()).find(|ip| ip.is_ipv4() && !ip.is_loopback())
}
