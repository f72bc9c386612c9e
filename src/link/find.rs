//! Where a peer may be: asks the registry and the user's list, and dials all of it until one answers.

use std::sync::Arc;

use super::connect::{self, Wanted};
use super::dialer::Target;
use super::handle::Link;
use super::messages::{Cause, Dialled};
use super::room::{Room, ask};
use crate::model::{Learned, PeerId, Via, Way};
use crate::registry::messages::PathsOf;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Places that are tried in one dial; further ones would be started after whoever waits has given up.
const MAX_PLACES: usize = 12;

/// Dials `peer` at every place known, best first. `given` are the addresses at which the user wants it dialled.
pub(super) async fn find_and_dial(room: Arc<Room>, peer: PeerId, given: Vec<String>) {
    let (why, ours) = (Cause::Peer(peer), room.me().boot);
    let found = places(&room, peer, given).await.and_then(|at| match at.is_empty() {
        false => Ok(at),
        true => Err(Refusal::new(RefusalKind::UnknownPeer, format!("nobody here knows where {} is", peer.short()))),
    });
    match found {
        Ok(at) => connect::dial(room, Wanted { at, expect: Some(peer), unless: None, why }).await,
        Err(refusal) => {
            let _ = ask(&room.actor.dialled, Dialled { why, ours, result: Err(refusal) }).await;
        }
    }
}

/// Dials the peer of a link of which nothing is heard: the other ways first, then the same one anew, since the address at
/// this end may be another by now.
pub(super) async fn find_elsewhere(room: Arc<Room>, link: Arc<Link>, given: Vec<String>) {
    let (why, ours) = (Cause::Doubt(link.peer), room.me().boot);
    match places(&room, link.peer, given).await {
        Ok(mut at) => {
            at.sort_by_key(|(target, _)| target.way() == link.road.way);
            connect::dial(room, Wanted { at, expect: Some(link.peer), unless: None, why }).await;
        }
        Err(refusal) => {
            let _ = ask(&room.actor.dialled, Dialled { why, ours, result: Err(refusal) }).await;
        }
    }
}

/// Where `peer` may be dialled, in the order to try it.
pub(super) async fn places(room: &Room, peer: PeerId, given: Vec<String>) -> Result<Vec<(Target, Via)>, Refusal> {
    let known = ask(&room.registry.paths, PathsOf { peer }).await?;
    let is_known = |name: &String| known.iter().any(|(way, _)| *way == Way::Named(name.clone()));
    // The address a user gave beats the one a connection seemed to come from, unless it has shown what it is worth.
    let mut at: Vec<(Target, Via)> =
        given.into_iter().filter(|name| !is_known(name)).map(|name| (Target::Name(name), Via::Direct)).collect();
    at.extend(known.into_iter().map(|(way, learned)| (Target::from(way), via(learned))));
    at.truncate(MAX_PLACES);
    Ok(at)
}

fn via(learned: Learned) -> Via {
    match learned {
        Learned::Beat => Via::Broadcast,
        Learned::Link | Learned::Introduced | Learned::Direct => Via::Direct,
        Learned::Proxy => Via::Proxy,
    }
}
