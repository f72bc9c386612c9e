//! Greetings (pure): whom of the newly discovered to dial, and when, so that a thousand machines that appear at once are
//! met within seconds, and forged or repeated heartbeats cost little.
//!
//! There are two queues that never wait for each other: friends, whose key was proven here before, and strangers. In each
//! the oldest comes first, each address stands in it once, a few are dialled at the same time, and so many in a second at
//! most. So whoever has a place has its turn, whatever else is heard meanwhile.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::model::PeerId;

/// One greeting for each address in so long.
const ONE_EVERY: Duration = Duration::from_secs(5);
/// Greetings of each queue that are being dialled at once. A dial is a socket and some kilobytes; where nobody answers it
/// lasts 4 s, so a queue full of such addresses still moves on by eight in a second.
const AT_ONCE: usize = 32;
/// Greetings of each queue begin no closer to each other than this in the long run: 200 in a second. A handshake with a
/// friend is a millisecond of work, so a thousand newcomers are met in 5 s and a flood takes a fraction of a core.
const SPACING: Duration = Duration::from_millis(5);
/// A burst that may begin at once: as many as are dialled at once.
const BURST: Duration = SPACING.saturating_mul(AT_ONCE as u32);
/// Places in each queue: a thousand machines that are switched on by one fuse. A hundred kilobytes.
const MAX_WAITING: usize = 1024;
/// Places of one peer: two networks and one more.
const MAX_OF_PEER: usize = 3;
/// Both sides hear of each other at the same moment. The higher id lets the lower one dial first, and dials only if
/// that brought no link (the lower one may be behind a firewall that lets nothing in, or the higher one's, or has greeted
/// this address a moment ago). Long against a connection's set-up of a few milliseconds, short against the 300 ms in
/// which a new machine should be listed.
const POLITE_WAIT: Duration = Duration::from_millis(100);

/// Whether a peer that was discovered is still to be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nobody has.
    Now,
    /// It is being dialled, perhaps where it was before: that shows in a moment.
    Perhaps,
    /// There is a link to it.
    NoMore,
}

/// Whom to greet.
#[derive(Debug, Default)]
pub(super) struct Greetings {
    friends: Queue,
    strangers: Queue,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    dialling: Vec<SocketAddr>,
    /// When an address was last dialled.
    last: HashMap<IpAddr, Instant>,
    /// When the next greeting could begin if none ever came in a burst (GCRA, ITU-T I.371).
    spaced: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    addr: SocketAddr,
    peer: PeerId,
    /// Not before.
    at: Instant,
}

impl Greetings {
    /// Somebody says it is `peer` at `addr`; `friend` if the key of that peer was proven here before. Whether a greeting was
    /// planned.
    pub(super) fn plan(&mut self, own: PeerId, peer: PeerId, addr: SocketAddr, friend: bool, now: Instant) -> bool {
        if peer == own {
            return false;
        }
        let at = if own < peer { now } else { now + POLITE_WAIT };
        if friend {
            // Proven meanwhile, at another address: it need not wait among strangers.
            self.strangers.waiting.retain(|w| (w.peer, w.addr.ip()) != (peer, addr.ip()));
            self.friends.plan(Waiting { addr, peer, at }, now)
        } else {
            self.strangers.plan(Waiting { addr, peer, at }, now)
        }
    }

    /// The greetings whose turn has come and that are still wanted; each counts as being dialled until
    /// [`Self::dialled`].
    pub(super) fn due(&mut self, now: Instant, wanted: impl Fn(PeerId) -> Need) -> Vec<(SocketAddr, PeerId)> {
        let mut due = self.friends.due(now, &wanted);
        due.extend(self.strangers.due(now, &wanted));
        due
    }

    /// When [`Self::due`] next has something, unless one that is being dialled ends before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.friends.next_due(), self.strangers.next_due()].into_iter().flatten().min()
    }

    /// One of them, to `addr`, has come to its end. Where a friend has proven its key, the next greeting may follow at
    /// once: a friend that comes back with another port is not kept waiting, and while its link is up nobody is greeted.
    pub(super) fn dialled(&mut self, addr: SocketAddr, proven: bool) {
        for queue in [&mut self.friends, &mut self.strangers] {
            if let Some(place) = queue.dialling.iter().position(|at| *at == addr) {
                queue.dialling.swap_remove(place);
                if proven {
                    queue.last.remove(&addr.ip());
                }
                return;
            }
        }
    }
}

impl Queue {
    fn plan(&mut self, wish: Waiting, now: Instant) -> bool {
        let mut of_peer = 0;
        for waiting in &mut self.waiting {
            let here = waiting.addr.ip() == wish.addr.ip();
            if here {
                // It has moved to another port before it was dialled: still one dial.
                if waiting.peer == wish.peer {
                    waiting.addr = wish.addr;
                }
                return false;
            }
            of_peer += usize::from(waiting.peer == wish.peer);
        }
        let lately = self.last.get(&wish.addr.ip()).is_some_and(|at| now.saturating_duration_since(*at) < ONE_EVERY);
        let planned = !lately && of_peer < MAX_OF_PEER && self.waiting.len() < MAX_WAITING;
        if planned {
            self.waiting.push_back(wish);
        }
        planned
    }

    fn due(&mut self, now: Instant, wanted: impl Fn(PeerId) -> Need) -> Vec<(SocketAddr, PeerId)> {
        let (mut due, mut at) = (Vec::new(), 0);
        while let Some(waiting) = self.waiting.get_mut(at).filter(|_| self.dialling.len() < AT_ONCE) {
            if waiting.at > now {
                at += 1;
                continue;
            }
            let (addr, peer) = (waiting.addr, waiting.peer);
            match wanted(peer) {
                Need::Perhaps => {
                    waiting.at = now + POLITE_WAIT;
                    at += 1;
                    continue;
                }
                Need::NoMore => _ = self.waiting.remove(at),
                Need::Now if self.free_at().is_some_and(|free| free > now) => break,
                Need::Now => {
                    self.waiting.remove(at);
                    self.begin(addr, now);
                    due.push((addr, peer));
                }
            }
        }
        due
    }

    fn begin(&mut self, addr: SocketAddr, now: Instant) {
        self.spaced = Some(self.spaced.map_or(now, |at| at.max(now)) + SPACING);
        if self.last.len() >= MAX_WAITING {
            self.last.retain(|_, at| now.saturating_duration_since(*at) < ONE_EVERY);
        }
        self.last.insert(addr.ip(), now);
        self.dialling.push(addr);
    }

    /// When another one may begin; `None` if any time.
    fn free_at(&self) -> Option<Instant> {
        self.spaced?.checked_sub(BURST)
    }

    fn next_due(&self) -> Option<Instant> {
        // When they are all busy, the end of one is a reason to look.
        let first = self.waiting.iter().map(|waiting| waiting.at).min().filter(|_| self.dialling.len() < AT_ONCE)?;
        Some(self.free_at().map_or(first, |free| free.max(first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOW: PeerId = PeerId([1; 32]);
    const HIGH: PeerId = PeerId([2; 32]);
    /// As long as a dial of an address at which nobody answers.
    const DEAD_DIAL: Duration = Duration::from_secs(4);
    const TICK: Duration = Duration::from_millis(10);

    fn at(host: u8) -> SocketAddr {
        ([10, 0, 0, host], 5556).into()
    }

    fn nth(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from_bits(0x0a01_0000 + number), 5556).into()
    }

    fn key(number: u32) -> PeerId {
        let mut id = [9; 32];
        id[4..8].copy_from_slice(&number.to_be_bytes());
        PeerId(id)
    }

    #[test]
    fn the_lower_id_dials_at_once_and_the_higher_one_only_if_that_did_not_help() {
        let now = Instant::now();
        let mut low = Greetings::default();
        assert!(low.plan(LOW, HIGH, at(2), false, now));
        assert_eq!(low.due(now, |_| Need::Now), [(at(2), HIGH)]);
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(1), false, now));
        assert!(high.due(now, |_| Need::Now).is_empty());
        assert_eq!(high.next_due(), Some(now + POLITE_WAIT));
        assert!(high.due(now + POLITE_WAIT, |_| Need::Perhaps).is_empty(), "somebody dials it");
        assert!(high.due(now + POLITE_WAIT, |_| Need::Now).is_empty(), "which takes a moment");
        assert!(high.due(now + POLITE_WAIT * 2, |_| Need::NoMore).is_empty(), "linked meanwhile");
        assert!(high.due(now + POLITE_WAIT * 4, |_| Need::Now).is_empty(), "and forgotten");
        assert_eq!(high.next_due(), None);
        assert!(!high.plan(HIGH, HIGH, at(77), false, now), "never ourselves");
    }

    #[test]
    fn a_friend_that_comes_back_on_another_port_is_greeted_at_once() {
        let now = Instant::now();
        let moved = SocketAddr::new(at(2).ip(), 7000);
        let mut low = Greetings::default();
        assert!(low.plan(LOW, HIGH, at(2), true, now));
        assert_eq!(low.due(now, |_| Need::Now), [(at(2), HIGH)]);
        assert!(!low.plan(LOW, HIGH, moved, true, now), "nobody there has proven a key yet");
        low.dialled(at(2), true);
        assert!(low.plan(LOW, HIGH, moved, true, now), "after our own dial");
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(2), true, now));
        assert!(!high.plan(HIGH, LOW, moved, true, now), "still one dial");
        assert_eq!(high.due(now + POLITE_WAIT, |_| Need::Now), [(moved, LOW)], "to where it is now");
        high.dialled(moved, false);
        assert!(!high.plan(HIGH, LOW, at(2), true, now + POLITE_WAIT), "refused there: not again for a while");
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(2), true, now));
        assert!(high.due(now + POLITE_WAIT, |_| Need::NoMore).is_empty(), "its dial was first");
        assert!(high.plan(HIGH, LOW, moved, true, now + POLITE_WAIT), "after its dial");
    }

    #[test]
    fn the_next_begins_when_one_ends_and_a_thousand_are_met_in_seconds() {
        let mut now = Instant::now();
        let begun = now;
        let mut greetings = Greetings::default();
        assert!((0..1000).all(|n| greetings.plan(LOW, key(n), nth(n), false, now)));
        let mut met: Vec<PeerId> = Vec::new();
        let mut dialling = greetings.due(now, |_| Need::Now);
        assert_eq!(dialling.len(), AT_ONCE);
        assert_eq!(greetings.next_due(), None, "until one ends");
        while let Some((addr, peer)) = dialling.pop() {
            greetings.dialled(addr, true);
            met.push(peer);
            now = now.max(greetings.next_due().unwrap_or(now));
            dialling.extend(greetings.due(now, |_| Need::Now));
            assert!(dialling.len() <= AT_ONCE);
        }
        assert_eq!(met.len(), 1000);
        assert!(now - begun <= SPACING * 1000, "{:?}", now - begun);
    }

    #[test]
    fn a_flood_of_beats_makes_few_dials_and_no_friend_waits_for_it() {
        let mut now = Instant::now();
        let mut greetings = Greetings::default();
        let one_source = (0..100).filter(|n| greetings.plan(LOW, key(*n), at(9), false, now)).count();
        assert_eq!(one_source, 1);
        let one_peer = (0..100).filter(|n| greetings.plan(LOW, HIGH, nth(*n), true, now)).count();
        assert_eq!(one_peer, MAX_OF_PEER);
        // 10,000 a second from everywhere, and nobody answers at any of the addresses.
        let (mut dials, mut open, mut sent) = (0, VecDeque::new(), 1000);
        for _ in 0..1500 {
            now += TICK;
            for _ in 0..100 {
                sent += 1;
                greetings.plan(LOW, key(sent), nth(sent), false, now);
            }
            while open.front().is_some_and(|(until, _)| *until <= now) {
                let (_, addr) = open.pop_front().expect("there");
                greetings.dialled(addr, false);
            }
            let begun = greetings.due(now, |_| Need::Now);
            dials += begun.len();
            open.extend(begun.into_iter().map(|(addr, _)| (now + DEAD_DIAL, addr)));
            assert!(greetings.strangers.waiting.len() <= MAX_WAITING && open.len() <= 2 * AT_ONCE);
        }
        assert!((96..=160).contains(&dials), "eight in a second: {dials}");
        assert!(greetings.plan(LOW, HIGH, at(3), true, now));
        assert_eq!(greetings.due(now, |_| Need::Now), [(at(3), HIGH)], "at once");
    }

    #[test]
    fn a_flood_of_doors_that_are_shut_at_once_makes_no_more_dials_than_may_begin_in_a_second() {
        let mut now = Instant::now();
        let begun = now;
        let mut greetings = Greetings::default();
        let (mut dials, mut sent) = (0, 0);
        while now - begun < Duration::from_secs(3) {
            for _ in 0..100 {
                sent += 1;
                greetings.plan(LOW, key(sent), nth(sent), false, now);
            }
            let due = greetings.due(now, |_| Need::Now);
            dials += due.len();
            due.iter().for_each(|(addr, _)| greetings.dialled(*addr, false));
            now += TICK;
        }
        assert!((550..=600 + AT_ONCE).contains(&dials), "{dials}");
        assert!(greetings.strangers.last.len() <= 2 * MAX_WAITING);
    }

    /// What happens between two looks: beats (of which peer, from where, a friend's) and ends of dials (which, proven).
    #[derive(Debug, Clone)]
    enum Step {
        Beat(u32, u32, bool),
        End(usize, bool),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u32..40, 0u32..2000, any::<bool>()).prop_map(|(peer, from, friend)| Step::Beat(peer, from, friend)),
            2 => (0usize..80, any::<bool>()).prop_map(|(which, proven)| Step::End(which, proven)),
            1 => (0u64..3000).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..400)
    }

    proptest! {
        /// Whatever is heard and however dials end: the bounds hold, and no address where nothing was proven is dialled
        /// twice within the window by one queue.
        #[test]
        fn the_bounds_hold(steps in steps()) {
            let (mut now, mut greetings) = (Instant::now(), Greetings::default());
            let (mut open, mut tried): (Vec<SocketAddr>, Vec<(SocketAddr, Instant)>) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Beat(peer, from, friend) => _ = greetings.plan(HIGH, key(peer), nth(from), friend, now),
                    Step::End(which, proven) if !open.is_empty() => {
                        let addr = open.swap_remove(which % open.len());
                        greetings.dialled(addr, proven);
                        tried.retain(|(at, _)| !proven || *at != addr);
                    }
                    Step::End(..) => {}
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                }
                for (addr, _) in greetings.due(now, |_| Need::Now) {
                    tried.retain(|(_, at)| now - *at < ONE_EVERY);
                    let lately = tried.iter().filter(|(at, _)| *at == addr).count();
                    prop_assert!(lately <= 1, "a stranger's and a friend's at most");
                    tried.push((addr, now));
                    open.push(addr);
                }
                for queue in [&greetings.friends, &greetings.strangers] {
                    prop_assert!(queue.waiting.len() <= MAX_WAITING && queue.dialling.len() <= AT_ONCE);
                    let mut places: Vec<IpAddr> = queue.waiting.iter().map(|w| w.addr.ip()).collect();
                    places.sort_unstable();
                    places.dedup();
                    prop_assert_eq!(places.len(), queue.waiting.len(), "each address once");
                }
            }
        }

        /// Whoever has a place is dialled after those that stood before it, whatever comes later and although nobody
        /// answers at any other address.
        #[test]
        fn everybody_with_a_place_has_its_turn(
            before in 0u32..200, later in proptest::collection::vec((0u32..50, any::<bool>()), 0..800), friend: bool, polite: bool,
        ) {
            let mut now = Instant::now();
            let mut greetings = Greetings::default();
            let (own, honest) = (if polite { PeerId([255; 32]) } else { LOW }, at(200));
            for n in 0..before {
                greetings.plan(own, key(n), nth(n), friend, now);
            }
            prop_assert!(greetings.plan(own, HIGH, honest, friend, now));
            let ahead = greetings.friends.waiting.len() + greetings.strangers.waiting.len() - 1;
            let rounds = u32::try_from(ahead / AT_ONCE + 1).expect("few");
            let limit = now + POLITE_WAIT + DEAD_DIAL * rounds + SPACING * u32::try_from(ahead).expect("few") + TICK * 2 * rounds;
            let (mut later, mut open) = (later.into_iter(), VecDeque::new());
            loop {
                for (n, (peer, friend)) in later.by_ref().take(20).enumerate() {
                    greetings.plan(own, key(1000 + peer), nth(5000 + n as u32), friend, now);
                }
                while open.front().is_some_and(|(until, _)| *until <= now) {
                    let (_, addr) = open.pop_front().expect("there");
                    greetings.dialled(addr, false);
                }
                let due = greetings.due(now, |_| Need::Now);
                if due.iter().any(|(addr, _)| *addr == honest) {
                    break;
                }
                open.extend(due.into_iter().map(|(addr, _)| (now + DEAD_DIAL, addr)));
                now += TICK;
                prop_assert!(now <= limit, "{ahead} before it");
            }
        }
    }
}
