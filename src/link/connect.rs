//! From a friend's connection to a link: the registry accepts it, the actor hears of it, the session runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::codec::Framed;

use super::dialer::Target;
use super::error::LinkError;
use super::handle::{Ending, Link, Outgoing};
use super::messages::{Cause, Dialled, LinkDown, LinkUp};
use super::room::{Me, ROOM_LIMIT, Room, ask, renewed, shutting_down};
use super::roster;
use super::secure::{Frames, Secured};
use super::session;
use crate::mailbox::ask_outlet;
use crate::model::{PeerId, Via};
use crate::registry::messages::PeerLinked;
use crate::wire::frame::FrameCodec;
use crate::wire::link::{Purpose, ROSTER};
use crate::wire::refusal::Refusal;

/// Bytes in flight between the two ends of the loopback's control connection.
const LOOPBACK_BUFFER: usize = 256 << 10;

/// Dials `target` for `why`, tells the actor how it went, and runs the session to its end.
pub(super) async fn dial(room: Arc<Room>, target: Target, expect: Option<PeerId>, via: Via, why: Cause) {
    let via = if room.routes.proxy(&target).is_some() { Via::Proxy } else { via };
    let me = room.me();
    let mut closing = room.closing.subscribe();
    let secured = tokio::select! {
        secured = room.as_long_as(&me, dial_inner(&room, &me, &target, expect)) => {
            secured.unwrap_or_else(|refusal| Err(LinkError::Refused(refusal)))
        }
        _ = closing.wait_for(|c| *c) => Err(LinkError::Refused(shutting_down())),
    };
    let dialled = match secured {
        Ok((secured, addr)) => {
            admit(&room, &me, secured, addr, via, Some(target.clone())).await.map_err(LinkError::Refused)
        }
        Err(error) => Err(error),
    };
    let (result, session) = match dialled {
        Ok((link, frames, outgoing)) => (Ok(link.peer), Some((link, frames, outgoing))),
        Err(error) => (Err(error.refusal()), None),
    };
    if let Err(refusal) = &result {
        tracing::debug!(%target, %refusal, "no link");
    }
    if let Some((link, _, _)) = &session {
        announce(&room, link).await;
    }
    let _ = ask_outlet(&room.actor.dialled, Dialled { why, ours: me.boot, result }, ROOM_LIMIT).await;
    if let Some((link, frames, outgoing)) = session {
        conduct(room, link, frames, outgoing).await;
    }
}

async fn dial_inner(
    room: &Arc<Room>,
    me: &Me,
    target: &Target,
    expect: Option<PeerId>,
) -> Result<(Secured, SocketAddr), LinkError> {
    let member = me.member.as_ref().ok_or(LinkError::NoGroup)?;
    let (stream, addr) = room.routes.dial(target).await?;
    let secured = member.dial(stream, room.worker_port(), Purpose::Control).await?;
    if let Some(wanted) = expect.filter(|e| *e != secured.peer) {
        return Err(LinkError::Stranger { at: target.to_string(), wanted, found: secured.peer });
    }
    Ok((secured, addr))
}

/// A friend dialled us: run the session to its end.
pub(super) async fn welcome(room: Arc<Room>, me: &Me, secured: Secured, from: SocketAddr) {
    let addr = SocketAddr::new(from.ip().to_canonical(), secured.hello.worker_port);
    let (peer, name) = (secured.peer, secured.hello.name.clone());
    match admit(&room, me, secured, addr, Via::Direct, None).await {
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
        version: hello.release.chars().take(40).collect(),
        clock_skew_ms: secured.skew_ms,
        via,
    };
    if let Err(refusal) = ask(&room.registry.linked, linked).await.and_then(|accepted| accepted) {
        session::turn_away(secured.control(), &refusal).await;
        return Err(refusal);
    }
    let (link, outgoing) = Link::new(secured.peer, hello.name.clone(), hello.boot, me.boot, false, dialled);
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
        let (link, outgoing) = Link::new(room.own, me.name.clone(), me.boot, me.boot, true, dialled);
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
