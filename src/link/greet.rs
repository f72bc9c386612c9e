//! Greetings (pure): whom of the newly discovered to dial, and when, so that forged or repeated heartbeats cost at
//! most one dial now and then.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::model::PeerId;

/// One greeting for each address in so long.
const ONE_EVERY: Duration = Duration::from_secs(5);
/// Greetings that wait or are being dialled at once.
const MAX_AT_ONCE: usize = 8;
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
    last: HashMap<IpAddr, Instant>,
    waiting: Vec<(Instant, SocketAddr, PeerId)>,
    dialling: usize,
}

impl Greetings {
    /// Somebody says it is `peer` at `addr`. Whether a greeting was planned.
    pub(super) fn plan(&mut self, own: PeerId, peer: PeerId, addr: SocketAddr, now: Instant) -> bool {
        self.last.retain(|_, at| now.saturating_duration_since(*at) < ONE_EVERY);
        // It has moved to another port before it was dialled: still one dial.
        let same = |(_, at, who): &&mut (Instant, SocketAddr, PeerId)| *who == peer && at.ip() == addr.ip();
        if let Some((_, at, _)) = self.waiting.iter_mut().find(same) {
            *at = addr;
            return false;
        }
        let busy = self.waiting.len() + self.dialling >= MAX_AT_ONCE;
        if peer == own || busy || self.last.contains_key(&addr.ip()) {
            return false;
        }
        self.last.insert(addr.ip(), now);
        let at = if own < peer { now } else { now + POLITE_WAIT };
        self.waiting.push((at, addr, peer));
        true
    }

    /// The greetings whose time has come and that are still wanted; each counts as being dialled until
    /// [`Self::dialled`].
    pub(super) fn due(&mut self, now: Instant, wanted: impl Fn(PeerId) -> Need) -> Vec<(SocketAddr, PeerId)> {
        let mut due = Vec::new();
        self.waiting.retain_mut(|(at, addr, peer)| {
            if *at > now {
                return true;
            }
            match wanted(*peer) {
                Need::Now => due.push((*addr, *peer)),
                Need::Perhaps => *at = now + POLITE_WAIT,
                // Whoever has proven its key there needs no protection from our dials.
                Need::NoMore => _ = self.last.remove(&addr.ip()),
            }
            *at > now
        });
        self.dialling += due.len();
        due
    }

    /// When [`Self::due`] next has something.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|(at, ..)| *at).min()
    }

    /// One of them, to `addr`, has come to its end. Where a friend has proven its key, the next greeting may follow at
    /// once: a friend that comes back with another port is not kept waiting, and while its link is up nobody is greeted.
    pub(super) fn dialled(&mut self, addr: SocketAddr, proven: bool) {
        self.dialling = self.dialling.saturating_sub(1);
        if proven {
            self.last.remove(&addr.ip());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: PeerId = PeerId([1; 32]);
    const HIGH: PeerId = PeerId([2; 32]);

    fn at(host: u8) -> SocketAddr {
        ([10, 0, 0, host], 5556).into()
    }

    #[test]
    fn the_lower_id_dials_at_once_and_the_higher_one_only_if_that_did_not_help() {
        let now = Instant::now();
        let mut low = Greetings::default();
        assert!(low.plan(LOW, HIGH, at(2), now));
        assert_eq!(low.due(now, |_| Need::Now), [(at(2), HIGH)]);
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(1), now));
        assert!(high.due(now, |_| Need::Now).is_empty());
        assert!(high.due(now + POLITE_WAIT, |_| Need::Perhaps).is_empty(), "somebody dials it");
        assert!(high.due(now + POLITE_WAIT, |_| Need::Now).is_empty(), "which takes a moment");
        assert!(high.due(now + POLITE_WAIT * 2, |_| Need::NoMore).is_empty(), "linked meanwhile");
        assert!(high.due(now + POLITE_WAIT * 4, |_| Need::Now).is_empty(), "and forgotten");
    }

    #[test]
    fn a_friend_that_comes_back_on_another_port_is_greeted_at_once() {
        let now = Instant::now();
        let moved = SocketAddr::new(at(2).ip(), 7000);
        let mut low = Greetings::default();
        assert!(low.plan(LOW, HIGH, at(2), now));
        assert_eq!(low.due(now, |_| Need::Now), [(at(2), HIGH)]);
        assert!(!low.plan(LOW, HIGH, moved, now), "nobody there has proven a key yet");
        low.dialled(at(2), true);
        assert!(low.plan(LOW, HIGH, moved, now), "after our own dial");
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(2), now));
        assert!(!high.plan(HIGH, LOW, moved, now), "still one dial");
        assert_eq!(high.due(now + POLITE_WAIT, |_| Need::Now), [(moved, LOW)], "to where it is now");
        high.dialled(moved, false);
        assert!(!high.plan(HIGH, LOW, at(2), now + POLITE_WAIT), "refused there: not again for a while");
        let mut high = Greetings::default();
        assert!(high.plan(HIGH, LOW, at(2), now));
        assert!(high.due(now + POLITE_WAIT, |_| Need::NoMore).is_empty(), "its dial was first");
        assert!(high.plan(HIGH, LOW, moved, now + POLITE_WAIT), "after its dial");
    }

    #[test]
    fn a_flood_of_forged_heartbeats_makes_few_dials() {
        let now = Instant::now();
        let mut greetings = Greetings::default();
        let one_source = (0..100u8).filter(|i| greetings.plan(LOW, PeerId([*i; 32]), at(9), now)).count();
        assert_eq!(one_source, 1);
        let many = (10..200u8).filter(|i| greetings.plan(LOW, HIGH, at(*i), now)).count();
        assert_eq!(many, MAX_AT_ONCE - 1);
        assert_eq!(greetings.due(now + POLITE_WAIT, |_| Need::Now).len(), MAX_AT_ONCE);
        let later = now + ONE_EVERY;
        assert!(!greetings.plan(LOW, HIGH, at(9), later), "all are being dialled");
        greetings.dialled(at(9), false);
        assert!(greetings.plan(LOW, HIGH, at(9), later));
        assert!(!greetings.plan(LOW, LOW, at(77), later), "never ourselves");
    }
}
