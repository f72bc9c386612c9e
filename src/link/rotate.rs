//! The group's secret changes because somebody is put out: everybody else gets the new one, nobody gets it twice wrong.
//!
//! Whoever changes it writes it down, tells the members over their links, and goes by it. Who was not there is told later:
//! at its last address, or when it dials us with the secret of before, which for members by name opens nothing but this
//! exchange. What is decided when two change it at once is [`Rotation::judge`]'s. Everybody passes on what its maker signed,
//! and only to those whom its maker knew.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::dialer::Target;
use super::error::LinkError;
use super::messages::KickPeer;
use super::room::{Room, ask, lock};
use super::secure::{Frames, Gate, Member, Pass, Secured, opens};
use crate::config::{Owed, Rotation, Verdict, Word};
use crate::identity::{peer_id_of_key, verify};
use crate::ipc::messages::ReloadConfig;
use crate::mailbox::ask_outlet;
use crate::model::{BootId, PeerId, PeerStatus, Via, generate_secret};
use crate::registry::messages::{ForgetPeer, ListPeers, ListPins};
use crate::sandbox::messages::{HostedJobs, StopJob};
use crate::secret::{GroupKeys, Secret};
use crate::wire::frame::Frame;
use crate::wire::group::Kicked;
use crate::wire::link::{LinkFrame, LinkReply, LinkRequest, Purpose};
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::rekey::{CONTEXT, Rekey};

/// How long a member may take to write the new secret down and say so.
const TOLD: Duration = Duration::from_secs(3);
/// How long a connection for nothing but the exchange may last.
const EXCHANGE: Duration = Duration::from_secs(10);
/// First wait before those who were not there are tried; most of them are met under the new secret meanwhile.
const FIRST_TRY: Duration = Duration::from_secs(1);
/// Longest wait between two tries.
const LAST_TRY: Duration = Duration::from_secs(60);
/// So long the secrets of before are kept when nobody is owed anything: two members may have changed it at once and not
/// have met since.
const SETTLED: Duration = Duration::from_secs(10 * 60);
/// Reading the config again: every room goes by it.
const RELOAD: Duration = Duration::from_secs(30);

/// What the room knows of it.
#[derive(Debug, Default)]
pub(super) struct Rotating {
    /// What was written down; `None` while the config's secret is in force.
    now: Option<Rotation>,
    /// The keys of the secrets of before, in their order.
    before: Vec<GroupKeys>,
}

/// `homie kick`.
pub(super) async fn kick(room: Arc<Room>, wish: KickPeer) -> Result<Kicked, Refusal> {
    let name = wish.name;
    let me = room.me();
    if name == me.name {
        return Err(Refusal::new(RefusalKind::BadRequest, "that is this machine itself")
            .hint("to leave the group: `homie setup --new-secret`"));
    }
    let known = everybody(&room).await?;
    let out = known.iter().find(|owed| owed.name == name).cloned().ok_or_else(|| {
        Refusal::new(RefusalKind::UnknownPeer, format!("no machine called {name} is known"))
            .hint("`homie trust` lists the known ones")
    })?;
    let secret = new_secret()?;
    let next = {
        let _one = room.rotation_change.lock().await;
        let standing = standing(&room).ok_or_else(|| LinkError::NoGroup.refusal())?;
        let kicked = [&standing.kicked[..], &[out.id]].concat();
        let members: Vec<PeerId> = std::iter::once(room.own).chain(known.iter().map(|owed| owed.id)).collect();
        let word = sign(&room, &standing, standing.draft(secret, &kicked, &members));
        take(&room, standing.next(word, known)).await?
    };
    tracing::warn!(name = out.name, id = %out.id, "put out of the group; the others get a new secret");
    let told = tell_everybody(&room, &next).await;
    let (told, absent): (Vec<_>, Vec<_>) = next.owed.iter().partition(|owed| told.contains(&owed.id));
    let names = |of: Vec<&Owed>| of.into_iter().map(|owed| owed.name.clone()).collect();
    settle_debts(&room, &next.secret, told.iter().map(|o| o.id).collect()).await;
    go_by_it(&room).await?;
    Ok(Kicked { name: out.name, id: out.id, told: names(told), absent: names(absent) })
}

/// Every other machine whose key is known, and where it was last.
async fn everybody(room: &Room) -> Result<Vec<Owed>, Refusal> {
    let rows = ask(&room.registry.list, ListPeers { offline: true }).await?;
    let pins = ask(&room.registry.pins, ListPins).await?;
    let mut all: Vec<Owed> = rows
        .into_iter()
        .filter(|row| row.via != Via::Own && row.id != room.own)
        .map(|row| {
            let address = (!row.addr.ip().is_unspecified() && row.addr.port() != 0).then(|| row.addr.to_string());
            Owed { id: row.id, name: row.name, address }
        })
        .collect();
    for pin in pins {
        if !all.iter().any(|owed| owed.id == pin.id) {
            all.push(Owed { id: pin.id, name: pin.name, address: None });
        }
    }
    Ok(all)
}

fn new_secret() -> Result<String, Refusal> {
    generate_secret().map_err(|e| Refusal::internal(format!("no random bytes for a secret: {e}")))
}

/// What this machine decides, for the others to see that it did.
fn sign(room: &Room, standing: &Rotation, mut said: Rekey) -> Word {
    let identity = room.roster.identity();
    said.key = HEXLOWER.encode(&identity.public_key());
    said.signature = HEXLOWER.encode(&identity.sign(CONTEXT, &said.signed(&standing.group)));
    Word { said, maker: room.own }
}

/// Who made it, if its signature is right.
fn made_by(said: &Rekey, group: &str) -> Option<PeerId> {
    let key: [u8; 32] = HEXLOWER.decode(said.key.as_bytes()).ok()?.try_into().ok()?;
    let signature: [u8; 64] = HEXLOWER.decode(said.signature.as_bytes()).ok()?.try_into().ok()?;
    verify(&key, CONTEXT, &said.signed(group), &signature).then(|| peer_id_of_key(&key))
}

/// What is in force; `None` without a group.
fn standing(room: &Room) -> Option<Rotation> {
    let rotating = lock(&room.rotating);
    if rotating.now.is_some() {
        return rotating.now.clone();
    }
    let me = room.me();
    let keys = me.member.as_ref()?.keys();
    Some(Rotation::none(keys.group(), keys.secret()))
}

/// Writes `next` down; from here on it is what we tell others.
async fn take(room: &Room, next: Rotation) -> Result<Rotation, Refusal> {
    save(room, &next).await?;
    lock(&room.rotating).now = Some(next.clone());
    Ok(next)
}

async fn save(room: &Room, rotation: &Rotation) -> Result<(), Refusal> {
    let (rotation, state) = (rotation.clone(), room.state.clone());
    let written = tokio::task::spawn_blocking(move || rotation.save(&state)).await;
    Ok(written.map_err(|_| super::room::shutting_down())??)
}

/// Tells whoever is there over its link. Gives those who have written it down.
async fn tell_everybody(room: &Arc<Room>, next: &Rotation) -> HashSet<PeerId> {
    let Ok(rows) = ask(&room.registry.list, ListPeers { offline: false }).await else { return HashSet::new() };
    let Some(word) = &next.word else { return HashSet::new() };
    let there = rows.into_iter().filter(|r| r.status != PeerStatus::Offline && next.owed.iter().any(|o| o.id == r.id));
    let tell = |id: PeerId| async move {
        let told = async {
            let link = room.reach(id).await?;
            link.request(LinkRequest::Rekey(word.said.clone()), TOLD).await
        };
        timeout(TOLD, told).await.is_ok_and(|answer| answer.is_ok()).then_some(id)
    };
    let told: FuturesUnordered<_> = there.map(|row| tell(row.id)).collect();
    told.filter_map(std::future::ready).collect().await
}

/// Some of the owed have it.
async fn settle_debts(room: &Room, secret: &Secret, paid: Vec<PeerId>) {
    let _one = room.rotation_change.lock().await;
    let after = {
        let mut rotating = lock(&room.rotating);
        let Some(now) = rotating.now.as_mut().filter(|now| now.secret == *secret) else { return };
        let before = now.owed.len();
        now.owed.retain(|owed| !paid.contains(&owed.id));
        (now.owed.len() != before).then(|| now.clone())
    };
    if let Some(after) = after
        && let Err(refusal) = save(room, &after).await
    {
        tracing::warn!(%refusal, "cannot write down who has the group's new secret");
    }
}

/// A member says that another secret is in force. What comes of it is the room's and ends with no connection: once it is
/// written down, this machine goes by it, but not before `answered` is gone, since that closes the link.
///
/// # Errors
/// It is not taken; the refusal says why.
pub(super) async fn hear(
    room: &Arc<Room>,
    from: PeerId,
    over: &Secret,
    said: Rekey,
    answered: oneshot::Receiver<()>,
) -> Result<(), Refusal> {
    let (tell, told) = oneshot::channel();
    let (hearing, over) = (room.clone(), over.clone());
    room.spawn(async move {
        let heard = take_in(&hearing, from, &over, said).await;
        let is_news = matches!(heard, Ok(true));
        let _ = tell.send(heard.map(|_| ()));
        let _ = answered.await;
        if is_news && let Err(refusal) = go_by_it(&hearing).await {
            tracing::error!(%refusal, "the group's new secret is not in force here");
        }
    });
    told.await.unwrap_or_else(|_| Err(super::room::shutting_down()))
}

/// Whether it is now ours too and not in force yet.
async fn take_in(room: &Room, from: PeerId, over: &Secret, said: Rekey) -> Result<bool, Refusal> {
    let refuse = |text: &str| Refusal::new(RefusalKind::NotAllowed, text);
    let known = everybody(room).await?;
    let _one = room.rotation_change.lock().await;
    let Some(standing) = standing(room) else { return Ok(false) };
    if standing.kicked.contains(&from) {
        return Err(refuse("you were put out of the group")
            .hint("a member can bring you back: `homie invite` there, `homie join` here"));
    }
    let maker = made_by(&said, &standing.group).ok_or_else(|| {
        refuse("whoever made the new secret has not signed it")
            .hint("update Homie on the machine that put somebody out")
    })?;
    let news = Word { said, maker };
    let next = match standing.judge(&news, over, room.own) {
        // Should going by it have failed before.
        Verdict::Known => return Ok(!in_force(room, &standing.secret)),
        Verdict::Ours => {
            return Err(
                refuse("another secret counts here").hint("nothing is to be done: it is told to whoever may have it")
            );
        }
        Verdict::Theirs => {
            let known = known.into_iter().filter(|owed| owed.id != from).collect();
            let owed = those_who_may(known, &news.said);
            standing.next(news, owed)
        }
        Verdict::Fresh => {
            let (both, draft) = standing.draft_for_both(&news, new_secret()?);
            let owed = those_who_may(known, &draft);
            let word = sign(room, &standing, draft);
            both.next(word, owed)
        }
        Verdict::Apart => {
            tracing::warn!(%from, maker = %news.maker, "goes by another secret, from a machine that is no member here");
            return Err(refuse("the machine that made this secret is no member here")
                .hint("`homie invite` here and `homie join` there bring it back"));
        }
    };
    take(room, next).await?;
    tracing::warn!(%from, "the group has a new secret, because somebody was put out of it");
    Ok(true)
}

/// Whom this machine tells. Others that it knows may have come after the secret was made, or be somebody who was put out
/// under another key.
fn those_who_may(known: Vec<Owed>, said: &Rekey) -> Vec<Owed> {
    let (owed, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|owed| said.members.contains(&owed.id));
    let names: Vec<&str> =
        others.iter().filter(|other| !said.kicked.contains(&other.id)).map(|other| &other.name[..]).collect();
    if !names.is_empty() {
        tracing::warn!(?names, "unknown to whoever made the group's new secret, so they come back by an invitation");
    }
    owed
}

fn in_force(room: &Room, secret: &Secret) -> bool {
    room.me().member.as_ref().is_some_and(|member| member.keys().secret() == secret)
}

/// Nobody here knows them any more, and their jobs end.
async fn forget_the_kicked(room: &Room) -> Result<(), Refusal> {
    let kicked = standing(room).map(|s| s.kicked).unwrap_or_default();
    for peer in &kicked {
        ask(&room.registry.forget, ForgetPeer { peer: *peer }).await?;
    }
    for record in ask(&room.sandbox.hosted, HostedJobs).await? {
        let Some(from) = record.peer.filter(|from| kicked.contains(from) && !record.is_terminal()) else { continue };
        let by = "the removal of its sender from the group".to_owned();
        let stop = StopJob { from, job: record.id, epoch: record.epoch, by };
        if let Err(refusal) = ask(&room.sandbox.stop, stop).await? {
            tracing::warn!(job = %record.id.short(), %refusal, "a job of somebody who was put out was not stopped");
        }
    }
    Ok(())
}

/// Makes the whole machine go by what was written down: who was put out is forgotten, and so are their jobs here.
pub(super) async fn go_by_it(room: &Arc<Room>) -> Result<(), Refusal> {
    forget_the_kicked(room).await?;
    // Reading the config again brings the new secret to every room, and closes the links of the old one.
    let reload = room.reload.get().ok_or_else(super::room::shutting_down)?;
    ask_outlet(reload, ReloadConfig, RELOAD).await.map_err(|e| Refusal::internal(e.to_string()))??;
    Ok(())
}

/// We are who the config and the state directory say: learns what is owed, and pays it in the background.
pub(super) async fn resume(room: Arc<Room>) {
    let me = room.me();
    let Some(keys) = me.member.as_ref().map(|member| member.keys().clone()) else {
        *lock(&room.rotating) = Rotating::default();
        return;
    };
    let (state, group, secret) = (room.state.clone(), keys.group().to_owned(), keys.secret().clone());
    {
        let _one = room.rotation_change.lock().await;
        let read = tokio::task::spawn_blocking(move || {
            // What was written down a moment ago may not be in force yet; its reload is under way.
            let ours = |r: &Rotation| r.group == group && (r.secret == secret || r.previous.contains(&secret));
            let now = Rotation::load(&state).ok().flatten().filter(ours);
            let before = now.iter().flat_map(|now| &now.previous).map(|old| GroupKeys::derive(old, &group)).collect();
            (now, before)
        });
        let Ok((now, before)) = read.await else { return };
        *lock(&room.rotating) = Rotating { now, before };
    }
    // Should homied have ended between writing it down and going by it.
    if let Err(refusal) = forget_the_kicked(&room).await {
        tracing::warn!(%refusal, "whoever was put out of the group is not forgotten here");
    }
    pay(&room, me.boot).await;
}

/// Tries those who were not there, for as long as we are who we are.
async fn pay(room: &Arc<Room>, ours: BootId) {
    let mut pause = FIRST_TRY;
    let mut closing = room.closing.subscribe();
    loop {
        tokio::select! {
            _ = closing.wait_for(|c| *c) => return,
            () = sleep(pause) => {}
        }
        if room.me().boot != ours {
            return;
        }
        let (owed, before) = {
            let rotating = lock(&room.rotating);
            let Some(now) = &rotating.now else { return };
            if now.previous.is_empty() {
                return;
            }
            (now.owed.clone(), rotating.before.clone())
        };
        if owed.is_empty() {
            tokio::select! {
                _ = closing.wait_for(|c| *c) => return,
                () = sleep(SETTLED) => {}
            }
            forget_the_past(room, ours).await;
            return;
        }
        let tries: FuturesUnordered<_> = owed.iter().map(|owed| visit(room, owed, &before)).collect();
        tries.collect::<Vec<()>>().await;
        pause = (pause * 2).min(LAST_TRY);
    }
}

async fn forget_the_past(room: &Room, ours: BootId) {
    let _one = room.rotation_change.lock().await;
    let after = {
        let mut rotating = lock(&room.rotating);
        let Some(now) = rotating.now.as_mut().filter(|now| now.owed.is_empty() && room.me().boot == ours) else {
            return;
        };
        now.previous.clear();
        now.kicked.clear();
        let after = now.clone();
        rotating.before.clear();
        after
    };
    if let Err(refusal) = save(room, &after).await {
        tracing::warn!(%refusal, "cannot drop the group's secrets of before");
    }
}

/// Dials somebody who may still have a secret of before, and tells it the one in force.
async fn visit(room: &Arc<Room>, owed: &Owed, before: &[GroupKeys]) {
    let Some(address) = &owed.address else { return };
    let me = room.me();
    for keys in before {
        let past = Member::new(room.tls.clone(), room.own, keys.clone(), me.name.clone(), me.boot);
        let told = async {
            let stream = room.routes.dial(&Target::Name(address.clone())).await?.stream;
            past.dial_only(stream, room.worker_port(), Purpose::Control, owed.id, address).await
        };
        match told.await {
            Ok(secured) => {
                exchange(room, secured.peer, keys.secret(), secured.control()).await;
                return;
            }
            Err(LinkError::Silent) => {}
            // Nobody is there, or somebody else.
            Err(_) => return,
        }
    }
}

/// Which secret of before opens the gate with these bytes.
pub(super) fn opened_by(room: &Room, gate: &Gate) -> Option<(Pass, GroupKeys)> {
    lock(&room.rotating).before.iter().find(|keys| opens(keys, gate)).map(|keys| (Pass::Before, keys.clone()))
}

/// Whether the holder of this key, who came with a secret of before, may hear of the new one.
pub(super) fn may_hear(room: &Room, peer: PeerId) -> bool {
    let may = |now: &Rotation| now.members().contains(&peer) || now.owed.iter().any(|owed| owed.id == peer);
    lock(&room.rotating).now.as_ref().is_some_and(|now| !now.kicked.contains(&peer) && may(now))
}

/// Whether this peer was put out and has not left yet.
pub(super) fn is_out(room: &Room, peer: PeerId) -> bool {
    lock(&room.rotating).now.as_ref().is_some_and(|now| now.kicked.contains(&peer))
}

/// Somebody came with a secret of before.
pub(super) async fn receive(room: &Arc<Room>, secured: Secured) {
    let (peer, over) = (secured.peer, secured.over.clone());
    exchange(room, peer, &over, secured.control()).await;
}

/// Tells the other side what is in force here, hears what is in force there, and hangs up.
async fn exchange(room: &Arc<Room>, peer: PeerId, over: &Secret, mut frames: Frames) {
    let mut answered = Vec::new();
    let talk = async {
        let Some(mine) = standing(room) else { return Ok(()) };
        if let Some(word) = &mine.word {
            let request = LinkRequest::Rekey(word.said.clone());
            frames.send(Frame::json(&LinkFrame::Request { id: 1, request })?).await?;
        }
        while let Some(frame) = frames.next().await {
            // Facts and what else a link carries are of no interest here.
            let Ok(message) = frame?.parse::<LinkFrame>() else { continue };
            match message {
                LinkFrame::Request { id, request: LinkRequest::Rekey(said) } => {
                    let (after, before) = oneshot::channel();
                    answered.push(after);
                    let reply = hear(room, peer, over, said, before).await.map(|()| LinkReply::Done);
                    frames.send(Frame::json(&LinkFrame::Reply { id, reply })?).await?;
                }
                LinkFrame::Reply { id: 1, reply } => {
                    match reply {
                        Ok(_) => settle_debts(room, &mine.secret, vec![peer]).await,
                        Err(refusal) => tracing::debug!(%peer, %refusal, "does not take the group's new secret"),
                    }
                    break;
                }
                _ => {}
            }
        }
        let _ = SinkExt::<Frame>::close(&mut frames).await;
        Ok::<(), crate::wire::frame::FrameError>(())
    };
    match timeout(EXCHANGE, talk).await {
        Ok(Ok(())) => tracing::info!(%peer, "spoke of the group's new secret"),
        other => tracing::debug!(%peer, ?other, "an exchange about the group's secret broke off"),
    }
}

/// A link to `peer` is up under the secret in force: it is owed nothing, and if it was put out it was let in again.
pub(super) fn met(room: &Arc<Room>, peer: PeerId) {
    let changed = {
        let me = room.me();
        let mut rotating = lock(&room.rotating);
        let Some(now) = &mut rotating.now else { return };
        if me.member.as_ref().is_none_or(|member| *member.keys().secret() != now.secret) {
            return;
        }
        let before = (now.owed.len(), now.kicked.len());
        now.owed.retain(|owed| owed.id != peer);
        now.kicked.retain(|id| *id != peer);
        before != (now.owed.len(), now.kicked.len())
    };
    if changed {
        let room_of_task = room.clone();
        room.spawn(async move {
            let _one = room_of_task.rotation_change.lock().await;
            let now = lock(&room_of_task.rotating).now.clone();
            if let Some(now) = now
                && let Err(refusal) = save(&room_of_task, &now).await
            {
                tracing::warn!(%refusal, "cannot write down who has the group's new secret");
            }
        });
    }
}
