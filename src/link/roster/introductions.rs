//! Whom to dial of those that a card tells of (pure), and when: soon for a friend that is there, ever less often for
//! one that is not, and never so much that a member could make this machine scan a network.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::PeerId;

/// First wait of the lower id: a machine on the same LAN is heard within 300 ms, and then needs no introduction.
const FIRST: Duration = Duration::from_millis(500);
/// First wait of the higher id, so that one side dials first and mostly alone.
const POLITE: Duration = Duration::from_millis(1200);
/// Wait after the first dial that failed; it doubles.
const AGAIN: Duration = Duration::from_secs(3);
/// Longest wait. Whoever was away dials us when it is back, so nothing depends on it.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Wait for a machine that is heard on the LAN: longer than its silence would go unnoticed (6.5 s).
const HEARD: Duration = Duration::from_secs(8);
/// And the longest of those.
const HEARD_LONGEST: Duration = Duration::from_secs(60);
/// A link that held for so long was a good one: the next dial is a first one again.
const STEADY: Duration = Duration::from_secs(30);
/// Machines being dialled at once.
const MAX_AT_ONCE: usize = 4;
/// Addresses, of machines that never proved their key here, that are dialled at once: those of a group of a hundred.
const BURST: f64 = 256.0;
/// And after that one in so long. A member that makes up a card for every address it wants to know about gets 1,800 an hour
/// out of this machine, and no answer.
const ONE_EVERY: Duration = Duration::from_secs(2);

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A link is up.
    Linked,
    /// It is heard on the LAN, so that discovery sees to it.
    Heard,
    /// Nobody proved the key there.
    Failed,
    /// One side does not accept the other, which a person must mend.
    Refused,
}

#[derive(Debug)]
struct Try {
    next: Instant,
    wait: Duration,
    heard: Duration,
    dialling: bool,
    /// The card's sequence number: a new card is a new hope.
    seq: u64,
}

/// Somebody to be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) peer: PeerId,
    /// Of its card.
    pub(super) seq: u64,
    /// How many addresses would be dialled.
    pub(super) addresses: usize,
    /// A link has proven its key once.
    pub(super) proven: bool,
}

/// Who is to be dialled when.
#[derive(Debug)]
pub(super) struct Introductions {
    own: PeerId,
    tries: HashMap<PeerId, Try>,
    budget: f64,
    filled: Instant,
}

impl Introductions {
    pub(super) fn new(own: PeerId, now: Instant) -> Self {
        Self { own, tries: HashMap::new(), budget: BURST, filled: now }
    }

    /// Whom to dial now, of those that are unmet; each counts as being dialled until [`Self::done`]. And when to
    /// ask again, if nothing happens before.
    pub(super) fn due(&mut self, unmet: &[Unmet], now: Instant) -> (Vec<PeerId>, Option<Instant>) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.budget = (self.budget + passed / ONE_EVERY.as_secs_f64()).min(BURST);
        let mut dialling = self.tries.values().filter(|t| t.dialling).count();
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for one in unmet {
            let first = now + if self.own < one.peer { FIRST } else { POLITE };
            let fresh = || Try { next: first, wait: AGAIN, heard: HEARD, dialling: false, seq: one.seq };
            let entry = self.tries.entry(one.peer).or_insert_with(fresh);
            if entry.seq < one.seq && !entry.dialling {
                *entry = Try { next: first.min(entry.next), ..fresh() };
            }
            if entry.dialling {
                continue;
            }
            let cost = if one.proven { 0.0 } else { one.addresses as f64 };
            let at = if entry.next > now {
                entry.next
            } else if dialling >= MAX_AT_ONCE {
                // The end of a dial wakes us.
                continue;
            } else if cost > self.budget {
                now + ONE_EVERY
            } else {
                self.budget -= cost;
                dialling += 1;
                entry.dialling = true;
                due.push(one.peer);
                continue;
            };
            next = Some(next.map_or(at, |before| before.min(at)));
        }
        (due, next)
    }

    /// A dial has ended. `jitter` (any random byte) spreads the next ones.
    pub(super) fn done(&mut self, peer: PeerId, outcome: Outcome, now: Instant, jitter: u8) {
        let Some(entry) = self.tries.get_mut(&peer) else { return };
        entry.dialling = false;
        let wait = match outcome {
            Outcome::Heard => {
                let wait = entry.heard;
                entry.heard = (wait * 2).min(HEARD_LONGEST);
                wait
            }
            Outcome::Refused => LONGEST,
            Outcome::Linked | Outcome::Failed => {
                let wait = entry.wait;
                entry.wait = (wait * 2).min(LONGEST);
                wait
            }
        };
        entry.next = now + wait + wait * u32::from(jitter) / 512;
    }

    /// A link is gone that was up for so long. One that never held is dialled as if it had failed.
    pub(super) fn lost(&mut self, peer: PeerId, up_for: Duration) {
        if up_for >= STEADY && self.tries.get(&peer).is_some_and(|entry| !entry.dialling) {
            self.tries.remove(&peer);
        }
    }

    /// The network is another, or here again: who did not answer before may do so now.
    pub(super) fn hurry(&mut self, now: Instant) {
        for entry in self.tries.values_mut() {
            entry.next = entry.next.min(now + POLITE);
            entry.wait = AGAIN;
        }
    }

    /// Forgets those that nobody tells of any more.
    pub(super) fn retain(&mut self, known: impl Fn(PeerId) -> bool) {
        self.tries.retain(|peer, entry| entry.dialling || known(*peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: PeerId = PeerId([5; 32]);

    fn unmet(n: u8, proven: bool) -> Unmet {
        Unmet { peer: PeerId([n; 32]), seq: 1, addresses: 1, proven }
    }

    #[test]
    fn one_side_dials_first_and_both_within_two_seconds() {
        let now = Instant::now();
        let mut all = Introductions::new(OWN, now);
        let both = [unmet(9, false), unmet(1, false)];
        let (due, next) = all.due(&both, now);
        assert!(due.is_empty(), "a LAN introduces by itself");
        let next = next.expect("a time");
        assert_eq!(all.due(&both, next).0, [PeerId([9; 32])], "ours is the lower id");
        assert!(all.due(&both, next).0.is_empty(), "never twice at once");
        assert_eq!(all.due(&both, now + Duration::from_secs(2)).0, [PeerId([1; 32])]);
    }

    #[test]
    fn who_is_not_there_is_dialled_ever_less_often_and_a_new_card_is_a_new_hope() {
        let mut now = Instant::now();
        let mut all = Introductions::new(OWN, now);
        let mut one = unmet(9, true);
        let mut waits = Vec::new();
        for _ in 0..20 {
            let asked = now;
            loop {
                let (due, next) = all.due(&[one], now);
                if !due.is_empty() {
                    break;
                }
                now = next.expect("a time");
            }
            waits.push(now - asked);
            all.done(one.peer, Outcome::Failed, now, 0);
        }
        assert!(waits.windows(2).all(|w| w[0] <= w[1]), "{waits:?}");
        assert_eq!(waits.last(), Some(&LONGEST));
        let in_a_day = 24 * 3600 / LONGEST.as_secs() + 20;
        assert!(in_a_day < 200);
        one.seq += 1;
        let (_, next) = all.due(&[one], now);
        assert!(next.expect("a time") <= now + POLITE);
        assert_eq!(all.due(&[one], now + POLITE).0, [one.peer]);
        all.done(one.peer, Outcome::Refused, now, 0);
        assert_eq!(all.due(&[one], now + LONGEST / 2).0, []);
        all.hurry(now);
        assert_eq!(all.due(&[one], now + POLITE).0, [one.peer], "another network");
    }

    #[test]
    fn a_link_that_never_holds_is_not_made_again_and_again() {
        let now = Instant::now();
        let mut all = Introductions::new(OWN, now);
        let one = unmet(9, true);
        all.due(&[one], now);
        assert_eq!(all.due(&[one], now + FIRST).0.len(), 1);
        all.done(one.peer, Outcome::Linked, now, 0);
        all.lost(one.peer, Duration::from_millis(3));
        assert_eq!(all.due(&[one], now + AGAIN / 2).0, []);
        all.lost(one.peer, STEADY);
        all.due(&[one], now + AGAIN / 2);
        assert_eq!(all.due(&[one], now + AGAIN / 2 + FIRST).0, [one.peer], "a good one is missed at once");
    }

    #[test]
    fn made_up_cards_make_few_dials() {
        let mut now = Instant::now();
        let begun = now;
        let mut all = Introductions::new(PeerId([0; 32]), now);
        let crowd: Vec<Unmet> = (0..1000u32)
            .map(|n| {
                let mut id = [1; 32];
                id[..4].copy_from_slice(&n.to_le_bytes());
                Unmet { peer: PeerId(id), seq: 1, addresses: 8, proven: false }
            })
            .collect();
        let (mut dials, mut most) = (0, 0);
        while now < begun + Duration::from_secs(3600) {
            let (due, _) = all.due(&crowd, now);
            most = most.max(due.len());
            dials += due.len() * 8;
            now += Duration::from_secs(1);
            for peer in due {
                all.done(peer, Outcome::Failed, now, 77);
            }
        }
        assert!(most <= MAX_AT_ONCE);
        assert!(dials <= 256 + 1800, "{dials} addresses in an hour");
        assert!(dials >= 256, "and friends are found");
    }

    proptest! {
        #[test]
        fn never_more_at_once_than_allowed(steps in proptest::collection::vec((0u8..30, 0u8..5, 0u64..5000), 1..200)) {
            let mut now = Instant::now();
            let mut all = Introductions::new(OWN, now);
            let crowd: Vec<Unmet> = (10..40).map(|n| unmet(n, n % 2 == 0)).collect();
            let mut dialling: Vec<PeerId> = Vec::new();
            for (which, what, ms) in steps {
                now += Duration::from_millis(ms);
                let (due, next) = all.due(&crowd, now);
                prop_assert!(next.is_none_or(|at| at > now));
                for peer in due {
                    prop_assert!(!dialling.contains(&peer));
                    dialling.push(peer);
                }
                prop_assert!(dialling.len() <= MAX_AT_ONCE);
                if let Some(peer) = (!dialling.is_empty()).then(|| dialling.remove(usize::from(which) % dialling.len())) {
                    match what {
                        0 => all.done(peer, Outcome::Linked, now, which),
                        1 => all.done(peer, Outcome::Heard, now, which),
                        2 => all.done(peer, Outcome::Refused, now, which),
                        _ => all.done(peer, Outcome::Failed, now, which),
                    }
                }
            }
        }
    }
}
