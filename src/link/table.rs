//! Which links there are and who waits for one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::direct::Entry;
use super::handle::{Ending, Link};
use super::links::{Contender, Verdict, judge};
use crate::model::{PeerId, Way};
use crate::wire::ipc::DirectPeer;
use crate::wire::refusal::Refusal;

/// Replaced links of one peer that may still be in use: more than two dials at once ever leave.
const MAX_RETIRED: usize = 4;

/// Somebody who waits for a link.
type Waiter = oneshot::Sender<Result<Arc<Link>, Refusal>>;

/// A peer that is being dialled.
#[derive(Debug)]
struct Awaited {
    since: Instant,
    waiters: Vec<Waiter>,
}

/// A dial takes a few round trips. One that takes so long waits for the kernel to send its first packet again, after 1, 2
/// and 4 s: whoever is heard meanwhile is reached sooner by another one.
const HANGS: Duration = Duration::from_millis(500);

/// What has changed for the rooms above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: there was a link before.
    None,
    /// There is a link now.
    Up,
    /// The link that was there is dead, and there is a new one: what went over the old one must begin again.
    Anew,
}

/// All links of this machine, at most one to a peer that counts.
#[derive(Debug, Default)]
pub(super) struct LinkTable {
    links: HashMap<PeerId, Arc<Link>>,
    /// Links that another one replaced and that are still in use.
    retired: Vec<Arc<Link>>,
    /// Peers that are being dialled, and who waits for them.
    waiting: HashMap<PeerId, Awaited>,
}

impl LinkTable {
    /// The link to `peer`, if one is up.
    pub(super) fn get(&self, peer: PeerId) -> Option<&Arc<Link>> {
        self.links.get(&peer).filter(|l| !l.is_closed())
    }

    /// Everybody a link is up to.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.links.keys().copied().filter(|p| self.get(*p).is_some())
    }

    /// How many links are up.
    pub(super) fn len(&self) -> usize {
        self.peers().count()
    }

    /// Whether `peer` is being dialled because somebody wants it.
    pub(super) fn is_awaited(&self, peer: PeerId) -> bool {
        self.waiting.contains_key(&peer)
    }

    /// Whether the dial of an awaited peer has been under way for so long that a second one may be quicker.
    pub(super) fn hangs(&self, peer: PeerId, now: Instant) -> bool {
        self.waiting.get(&peer).is_some_and(|dial| now.saturating_duration_since(dial.since) >= HANGS)
    }

    /// Writes down that `peer` is being dialled, from now on.
    pub(super) fn expect(&mut self, peer: PeerId) {
        self.awaited(peer).since = Instant::now();
    }

    fn awaited(&mut self, peer: PeerId) -> &mut Awaited {
        self.waiting.entry(peer).or_insert_with(|| Awaited { since: Instant::now(), waiters: Vec::new() })
    }

    /// Waits for a link to `peer`; somebody must dial it and end with [`Self::put`] or [`Self::disappoint`].
    pub(super) fn wait(&mut self, peer: PeerId) -> oneshot::Receiver<Result<Arc<Link>, Refusal>> {
        let (tx, rx) = oneshot::channel();
        self.awaited(peer).waiters.push(tx);
        rx
    }

    /// A link is up: it takes its place, or makes way for the one that is there. Whoever waited gets the one that
    /// stays. `own` is our id.
    pub(super) fn put(&mut self, link: Arc<Link>, own: PeerId) -> Change {
        let peer = link.peer;
        let contender = |l: &Link| Contender {
            ours: l.dialled.is_some(),
            boot: l.boot.0,
            silent_for: l.silent_for(),
            cut: l.is_cut(),
        };
        let old = self.get(peer).cloned();
        let verdict = old.map(|old| (judge(contender(&old), contender(&link), own < peer), old));
        let change = match verdict {
            None => {
                self.links.insert(peer, link);
                Change::Up
            }
            Some((Verdict::OldStays, _)) => {
                self.retire(link);
                Change::None
            }
            Some((Verdict::NewStays, old)) => {
                self.retire(old);
                self.links.insert(peer, link);
                Change::None
            }
            Some((Verdict::OldIsDead, old)) => {
                // A transfer over the same way may still get through; over another it is begun again there.
                let same_way = old.road.way == link.road.way && !old.is_cut();
                old.close(if same_way || old.boot != link.boot { Ending::Replaced } else { Ending::Moved });
                self.links.insert(peer, link);
                Change::Anew
            }
        };
        if let Some(link) = self.links.get(&peer) {
            for waiter in self.waiting.remove(&peer).into_iter().flat_map(|dial| dial.waiters) {
                let _ = waiter.send(Ok(link.clone()));
            }
        }
        change
    }

    /// A surplus link lives on until nobody uses it, but a peer can have only so many of them.
    fn retire(&mut self, link: Arc<Link>) {
        link.retire();
        self.retired.retain(|l| !l.is_closed());
        if self.retired.iter().filter(|l| l.peer == link.peer).count() >= MAX_RETIRED
            && let Some(oldest) = self.retired.iter().position(|l| l.peer == link.peer)
        {
            self.retired.remove(oldest).close(Ending::Replaced);
        }
        self.retired.push(link);
    }

    /// This machine has these addresses from now on. Gives the links that went out from another one.
    pub(super) fn cut_off(&self, has: impl Fn(IpAddr) -> bool) -> Vec<Arc<Link>> {
        let lost = |link: &&Arc<Link>| !link.is_closed() && link.road.local.is_some_and(|ip| !has(ip));
        self.retired.iter().filter(lost).for_each(|link| link.close(Ending::Moved));
        let lost: Vec<_> = self.links.values().filter(lost).cloned().collect();
        lost.iter().for_each(|link| link.cut_off());
        lost
    }

    /// Whether we (`own`) may move the link to `peer` to another way: of two that are made at once both sides must keep the
    /// same.
    pub(super) fn is_movable(&self, peer: PeerId, own: PeerId) -> bool {
        self.get(peer).is_some_and(|link| link.dialled.is_some() || own < peer)
    }

    /// Whether it may be of use to dial `peer` by `way`: there is no link, or one by another way that we may move.
    pub(super) fn is_of_use(&self, peer: PeerId, way: &Way, own: PeerId) -> bool {
        self.get(peer).is_none_or(|link| link.road.way.as_ref() != Some(way) && self.is_movable(peer, own))
    }

    /// The way that led nowhere when a link ended, unless another link goes the same one.
    pub(super) fn lost_way(&self, link: &Link, ending: &Ending) -> Option<Way> {
        let used = self.get(link.peer).and_then(|now| now.road.way.as_ref());
        let lost = matches!(ending, Ending::Dead | Ending::Moved) && link.road.way.as_ref() != used;
        link.road.way.clone().filter(|_| lost)
    }

    /// How an address that the user gave stands.
    pub(super) fn view(&self, entry: &Entry) -> DirectPeer {
        let link = entry.peer.and_then(|p| self.get(p));
        DirectPeer {
            address: entry.address.clone(),
            name: entry.label.clone().or(link.map(|l| l.name.clone())),
            linked: link.is_some(),
            error: entry.error.clone().filter(|_| link.is_none()),
            hint: entry.hint.clone().filter(|_| link.is_none()),
            heard_ms_ago: link.map(|l| u64::try_from(l.silent_for().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Whether it is the link that counts.
    pub(super) fn counts(&self, link: &Link) -> bool {
        self.get(link.peer).is_some_and(|l| l.serial == link.serial)
    }

    /// A dial has failed.
    pub(super) fn disappoint(&mut self, peer: PeerId, refusal: &Refusal) {
        for waiter in self.waiting.remove(&peer).into_iter().flat_map(|dial| dial.waiters) {
            let _ = waiter.send(Err(refusal.clone()));
        }
    }

    /// A link has ended. Whether it was the one that counted.
    pub(super) fn remove(&mut self, link: &Link) -> bool {
        let counted = self.links.get(&link.peer).is_some_and(|l| l.serial == link.serial);
        if counted {
            self.links.remove(&link.peer);
        }
        counted
    }

    /// Marks the links that stay when idle.
    pub(super) fn mark_kept(&self, keep: impl Fn(PeerId) -> bool) {
        for link in self.links.values() {
            link.kept.store(link.own || keep(link.peer), Ordering::Relaxed);
        }
    }

    /// Ends every link to another machine because we are somebody else from here on. Gives those that were up; who is
    /// waited for is still waited for.
    pub(super) fn renew(&mut self, restart: bool) -> Vec<Arc<Link>> {
        let ending: Vec<_> =
            self.links.values().chain(&self.retired).filter(|l| !l.own && !l.is_closed()).cloned().collect();
        for link in &ending {
            link.close(Ending::Renewed { restart });
        }
        ending
    }

    /// Ends everything.
    pub(super) fn close(&mut self, restart: bool) {
        for link in self.links.values().chain(&self.retired) {
            link.close(Ending::Ours { restart });
        }
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_that_hangs_makes_room_for_a_second_one() {
        const RAJ: PeerId = PeerId([1; 32]);
        let (mut table, begun) = (LinkTable::default(), Instant::now());
        assert!(!table.hangs(RAJ, begun + HANGS * 9), "nobody dials it");
        let waiter = table.wait(RAJ);
        let later = Instant::now() + HANGS;
        assert!(table.is_awaited(RAJ) && !table.hangs(RAJ, begun), "it has just begun");
        assert!(table.hangs(RAJ, later));
        table.expect(RAJ);
        assert!(!table.hangs(RAJ, later), "a second one has just begun");
        table.disappoint(RAJ, &Refusal::internal("no"));
        assert!(!table.hangs(RAJ, later) && waiter.blocking_recv().expect("told").is_err(), "whoever waits is told");
    }
}
