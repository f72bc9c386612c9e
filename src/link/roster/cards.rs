//! The cards this machine has (pure): which are believed, which are passed on to whom, and which are worth a dial.
//!
//! Signatures are checked by the caller, between [`Cards::check`], which costs nothing, and [`Cards::take`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::spread::Spread;
use crate::model::PeerId;
use crate::wire::roster::{Card, Generation, MAX_IN_FRAME};

/// Cards kept: ten times the groups that Homie is made for, half a megabyte.
pub(super) const MAX_CARDS: usize = 1024;
/// Least time between two cards of one key that are passed on, the newest then. A machine whose addresses come and go, or
/// a member that signs as fast as it can, costs the group so little.
pub(super) const BETWEEN: Duration = Duration::from_secs(5);
/// A machine that was not met for so long, counted while homied runs, is dialled and passed on no longer. It stays known
/// as old, so that the cards of others do not bring it back; a new card of its own does.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(14 * 24 * 3600);
/// Cards that one link may bring at once: twice a whole table.
const BURST: f64 = 2.0 * MAX_CARDS as f64;
/// And after that in a second. A signature is 40 µs of work, so a flood gets a hundredth of a core.
const PER_SECOND: f64 = 250.0;

/// Why a card is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was made under another secret of the group.
    Generation,
    /// A card of this key that is as new is here.
    Old,
    /// There are too many, and those here have a better right.
    Full,
}

/// A card that is kept.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) card: Card,
    /// As it was signed, to be passed on.
    pub(super) bytes: Arc<[u8]>,
    /// The name of whoever told us first; `None` for itself.
    pub(super) by: Option<String>,
    /// A link has proven its key once.
    pub(super) proven: bool,
    /// The user removed this machine; a new card of it makes it known again.
    pub(super) removed: bool,
    /// It was made under the secret before somebody was put out: where to find a member, and nothing that others are told.
    pub(super) past: bool,
    /// When a card of this key was last passed on to somebody who had an older one.
    passed: Option<Instant>,
    /// How long it was not met before `since`.
    silent: Duration,
    since: Instant,
}

/// Who is at the other end of a link, and how many cards it may still bring.
#[derive(Debug)]
struct Known {
    peer: PeerId,
    budget: f64,
    filled: Instant,
}

/// What is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bytes: Arc<[u8]>,
    pub(super) by: Option<String>,
    pub(super) proven: bool,
    pub(super) removed: bool,
    pub(super) past: bool,
    pub(super) silent_s: u64,
}

/// Cards to be sent, by the link's serial number.
pub(super) type Outgoing = Vec<(u64, Vec<Arc<[u8]>>)>;

/// All cards, and who has which.
#[derive(Debug)]
pub(super) struct Cards {
    own: PeerId,
    generation: Option<Generation>,
    held: BTreeMap<PeerId, Held>,
    links: BTreeMap<u64, Known>,
    /// How many links lead to each peer.
    met: HashMap<PeerId, usize>,
    /// Which cards the other ends of the links have.
    spread: Spread,
}

/// What stands for a peer id in `heads`: nobody makes a key whose id begins as another's does in 64 bits.
pub(super) fn short(peer: PeerId) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| peer.0[at]))
}

impl Cards {
    pub(super) fn new(own: PeerId) -> Self {
        let (held, links, met) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { own, generation: None, held, links, met, spread: Spread::default() }
    }

    pub(super) fn generation(&self) -> Option<Generation> {
        self.generation
    }

    /// The secret of the group is this one from here on. In the same group the cards made under the one before still
    /// tell where its members are, but for those who are `out`.
    pub(super) fn renew(&mut self, generation: Option<Generation>, same_group: bool, out: impl Fn(PeerId) -> bool) {
        if self.generation == generation {
            return;
        }
        self.generation = generation;
        let own = self.own;
        let gone: Vec<_> = self.held.iter().filter(|(p, _)| out(**p)).map(|(_, held)| held.card.name.clone()).collect();
        let spread = &mut self.spread;
        self.held.retain(|peer, held| {
            held.past = true;
            // The word of who was put out counts for nothing.
            held.by.take_if(|by| gone.contains(by));
            let stays = same_group && *peer != own && !out(*peer);
            if !stays {
                spread.drop(short(*peer));
            }
            stays
        });
    }

    /// Our own card. Not passed on faster than others' are.
    pub(super) fn publish(&mut self, card: Card, bytes: Arc<[u8]>, now: Instant) {
        let own = self.own;
        self.insert(own, card, bytes, None, now);
    }

    /// Whether a card whose signature is not checked yet would be taken. `proven`: its own key brought it.
    pub(super) fn check(&self, peer: PeerId, card: &Card, proven: bool, now: Instant) -> Result<(), Refused> {
        if Some(card.generation) != self.generation {
            return Err(Refused::Generation);
        }
        match self.held.get(&peer) {
            Some(held) if !held.past && held.card.seq >= card.seq => Err(Refused::Old),
            None if peer != self.own && self.held.len() >= MAX_CARDS && self.victim(proven, now).is_none() => {
                Err(Refused::Full)
            }
            _ => Ok(()),
        }
    }

    /// Takes a card whose signature is right, from the link `serial`, whose other end is called `by`.
    pub(super) fn take(
        &mut self,
        peer: PeerId,
        card: Card,
        bytes: Arc<[u8]>,
        serial: u64,
        by: &str,
        now: Instant,
    ) -> Result<(), Refused> {
        let itself = self.links.get(&serial).is_some_and(|known| known.peer == peer);
        self.spread.note(serial, short(peer), card.seq);
        self.check(peer, &card, itself, now)?;
        if !self.held.contains_key(&peer)
            && self.held.len() >= MAX_CARDS
            && let Some(victim) = self.victim(itself, now)
        {
            self.held.remove(&victim);
            self.spread.drop(short(victim));
        }
        self.insert(peer, card, bytes, (!itself).then(|| by.to_owned()), now);
        if let Some(held) = self.held.get_mut(&peer) {
            held.proven |= itself;
        }
        Ok(())
    }

    fn insert(&mut self, peer: PeerId, card: Card, bytes: Arc<[u8]>, by: Option<String>, now: Instant) {
        self.spread.hold(short(peer), card.seq);
        match self.held.get_mut(&peer) {
            Some(held) => {
                (held.card, held.bytes, held.past, held.removed) = (card, bytes, false, false);
                (held.silent, held.since) = (Duration::ZERO, now);
            }
            None => {
                let (proven, removed, past, silent) = (false, false, false, Duration::ZERO);
                let held = Held { card, bytes, by, proven, removed, past, passed: None, silent, since: now };
                self.held.insert(peer, held);
            }
        }
    }

    /// Whose card makes way for another: one that is of no use, or, for a key that has proven itself, one that has not.
    fn victim(&self, proven: bool, now: Instant) -> Option<PeerId> {
        let others = || self.held.iter().filter(|(peer, _)| **peer != self.own && !self.is_linked(**peer));
        let useless = others().find(|(_, held)| held.past || held.removed || held.is_forgotten(now));
        let unproven = || others().find(|(_, held)| proven && !held.proven);
        useless.or_else(unproven).map(|(peer, _)| *peer)
    }

    /// A link is up. Whether that is news to be kept: its key was never proven before.
    pub(super) fn linked(&mut self, serial: u64, peer: PeerId, now: Instant) -> bool {
        self.links.insert(serial, Known { peer, budget: BURST, filled: now });
        self.spread.link(serial);
        *self.met.entry(peer).or_default() += 1;
        let Some(held) = self.held.get_mut(&peer) else { return false };
        (held.silent, held.since) = (Duration::ZERO, now);
        !std::mem::replace(&mut held.proven, true)
    }

    /// A link is gone.
    pub(super) fn unlinked(&mut self, serial: u64, now: Instant) {
        let Some(known) = self.links.remove(&serial) else { return };
        self.spread.unlink(serial);
        if let Some(left) = self.met.get_mut(&known.peer) {
            *left -= 1;
            if *left == 0 {
                self.met.remove(&known.peer);
            }
        }
        if let Some(held) = self.held.get_mut(&known.peer) {
            (held.silent, held.since) = (Duration::ZERO, now);
        }
    }

    fn is_linked(&self, peer: PeerId) -> bool {
        self.met.contains_key(&peer)
    }

    /// How many of `wanted` cards of a link are looked at now.
    pub(super) fn budget(&mut self, serial: u64, wanted: usize, now: Instant) -> usize {
        let Some(known) = self.links.get_mut(&serial) else { return 0 };
        let passed = now.saturating_duration_since(known.filled).as_secs_f64();
        known.filled = now;
        known.budget = (known.budget + passed * PER_SECOND).min(BURST);
        let granted = wanted.min(MAX_IN_FRAME).min(known.budget as usize);
        known.budget -= granted as f64;
        granted
    }

    /// What we have, for a link that is new.
    pub(super) fn heads(&self) -> BTreeMap<u64, u64> {
        self.held.iter().filter(|(_, h)| !h.past).map(|(peer, held)| (short(*peer), held.card.seq)).collect()
    }

    /// What the other end of a link has. It says so once; whether this was it.
    pub(super) fn heard_heads(&mut self, serial: u64, heads: impl Iterator<Item = (u64, u64)>) -> bool {
        self.spread.heads(serial, heads)
    }

    /// What is to be sent now, by link; each card counts as sent. And when there will be more, as far as that is known.
    pub(super) fn outgoing(&mut self, now: Instant) -> (Outgoing, Option<Instant>) {
        let (mut out, mut next) = (BTreeMap::<u64, Vec<Arc<[u8]>>>::new(), None::<Instant>);
        for (peer, held) in self.held.iter_mut().filter(|(_, h)| !h.past && !h.removed && !h.is_forgotten(now)) {
            let key = short(*peer);
            // A card that the other side has never seen waits for nothing: there is nothing to flood it with.
            let waits = held.passed.map(|at| at + BETWEEN).filter(|at| *at > now);
            for (place, older) in self.spread.lacking(key) {
                match waits.filter(|_| older) {
                    Some(at) => next = Some(next.map_or(at, |before| before.min(at))),
                    None => {
                        if older {
                            held.passed = Some(now);
                        }
                        if let Some(serial) = self.spread.sent(key, place) {
                            out.entry(serial).or_default().push(held.bytes.clone());
                        }
                    }
                }
            }
        }
        (out.into_iter().collect(), next)
    }

    /// Machines that a card tells of and no link leads to.
    pub(super) fn unmet(&self, now: Instant) -> impl Iterator<Item = (PeerId, &Held)> {
        let worth = move |held: &Held| !held.removed && !held.is_forgotten(now) && !held.card.addresses.is_empty();
        self.held
            .iter()
            .filter(move |(peer, held)| **peer != self.own && worth(held) && !self.is_linked(**peer))
            .map(|(peer, held)| (*peer, held))
    }

    pub(super) fn get(&self, peer: PeerId) -> Option<&Held> {
        self.held.get(&peer)
    }

    /// Every card but our own.
    pub(super) fn others(&self) -> impl Iterator<Item = (PeerId, &Held)> {
        self.held.iter().filter(|(peer, _)| **peer != self.own).map(|(peer, held)| (*peer, held))
    }

    /// The user wants to see a machine no more: until a new card of it comes, which it makes when it starts.
    pub(super) fn remove(&mut self, peer: PeerId) {
        if let Some(held) = self.held.get_mut(&peer) {
            held.removed = true;
        }
    }

    /// What to keep over a restart.
    pub(super) fn keep(&self, now: Instant) -> Vec<Kept> {
        let kept = |(peer, held): (PeerId, &Held)| Kept {
            bytes: held.bytes.clone(),
            by: held.by.clone(),
            proven: held.proven,
            removed: held.removed,
            past: held.past,
            silent_s: if self.is_linked(peer) { 0 } else { held.silence(now).as_secs() },
        };
        self.others().map(kept).collect()
    }

    /// Takes back what was kept of `peer`, its signature checked. What came meanwhile is newer.
    pub(super) fn restore(&mut self, peer: PeerId, card: Card, kept: Kept, now: Instant) {
        let current = Some(card.generation) == self.generation;
        if peer == self.own || self.held.len() >= MAX_CARDS || self.held.contains_key(&peer) || current == kept.past {
            return;
        }
        let Kept { bytes, by, proven, removed, past, silent_s } = kept;
        let silent = Duration::from_secs(silent_s);
        self.spread.hold(short(peer), card.seq);
        self.held.insert(peer, Held { card, bytes, by, proven, removed, past, passed: None, silent, since: now });
    }
}

impl Held {
    fn silence(&self, now: Instant) -> Duration {
        self.silent.saturating_add(now.saturating_duration_since(self.since))
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.silence(now) >= FORGOTTEN_AFTER
    }
}
