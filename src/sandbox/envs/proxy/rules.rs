//! Where a build may go (pure): the hosts that the owner allows, and whether they may be near.

use std::net::{IpAddr, SocketAddr};

use super::address::{Net, nearby};
use super::request::Target;
use crate::model::DEFAULT_BUILD_HOSTS;

/// One host that builds may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// A name, or an address.
    host: String,
    /// `*.host`: every name below it, not itself.
    below: bool,
    /// The one port; without it those of HTTP and HTTPS.
    port: Option<u16>,
    /// It may lie on this machine or in its networks.
    local: bool,
}

impl Allowed {
    /// Reads an entry of the owner's list: `pypi.org`, `*.pytorch.org`, `mirror.example:8080`, and with `local:` before
    /// it one that may lie in the owner's own network: `local:pypi.lan:3141`, `local:10.0.0.5`.
    ///
    /// # Errors
    /// It is none of these; the text says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no host: write pypi.org, *.pytorch.org, mirror.lan:8080 or local:10.0.0.5:3141");
        let (local, rest) = text.strip_prefix("local:").map_or((false, text), |rest| (true, rest));
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        // No port is 0; that is how its absence is told.
        let with_port = Target::parse(rest, None);
        let target = with_port.clone().or_else(|| Target::parse(rest, Some(443))).ok_or_else(wrong)?;
        if below && target.ip.is_some() {
            return Err(wrong());
        }
        Ok(Self { host: target.host, below, port: with_port.map(|t| t.port), local })
    }

    /// The host of a URL that the owner configured elsewhere, for the same purpose: it may be near, unless it is one of
    /// the public ones. `None` for what is no URL of the web.
    pub fn of_url(url: &str) -> Option<Self> {
        let (rest, usual) = match url.split_once("://")? {
            ("https", rest) => (rest, 443),
            ("http", rest) => (rest, 80),
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let target = Target::parse(host, Some(usual))?;
        let local = !DEFAULT_BUILD_HOSTS.contains(&target.host.as_str());
        Some(Self { host: target.host, below: false, port: Some(target.port), local })
    }

    fn covers(&self, target: &Target) -> bool {
        let name = if self.below {
            target.host.strip_suffix(&self.host).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        } else {
            target.host == self.host
        };
        // 80 and 443 and nothing else: no SSH, no mail, no database behind an allowed name.
        name && self.port.map_or(matches!(target.port, 80 | 443), |port| port == target.port)
    }
}

/// What builds may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    allowed: Vec<Allowed>,
}

/// Why a build may not go there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The owner has not named it.
    #[error("{0} is not one of the hosts that builds may reach; its owner can add it to build_hosts")]
    Host(String),
    /// It is too near.
    #[error("{host} has the address {ip}, which is {why}; builds reach the internet only")]
    Near {
        /// What was asked for.
        host: String,
        /// What it resolves to.
        ip: IpAddr,
        /// What that is.
        why: &'static str,
    },
    /// It has no address at all.
    #[error("{0} has no address")]
    Nowhere(String),
}

impl Default for Rules {
    fn default() -> Self {
        Self { allowed: DEFAULT_BUILD_HOSTS.iter().filter_map(|host| Allowed::parse(host).ok()).collect() }
    }
}

impl Rules {
    /// The hosts of `allowed` and no others.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self { allowed }
    }

    /// Adds hosts.
    #[must_use]
    pub fn and(mut self, more: impl IntoIterator<Item = Allowed>) -> Self {
        self.allowed.extend(more);
        self
    }

    /// Before anything is resolved: whether the owner allows the host, and whether it may be near.
    ///
    /// # Errors
    /// [`Denied::Host`].
    pub fn permit(&self, target: &Target) -> Result<bool, Denied> {
        let mut covering = self.allowed.iter().filter(|a| a.covers(target)).peekable();
        if covering.peek().is_none() {
            return Err(Denied::Host(target.to_string()));
        }
        Ok(covering.any(|a| a.local))
    }
}

/// After the name was resolved: the addresses that may be dialled, and no other may be. `near` as [`Rules::permit`] said.
///
/// # Errors
/// There is none.
pub(super) fn dialable(
    target: &Target,
    found: Vec<SocketAddr>,
    near: bool,
    own: &[Net],
) -> Result<Vec<SocketAddr>, Denied> {
    let mut refused = None;
    let mut good = Vec::new();
    for addr in found {
        match nearby(addr.ip(), own).filter(|_| !near) {
            None => good.push(SocketAddr::new(addr.ip(), target.port)),
            Some(why) => refused = Some(Denied::Near { host: target.host.clone(), ip: addr.ip(), why }),
        }
    }
    match (good.is_empty(), refused) {
        (false, _) => Ok(good),
        (true, Some(denied)) => Err(denied),
        (true, None) => Err(Denied::Nowhere(target.host.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to(text: &str) -> Target {
        Target::parse(text, None).expect("a target")
    }

    #[test]
    fn only_named_hosts_and_web_ports() {
        let rules = Rules::default().and(
            ["*.pytorch.org", "mirror.example:8080", "local:10.0.0.5:3141"]
                .map(|t| Allowed::parse(t).expect("an entry")),
        );
        for (target, near) in [
            ("pypi.org:443", false),
            ("deb.debian.org:80", false),
            ("download.pytorch.org:443", false),
            ("mirror.example:8080", false),
            ("10.0.0.5:3141", true),
        ] {
            assert_eq!(rules.permit(&to(target)), Ok(near), "{target}");
        }
        for target in [
            "pypi.org:22",
            "pypi.org:8080",
            "pytorch.org:443",
            "evilpytorch.org:443",
            ".pytorch.org:443",
            "evilpypi.org:443",
            "pypi.org.evil.com:443",
            "mirror.example:443",
            "10.0.0.5:443",
            "10.0.0.6:3141",
            "127.0.0.1:443",
            "[::1]:443",
            "localhost:443",
            "2130706433:80",
        ] {
            if let Some(target) = Target::parse(target, None) {
                assert!(rules.permit(&target).is_err(), "{target}");
            }
        }
    }

    #[test]
    fn entries_are_checked() {
        for bad in [
            "",
            "*",
            "*.",
            "http://pypi.org",
            "pypi.org/simple",
            "a b",
            "pypi.org:",
            "pypi.org:0",
            "*.10.0.0.1",
            "local:",
        ] {
            assert!(Allowed::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_leads_home_is_refused_unless_the_owner_said_so() {
        let home: SocketAddr = "192.168.1.5:1".parse().expect("an address");
        let denied = dialable(&to("pypi.org:443"), vec![home], false, &[]);
        assert!(matches!(denied, Err(Denied::Near { .. })), "{denied:?}");
        assert_eq!(
            dialable(&to("pypi.lan:443"), vec![home], true, &[]),
            Ok(vec!["192.168.1.5:443".parse().expect("ok")])
        );
        assert!(matches!(dialable(&to("pypi.org:443"), vec![], false, &[]), Err(Denied::Nowhere(_))));
    }

    proptest! {
        #[test]
        fn no_dialled_address_is_near(found: Vec<u128>, four: Vec<u32>) {
            let found = found.into_iter().map(|bits| IpAddr::V6(bits.into()))
                .chain(four.into_iter().map(|bits| IpAddr::V4(bits.into())))
                .map(|ip| SocketAddr::new(ip, 1)).collect();
            if let Ok(good) = dialable(&to("pypi.org:443"), found, false, &[]) {
                prop_assert!(!good.is_empty());
                prop_assert!(good.iter().all(|a| a.port() == 443 && nearby(a.ip(), &[]).is_none()));
            }
        }
    }
}
