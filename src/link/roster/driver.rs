//! Effect: the one task that makes our card, sends what others lack, and dials whom a card tells of.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use data_encoding::BASE64;

use super::super::connect::{self, Wanted};
use super::super::dialer::Target;
use super::super::messages::Cause;
use super::super::room::{Room, ask, lock};
use super::cards::Cards;
use super::file::{self, Document};
use super::introductions::{Outcome, Unmet};
use super::{finish, own, renew, send};
use crate::identity::{peer_id_of_key, verify};
use crate::model::{PeerId, Via};
use crate::net::OwnAddress;
use crate::registry::messages::OnAir;
use crate::wire::link::LinkFrame;
use crate::wire::roster::{CONTEXT, Card, MAX_IN_FRAME, encode, open};

/// So often it is looked whether our card is still true when nobody tells of a change: the port may have been opened late.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// So often it is asked which links must stay: twice before an idle one closes (60 s).
const KEEP_EVERY: Duration = Duration::from_secs(25);
/// Least time between two writes of the file.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Runs until the room closes.
pub(in crate::link) async fn run(room: Arc<Room>) {
    restore(&room).await;
    let mut closing = room.closing.subscribe();
    let mut networks = room.networks.clone();
    let (mut saved, mut kept) = (None::<Instant>, Instant::now());
    loop {
        let mut next = Instant::now() + LOOK_EVERY;
        if room.me().member.is_some() {
            next = next.min(pass(&room).await.unwrap_or(next));
            if kept.elapsed() >= KEEP_EVERY {
                kept = Instant::now();
                keep(&room).await;
            }
        }
        if lock(&room.roster.state).unsaved {
            let due = saved.map(|at| at + SAVE_EVERY);
            if due.is_none_or(|at| at <= Instant::now()) {
                save(&room).await;
                saved = Some(Instant::now());
            } else {
                next = next.min(due.unwrap_or(next));
            }
        }
        tokio::select! {
            _ = closing.wait_for(|c| *c) => break,
            () = room.roster.wake.notified() => {}
            _ = networks.changed() => {}
            () = tokio::time::sleep(next.saturating_duration_since(Instant::now())) => {}
        }
    }
    if lock(&room.roster.state).unsaved {
        save(&room).await;
    }
}

/// Does what is to be done now. When there is more, as far as that is known.
async fn pass(room: &Arc<Room>) -> Option<Instant> {
    let own = room.networks.now();
    introduce_ourselves(room, &own).await;
    let now = Instant::now();
    let (sends, later) = {
        let mut state = lock(&room.roster.state);
        let (outgoing, later) = state.cards.outgoing(now);
        let link = |serial| state.links.get(&serial).map(|(link, _)| link.clone());
        let sends: Vec<_> =
            outgoing.into_iter().filter_map(|(serial, news)| link(serial).map(|link| (link, news))).collect();
        (sends, later)
    };
    for (link, news) in sends {
        for some in news.chunks(MAX_IN_FRAME) {
            let cards = some.iter().map(|bytes| BASE64.encode(bytes)).collect();
            send(room, &link, LinkFrame::Cards { cards });
        }
    }
    let next = visit(room, &own).await;
    [later, next].into_iter().flatten().min()
}

/// Makes a new card when the last one is no longer true. Its number is on disk before anybody sees it.
async fn introduce_ourselves(room: &Arc<Room>, own: &[OwnAddress]) {
    let Some(says) = own::says(room, &room.me().name, own) else { return };
    let (generation, seq) = {
        let mut state = lock(&room.roster.state);
        let Some(generation) = state.cards.generation().filter(|_| state.told.as_ref() != Some(&says)) else { return };
        state.seq = state.seq.saturating_add(1);
        state.told = Some(says.clone());
        (generation, state.seq)
    };
    save(room).await;
    let own::Says { name, port, addresses } = says;
    let card = Card { generation, key: room.roster.identity.public_key(), seq, port, name, addresses };
    let signed = encode(&card);
    let signature = room.roster.identity.sign(CONTEXT, &signed);
    let bytes = [&signed[..], &signature].concat();
    let mut state = lock(&room.roster.state);
    // Unless there is another secret meanwhile.
    if state.cards.generation() == Some(generation) {
        tracing::debug!(seq, addresses = ?card.addresses, "our card");
        state.cards.publish(card, bytes.into(), Instant::now());
    }
}

/// Dials those whose time has come. When the next one's comes.
async fn visit(room: &Arc<Room>, own: &[OwnAddress]) -> Option<Instant> {
    let wish = *lock(&room.wish);
    let (due, next) = {
        let now = Instant::now();
        let mut state = lock(&room.roster.state);
        let state = &mut *state;
        let unmet = unmet(&state.cards, now, |card| own::leads_to(card, own, wish).len());
        state.introductions.retain(|peer| state.cards.get(peer).is_some());
        let (due, next) = state.introductions.due(&unmet, now);
        let target = |peer: PeerId| {
            let held = state.cards.get(peer)?;
            Some((peer, held.card.name.clone(), held.by.clone(), own::leads_to(&held.card, own, wish)))
        };
        (due.into_iter().filter_map(target).collect::<Vec<_>>(), next)
    };
    if due.is_empty() {
        return next;
    }
    let heard = on_air(room).await;
    for (peer, name, by, at) in due {
        if heard.contains(&peer) {
            finish(room, peer, Outcome::Heard);
            continue;
        }
        tracing::info!(%peer, name, by, ?at, "dialling a machine that others tell of");
        let at = at.into_iter().map(|addr| (Target::Addr(addr), Via::Direct)).collect();
        let wanted = Wanted { at, expect: Some(peer), unless: None, why: Cause::Introduced(peer) };
        room.spawn(connect::dial(room.clone(), wanted));
    }
    next
}

fn unmet(cards: &Cards, now: Instant, addresses: impl Fn(&Card) -> usize) -> Vec<Unmet> {
    let of = |(peer, held): (PeerId, &super::cards::Held)| Unmet {
        peer,
        seq: held.card.seq,
        addresses: addresses(&held.card),
        proven: held.proven,
    };
    cards.unmet(now).map(of).filter(|one| one.addresses > 0).collect()
}

/// Whose heartbeats come here: those need no link to be known.
async fn on_air(room: &Room) -> HashSet<PeerId> {
    ask(&room.registry.on_air, OnAir).await.unwrap_or_default().into_iter().collect()
}

/// A link to a member that no heartbeat of reaches us must stay, or it would be lost from sight.
async fn keep(room: &Room) {
    let heard = on_air(room).await;
    let state = lock(&room.roster.state);
    for (link, _) in state.links.values() {
        let needed = state.cards.get(link.peer).is_some() && !heard.contains(&link.peer);
        link.introduced.store(needed, Ordering::Relaxed);
    }
}

/// Takes back what was kept, and what it says of this group.
async fn restore(room: &Arc<Room>) {
    renew(room, false);
    let dir = room.state.clone();
    let read = tokio::task::spawn_blocking(move || {
        let document = file::load(&dir)?;
        let good = document.cards.iter().filter_map(|kept| {
            let sealed = open(&kept.bytes).ok()?;
            let right = verify(&sealed.card.key, CONTEXT, sealed.signed, sealed.signature);
            right.then(|| (peer_id_of_key(&sealed.card.key), sealed.card, kept.clone()))
        });
        Some((document.seq, document.generation, good.collect::<Vec<_>>()))
    });
    let Ok(Some((seq, generation, good))) = read.await else { return };
    let now = Instant::now();
    let mut state = lock(&room.roster.state);
    state.seq = state.seq.max(seq);
    // Of another group, or of a secret that changed without us.
    if generation.is_some() && generation == state.cards.generation() {
        for (peer, card, kept) in good {
            state.cards.restore(peer, card, kept, now);
        }
    }
}

async fn save(room: &Room) {
    let document = {
        let mut state = lock(&room.roster.state);
        state.unsaved = false;
        Document { seq: state.seq, generation: state.cards.generation(), cards: state.cards.keep(Instant::now()) }
    };
    let dir = room.state.clone();
    let saved = tokio::task::spawn_blocking(move || file::save(&dir, &document)).await;
    if let Ok(Err(error)) = saved {
        // They hold until homied ends, and friends know our number.
        tracing::warn!(%error, "cannot write down the machines that others introduced");
    }
}
