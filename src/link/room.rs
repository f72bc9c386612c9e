//! What every task of this room shares: who we are, whom we ask, and the tickets we gave.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::dialer::Routes;
use super::handle::Link;
use super::invites::Invites;
use super::listener::Places;
use super::messages::{AddressesChanged, Dialled, LinkDoubted, LinkDown, LinkUp, Reach};
use super::pace::Pace;
use super::roster::Roster;
use super::rotate::Rotating;
use super::secure::{Frames, Member};
use super::taking::Taking;
use super::tickets::{TicketId, Tickets};
use super::tls::Tls;
use crate::blobs::BlobStore;
use crate::config::Listen;
use crate::ipc::messages::ReloadConfig;
use crate::mailbox::{AskError, Outlet, Word, ask_outlet, tell_outlet};
use crate::model::{BootId, Digest, Epoch, Facts, HostedStatus, JobId, PeerId, Totals};
use crate::networks::Networks;
use crate::registry::messages::{
    ForgetPeer, ListPeers, ListPins, OnAir, PathTried, PathsOf, PeerFacts, PeerIntroduced, PeerLinked, PeerUnlinked,
    RolesOf,
};
use crate::sandbox::messages::{
    AdmitJob, EnvHeld, FindEnv, ForgetJob, HostedJobs, OpenResults, StartJob, StopJob, WatchJob,
};
use crate::scheduler::messages::{LinkChanged, WorkerReports};
use crate::wire::refusal::{Refusal, RefusalKind};

/// How long a room on this machine may take to answer; they decide and write one row, so seconds are already trouble.
pub(super) const ROOM_LIMIT: Duration = Duration::from_secs(10);

/// What the link asks of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxOutlets {
    pub(super) admit: Outlet<AdmitJob>,
    pub(super) start: Outlet<StartJob>,
    pub(super) watch: Outlet<WatchJob>,
    pub(super) results: Outlet<OpenResults>,
    pub(super) stop: Outlet<StopJob>,
    pub(super) forget: Outlet<ForgetJob>,
    pub(super) env: Outlet<FindEnv>,
    pub(super) hosted: Outlet<HostedJobs>,
}

impl SandboxOutlets {
    /// Of a door that understands all of it: the sandbox's, or a probe's.
    pub fn of<D>(door: &D) -> Self
    where
        D: Clone
            + Into<Outlet<AdmitJob>>
            + Into<Outlet<StartJob>>
            + Into<Outlet<WatchJob>>
            + Into<Outlet<OpenResults>>
            + Into<Outlet<StopJob>>
            + Into<Outlet<ForgetJob>>
            + Into<Outlet<FindEnv>>
            + Into<Outlet<HostedJobs>>,
    {
        Self {
            admit: door.clone().into(),
            start: door.clone().into(),
            watch: door.clone().into(),
            results: door.clone().into(),
            stop: door.clone().into(),
            forget: door.clone().into(),
            env: door.clone().into(),
            hosted: door.clone().into(),
        }
    }
}

/// What the link asks of the registry and tells it.
#[derive(Debug, Clone)]
pub struct RegistryOutlets {
    pub(super) linked: Outlet<PeerLinked>,
    pub(super) facts: Outlet<PeerFacts>,
    pub(super) unlinked: Outlet<PeerUnlinked>,
    pub(super) list: Outlet<ListPeers>,
    pub(super) paths: Outlet<PathsOf>,
    pub(super) tried: Outlet<PathTried>,
    pub(super) pins: Outlet<ListPins>,
    pub(super) forget: Outlet<ForgetPeer>,
    pub(super) roles: Outlet<RolesOf>,
    pub(super) introduced: Outlet<PeerIntroduced>,
    pub(super) on_air: Outlet<OnAir>,
}

impl RegistryOutlets {
    /// Of a door that understands all of it: the registry's, or a probe's.
    pub fn of<D>(door: &D) -> Self
    where
        D: Clone
            + Into<Outlet<PeerLinked>>
            + Into<Outlet<PeerFacts>>
            + Into<Outlet<PeerUnlinked>>
            + Into<Outlet<ListPeers>>
            + Into<Outlet<PathsOf>>
            + Into<Outlet<PathTried>>
            + Into<Outlet<ListPins>>
            + Into<Outlet<ForgetPeer>>
            + Into<Outlet<RolesOf>>
            + Into<Outlet<PeerIntroduced>>
            + Into<Outlet<OnAir>>,
    {
        Self {
            linked: door.clone().into(),
            facts: door.clone().into(),
            unlinked: door.clone().into(),
            list: door.clone().into(),
            paths: door.clone().into(),
            tried: door.clone().into(),
            roles: door.clone().into(),
            introduced: door.clone().into(),
            on_air: door.clone().into(),
            pins: door.clone().into(),
            forget: door.clone().into(),
        }
    }
}

/// Back edges, given after the start.
#[derive(Debug)]
pub(super) struct BackEdges {
    pub(super) reports: Outlet<WorkerReports>,
    pub(super) changed: Outlet<LinkChanged>,
}

/// The words by which the tasks of this room reach its actor.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) up: Outlet<LinkUp>,
    pub(super) down: Outlet<LinkDown>,
    pub(super) dialled: Outlet<Dialled>,
    pub(super) reach: Outlet<Reach>,
    pub(super) doubted: Outlet<LinkDoubted>,
    pub(super) addresses: Outlet<AddressesChanged>,
}

/// What the inputs of a job must be, and the most of them.
pub(super) type Announced = (Digest, Totals);

/// What a ticket is good for.
pub(super) enum Errand {
    /// The peer sends the inputs of a job that we host. The link is the one that it asked on.
    TakeInputs { job: JobId, epoch: Epoch, link: Arc<Link> },
    /// The peer fetches the results of a job that we hosted.
    GiveResults { job: JobId, epoch: Epoch, link: Arc<Link> },
    /// The peer fetches an environment that we have; it stays as long as the ticket.
    GiveEnv { env: Box<EnvHeld>, link: Arc<Link> },
    /// One of our own transfers waits for this connection.
    HandOver(oneshot::Sender<Frames>),
}

/// Who this machine is to the others. Its key stays; the rest may change while homied runs, and then all of it is made
/// anew: what was begun as somebody else is recognised by its `boot` and ends.
#[derive(Debug)]
pub(super) struct Me {
    /// `None` without a group secret: then there is only the loopback.
    pub(super) member: Option<Member>,
    pub(super) name: String,
    pub(super) boot: BootId,
}

/// What every task of this room shares.
pub(super) struct Room {
    pub(super) me: watch::Sender<Arc<Me>>,
    pub(super) own: PeerId,
    pub(super) routes: Routes,
    /// The addresses of this machine.
    pub(super) networks: Networks,
    pub(super) sandbox: SandboxOutlets,
    pub(super) registry: RegistryOutlets,
    pub(super) blobs: BlobStore,
    /// The bandwidth of transfers; `None`: all there is.
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) facts: watch::Receiver<Facts>,
    pub(super) actor: Own,
    pub(super) back: OnceLock<BackEdges>,
    /// The port we listen on, or why we do not.
    pub(super) listening: Mutex<Result<u16, String>>,
    pub(super) places: Mutex<Places>,
    /// On which addresses the owner wants to be reached.
    pub(super) wish: Mutex<Listen>,
    pub(super) tickets: Mutex<Tickets<Errand>>,
    /// Inputs of hosted jobs that are coming in.
    pub(super) taking: Mutex<Taking>,
    /// Who was invited.
    pub(super) invites: Mutex<Invites>,
    /// Whom members tell of.
    pub(super) roster: Roster,
    pub(super) tls: Tls,
    pub(super) state: PathBuf,
    /// What follows from somebody having been put out of the group.
    pub(super) rotating: Mutex<Rotating>,
    /// One change of it at a time, until it is written down.
    pub(super) rotation_change: tokio::sync::Mutex<()>,
    /// Makes every room go by what is written down.
    pub(super) reload: OnceLock<Outlet<ReloadConfig>>,
    /// What the inputs of hosted jobs must be, as their offers said.
    pub(super) inputs: Mutex<HashMap<(PeerId, JobId, Epoch), Announced>>,
    /// Copies of logs that are being written.
    pub(super) copies: Mutex<HashSet<PathBuf>>,
    pub(super) tasks: Mutex<JoinSet<()>>,
    pub(super) closing: watch::Sender<bool>,
}

/// No code panics while it holds one of our locks, and a panic ends the process anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Room {
    /// Where we can be dialled back; 0 for nowhere.
    pub(super) fn worker_port(&self) -> u16 {
        lock(&self.listening).as_ref().copied().unwrap_or(0)
    }

    /// Who we are now.
    pub(super) fn me(&self) -> Arc<Me> {
        self.me.borrow().clone()
    }

    /// Does `work` for as long as we are who `me` says.
    pub(super) async fn as_long_as<T>(&self, me: &Me, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut changes = self.me.subscribe();
        tokio::select! {
            done = work => Ok(done),
            _ = changes.wait_for(|now| now.boot != me.boot) => Err(renewed()),
        }
    }

    /// Runs `work` on the runtime's workers; the room owns it.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work)
    }

    /// The same for work somebody waits for. The work goes on when the waiter goes.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Refusal>> + Send + 'static {
        let (tx, rx) = oneshot::channel();
        self.spawn(async move {
            let _ = tx.send(work.await);
        });
        async move { rx.await.unwrap_or_else(|_| Err(shutting_down())) }
    }

    /// A link to `peer`, dialled if need be.
    pub(super) async fn reach(&self, peer: PeerId) -> Result<Arc<Link>, Refusal> {
        ask_outlet(&self.actor.reach, Reach { peer }, REACH_LIMIT).await.map_err(no_answer)?
    }

    /// Tells the scheduler how a job stands at `peer`.
    pub(super) fn report(&self, peer: PeerId, status: HostedStatus) {
        if let Some(back) = self.back.get() {
            tell_outlet(&back.reports, WorkerReports { peer, status });
        }
    }

    /// Draws and writes down a ticket.
    pub(super) fn give_ticket(&self, peer: PeerId, errand: Errand) -> Result<TicketId, Refusal> {
        let mut ticket = TicketId::default();
        getrandom::fill(&mut ticket).map_err(|e| Refusal::internal(format!("no random bytes for a ticket: {e}")))?;
        if lock(&self.tickets).give(ticket, peer, errand, Instant::now()) {
            Ok(ticket)
        } else {
            Err(Refusal::new(RefusalKind::Busy, "too many transfers are being started at once"))
        }
    }
}

/// Why nobody can dial a machine without a secret.
pub(super) const NO_GROUP: &str = "this machine is in no group yet, so it does not listen";
/// Longest wait for a link: resolve, connect and handshake, with some room.
const REACH_LIMIT: Duration = Duration::from_secs(20);

/// [`ask_outlet`] with a refusal for no answer.
pub(super) async fn ask<M>(to: &Outlet<M>, message: M) -> Result<M::Result, Refusal>
where
    M: Word + Send + 'static,
    M::Result: Send,
{
    ask_outlet(to, message, ROOM_LIMIT).await.map_err(no_answer)
}

fn no_answer(error: AskError) -> Refusal {
    match error {
        AskError::Stopped(_) => shutting_down(),
        AskError::TimedOut(_) => Refusal::internal(error.to_string()),
    }
}

pub(super) fn shutting_down() -> Refusal {
    Refusal::new(RefusalKind::ShuttingDown, "homied is on its way down")
}

/// What was begun under a name or group that this machine has no longer. Asked again it may well succeed.
pub(super) fn renewed() -> Refusal {
    Refusal::new(RefusalKind::Unreachable, "this machine has just taken up another name, group or port")
}
