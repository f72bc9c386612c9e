//! What the words of the mailbox bring about: which links must be there, who is dialled for it, and what becomes of one that
//! comes up or is doubted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::actor::PeerLinkActor;
use super::connect::{self, Wanted};
use super::dialer::Target;
use super::find;
use super::greet::Need;
use super::handle::{Ending, Link};
use super::messages::Cause;
use super::room::shutting_down;
use super::rotate;
use super::table::Change;
use crate::mailbox::tell_outlet;
use crate::model::{PeerId, Via};
use crate::registry::messages::{PathTried, PeerUnlinked, Tried};
use crate::scheduler::messages::LinkChanged;
use crate::wire::refusal::Refusal;

impl PeerLinkActor {
    /// Dials whom it is time to dial.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.is_alone() || self.is_closing() {
            return;
        }
        let (table, own) = (&self.table, self.room.own);
        for address in self.direct.due(now, |p| table.get(p).is_some()) {
            let at = vec![(Target::Name(address.clone()), Via::Direct)];
            self.dial(Wanted { at, expect: None, unless: None, why: Cause::Direct(address) });
        }
        let due = self.greetings.due(now, |p| match (table.get(p).is_some(), table.is_awaited(p)) {
            (true, _) if table.is_movable(p, own) => Need::Now,
            (true, _) => Need::NoMore,
            (false, true) if !table.hangs(p, now) => Need::Perhaps,
            (false, _) => Need::Now,
        });
        for (addr, peer) in due {
            let (at, unless) = (vec![(Target::Addr(addr), Via::Broadcast)], self.table.get(peer).cloned());
            if unless.is_none() {
                self.table.expect(peer);
            }
            self.dial(Wanted { at, expect: Some(peer), unless, why: Cause::Greeting(peer, addr) });
        }
    }

    pub(super) fn dial(&self, wanted: Wanted) {
        self.room.spawn(connect::dial(self.room.clone(), wanted));
    }

    /// Looks for another link in the place of one that may be dead.
    pub(super) fn doubt(&mut self, link: Arc<Link>) {
        let peer = link.peer;
        if self.is_closing() || !self.table.counts(&link) || self.table.is_awaited(peer) {
            return;
        }
        self.table.expect(peer);
        let given = self.direct.addresses_of(peer).map(str::to_owned).collect();
        self.room.spawn(find::find_elsewhere(self.room.clone(), link, given));
    }

    /// A link to `peer`, now or when it was dialled.
    pub(super) fn reach(&mut self, peer: PeerId) -> BoxFuture<'static, Result<Arc<Link>, Refusal>> {
        if self.is_closing() {
            return Box::pin(async { Err(shutting_down()) });
        }
        if let Some(link) = self.table.get(peer).cloned() {
            return Box::pin(async move { Ok(link) });
        }
        if peer == self.room.own {
            let link = connect::loopback(&self.room);
            self.take(link.clone());
            return Box::pin(async move { Ok(link) });
        }
        let first = !self.table.is_awaited(peer);
        let answer = self.table.wait(peer);
        if first {
            self.call(peer);
        }
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(shutting_down())) })
    }

    /// Dials a peer that somebody waits for, wherever it may be.
    pub(super) fn call(&self, peer: PeerId) {
        let given = self.direct.addresses_of(peer).map(str::to_owned).collect();
        self.room.spawn(find::find_and_dial(self.room.clone(), peer, given));
    }

    /// A link is up.
    pub(super) fn take(&mut self, link: Arc<Link>) {
        let peer = link.peer;
        if self.is_closing() {
            link.close(Ending::Ours { restart: false });
            return;
        }
        if link.ours != self.room.me().boot {
            // Made by who we were; the registry took it in as a link of ours.
            link.close(Ending::Renewed { restart: true });
            if !self.is_up(peer) {
                tell_outlet(&self.room.registry.unlinked, PeerUnlinked { peer, goodbye: true });
            }
            return;
        }
        rotate::met(&self.room, peer);
        let before = self.table.get(peer).map(|old| old.silent_for()).unwrap_or_default();
        let change = self.table.put(link, self.room.own);
        if let Some(way) = self.table.get(peer).and_then(|link| link.road.way.clone()) {
            tell_outlet(&self.room.registry.tried, PathTried { peer, way, tried: Tried::InUse });
        }
        self.mark_kept();
        if change == Change::Anew {
            self.changed(peer, false, before);
        }
        if change != Change::None {
            self.changed(peer, true, Duration::ZERO);
        }
    }

    pub(super) fn mark_kept(&self) {
        self.table.mark_kept(|peer| self.direct.keeps(peer));
    }

    pub(super) fn changed(&self, peer: PeerId, up: bool, silent: Duration) {
        if let Some(back) = self.room.back.get() {
            tell_outlet(&back.changed, LinkChanged { peer, up, silent });
        }
    }
}
