//! From a friend's connection to a link: the registry accepts it, the actor hears of it, the session runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::codec::Framed;

use super::dialer::{Dialled as Dial, Routes, Target};
use super::error::LinkError;
use super::handle::{Ending, Link, Outgoing, Road};
use super::messages::{Cause, Dialled, LinkDown, LinkUp};
use super::race;
use super::room::{Me, ROOM_LIMIT, Room, ask, renewed, shutting_down};
use super::roster;
use super::secure::{Frames, Member, Secured};
use super::session;
use crate::mailbox::{ask_outlet, tell_outlet};
use crate::model::{PeerId, Via, Way, is_clearly_shorter};
use crate::registry::messages::{PathTried, PeerLinked, Tried};
use crate::wire::frame::FrameCodec;
use crate::wire::link::{Purpose, ROSTER};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Bytes in flight between the two ends of the loopback's control connection.
const LOOPBACK_BUFFER: usize = 256 << 10;

/// What a dial is to bring about.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where, in the order to try it; a link at one of them is enough.
    pub(super) at: Vec<(Target, Via)>,
    /// Whose key must be shown; `None` for whoever lives there.
    pub(super) expect: Option<PeerId>,
    /// A link that works: another one is made only if it is clearly shorter.
    pub(super) unless: Option<Arc<Link>>,
    pub(super) why: Cause,
}

/// A friend that was dialled.
struct Met {
    secured: Secured,
    addr: SocketAddr,
    target: Target,
    via: Via,
    from: Option<IpAddr>,
}

/// Dials, tells the actor how it went, and runs the session to its end.
pub(super) async fn dial(room: Arc<Room>, wanted: Wanted) {
    let me = room.me();
    let mut closing = room.closing.subscribe();
    let met = tokio::select! {
        met = room.as_long_as(&me, meet(&room, &me, &wanted)) => {
            met.unwrap_or_else(|refusal| Err(LinkError::Refused(refusal)))
        }
        _ = closing.wait_for(|c| *c) => Err(LinkError::Refused(shutting_down())),
    };
    let dialled = match met {
        Ok(Met { secured, addr, target, via, from }) => {
            let road = Road { way: target.way(), local: from };
            admit(&room, &me, secured, addr, via, Some(target), road).await.map_err(LinkError::Refused)
        }
        Err(error) => Err(error),
    };
    let (result, session) = match dialled {
        Ok((link, frames, outgoing)) => (Ok(link.peer), Some((link, frames, outgoing))),
        Err(error) => (Err(error.refusal()), None),
    };
    if let Err(refusal) = &result {
        tracing::debug!(at = ?wanted.at, %refusal, "no link");
    }
    if let Some((link, _, _)) = &session {
        announce(&room, link).await;
    }
    let _ = ask_outlet(&room.actor.dialled, Dialled { why: wanted.why, ours: me.boot, result }, ROOM_LIMIT).await;
    if let Some((link, frames, outgoing)) = session {
        conduct(room, link, frames, outgoing).await;
    }
}

/// The first of the places at which the one that is wanted answers.
async fn meet(room: &Room, me: &Me, wanted: &Wanted) -> Result<Met, LinkError> {
    let member = me.member.as_ref().ok_or(LinkError::NoGroup)?;
    let unless = wanted.unless.as_deref();
    let search = Search { room, member, expect: wanted.expect, unless, turn: Semaphore::new(1) };
    let tries: Vec<_> = wanted.at.iter().map(|(target, via)| search.at(target, *via).boxed()).collect();
    let nowhere = || Err(LinkError::Refused(Refusal::new(RefusalKind::UnknownPeer, "nobody here knows where it is")));
    race::first(tries).await.unwrap_or_else(nowhere)
}

/// The dials of one search.
struct Search<'a> {
    room: &'a Room,
    member: &'a Member,
    expect: Option<PeerId>,
    unless: Option<&'a Link>,
    /// One HELLO at a time: the other side takes it for a link, so only the winner of the race may say it.
    turn: Semaphore,
}

impl Search<'_> {
    /// One place, which may be several addresses.
    async fn at(&self, target: &Target, via: Via) -> Result<Met, LinkError> {
        let met = self.one_of(target, via).await;
        if met.as_ref().is_err_and(|error| !matches!(error, LinkError::NotNeeded)) {
            self.tell(target, Tried::Failed);
        }
        met
    }

    async fn one_of(&self, target: &Target, via: Via) -> Result<Met, LinkError> {
        let spread = self.room.routes.spread(target).await?;
        let tries: Vec<_> = spread.into_iter().map(|addr| self.behind(target, via, addr).boxed()).collect();
        match race::first(tries).await {
            Some(met) => met,
            None => self.hello(target, via, self.room.routes.dial(target).await?).await,
        }
    }

    async fn behind(&self, target: &Target, via: Via, addr: SocketAddr) -> Result<Met, LinkError> {
        self.hello(target, via, Routes::dial_straight(addr).await?).await
    }

    async fn hello(&self, target: &Target, via: Via, dialled: Dial) -> Result<Met, LinkError> {
        let rtt_us = dialled.rtt_us;
        let check = |found: PeerId| async move {
            if let Some(wanted) = self.expect.filter(|wanted| *wanted != found) {
                return Err(LinkError::Stranger { at: target.to_string(), wanted, found });
            }
            if let Some(link) = self.unless.filter(|link| !link.is_closed()) {
                self.tell(target, Tried::Answered(rtt_us));
                let shorter = link.rtt_us().zip(rtt_us).is_some_and(|(old, new)| is_clearly_shorter(new, old));
                if !shorter {
                    return Err(LinkError::NotNeeded);
                }
            }
            Ok(self.turn.acquire().await)
        };
        let said = self.member.dial_checked(dialled.stream, self.room.worker_port(), Purpose::Control, check);
        let secured = said.await?;
        let via = if self.room.routes.proxy(target).is_some() { Via::Proxy } else { via };
        Ok(Met { secured, addr: dialled.addr, target: target.clone(), via, from: dialled.from })
    }

    /// Tells the registry what came of a way to the peer that is looked for.
    fn tell(&self, target: &Target, tried: Tried) {
        if let (Some(peer), Some(way)) = (self.expect, target.way()) {
            tell_outlet(&self.room.registry.tried, PathTried { peer, way, tried });
        }
    }
}

/// A friend dialled us: run the session to its end.
pub(super) async fn welcome(room: Arc<Room>, me: &Me, secured: Secured, from: SocketAddr, local: Option<IpAddr>) {
    let addr = SocketAddr::new(from.ip().to_canonical(), secured.hello.worker_port);
    let (peer, name) = (secured.peer, secured.hello.name.clone());
    let road = Road { way: (addr.port() != 0).then_some(Way::Straight(addr)), local };
    match admit(&room, me, secured, addr, Via::Direct, None, road).await {
        Ok((link, frames, outgoing)) => {
            announce(&room, &link).await;
            conduct(room, link, frames, outgoing).await;
        }
        Err(refusal) => tracing::warn!(?peer, name, %refusal, "a machine of the group was not accepted"),
    }
}

/// Asks the registry to accept who is at the other end. A refusal is told to that side too.
async fn admit(
    room: &Room,
    me: &Me,
    secured: Secured,
    addr: SocketAddr,
    via: Via,
    dialled: Option<Target>,
    road: Road,
) -> Result<(Arc<Link>, Frames, Outgoing), Refusal> {
    if room.me().boot != me.boot {
        return Err(renewed());
    }
    let hello = &secured.hello;
    let linked = PeerLinked {
        peer: secured.peer,
        name: hello.name.clone(),
        boot: hello.boot,
        addr,
        way: dialled.as_ref().and_then(Target::way),
        version: hello.release.chars().take(40).collect(),
        clock_skew_ms: secured.skew_ms,
        via,
    };
    if let Err(refusal) = ask(&room.registry.linked, linked).await.and_then(|accepted| accepted) {
        session::turn_away(secured.control(), &refusal).await;
        return Err(refusal);
    }
    let (link, outgoing) = Link::new(secured.peer, hello.name.clone(), hello.boot, me.boot, false, dialled, road);
    link.knows_cards.store(hello.features.iter().any(|f| f == ROSTER), Ordering::Relaxed);
    Ok((link, secured.control(), outgoing))
}

async fn announce(room: &Room, link: &Arc<Link>) {
    let _ = ask_outlet(&room.actor.up, LinkUp { link: link.clone() }, ROOM_LIMIT).await;
}

async fn conduct(room: Arc<Room>, link: Arc<Link>, frames: Frames, outgoing: Outgoing) {
    roster::linked(&room, &link);
    let ending = session::run(room.clone(), link.clone(), frames, outgoing).await;
    roster::unlinked(&room, &link);
    tracing::debug!(peer = ?link.peer, name = link.name, ?ending, "link ended");
    link.is_over();
    let _ = ask_outlet(&room.actor.down, LinkDown { link, ending }, ROOM_LIMIT).await;
}

/// This machine as a peer of its own: the same sessions over a pipe in memory. Returns the submitter's end.
pub(super) fn loopback(room: &Arc<Room>) -> Arc<Link> {
    let (near, far) = tokio::io::duplex(LOOPBACK_BUFFER);
    let me = room.me();
    let end = |stream, dialled| {
        let frames: Frames = Framed::new(Box::new(stream), FrameCodec::control());
        let (link, outgoing) = Link::new(room.own, me.name.clone(), me.boot, me.boot, true, dialled, Road::default());
        (link, frames, outgoing)
    };
    let (link, frames, outgoing) = end(near, Some(Target::Loopback));
    room.spawn(conduct(room.clone(), link.clone(), frames, outgoing));
    let (worker, frames, outgoing) = end(far, None);
    let there = room.clone();
    room.spawn(async move {
        let _: Ending = session::run(there, worker, frames, outgoing).await;
    });
    link
}
