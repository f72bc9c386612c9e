//! How a machine becomes a member by a token: what the one who invites does, and what the one who joins does.
//!
//! The token's secret opens the gate and proves itself inside TLS as the group's secret does between members, so it
//! never crosses the network, a stranger at the same address learns nothing, and somebody in between is noticed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;

use super::dialer::Target;
use super::direct::address_of;
use super::error::LinkError;
use super::invites::GOOD_FOR;
use super::messages::{JoinGroup, OpenInvite};
use super::room::{Me, NO_GROUP, Room, ask, lock};
use super::roster;
use super::secure::{Frames, Gate, Member, Pass, SETUP_LIMIT, Secured};
use crate::model::{PeerId, TOKEN_ADDRESSES, TOKEN_SECRET_BYTES, Token, visible_controls};
use crate::registry::messages::ListPins;
use crate::secret::GroupKeys;
use crate::wire::frame::Frame;
use crate::wire::group::{Invited, Joined};
use crate::wire::link::{Purpose, Welcome, Welcomed};
use crate::wire::refusal::{Refusal, RefusalKind};

/// The last words to who joined: one frame on a connection that stands.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// `homie invite`.
pub(super) async fn invite(room: Arc<Room>, wish: OpenInvite) -> Result<Invited, Refusal> {
    let port = lock(&room.listening).clone().map_err(|why| {
        let hint = if why == NO_GROUP { "`homie setup` starts a group" } else { "`homie doctor` tells more" };
        Refusal::new(RefusalKind::Config, why).hint(hint)
    })?;
    let mut addresses = wish.at.iter().map(|at| address_of(at)).collect::<Result<Vec<_>, _>>()?;
    addresses.extend(reachable_at(&room, port));
    addresses.truncate(TOKEN_ADDRESSES);
    let mut secret = [0; TOKEN_SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|e| Refusal::internal(format!("no random bytes for a token: {e}")))?;
    let token = written(Token { secret, inviter: room.own, addresses: addresses.clone() })?;
    lock(&room.invites).open(&secret, Instant::now())?;
    let good_for_ms = u64::try_from(GOOD_FOR.as_millis()).unwrap_or(u64::MAX);
    Ok(Invited { token, addresses, good_for_ms })
}

/// The line to paste. Read back first: a friend who is told that the token is damaged would paste it again and again.
fn written(token: Token) -> Result<String, Refusal> {
    let line = token.to_string();
    if line.parse() == Ok(token) { Ok(line) } else { Err(Refusal::internal("the token that was made cannot be read")) }
}

/// Where friends may find this machine; on itself only if it has no other address.
fn reachable_at(room: &Room, port: u16) -> Vec<String> {
    let mut found = roster::told(&room.networks.now(), *lock(&room.wish));
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    found.into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect()
}

/// Which invitation opens the gate with these bytes.
pub(super) fn opened_by(room: &Room, gate: &Gate) -> Option<(Pass, GroupKeys)> {
    lock(&room.invites).opened_by(gate).map(|(number, keys)| (Pass::Invite(number), keys))
}

/// Somebody has proven to hold the token of invitation `number`: it is used up, and its holder is a member.
pub(super) async fn welcome(room: &Room, me: &Me, number: u64, peer: PeerId, name: &str, mut frames: Frames) {
    let answer: Welcomed = admit(room, me, number, peer, name).await;
    match &answer {
        Ok(_) => tracing::info!(%peer, name = visible_controls(name.as_bytes()), "joined the group by invitation"),
        Err(refusal) => tracing::warn!(%peer, %refusal, "an invitation was not honoured"),
    }
    let _ = timeout(LAST_WORDS, async {
        if let Ok(frame) = Frame::json(&answer) {
            let _ = frames.send(frame).await;
        }
        let _ = SinkExt::<Frame>::close(&mut frames).await;
    })
    .await;
}

async fn admit(room: &Room, me: &Me, number: u64, peer: PeerId, name: &str) -> Welcomed {
    let pins = ask(&room.registry.pins, ListPins).await?;
    // Its first link would be refused; now the token is still good afterwards.
    if name == me.name || pins.iter().any(|pin| pin.name == name && pin.id != peer) {
        return Err(Refusal::new(RefusalKind::NotAllowed, format!("the group has a machine called {name} already"))
            .hint("give this one another name, `homie config set name NEW`, and join again: the token is still good"));
    }
    let member = me.member.as_ref().ok_or_else(|| LinkError::NoGroup.refusal())?;
    lock(&room.invites).admit(number, peer, Instant::now())?;
    let keys = member.keys();
    Ok(Welcome { group: keys.group().to_owned(), secret: keys.secret().reveal().to_owned() })
}

/// `homie join`: finds who invited at one of its addresses and becomes a member. This machine is not changed by it.
pub(super) async fn join(room: Arc<Room>, wish: JoinGroup) -> Result<Joined, Refusal> {
    let token = wish.token;
    if token.inviter == room.own {
        return Err(Refusal::new(RefusalKind::BadRequest, "this invitation was made on this very machine")
            .hint("run `homie join` on the machine that shall become a member"));
    }
    if token.addresses.is_empty() {
        return Err(Refusal::new(RefusalKind::BadRequest, "the token has no address"));
    }
    let me = room.me();
    let keys = GroupKeys::of_token(&token.secret);
    let guest = Member::new(room.tls.clone(), room.own, keys, me.name.clone(), me.boot);
    let mut tries: FuturesUnordered<_> = token.addresses.iter().map(|at| knock(&room, &guest, &token, at)).collect();
    let mut failed = Vec::new();
    while let Some((at, tried)) = tries.next().await {
        let error = match tried {
            Ok(secured) => return become_member(secured, at).await,
            Err(error) => error,
        };
        failed.push((at, error));
    }
    Err(nobody_there(&failed))
}

async fn knock<'a>(room: &Room, guest: &Member, token: &Token, at: &'a str) -> (&'a str, Result<Secured, LinkError>) {
    let tried = async {
        let stream = room.routes.dial(&Target::Name(at.to_owned())).await?.stream;
        guest.dial_only(stream, room.worker_port(), Purpose::Join, token.inviter, at).await
    };
    (at, tried.await)
}

async fn become_member(secured: Secured, at: &str) -> Result<Joined, Refusal> {
    let Secured { mut frames, peer, hello, .. } = secured;
    let broke = || {
        Refusal::new(
            RefusalKind::Unreachable,
            format!("the connection to {} broke", visible_controls(hello.name.as_bytes())),
        )
        .hint("run the same command again: the token is still good for this machine")
    };
    let said = timeout(SETUP_LIMIT, frames.next()).await.ok().flatten().ok_or_else(broke)?;
    let welcomed: Welcomed = said.and_then(|frame| frame.parse()).map_err(|_| broke())?;
    let Welcome { group, secret } = welcomed?;
    Ok(Joined { group, secret, inviter: hello.name, id: peer, address: at.to_owned() })
}

/// What is said when no address led to who invited.
fn nobody_there(failed: &[(&str, LinkError)]) -> Refusal {
    let tried: Vec<String> = failed.iter().map(|(at, error)| format!("{at}: {}", plainly(error))).collect();
    let text = format!("no address of the invitation led to the machine that made it: {}", tried.join("; "));
    let refusal = Refusal::new(RefusalKind::Unreachable, text);
    let any = |which: fn(&LinkError) -> bool| failed.iter().any(|(_, error)| which(error));
    if any(|e| matches!(e, LinkError::Silent)) {
        refusal.hint(
            "an invitation is void once a machine has used it, after 15 minutes, when homied is restarted there, and when \
             somebody is put out of the group: ask for another one",
        )
    } else if any(|e| matches!(e, LinkError::Stranger { .. })) {
        refusal.hint(
            "another machine lives at that address now, or you are in another network: ask for another invitation",
        )
    } else {
        refusal.hint("are both machines in the same network or VPN, and does the firewall there let TCP 5556 through?")
    }
}

fn plainly(error: &LinkError) -> String {
    match error {
        LinkError::Silent => "closed without a word: it knows no such invitation, or it is not Homie".into(),
        LinkError::Stranger { .. } => "another machine answers there".into(),
        LinkError::Connect { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_nobody_could_read_is_not_given_out() {
        let at =
            |address: &str| Token { secret: [7; 16], inviter: PeerId([9; 32]), addresses: vec![address.to_owned()] };
        let line = written(at("raj.example:5556")).expect("readable");
        assert_eq!(line.parse(), Ok(at("raj.example:5556")));
        for address in ["b\u{fc}cher.example:5556", "raj]:5556", "raj", "raj:x"] {
            assert!(written(at(address)).is_err(), "{address}");
        }
    }

    #[test]
    fn why_no_address_led_to_the_inviter_is_one_line() {
        let failed = [("10.0.0.1:5556", LinkError::Silent), ("raj.local:5556", LinkError::NoHello)];
        let refusal = nobody_there(&failed);
        // Control characters of other machines' words are shown as what they are, so a line break would be, too.
        assert!(!refusal.message.contains('\n'), "{refusal}");
        assert!(failed.iter().all(|(at, _)| refusal.message.contains(at)), "{refusal}");
        assert!(refusal.hint.expect("one").contains("void"));
    }
}
