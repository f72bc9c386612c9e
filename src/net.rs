//! This machine's addresses, and which of them strangers could reach.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::IfOperStatus;
use ipnet::{Ipv4Net, Ipv6Net};

/// Networks that nobody reaches from the internet: private ones (RFC 1918), link-local ones (RFC 3927), those behind a
/// provider's NAT, where Tailscale has its addresses too (RFC 6598), those that are routed nowhere and that virtual machines
/// and `homie demo` use (RFC 2544), and this machine itself.
const INSIDE_V4: [Ipv4Net; 7] = [
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
];
/// The same of IPv6: unique local addresses (RFC 4193; fd7a:115c:a1e0::/48 of Tailscale lies within), link-local ones and
/// this machine itself.
const INSIDE_V6: [Ipv6Net; 3] = [
    Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
];
/// Networks that engines make on this machine; nobody else is there.
const OF_ENGINES: [&str; 8] = ["docker", "br-", "veth", "virbr", "podman", "cni", "lxc", "lxd"];

/// An address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface's number, which a link-local IPv6 address is nothing without; 0 for every other address.
    pub scope: u32,
    /// Its interface was made by a container engine or hypervisor.
    pub of_engine: bool,
    /// Its interface is plugged in, as far as the system can tell.
    pub live: bool,
}

/// Whether only a private network, a tailnet or this machine itself can reach the address.
pub fn is_inside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => INSIDE_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => INSIDE_V6.iter().any(|net| net.contains(&v6)),
    }
}

/// The addresses of all interfaces that are up, in order. Blocks for the time of a system call.
///
/// # Errors
/// The system does not tell.
pub fn own_addresses() -> io::Result<Vec<OwnAddress>> {
    let up = if_addrs::get_if_addrs()?.into_iter().filter(|i| i.oper_status != IfOperStatus::Down);
    let mut found: Vec<OwnAddress> = up
        .map(|interface| {
            let ip = interface.ip();
            let local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
            let scope = if local { interface.index.unwrap_or(0) } else { 0 };
            let of_engine = OF_ENGINES.iter().any(|start| interface.name.starts_with(start));
            // A cable that is out, a Wi-Fi without a network; a tunnel or the loopback says nothing of the kind.
            let live = !matches!(interface.oper_status, IfOperStatus::LowerLayerDown | IfOperStatus::NotPresent);
            OwnAddress { ip, scope, of_engine, live }
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_tailnet_and_own_addresses_are_inside_and_all_others_are_not() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.7",
            "169.254.9.9",
            "100.64.0.1",
            "100.127.255.254",
            // The demonstration's.
            "198.18.77.1",
            "198.19.255.255",
            "::1",
            "fe80::1",
            "fd7a:115c:a1e0::7",
            "fc00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inside(inside.parse().expect("address")), "{inside}");
        }
        for outside in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "203.0.113.7",
            "198.51.100.1",
            "198.20.0.1",
            "0.0.0.0",
            "2001:db8::1",
            "2a01:4f8::1",
            "::ffff:8.8.8.8",
            "::",
        ] {
            assert!(!is_inside(outside.parse().expect("address")), "{outside}");
        }
    }

    #[test]
    fn this_machine_has_itself() {
        let all = own_addresses().expect("listable");
        assert!(all.iter().any(|a| a.ip.is_loopback()), "{all:?}");
    }
}
