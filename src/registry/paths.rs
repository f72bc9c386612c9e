//! Pure: the ways to one peer, and which to try first.
//!
//! A way is *proven* once a connection over it has shown the peer's key. What beats tell of is only a candidate: it
//! comes after what works, there are few of them, and a newer one takes the place of an older one, so that beats which
//! somebody sends on cost a dial now and then and move nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::model::{Learned, PathView, Way, is_clearly_shorter};

/// Proven ways remembered of one peer: wired, wireless, tailnet, a proxy and some to spare.
const MAX_PROVEN: usize = 8;
/// Unproven ones: two networks and one more.
const MAX_CANDIDATES: usize = 3;
/// A way that works and was not taken is looked at again after so long: a busy moment of either machine may have made it
/// seem slow, and nothing else would ever tell. Each look that changes nothing doubles the wait...
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// ...up to about five minutes, so that a thousand peers on two networks each cost three dials a second.
const MAX_DOUBLINGS: u32 = 5;

/// The ways to one run of a peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    list: Vec<Path>,
    /// The one the link goes.
    used: Option<Way>,
}

#[derive(Debug, Clone)]
struct Path {
    way: Way,
    /// The address behind it; `None` where only a proxy knows.
    at: Option<SocketAddr>,
    learned: Learned,
    /// When something was last learned of it.
    known: Instant,
    worked: Option<Instant>,
    failed: Option<Instant>,
    /// Smoothed round trip.
    rtt_us: Option<u32>,
    /// Smoothed speed of large transfers.
    bytes_per_s: Option<u64>,
    /// How many times in a row it answered and the link stayed where it was.
    left: u32,
}

/// How a path stands, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Works,
    Untried,
    Failed,
}

impl Path {
    fn new(way: Way, at: Option<SocketAddr>, learned: Learned, now: Instant) -> Self {
        Self { way, at, learned, known: now, worked: None, failed: None, rtt_us: None, bytes_per_s: None, left: 0 }
    }

    fn standing(&self) -> Standing {
        match (self.worked, self.failed) {
            (None, None) => Standing::Untried,
            (Some(worked), Some(failed)) if failed > worked => Standing::Failed,
            (Some(_), _) => Standing::Works,
            (None, Some(_)) => Standing::Failed,
        }
    }

    /// Whether a connection by it may tell something new, while the link goes the way `used`.
    fn is_worth_a_try(&self, used: Option<&Way>, now: Instant) -> bool {
        let other = used.is_some_and(|used| *used != self.way);
        let wait = LOOK_AGAIN * 2_u32.pow(self.left.saturating_sub(1).min(MAX_DOUBLINGS));
        let lately = self.worked.is_some_and(|at| now.saturating_duration_since(at) < wait);
        self.standing() != Standing::Works || (other && !lately)
    }

    /// What a user gave is likelier to be meant than what was heard, and that than what others say.
    fn order(&self) -> u8 {
        match self.learned {
            Learned::Direct | Learned::Proxy => 0,
            Learned::Beat | Learned::Link => 1,
            Learned::Introduced => 2,
        }
    }
}

impl Paths {
    /// A beat came from `addr`. Whether a connection to it is worth trying: it was never proven, has failed since, or was not
    /// looked at for a while.
    pub(super) fn heard(&mut self, addr: SocketAddr, now: Instant) -> bool {
        if let Some(path) = self.list.iter_mut().find(|p| p.at == Some(addr)) {
            path.known = now;
            return path.is_worth_a_try(self.used.as_ref(), now);
        }
        let candidates = self.list.iter().filter(|p| p.worked.is_none() && p.learned == Learned::Beat);
        if candidates.count() >= MAX_CANDIDATES {
            self.forget(|p| p.worked.is_none() && p.learned == Learned::Beat);
        }
        self.list.push(Path::new(Way::Straight(addr), Some(addr), Learned::Beat, now));
        true
    }

    /// The peer has shown its key on this way.
    pub(super) fn proved(&mut self, way: Way, at: Option<SocketAddr>, learned: Learned, now: Instant) {
        let path = match self.find(&way, at) {
            Some(found) => &mut self.list[found],
            None => {
                self.list.push(Path::new(way.clone(), at, learned, now));
                let last = self.list.len() - 1;
                &mut self.list[last]
            }
        };
        // The way by which a user wants it dialled says more than the address behind it.
        if matches!(learned, Learned::Direct | Learned::Proxy) {
            (path.way, path.learned) = (way, learned);
        }
        path.at = at.or(path.at);
        (path.known, path.worked) = (now, Some(now));
        self.keep_few();
    }

    /// It answered, after `rtt_us` microseconds.
    pub(super) fn measured(&mut self, way: &Way, rtt_us: Option<u32>, now: Instant) {
        let Some(path) = self.find(way, None).map(|at| &mut self.list[at]) else { return };
        (path.known, path.worked) = (now, Some(now));
        path.left = if self.used.as_ref() == Some(&path.way) { 0 } else { path.left.saturating_add(1) };
        // An eighth of each new figure, as TCP smooths its own (RFC 6298 §2.3).
        path.rtt_us = match (path.rtt_us, rtt_us) {
            (Some(old), Some(new)) => Some(u32::try_from((u64::from(old) * 7 + u64::from(new)) / 8).unwrap_or(new)),
            (old, new) => new.or(old),
        };
        self.keep_few();
    }

    /// A large transfer went there. It counts as much as all before it: they are few, and a way changes between them.
    pub(super) fn carried(&mut self, way: &Way, bytes_per_s: u64) {
        if let Some(path) = self.find(way, None).map(|at| &mut self.list[at]) {
            path.bytes_per_s = Some(path.bytes_per_s.map_or(bytes_per_s, |old| old.midpoint(bytes_per_s)));
        }
    }

    /// It does not work now.
    pub(super) fn failed(&mut self, way: &Way, now: Instant) {
        if let Some(path) = self.find(way, None).map(|at| &mut self.list[at]) {
            (path.failed, path.left) = (Some(now), 0);
        }
    }

    /// The link goes this way from now on, or there is none.
    pub(super) fn uses(&mut self, way: Option<Way>) {
        self.used = way.and_then(|way| self.find(&way, None)).map(|at| self.list[at].way.clone());
    }

    /// The ways as candidates of a later run of the peer: none of them is proven for it.
    pub(super) fn of_before(mut self) -> Self {
        self.used = None;
        for path in &mut self.list {
            (path.worked, path.failed, path.rtt_us, path.bytes_per_s) = (None, None, None, None);
        }
        while self.list.len() > MAX_CANDIDATES {
            self.forget(|_| true);
        }
        self
    }

    /// Where to dial, in the order to try it.
    pub(super) fn ranked(&self) -> impl Iterator<Item = (Way, Learned)> + '_ {
        self.in_order().into_iter().map(|p| (p.way.clone(), p.learned))
    }

    /// What is shown of them.
    pub(super) fn view(&self, now: Instant) -> Vec<PathView> {
        let ago = |at: Option<Instant>| {
            at.map(|at| u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX))
        };
        let shown = self.in_order().into_iter().map(|path| PathView {
            address: path.way.to_string(),
            learned: path.learned,
            in_use: self.used.as_ref() == Some(&path.way),
            works: match path.standing() {
                Standing::Works => Some(true),
                Standing::Untried => None,
                Standing::Failed => Some(false),
            },
            rtt_us: path.rtt_us,
            bytes_per_s: path.bytes_per_s,
            worked_ms_ago: ago(path.worked),
            failed_ms_ago: ago(path.failed),
        });
        shown.collect()
    }

    /// Working before untried before failed, then by round trip; but what is in use stays first among those that work
    /// unless another is clearly shorter.
    fn in_order(&self) -> Vec<&Path> {
        let mut order: Vec<&Path> = self.list.iter().collect();
        order.sort_by(|a, b| {
            let key = |p: &Path| (p.standing(), p.order(), p.rtt_us.unwrap_or(u32::MAX));
            let (one, other) = (key(a), key(b));
            let by_rtt = (one.0, one.2, one.1).cmp(&(other.0, other.2, other.1));
            // Among those that failed, the one that was left alone longest; else the one heard of last.
            by_rtt.then_with(|| match one.0 {
                Standing::Failed => a.failed.cmp(&b.failed),
                _ => b.known.cmp(&a.known),
            })
        });
        let used = order.iter().position(|p| Some(&p.way) == self.used.as_ref());
        if let Some(at) = used.filter(|at| order[*at].standing() == Standing::Works) {
            let shorter = matches!((order[0].rtt_us, order[at].rtt_us),
                (Some(first), Some(used)) if is_clearly_shorter(first, used));
            if !shorter {
                let path = order.remove(at);
                order.insert(0, path);
            }
        }
        order
    }

    fn find(&self, way: &Way, at: Option<SocketAddr>) -> Option<usize> {
        let addr = match way {
            Way::Straight(addr) => Some(*addr),
            Way::Named(_) => at,
        };
        let same = |p: &Path| p.way == *way;
        self.list.iter().position(same).or_else(|| addr.and_then(|a| self.list.iter().position(|p| p.at == Some(a))))
    }

    fn keep_few(&mut self) {
        if self.list.iter().filter(|p| p.worked.is_some()).count() > MAX_PROVEN {
            let used = self.used.clone();
            self.forget(|p| p.worked.is_some() && Some(&p.way) != used.as_ref());
        }
    }

    /// Forgets the one of which nothing was learned for longest.
    fn forget(&mut self, which: impl Fn(&Path) -> bool) {
        let oldest = self.list.iter().enumerate().filter(|(_, p)| which(p)).min_by_key(|(_, p)| p.known);
        if let Some(at) = oldest.map(|(at, _)| at) {
            self.list.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5556))
    }

    fn way(host: u8) -> Way {
        Way::Straight(at(host))
    }

    fn proved(paths: &mut Paths, host: u8, rtt_us: u32, now: Instant) {
        paths.proved(way(host), Some(at(host)), Learned::Link, now);
        paths.measured(&way(host), Some(rtt_us), now);
    }

    fn order(paths: &Paths) -> Vec<Way> {
        paths.ranked().map(|(way, _)| way).collect()
    }

    #[test]
    fn working_ones_come_first_by_round_trip_then_untried_ones_then_failed_ones() {
        let (mut paths, now) = (Paths::default(), Instant::now());
        assert!(paths.heard(at(4), now));
        proved(&mut paths, 1, 30_000, now);
        proved(&mut paths, 2, 300, now);
        proved(&mut paths, 3, 10, now);
        paths.failed(&way(3), now + Duration::from_secs(1));
        assert_eq!(order(&paths), [way(2), way(1), way(4), way(3)]);
        assert!(paths.heard(at(3), now) && !paths.heard(at(2), now), "back, perhaps; and nothing new");
        paths.uses(Some(way(1)));
        assert_eq!(order(&paths)[0], way(2), "the wire is clearly shorter than the tunnel in use");
    }

    #[test]
    fn a_way_that_seemed_slow_once_is_looked_at_again_ever_more_rarely() {
        let (mut paths, mut now) = (Paths::default(), Instant::now());
        proved(&mut paths, 2, 60_000, now);
        paths.uses(Some(way(2)));
        let mut waits = Vec::new();
        proved(&mut paths, 1, 55_000, now);
        for _ in 0..8 {
            let since = now;
            while !paths.heard(at(1), now) {
                assert!(!paths.heard(at(2), now), "the one in use is measured by its link");
                now += Duration::from_secs(2);
            }
            waits.push((now - since).as_secs());
            paths.measured(&way(1), Some(55_000), now);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 320, 320]);
        paths.uses(Some(way(1)));
        paths.measured(&way(1), Some(300), now);
        paths.uses(Some(way(2)));
        assert!(paths.heard(at(1), now + LOOK_AGAIN), "it was in use meanwhile");
        paths.uses(None);
        assert!(!paths.heard(at(1), now + LOOK_AGAIN * 100), "where no link is wanted none is made");
    }

    #[test]
    fn the_one_in_use_stays_first_among_equals() {
        let (mut paths, now) = (Paths::default(), Instant::now());
        proved(&mut paths, 1, 900, now);
        proved(&mut paths, 2, 300, now);
        paths.uses(Some(way(1)));
        for rtt in [100, 500, 1200] {
            paths.measured(&way(2), Some(rtt), now);
            assert_eq!(order(&paths)[0], way(1));
        }
        paths.failed(&way(1), now + Duration::from_secs(1));
        assert_eq!(order(&paths), [way(2), way(1)]);
    }

    #[test]
    fn a_name_and_the_address_behind_it_are_one_way_and_a_proxy_is_another() {
        let (mut paths, now) = (Paths::default(), Instant::now());
        let (named, behind) = (Way::Named("bob.lan:5556".into()), Way::Named("bob.ts.net:5556".into()));
        paths.heard(at(1), now);
        paths.proved(named.clone(), Some(at(1)), Learned::Direct, now);
        assert_eq!(order(&paths), std::slice::from_ref(&named));
        paths.proved(way(1), Some(at(1)), Learned::Link, now);
        assert_eq!(order(&paths), std::slice::from_ref(&named), "how the user wants it dialled stays");
        paths.proved(behind.clone(), None, Learned::Proxy, now);
        assert_eq!(order(&paths).len(), 2);
        paths.uses(Some(way(1)));
        assert!(paths.view(now).iter().any(|p| p.in_use && p.address == "bob.lan:5556"));
    }

    #[test]
    fn another_run_has_the_same_ways_and_none_is_proven() {
        let (mut paths, now) = (Paths::default(), Instant::now());
        proved(&mut paths, 1, 300, now);
        let mut paths = paths.of_before();
        assert_eq!(paths.view(now)[0].works, None);
        assert!(paths.heard(at(1), now), "worth a try");
    }

    proptest! {
        /// Whatever beats come from wherever: few are remembered, and nothing goes before what is proven and works.
        #[test]
        fn beats_only_add_few_candidates_at_the_end(from in proptest::collection::vec(3u8..60, 0..200)) {
            let (mut paths, start) = (Paths::default(), Instant::now());
            proved(&mut paths, 1, 20_000, start);
            proved(&mut paths, 2, 30_000, start);
            for (n, host) in from.iter().enumerate() {
                paths.heard(at(*host), start + Duration::from_secs(n as u64));
            }
            prop_assert!(paths.list.len() <= 2 + MAX_CANDIDATES);
            prop_assert_eq!(&order(&paths)[..2], &[way(1), way(2)]);
        }

        /// Whatever happens to the ways: the list is bounded, each is in it once, and what works is never behind what does not.
        #[test]
        fn the_order_holds(moves in proptest::collection::vec((1u8..30, 0u8..5, 0u32..50_000), 0..120)) {
            let (mut paths, mut now) = (Paths::default(), Instant::now());
            for (host, what, rtt) in moves {
                now += Duration::from_secs(1);
                match what {
                    0 => _ = paths.heard(at(host), now),
                    1 => paths.proved(way(host), Some(at(host)), Learned::Link, now),
                    2 => paths.measured(&way(host), Some(rtt), now),
                    3 => paths.failed(&way(host), now),
                    _ => paths.uses(Some(way(host))),
                }
                let shown = paths.view(now);
                prop_assert!(shown.len() <= MAX_PROVEN + MAX_CANDIDATES);
                let standing = |p: &PathView| match p.works { Some(true) => 0, None => 1, Some(false) => 2 };
                prop_assert!(shown.windows(2).all(|w| standing(&w[0]) <= standing(&w[1])), "{shown:?}");
                let mut addresses: Vec<_> = shown.iter().map(|p| p.address.clone()).collect();
                addresses.sort();
                addresses.dedup();
                prop_assert_eq!(addresses.len(), shown.len());
                prop_assert!(shown.iter().filter(|p| p.in_use).count() <= 1);
            }
        }
    }
}
