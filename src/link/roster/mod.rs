//! Members introduce members: each signs a card of itself, cards travel over every link, and who is told of by a card and
//! met by nobody is dialled.
//!
//! [`cards`] decides what is believed and passed on ([`spread`]: who has which), [`introductions`] whom to dial when, [`own`] what our own card says and
//! where cards may make us dial, [`mod@file`] keeps it over a restart, and [`driver`] is the one task that carries it out.

mod cards;
mod driver;
mod file;
mod introductions;
mod own;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use data_encoding::{BASE64, HEXLOWER};
use tokio::sync::Notify;

use super::dialer::Target;
use super::handle::Link;
use super::room::{Room, ask, lock};
use super::rotate;
use crate::identity::{Identity, peer_id_of_key, verify};
use crate::mailbox::tell_outlet;
use crate::model::PeerId;
use crate::registry::messages::{ListPins, PeerIntroduced};
use crate::wire::ipc::DirectPeer;
use crate::wire::link::LinkFrame;
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::roster::{CONTEXT, Card, Generation, MAX_CARD, MAX_IN_FRAME, open};

use cards::{Cards, Refused};
use introductions::{Introductions, Outcome};

pub(super) use driver::run;
pub(super) use own::told;

/// What the room knows of its members beyond its links.
pub(super) struct Roster {
    identity: Identity,
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    cards: Cards,
    introductions: Introductions,
    links: HashMap<u64, (Arc<Link>, Instant)>,
    /// Of our newest card. Higher than that of any card we ever showed.
    seq: u64,
    /// What our newest card says.
    told: Option<own::Says>,
    /// Something is to be kept that is not yet.
    unsaved: bool,
}

impl Roster {
    pub(super) fn new(identity: Identity) -> Self {
        let own = identity.peer();
        let state = State {
            cards: Cards::new(own),
            introductions: Introductions::new(own, Instant::now()),
            links: HashMap::new(),
            seq: 0,
            told: None,
            unsaved: false,
        };
        Self { identity, state: Mutex::new(state), wake: Notify::new() }
    }

    /// The key that this machine signs with.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// A link is up: both sides say what they have.
pub(super) fn linked(room: &Arc<Room>, link: &Arc<Link>) {
    if link.own {
        return;
    }
    let now = Instant::now();
    let (heads, by) = {
        let mut state = lock(&room.roster.state);
        if state.links.is_empty() {
            // The network is here again, perhaps.
            state.introductions.hurry(now);
        }
        state.links.insert(link.serial, (link.clone(), now));
        state.unsaved |= state.cards.linked(link.serial, link.peer, now);
        let hex = |(short, seq): (u64, u64)| (HEXLOWER.encode(&short.to_be_bytes()), seq);
        let heads = state.cards.heads().into_iter().map(hex).collect();
        // A machine that the user added needs nobody to introduce it.
        let added = matches!(link.dialled, Some(Target::Name(_)));
        (heads, state.cards.get(link.peer).filter(|_| !added).and_then(|held| held.by.clone()))
    };
    tell_outlet(&room.registry.introduced, PeerIntroduced { peer: link.peer, by });
    room.roster.wake.notify_one();
    if link.knows_cards.load(Ordering::Relaxed) {
        send(room, link, LinkFrame::Heads { heads });
    }
}

/// A link is gone.
pub(super) fn unlinked(room: &Room, link: &Link) {
    let now = Instant::now();
    let mut state = lock(&room.roster.state);
    if let Some((_, since)) = state.links.remove(&link.serial) {
        state.cards.unlinked(link.serial, now);
        state.introductions.lost(link.peer, now.saturating_duration_since(since));
        room.roster.wake.notify_one();
    }
}

/// Sends without waiting: a link that is stuck holds up nobody else, and what it does not get it asks for by its next heads.
fn send(room: &Room, link: &Arc<Link>, frame: LinkFrame) {
    let link = link.clone();
    room.spawn(async move {
        let _ = link.send(&frame).await;
    });
}

/// The other side says which cards it has.
pub(super) fn heard_heads(room: &Room, link: &Link, heads: impl IntoIterator<Item = (String, u64)>) {
    let number = |(short, seq): (String, u64)| {
        let bytes = HEXLOWER.decode(short.as_bytes()).ok()?;
        Some((u64::from_be_bytes(bytes.try_into().ok()?), seq))
    };
    if lock(&room.roster.state).cards.heard_heads(link.serial, heads.into_iter().filter_map(number)) {
        room.roster.wake.notify_one();
    }
}

/// Cards came.
pub(super) async fn hear(room: &Arc<Room>, link: &Arc<Link>, texts: Vec<String>) {
    let granted = lock(&room.roster.state).cards.budget(link.serial, texts.len(), Instant::now());
    if granted < texts.len() {
        tracing::debug!(peer = ?link.peer, name = link.name, came = texts.len(), granted, "too many cards at once");
    }
    if granted == 0 {
        return;
    }
    // Names as they are pinned now; without an answer homied is on its way down.
    let Ok(pins) = ask(&room.registry.pins, ListPins).await else { return };
    let taken = |name: &str, peer: PeerId| pins.iter().any(|pin| pin.name == name && pin.id != peer);
    let mut news = false;
    for text in texts.into_iter().take(granted.min(MAX_IN_FRAME)).filter(|text| text.len() <= MAX_CARD * 4 / 3 + 4) {
        match BASE64.decode(text.as_bytes()).ok().map(|bytes| take(room, link, bytes, taken)) {
            Some(Ok(())) => news = true,
            Some(Err(Some(why))) => tracing::debug!(from = ?link.peer, name = link.name, why, "a card was not taken"),
            Some(Err(None)) => {}
            None => tracing::debug!(from = ?link.peer, name = link.name, "a card is not base64"),
        }
    }
    if news {
        room.roster.wake.notify_one();
    }
}

/// Why a card is not taken: a line for the log, or nothing where it is only known already.
type No = Option<&'static str>;

/// Takes one card.
fn take(room: &Room, link: &Link, bytes: Vec<u8>, taken: impl Fn(&str, PeerId) -> bool) -> Result<(), No> {
    let now = Instant::now();
    let mut state = lock(&room.roster.state);
    let out = |peer| rotate::is_out(room, peer);
    let believed = believe(&state.cards, &bytes, link.peer, now, out, taken)?;
    let Believed { peer, card } = believed;
    if peer == room.own {
        // Ours, and newer than we remember: our state was lost. The next one goes over it.
        (state.seq, state.told) = (state.seq.max(card.seq), None);
        return Ok(());
    }
    let (name, addresses) = (card.name.clone(), card.addresses.len());
    state.cards.take(peer, card, bytes.into(), link.serial, &link.name, now).map_err(|_| None)?;
    state.unsaved = true;
    tracing::debug!(%peer, name, addresses, by = link.name, "a card");
    Ok(())
}

/// A card that is whose it says.
#[derive(Debug)]
struct Believed {
    peer: PeerId,
    card: Card,
}

/// Whether to believe a card that came from `from`. What costs nothing is looked at before the signature.
fn believe(
    cards: &Cards,
    bytes: &[u8],
    from: PeerId,
    now: Instant,
    out: impl Fn(PeerId) -> bool,
    taken: impl Fn(&str, PeerId) -> bool,
) -> Result<Believed, No> {
    let sealed = open(bytes).map_err(|_| Some("it is none"))?;
    let card = sealed.card;
    let peer = peer_id_of_key(&card.key);
    match cards.check(peer, &card, peer == from, now) {
        Ok(()) => {}
        Err(Refused::Old) => return Err(None),
        Err(Refused::Generation) => return Err(Some("it is of another secret of the group")),
        Err(Refused::Full) => return Err(Some("there are too many")),
    }
    if out(peer) {
        return Err(Some("it is of a machine that was put out"));
    }
    if taken(&card.name, peer) {
        return Err(Some("its name belongs to another key"));
    }
    match verify(&card.key, CONTEXT, sealed.signed, sealed.signature) {
        true => Ok(Believed { peer, card }),
        false => Err(Some("its signature is wrong")),
    }
}

/// A dial that a card made us make has ended.
pub(super) fn dialled(room: &Room, peer: PeerId, result: &Result<PeerId, Refusal>) {
    let outcome = match result {
        Ok(_) => Outcome::Linked,
        Err(refusal) if refusal.kind == RefusalKind::NotAllowed => Outcome::Refused,
        Err(_) => Outcome::Failed,
    };
    finish(room, peer, outcome);
}

fn finish(room: &Room, peer: PeerId, outcome: Outcome) {
    let mut jitter = [0];
    let _ = getrandom::fill(&mut jitter);
    lock(&room.roster.state).introductions.done(peer, outcome, Instant::now(), jitter[0]);
    room.roster.wake.notify_one();
}

/// The secret of the group may be another one from here on.
pub(super) fn renew(room: &Room, same_group: bool) {
    let generation = room.me().member.as_ref().map(|member| Generation(member.keys().generation()));
    let mut state = lock(&room.roster.state);
    if state.cards.generation() != generation {
        state.cards.renew(generation, same_group, |peer| rotate::is_out(room, peer));
        state.introductions.hurry(Instant::now());
        (state.told, state.unsaved) = (None, true);
    }
    room.roster.wake.notify_one();
}

/// Forgets a machine that others introduced, by its name.
pub(super) fn remove(room: &Room, which: &str) -> Option<Result<DirectPeer, Refusal>> {
    let mut state = lock(&room.roster.state);
    let (peer, held) = state.cards.others().find(|(_, held)| held.card.name == which.trim() && !held.removed)?;
    let address = held.card.addresses.first().map(|ip| std::net::SocketAddr::new(*ip, held.card.port).to_string());
    if state.links.values().any(|(link, _)| link.peer == peer) {
        return Some(Err(Refusal::new(
            RefusalKind::NotAllowed,
            format!("{which} is there, and a member of the group: it would be back at once"),
        )
        .hint(format!(
            "`homie kick {which}` puts it out of the group; `homie trust {which} --role none` keeps its jobs out"
        ))));
    }
    state.cards.remove(peer);
    state.unsaved = true;
    room.roster.wake.notify_one();
    let name = Some(which.trim().to_owned());
    let address = address.unwrap_or_default();
    Some(Ok(DirectPeer { address, name, linked: false, error: None, hint: None, heard_ms_ago: None }))
}
