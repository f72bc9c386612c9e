//! What our own card says, and where the cards of others may make this machine dial.

use std::net::{IpAddr, SocketAddr};

use super::super::room::{Room, lock};
use crate::config::Listen;
use crate::net::{self, OwnAddress};
use crate::wire::roster::{Card, LOWEST_PORT, MAX_ADDRESSES};

/// What a card of ours says beside whose it is and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
}

/// What a card made now would say; `None` where nobody can dial us.
pub(super) fn says(room: &Room, name: &str, own: &[OwnAddress]) -> Option<Says> {
    let port = room.worker_port();
    let addresses = told(own, *lock(&room.wish));
    (port >= LOWEST_PORT && !addresses.is_empty()).then(|| Says { name: name.to_owned(), port, addresses })
}

/// Our addresses that others are told of, in cards and invitations: those on which we listen, without those that mean this
/// machine, or this cable, on every machine, and without those of engines.
pub(in crate::link) fn told(own: &[OwnAddress], wish: Listen) -> Vec<IpAddr> {
    let fits = |own: &&OwnAddress| !own.of_engine && own.scope == 0 && may_dial(own.ip, wish);
    own.iter().filter(fits).map(|own| own.ip).take(MAX_ADDRESSES).collect()
}

/// Where a card leads. Never to this machine itself, and to public addresses only if the owner lets this machine be seen
/// there too: else a member could have it knock at doors anywhere on the internet.
pub(super) fn leads_to(card: &Card, own: &[OwnAddress], wish: Listen) -> Vec<SocketAddr> {
    let fits = |ip: &&IpAddr| may_dial(**ip, wish) && !own.iter().any(|own| own.ip == **ip);
    card.addresses.iter().filter(fits).map(|ip| SocketAddr::new(*ip, card.port)).collect()
}

fn may_dial(ip: IpAddr, wish: Listen) -> bool {
    let plain = match ip {
        IpAddr::V4(v4) => {
            let reserved = v4.octets()[0] == 0 || v4.octets()[0] >= 224;
            !(v4.is_loopback() || v4.is_link_local() || reserved)
        }
        // A v4 address in v6's clothes has a plain form.
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().is_some();
            let local = v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local();
            !(mapped || local || v6.is_multicast())
        }
    };
    plain && (wish == Listen::All || net::is_inside(ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::roster::Generation;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn a_card_leads_neither_to_this_machine_nor_to_the_internet() {
        let card = |addresses: &[&str]| Card {
            generation: Generation([0; 16]),
            key: [0; 32],
            seq: 1,
            port: 5556,
            name: "raj".into(),
            addresses: addresses.iter().map(|text| ip(text)).collect(),
        };
        let own = [OwnAddress { ip: ip("10.0.0.1"), scope: 0, of_engine: false, live: true }];
        let leads = |addresses: &[&str], wish| leads_to(&card(addresses), &own, wish);
        for bad in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.2",
        ] {
            assert_eq!(leads(&[bad], Listen::All), [], "{bad}");
        }
        for public in ["8.8.8.8", "2001:4860:4860::8888"] {
            assert_eq!(leads(&[public], Listen::Private), [], "{public}");
            assert_eq!(leads(&[public], Listen::All).len(), 1, "{public}");
        }
        let friends = ["10.0.0.2", "100.64.1.2", "192.168.1.7", "fd7a:115c:a1e0::7"];
        assert_eq!(leads(&friends, Listen::Private).len(), friends.len());
        assert_eq!(leads(&["10.0.0.2"], Listen::Private), ["10.0.0.2:5556".parse().expect("address")]);
    }

    #[test]
    fn our_card_tells_what_others_can_use() {
        let own = |text: &str, scope, of_engine| OwnAddress { ip: ip(text), scope, of_engine, live: true };
        let all = [
            own("127.0.0.1", 0, false),
            own("172.17.0.1", 0, true),
            own("100.64.1.2", 0, false),
            own("203.0.113.7", 0, false),
            own("fe80::1", 2, false),
            own("fd7a::1", 0, false),
        ];
        assert_eq!(told(&all, Listen::Private), [ip("100.64.1.2"), ip("fd7a::1")]);
        assert_eq!(told(&all, Listen::All).len(), 3);
        let many: Vec<_> = (1..20).map(|n| own(&format!("10.0.0.{n}"), 0, false)).collect();
        assert_eq!(told(&many, Listen::Private).len(), MAX_ADDRESSES);
    }
}
