//! Which addresses a build may not be connected to (pure): everything that is nearer than the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of this machine: its own addresses and those of its neighbours, public or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// Any address in it.
    pub addr: IpAddr,
    /// Length of its prefix in bits.
    pub prefix: u8,
}

impl Net {
    /// Networks wider than this are routes to everywhere (a tunnel that is given as a whole), not neighbourhoods.
    const WIDEST: (u8, u8) = (8, 32);

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let prefix = self.prefix.min(32);
                a == b || (prefix >= Self::WIDEST.0 && (a.to_bits() ^ b.to_bits()) >> (32 - u32::from(prefix)) == 0)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let prefix = self.prefix.min(128);
                a == b || (prefix >= Self::WIDEST.1 && (a.to_bits() ^ b.to_bits()) >> (128 - u32::from(prefix)) == 0)
            }
            _ => false,
        }
    }
}

/// Why `ip` is not of the internet; `None` when it is. `own` are the networks of this machine's interfaces.
///
/// Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4) are judged by that one too: the system, or the
/// next router, would unpack it.
pub fn nearby(ip: IpAddr, own: &[Net]) -> Option<&'static str> {
    let kind = match ip {
        IpAddr::V4(v4) => nearby_v4(v4),
        IpAddr::V6(v6) => nearby_v6(v6, own),
    };
    kind.or_else(|| own.iter().any(|net| net.contains(ip)).then_some("in a network of this machine"))
}

/// Blocks of the IANA IPv4 special-purpose registry (RFC 6890 and successors) that lead to this machine, to the
/// networks around it, or nowhere. The documentation blocks are left out: they name nobody's network.
const V4: [([u8; 4], u8, &str); 11] = [
    ([0, 0, 0, 0], 8, "this machine"),
    ([10, 0, 0, 0], 8, "a private network"),
    ([100, 64, 0, 0], 10, "a carrier's or a Tailscale network"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "a private network"),
    ([192, 0, 0, 0], 24, "reserved for protocols"),
    ([192, 168, 0, 0], 16, "a private network"),
    ([198, 18, 0, 0], 15, "a private network for benchmarks"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved or broadcast"),
];

fn nearby_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let within = |(net, prefix, _): &&([u8; 4], u8, &str)| {
        (ip.to_bits() ^ Ipv4Addr::from(*net).to_bits()) >> (32 - u32::from(*prefix)) == 0
    };
    V4.iter().find(within).map(|(_, _, why)| *why)
}

fn nearby_v6(ip: Ipv6Addr, own: &[Net]) -> Option<&'static str> {
    let s = ip.segments();
    let inside = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        nearby(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), own)
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Some("this machine"),
        // Mapped (RFC 4291), translated (RFC 2765) and the old "compatible" form.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(inside(high, low).unwrap_or("an IPv4 address in disguise"))
        }
        // NAT64 (RFC 6052), the one road to the internet of an IPv6-only network; 64:ff9b:1::/48 is for local use.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low),
        [0x64, 0xff9b, ..] => Some("a local translation network"),
        [0x100, 0, 0, 0, ..] => Some("discarded"),
        // 6to4 (RFC 3056) names its router; Teredo and the other 2001::/23 are protocols.
        [0x2002, high, low, ..] => inside(high, low),
        [0x2001, second, ..] if second < 0x200 => Some("reserved for protocols"),
        [first, ..] => match first {
            0xfc00..=0xfdff => Some("a private network"),
            0xfe80..=0xfebf => Some("link-local"),
            0xfec0..=0xfeff => Some("a site-local network"),
            0xff00.. => Some("multicast"),
            // Everything that was given out so far lies in 2000::/3.
            0x2000..=0x3fff => None,
            _ => Some("reserved"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(ip: &str) -> bool {
        nearby(ip.parse().expect("an address"), &[]).is_some()
    }

    #[test]
    fn what_is_nearer_than_the_internet_is_refused() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.254",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.251",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2002:7f00:1::1",
            "2002:c0a8:1::1",
            "fc00::1",
            "fd7a:115c:a1e0::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::fb",
            "4000::1",
            "::2:0:0",
        ] {
            assert!(near(ip), "{ip}");
        }
    }

    #[test]
    fn the_internet_is_reached() {
        for ip in [
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "151.101.0.223",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2a04:4e42::223",
            "2606:4700::1",
            "64:ff9b::9765:df",
            "2002:808:808::1",
        ] {
            assert!(!near(ip), "{ip}");
        }
    }

    #[test]
    fn neighbours_with_public_addresses_are_neighbours() {
        let net = |text: &str, prefix| Net { addr: text.parse().expect("an address"), prefix };
        let own = [net("203.0.113.7", 24), net("2a01:db8::5", 64), net("45.0.0.1", 32), net("0.0.0.0", 0)];
        let near = |ip: &str| nearby(ip.parse().expect("an address"), &own).is_some();
        assert!(near("203.0.113.200") && near("2a01:db8::99") && near("45.0.0.1") && near("64:ff9b::203.0.113.9"));
        assert!(!near("203.0.114.1") && !near("2a01:db8:0:1::5") && !near("45.0.0.2") && !near("8.8.8.8"));
    }

    proptest! {
        #[test]
        fn a_refused_ipv4_address_is_refused_in_every_disguise(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let refused = nearby(v4.into(), &[]).is_some();
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            prop_assert!(nearby(v4.to_ipv6_mapped().into(), &[]).is_some());
            for carried in [
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(nearby(carried.into(), &[]).is_some(), refused);
            }
        }

        // The standard library's own predicates, written by others, must agree where they speak.
        #[test]
        fn the_standard_predicates_are_all_covered(bits: u32, six: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
                || v4.is_unspecified()
            {
                prop_assert!(nearby(v4.into(), &[]).is_some());
            }
            let v6 = Ipv6Addr::from_bits(six);
            if v6.is_loopback() || v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() {
                prop_assert!(nearby(v6.into(), &[]).is_some());
            }
        }

        #[test]
        fn whatever_lies_in_an_own_network_is_refused(bits: u32, host: u32, prefix in 8u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let neighbour = Ipv4Addr::from_bits((bits & mask) | (host & !mask));
            let own = [Net { addr: Ipv4Addr::from_bits(bits).into(), prefix }];
            prop_assert!(nearby(neighbour.into(), &own).is_some());
        }
    }
}
