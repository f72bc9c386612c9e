//! The mailbox: which links there are, which must be there, and who waits for one. It decides; tasks do the work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseFuture, SpawnHandle};
use tokio::task::AbortHandle;

use super::calls;
use super::direct::{DirectPeers, address_of};
use super::error::LinkError;
use super::greet::Greetings;
use super::handle::{Ending, Link};
use super::join;
use super::listener;
use super::messages::*;
use super::parts::{LinkParts, assemble};
use super::room::{BackEdges, Me, NO_GROUP, Own, Room, lock};
use super::roster;
use super::rotate;
use super::secure::Member;
use super::table::LinkTable;
use super::tickets::Tickets;
use super::tls::Tls;
use crate::config::Listen;
use crate::mailbox::{Door, MAILBOX, tell_outlet};
use crate::model::{Digest, HostedStatus, PeerId, Totals, Way};
use crate::registry::messages::{PathTried, PeerUnlinked, Tried};
use crate::wire::group::{Invited, Joined, Kicked};
use crate::wire::ipc::DirectPeer;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Least time between two looks at who must be dialled, so that whatever is due for ever cannot spin.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How long closing may take: a goodbye on each link, all at the same time, each within half a second.
const CLOSE_LIMIT: Duration = Duration::from_millis(600);

/// Starts the room.
///
/// # Errors
/// TLS cannot be set up with our key, which cannot happen with one that was loaded.
pub fn start(parts: LinkParts) -> Result<Door<PeerLinkActor>, LinkError> {
    let tls = Tls::new(&parts.identity).map_err(|e| LinkError::Tls(e.to_string()))?;
    let (port, wish) = (parts.worker_port, parts.listen);
    Ok(PeerLinkActor::create(|ctx| {
        let me = ctx.address();
        let own = Own {
            up: me.clone().into(),
            down: me.clone().into(),
            dialled: me.clone().into(),
            reach: me.clone().into(),
            doubted: me.clone().into(),
            addresses: me.into(),
        };
        let (room, direct) = assemble(parts, &tls, own);
        let (table, greetings) = (LinkTable::default(), Greetings::default());
        PeerLinkActor { room, port, wish, listener: None, table, direct, greetings, next_look: None }
    }))
}

/// Owns the links.
pub struct PeerLinkActor {
    pub(super) room: Arc<Room>,
    port: u16,
    wish: Listen,
    listener: Option<AbortHandle>,
    pub(super) table: LinkTable,
    pub(super) direct: DirectPeers,
    pub(super) greetings: Greetings,
    next_look: Option<SpawnHandle>,
}

impl std::fmt::Debug for PeerLinkActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerLinkActor").field("own", &self.room.own).field("links", &self.table.len()).finish()
    }
}

impl Actor for PeerLinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.resume_rotation();
        self.room.spawn(listener::watch_addresses(self.room.clone()));
        self.listen();
        self.room.spawn(roster::run(self.room.clone()));
        self.look(ctx);
    }
}

impl PeerLinkActor {
    /// Opens the port, if there is anybody who may come in.
    fn listen(&mut self) {
        if let Some(before) = self.listener.take() {
            before.abort();
        }
        if self.is_alone() {
            *lock(&self.room.listening) = Err(NO_GROUP.into());
            return;
        }
        let bound = listener::try_bind(&self.room, self.port, self.wish);
        self.listener = Some(self.room.spawn(listener::listen(self.room.clone(), self.port, self.wish, bound)));
    }

    /// Who we are is new: so may be whom the group's secret is owed to.
    fn resume_rotation(&self) {
        self.room.spawn(rotate::resume(self.room.clone()));
    }

    /// Whether this machine is in no group.
    pub(super) fn is_alone(&self) -> bool {
        self.room.me().member.is_none()
    }

    pub(super) fn is_up(&self, peer: PeerId) -> bool {
        self.table.get(peer).is_some()
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.room.closing.borrow()
    }

    /// Dials whom it is time to dial, and wakes when it will be time for the next: a machine at rest is not woken.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.tick(Instant::now());
        let direct = self.direct.next_due(|p| self.table.get(p).is_some());
        let next = [direct, self.greetings.next_due()].into_iter().flatten().min();
        if let Some(before) = self.next_look.take() {
            ctx.cancel_future(before);
        }
        if let Some(next) = next.filter(|_| !self.is_alone() && !self.is_closing()) {
            let pause = next.saturating_duration_since(Instant::now()).max(LEAST_PAUSE);
            self.next_look = Some(ctx.run_later(pause, |actor, ctx| {
                actor.next_look = None;
                actor.look(ctx);
            }));
        }
    }
}

impl Handler<Reach> for PeerLinkActor {
    type Result = ResponseFuture<Result<Arc<Link>, Refusal>>;
    fn handle(&mut self, message: Reach, _: &mut Self::Context) -> Self::Result {
        self.reach(message.peer)
    }
}

impl Handler<LinkUp> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: LinkUp, _: &mut Self::Context) {
        self.take(message.link);
    }
}

impl Handler<LinkDoubted> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: LinkDoubted, _: &mut Self::Context) {
        self.doubt(message.link);
    }
}

impl Handler<AddressesChanged> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: AddressesChanged, _: &mut Self::Context) {
        for link in self.table.cut_off(|ip| message.own.contains(&ip)) {
            self.doubt(link);
        }
    }
}

impl Handler<LinkDown> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: LinkDown, ctx: &mut Self::Context) {
        let link = message.link;
        let peer = link.peer;
        if let Ending::Refused(refusal) = &message.ending {
            self.direct.refused(peer, refusal, Instant::now());
        }
        let counted = self.table.remove(&link);
        if let Some(way) = self.table.lost_way(&link, &message.ending) {
            tell_outlet(&self.room.registry.tried, PathTried { peer, way, tried: Tried::Failed });
        }
        if !counted {
            return;
        }
        if !link.own {
            let goodbye = matches!(message.ending, Ending::Goodbye { restart: false });
            tell_outlet(&self.room.registry.unlinked, PeerUnlinked { peer, goodbye });
        }
        self.changed(peer, false, link.silent_for());
        self.look(ctx);
    }
}

impl Handler<Dialled> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: Dialled, ctx: &mut Self::Context) {
        let stale = message.ours != self.room.me().boot;
        let mut jitter = [0];
        let _ = getrandom::fill(&mut jitter);
        match message.why {
            Cause::Direct(address) => {
                self.direct.dialled(&address, message.result, Instant::now(), jitter[0]);
                self.mark_kept();
                self.look(ctx);
            }
            Cause::Introduced(peer) => roster::dialled(&self.room, peer, &message.result),
            Cause::Peer(peer) | Cause::Greeting(peer, _) | Cause::Doubt(peer) => {
                let greeted = match message.why {
                    Cause::Greeting(_, addr) => Some(addr),
                    _ => None,
                };
                if let Some(addr) = greeted {
                    self.greetings.dialled(addr, message.result.is_ok());
                }
                if stale && self.table.is_awaited(peer) {
                    // Whoever waits has not asked to be told that we are somebody else now.
                    return self.call(peer);
                }
                // After a success LinkUp has answered them; but a link may have gone again before this word came.
                let refusal = message.result.err().unwrap_or_else(|| {
                    Refusal::new(RefusalKind::Unreachable, "the link was closed as soon as it was up")
                });
                self.table.disappoint(peer, &refusal);
                if greeted.is_some() {
                    // It has left its place to the next.
                    self.look(ctx);
                }
            }
        }
    }
}

impl Handler<ConnectScheduler> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: ConnectScheduler, _: &mut Self::Context) {
        let _ = self.room.back.set(BackEdges { reports: message.reports, changed: message.changed });
        for peer in self.table.peers() {
            self.changed(peer, true, Duration::ZERO);
        }
    }
}

impl Handler<ConnectIpc> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: ConnectIpc, _: &mut Self::Context) {
        let _ = self.room.reload.set(message.reload);
    }
}

impl Handler<Greet> for PeerLinkActor {
    type Result = ();
    fn handle(&mut self, message: Greet, ctx: &mut Self::Context) {
        let (peer, way) = (message.peer, Way::Straight(message.addr));
        if self.is_alone() || !self.table.is_of_use(peer, &way, self.room.own) {
            return;
        }
        let now = Instant::now();
        if self.greetings.plan(self.room.own, message.peer, message.addr, message.friend, now) {
            self.look(ctx);
        }
    }
}

impl Handler<AddDirect> for PeerLinkActor {
    type Result = Result<DirectPeer, Refusal>;
    fn handle(&mut self, message: AddDirect, ctx: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let entry = self.direct.add(address_of(&message.address)?, message.name, now)?.clone();
        self.look(ctx);
        Ok(self.table.view(&entry))
    }
}

impl Handler<RemoveDirect> for PeerLinkActor {
    type Result = Result<DirectPeer, Refusal>;
    fn handle(&mut self, message: RemoveDirect, _: &mut Self::Context) -> Self::Result {
        let entry = self.direct.remove(&message.which)?;
        self.mark_kept();
        Ok(self.table.view(&entry))
    }
}

impl Handler<ForgetIntroduced> for PeerLinkActor {
    type Result = MessageResult<ForgetIntroduced>;
    fn handle(&mut self, message: ForgetIntroduced, _: &mut Self::Context) -> Self::Result {
        MessageResult(roster::remove(&self.room, &message.which))
    }
}

impl Handler<ListDirect> for PeerLinkActor {
    type Result = Vec<DirectPeer>;
    fn handle(&mut self, _: ListDirect, _: &mut Self::Context) -> Self::Result {
        self.direct.list().iter().map(|entry| self.table.view(entry)).collect()
    }
}

impl Handler<Listening> for PeerLinkActor {
    type Result = Result<u16, String>;
    fn handle(&mut self, _: Listening, _: &mut Self::Context) -> Self::Result {
        lock(&self.room.listening).clone()
    }
}

impl Handler<ListeningAt> for PeerLinkActor {
    type Result = MessageResult<ListeningAt>;
    fn handle(&mut self, _: ListeningAt, _: &mut Self::Context) -> Self::Result {
        let places = lock(&self.room.places).clone();
        MessageResult((places.at, places.left_out))
    }
}

impl Handler<ChangeSelf> for PeerLinkActor {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, message: ChangeSelf, ctx: &mut Self::Context) -> Self::Result {
        if self.is_closing() {
            return Box::pin(async {});
        }
        let ChangeSelf { keys, name, boot, worker_port, listen, same_group } = message;
        let was_alone = self.is_alone();
        let member = keys.map(|keys| Member::new(self.room.tls.clone(), self.room.own, keys, name.clone(), boot));
        self.room.me.send_replace(Arc::new(Me { member, name, boot }));
        *lock(&self.room.tickets) = Tickets::default();
        lock(&self.room.invites).void();
        *lock(&self.room.wish) = listen;
        roster::renew(&self.room, same_group);
        self.resume_rotation();
        if self.port != worker_port || self.wish != listen || was_alone != self.is_alone() {
            (self.port, self.wish) = (worker_port, listen);
            self.listen();
        }
        let ended = self.table.renew(same_group);
        self.greetings = Greetings::default();
        self.direct.try_all_again(Instant::now());
        self.look(ctx);
        Box::pin(async move {
            let over = async {
                for link in &ended {
                    link.wait_over().await;
                }
            };
            let _ = tokio::time::timeout(CLOSE_LIMIT, over).await;
        })
    }
}

impl Handler<CloseLinks> for PeerLinkActor {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, message: CloseLinks, _: &mut Self::Context) -> Self::Result {
        self.room.closing.send_replace(true);
        self.table.close(message.restart);
        let room = self.room.clone();
        Box::pin(async move {
            let mut tasks = std::mem::take(&mut *lock(&room.tasks));
            let _ = tokio::time::timeout(CLOSE_LIMIT, async { while tasks.join_next().await.is_some() {} }).await;
        })
    }
}

macro_rules! calls {
    ($($message:ident => $call:path, $answer:ty;)*) => {$(
        impl Handler<$message> for PeerLinkActor {
            type Result = ResponseFuture<Result<$answer, Refusal>>;
            fn handle(&mut self, message: $message, _: &mut Self::Context) -> Self::Result {
                Box::pin(self.room.run($call(self.room.clone(), message)))
            }
        }
    )*};
}

calls! {
    OfferJob => calls::offer, HostedStatus;
    SendInputs => calls::send_inputs, u64;
    FollowOutput => calls::follow, u64;
    FetchResults => calls::fetch_results, Totals;
    FetchEnv => calls::fetch_env, Digest;
    QueryJob => calls::query, HostedStatus;
    StopRemoteJob => calls::stop, HostedStatus;
    AcknowledgeJob => calls::acknowledge, ();
    OpenInvite => join::invite, Invited;
    JoinGroup => join::join, Joined;
    KickPeer => rotate::kick, Kicked;
}
