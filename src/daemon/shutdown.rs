//! The end, in order: no new work, friends told, records written, socket closed. Hosted jobs go on under their
//! supervisors and are adopted by the next homied.

use std::time::Duration;

use crate::discovery::DiscoveryActor;
use crate::discovery::messages::StopDiscovery;
use crate::history::HistoryActor;
use crate::history::messages::FlushHistory;
use crate::ipc::IpcActor;
use crate::ipc::messages::CloseSocket;
use crate::link::PeerLinkActor;
use crate::link::messages::CloseLinks;
use crate::mailbox::{AskError, Door, ask};
use crate::sandbox::SandboxActor;
use crate::sandbox::messages::DrainSandbox;
use crate::scheduler::SchedulerActor;
use crate::scheduler::messages::DrainScheduler;

/// Each step gets this long. The whole stays well under the 5 s that an upgrade may take (design §6).
const STEP: Duration = Duration::from_millis(700);

/// The rooms, as boot leaves them.
#[derive(Debug)]
pub(super) struct House {
    pub(super) discovery: Door<DiscoveryActor>,
    pub(super) ipc: Door<IpcActor>,
    pub(super) scheduler: Door<SchedulerActor>,
    pub(super) sandbox: Door<SandboxActor>,
    pub(super) link: Door<PeerLinkActor>,
    pub(super) history: Door<HistoryActor>,
}

impl House {
    /// Ends everything. A step that does not answer is passed over: nothing may keep homied from ending.
    pub(super) async fn shut_down(self) {
        step("discovery", ask(&self.discovery, StopDiscovery, STEP).await);
        step("scheduler", ask(&self.scheduler, DrainScheduler, STEP).await);
        step("sandbox", ask(&self.sandbox, DrainSandbox, STEP).await);
        step("link", ask(&self.link, CloseLinks { restart: false }, STEP).await);
        step("socket", ask(&self.ipc, CloseSocket, STEP).await);
        step("history", ask(&self.history, FlushHistory, STEP).await);
    }
}

fn step(what: &str, done: Result<(), AskError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "shutdown: {what} passed over");
    }
}
