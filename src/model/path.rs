//! The ways to one peer.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// How a way to a peer came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learned {
    /// A beat came from there.
    Beat,
    /// A connection came from there.
    Link,
    /// The user added it.
    Direct,
    /// The user added it, and it is reached through a proxy.
    Proxy,
    /// Another member told of it.
    Introduced,
}

impl Learned {
    /// The name used in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::Link => "link",
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::Introduced => "introduced",
        }
    }
}

/// Where to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// An address, straight unless a rule of the configuration says otherwise.
    Straight(SocketAddr),
    /// `HOST:PORT` as the user gave it: resolved anew by whoever dials, perhaps by a proxy.
    Named(String),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Straight(addr) => addr.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// A way to a peer, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathView {
    /// `HOST:PORT`.
    pub address: String,
    /// How it came to be known.
    pub learned: Learned,
    /// The link goes this way.
    pub in_use: bool,
    /// Whether the last try succeeded; `None` while it was not tried.
    pub works: Option<bool>,
    /// Smoothed round trip in microseconds, once measured.
    pub rtt_us: Option<u32>,
    /// Bytes a second that large transfers to the peer had there, once there was one.
    #[serde(default)]
    pub bytes_per_s: Option<u64>,
    /// Milliseconds since the peer last proved itself there or answered there.
    pub worked_ms_ago: Option<u64>,
    /// Milliseconds since it last failed.
    pub failed_ms_ago: Option<u64>,
}

/// Whether a round trip is so much shorter than another that a link should move for it: by a third and by a
/// millisecond. Two networks that are about as fast as each other would otherwise take the link from one another.
pub fn is_clearly_shorter(new_us: u32, old_us: u32) -> bool {
    u64::from(new_us) * 3 <= u64::from(old_us) * 2 && old_us.saturating_sub(new_us) >= 1000
}

/// Whether an address is one that Tailscale and Headscale give out: 100.64.0.0/10 and fd7a:115c:a1e0::/48.
#[must_use]
pub fn is_tailnet(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64,
        IpAddr::V6(ip) => ip.segments()[..3] == [0xfd7a, 0x115c, 0xa1e0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever two paths measure: never each better than the other, so a link cannot be thrown to and fro.
        #[test]
        fn of_two_at_most_one_is_better(a: u32, b: u32) {
            prop_assert!(!(is_clearly_shorter(a, b) && is_clearly_shorter(b, a)));
        }
    }

    #[test]
    fn a_wire_beats_a_tunnel_and_equals_stay() {
        assert!(is_clearly_shorter(300, 20_000));
        for (new, old) in [(300, 500), (20_000, 25_000), (20_000, 20_000), (0, 999)] {
            assert!(!is_clearly_shorter(new, old), "{new} {old}");
        }
    }
}
