//! Where a beat must be sent so that everybody hears it: the broadcast address of each usable interface.
//!
//! The list is made anew for every beat (a netlink dump of some 50 us), so that a new address, another Wi-Fi or a
//! laptop that wakes up elsewhere is followed within one beat, whatever a watcher may have missed.

use std::io;
use std::net::Ipv4Addr;

use if_addrs::{IfAddr, IfOperStatus, Ifv4Addr};

/// Reaches every homied of this machine: several daemons of one machine hear each other, also without a network.
pub(super) const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// A machine with more networks than this (a container host with hundreds of bridges) beats on the first ones.
const MAX_NETWORKS: usize = 32;

/// The broadcast addresses now, loopback first. Blocks for the time of a system call.
pub(super) fn broadcast_addresses() -> io::Result<Vec<Ipv4Addr>> {
    let mut found = vec![LOOPBACK];
    for interface in if_addrs::get_if_addrs()? {
        // Not running: a bridge without members, a cable that is out. Point-to-point: a tunnel, which has no
        // broadcast; its peers are added by address.
        if interface.oper_status != IfOperStatus::Up || interface.is_p2p {
            continue;
        }
        let IfAddr::V4(address) = &interface.addr else { continue };
        if let Some(broadcast) = broadcast_of(address).filter(|b| !found.contains(b)) {
            found.push(broadcast);
        }
        if found.len() > MAX_NETWORKS {
            break;
        }
    }
    Ok(found)
}

/// The broadcast address of a network: as configured, else the last address of the subnet, which Linux routes as
/// broadcast even if none was configured.
fn broadcast_of(address: &Ifv4Addr) -> Option<Ipv4Addr> {
    // A /31 has two hosts and a /32 one; neither has room for a broadcast address (RFC 3021).
    if address.ip.is_loopback() || address.prefixlen > 30 || address.prefixlen == 0 {
        return None;
    }
    let last = Ipv4Addr::from_bits(address.ip.to_bits() | !address.netmask.to_bits());
    Some(address.broadcast.filter(|b| !b.is_unspecified() && *b != address.ip).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(ip: [u8; 4], prefixlen: u8, broadcast: Option<[u8; 4]>) -> Ifv4Addr {
        let netmask = Ipv4Addr::from_bits(u32::MAX.checked_shl(u32::from(32 - prefixlen)).unwrap_or(0));
        Ifv4Addr { ip: ip.into(), netmask, prefixlen, broadcast: broadcast.map(Into::into) }
    }

    #[test]
    fn the_broadcast_address_is_the_configured_one_or_the_last_of_the_subnet() {
        for (address, wanted) in [
            (v4([192, 168, 1, 7], 24, Some([192, 168, 1, 255])), Some([192, 168, 1, 255])),
            (v4([192, 168, 1, 7], 24, None), Some([192, 168, 1, 255])),
            (v4([10, 1, 2, 3], 8, Some([0, 0, 0, 0])), Some([10, 255, 255, 255])),
            (v4([10, 0, 0, 1], 30, None), Some([10, 0, 0, 3])),
            (v4([10, 0, 0, 1], 31, None), None),
            (v4([100, 64, 0, 1], 32, Some([100, 64, 0, 1])), None),
            (v4([127, 0, 0, 1], 8, None), None),
        ] {
            assert_eq!(broadcast_of(&address), wanted.map(Ipv4Addr::from), "{address:?}");
        }
    }

    #[test]
    fn every_machine_reaches_its_own_daemons() {
        assert_eq!(broadcast_addresses().expect("listable")[0], LOOPBACK);
    }
}
