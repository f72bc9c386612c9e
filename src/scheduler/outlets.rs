//! Whom the scheduler talks to, word by word.

use std::path::PathBuf;

use crate::blobs::BlobStore;
use crate::history::messages::{GetRecord, LoadOpen, PutRecord};
use crate::link::messages::{
    AcknowledgeJob, FetchResults, FollowOutput, OfferJob, QueryJob, SendInputs, StopRemoteJob,
};
use crate::mailbox::Outlet;
use crate::registry::messages::ListPeers;
use crate::sandbox::messages::WishEnv;

/// The words the scheduler says, and to whom.
#[derive(Clone)]
pub struct Outlets {
    /// History.
    pub put: Outlet<PutRecord>,
    /// History.
    pub get: Outlet<GetRecord>,
    /// History.
    pub load: Outlet<LoadOpen>,
    /// Registry.
    pub peers: Outlet<ListPeers>,
    /// Sandbox: what environments are made of.
    pub wish: Outlet<WishEnv>,
    /// Link.
    pub offer: Outlet<OfferJob>,
    /// Link.
    pub inputs: Outlet<SendInputs>,
    /// Link.
    pub follow: Outlet<FollowOutput>,
    /// Link.
    pub query: Outlet<QueryJob>,
    /// Link.
    pub results: Outlet<FetchResults>,
    /// Link.
    pub stop: Outlet<StopRemoteJob>,
    /// Link.
    pub acknowledge: Outlet<AcknowledgeJob>,
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlets")
    }
}

/// What the scheduler is made of.
#[derive(Debug, Clone)]
pub struct SchedulerParts {
    /// Its neighbours.
    pub outlets: Outlets,
    /// Inputs and results.
    pub blobs: BlobStore,
    /// Where copies of outputs live: one directory a job.
    pub dir: PathBuf,
}

/// The name under which the inputs of a job sent from here are pinned.
pub(super) fn pin_of(job: crate::model::JobId) -> String {
    format!("sent-{job}")
}
