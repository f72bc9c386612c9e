//! Probes in the place of sandbox, registry and scheduler.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, Context, Handler, MessageResult};
use tokio::sync::watch;

use super::super::handle::Link;
use super::super::messages::{AddressesChanged, Dialled, LinkDoubted, LinkDown, LinkUp, Reach};
use super::{Hosted, Seen};
use crate::model::{
    BootId, Epoch, Facts, HostedState, HostedStatus, JobId, Learned, PeerId, PeerStatus, PeerView, Via, Way,
};
use crate::pipe::{LogState, OutputLog};
use crate::registry::messages::{
    ForgetPeer, ListPeers, ListPins, OnAir, PathTried, PathsOf, PeerFacts, PeerIntroduced, PeerLinked, PeerUnlinked,
    RolesOf,
};
use crate::sandbox::messages::{
    AdmitJob, FindEnv, ForgetJob, HostedFeed, HostedJobs, HostedResults, OpenResults, StartJob, StopJob, WatchJob,
};
use crate::scheduler::messages::{LinkChanged, WorkerReports};
use crate::wire::refusal::{Refusal, RefusalKind};

pub(super) struct Probe {
    seen: Arc<Mutex<Seen>>,
    dir: PathBuf,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

/// One probe for each room.
pub(super) fn probes(seen: &Arc<Mutex<Seen>>, dir: PathBuf) -> (Addr<Probe>, Addr<Probe>, Addr<Probe>) {
    let new = || Probe { seen: seen.clone(), dir: dir.clone() }.start();
    (new(), new(), new())
}

fn unknown() -> Refusal {
    Refusal::new(RefusalKind::UnknownJob, "no such job")
}

impl Probe {
    fn with<T>(
        &self,
        from: PeerId,
        job: JobId,
        epoch: Epoch,
        work: impl FnOnce(&mut Hosted) -> T,
    ) -> Result<T, Refusal> {
        let mut seen = self.seen.lock().expect("lock");
        let hosted = seen.hosted.get_mut(&(job, epoch)).filter(|h| h.from.peer == from).ok_or_else(unknown)?;
        Ok(work(hosted))
    }
}

impl Handler<AdmitJob> for Probe {
    type Result = Result<HostedStatus, Refusal>;
    fn handle(&mut self, word: AdmitJob, _: &mut Self::Context) -> Self::Result {
        let AdmitJob { from, offer } = word;
        if offer.spec.name == "refuse" {
            return Err(Refusal::new(RefusalKind::Busy, "every slot is taken").hint("try again later"));
        }
        let mut seen = self.seen.lock().expect("lock");
        let hosted = seen.hosted.entry((offer.job, offer.epoch)).or_insert_with(|| {
            let accepted = HostedStatus::new(offer.job, offer.epoch, HostedState::Accepted);
            let path = self.dir.join(format!("output-{}", offer.job.short()));
            let (announce, log) = OutputLog::new(path, LogState::default());
            Hosted { from, offer, status: watch::Sender::new(accepted), log, announce, results: None }
        });
        Ok(hosted.status.borrow().clone())
    }
}

impl Handler<StartJob> for Probe {
    type Result = Result<HostedStatus, Refusal>;
    fn handle(&mut self, word: StartJob, _: &mut Self::Context) -> Self::Result {
        let status = self.with(word.from, word.job, word.epoch, |h| {
            h.status.send_modify(|s| s.state = HostedState::Running);
            h.status.borrow().clone()
        })?;
        self.seen.lock().expect("lock").started.push(word.job);
        Ok(status)
    }
}

impl Handler<WatchJob> for Probe {
    type Result = Result<HostedFeed, Refusal>;
    fn handle(&mut self, word: WatchJob, _: &mut Self::Context) -> Self::Result {
        self.with(word.from, word.job, word.epoch, |h| HostedFeed { status: h.status.subscribe(), log: h.log.clone() })
    }
}

impl Handler<OpenResults> for Probe {
    type Result = Result<HostedResults, Refusal>;
    fn handle(&mut self, word: OpenResults, _: &mut Self::Context) -> Self::Result {
        self.with(word.from, word.job, word.epoch, |h| h.results.clone().ok_or_else(unknown))?
    }
}

impl Handler<StopJob> for Probe {
    type Result = Result<HostedStatus, Refusal>;
    fn handle(&mut self, word: StopJob, _: &mut Self::Context) -> Self::Result {
        self.with(word.from, word.job, word.epoch, |h| {
            h.status.send_modify(|s| s.state = HostedState::Done);
            h.status.borrow().clone()
        })
    }
}

impl Handler<ForgetJob> for Probe {
    type Result = ();
    fn handle(&mut self, word: ForgetJob, _: &mut Self::Context) {
        self.seen.lock().expect("lock").forgotten.push(word.job);
    }
}

impl Handler<FindEnv> for Probe {
    type Result = MessageResult<FindEnv>;
    fn handle(&mut self, _: FindEnv, _: &mut Self::Context) -> Self::Result {
        MessageResult(None)
    }
}

impl Handler<PeerLinked> for Probe {
    type Result = Result<(), Refusal>;
    fn handle(&mut self, word: PeerLinked, _: &mut Self::Context) -> Self::Result {
        let mut seen = self.seen.lock().expect("lock");
        if seen.refuse_name.as_deref() == Some(&word.name) {
            return Err(Refusal::new(RefusalKind::NotAllowed, format!("{} belongs to another key", word.name)));
        }
        seen.linked.push(word);
        Ok(())
    }
}

impl Handler<PeerFacts> for Probe {
    type Result = ();
    fn handle(&mut self, word: PeerFacts, _: &mut Self::Context) {
        self.seen.lock().expect("lock").facts.push(word.peer);
    }
}

impl Handler<PeerUnlinked> for Probe {
    type Result = ();
    fn handle(&mut self, word: PeerUnlinked, _: &mut Self::Context) {
        self.seen.lock().expect("lock").unlinked.push(word);
    }
}

impl Handler<ForgetPeer> for Probe {
    type Result = ();
    fn handle(&mut self, _: ForgetPeer, _: &mut Self::Context) {}
}

impl Handler<RolesOf> for Probe {
    type Result = actix::MessageResult<RolesOf>;
    fn handle(&mut self, _: RolesOf, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(crate::model::Roles::default())
    }
}

impl Handler<HostedJobs> for Probe {
    type Result = Vec<crate::model::JobRecord>;
    fn handle(&mut self, _: HostedJobs, _: &mut Self::Context) -> Self::Result {
        Vec::new()
    }
}

impl Handler<ListPins> for Probe {
    type Result = Vec<crate::wire::ipc::Pin>;
    fn handle(&mut self, _: ListPins, _: &mut Self::Context) -> Self::Result {
        Vec::new()
    }
}

impl Handler<ListPeers> for Probe {
    type Result = Vec<PeerView>;
    fn handle(&mut self, _: ListPeers, _: &mut Self::Context) -> Vec<PeerView> {
        let seen = self.seen.lock().expect("lock");
        let row = |(id, addr): (&PeerId, &std::net::SocketAddr)| PeerView {
            id: *id,
            name: "peer".into(),
            addr: *addr,
            boot: BootId([0; 16]),
            status: PeerStatus::Idle,
            via: Via::Broadcast,
            version: String::new(),
            linked: false,
            heard_ms_ago: 0,
            clock_skew_ms: None,
            roles: crate::model::Roles::default(),
            introduced_by: None,
            paths: Vec::new(),
            facts: Facts::default(),
        };
        seen.addresses.iter().map(row).collect()
    }
}

impl Handler<PeerIntroduced> for Probe {
    type Result = ();
    fn handle(&mut self, word: PeerIntroduced, _: &mut Self::Context) {
        self.seen.lock().expect("lock").introduced.push((word.peer, word.by));
    }
}

impl Handler<OnAir> for Probe {
    type Result = Vec<PeerId>;
    fn handle(&mut self, _: OnAir, _: &mut Self::Context) -> Self::Result {
        Vec::new()
    }
}

impl Handler<PathsOf> for Probe {
    type Result = actix::MessageResult<PathsOf>;
    fn handle(&mut self, word: PathsOf, _: &mut Self::Context) -> Self::Result {
        let seen = self.seen.lock().expect("lock");
        let known = seen.elsewhere.iter().chain(seen.addresses.get(&word.peer));
        actix::MessageResult(known.map(|addr| (Way::Straight(*addr), Learned::Beat)).collect())
    }
}

impl Handler<PathTried> for Probe {
    type Result = ();
    fn handle(&mut self, word: PathTried, _: &mut Self::Context) {
        self.seen.lock().expect("lock").tried.push(word);
    }
}

impl Handler<WorkerReports> for Probe {
    type Result = ();
    fn handle(&mut self, word: WorkerReports, _: &mut Self::Context) {
        self.seen.lock().expect("lock").reports.push((word.peer, word.status));
    }
}

impl Handler<LinkChanged> for Probe {
    type Result = ();
    fn handle(&mut self, word: LinkChanged, _: &mut Self::Context) {
        self.seen.lock().expect("lock").changes.push((word.peer, word.up));
    }
}

/// In the place of the room's own actor, for tests that run a session alone.
pub(super) struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

pub(super) fn nobody() -> Addr<Nobody> {
    Nobody.start()
}

impl Handler<LinkUp> for Nobody {
    type Result = ();
    fn handle(&mut self, _: LinkUp, _: &mut Self::Context) {}
}

impl Handler<LinkDown> for Nobody {
    type Result = ();
    fn handle(&mut self, _: LinkDown, _: &mut Self::Context) {}
}

impl Handler<LinkDoubted> for Nobody {
    type Result = ();
    fn handle(&mut self, _: LinkDoubted, _: &mut Self::Context) {}
}

impl Handler<AddressesChanged> for Nobody {
    type Result = ();
    fn handle(&mut self, _: AddressesChanged, _: &mut Self::Context) {}
}

impl Handler<Dialled> for Nobody {
    type Result = ();
    fn handle(&mut self, _: Dialled, _: &mut Self::Context) {}
}

impl Handler<Reach> for Nobody {
    type Result = Result<Arc<Link>, Refusal>;
    fn handle(&mut self, _: Reach, _: &mut Self::Context) -> Self::Result {
        Err(unknown())
    }
}
