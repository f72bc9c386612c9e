//! Whom the sessions talk to, word by word.

use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use crate::blobs::BlobStore;
use crate::config::{Loaded, Settings};
use crate::discovery::messages::{DiscoveryError, ListStrangers, StartDiscovery, StopDiscovery};
use crate::history::messages::{FindJob, FindPlaced, GetRecord, PutRecord, QueryRecords, QueryStats, RememberPlaced};
use crate::link::messages::{
    AddDirect, ChangeSelf, ForgetIntroduced, Greet, JoinGroup, KickPeer, ListDirect, Listening, ListeningAt,
    OpenInvite, RemoveDirect,
};
use crate::mailbox::Outlet;
use crate::model::{Facts, PeerId};
use crate::monitor::messages::SetLimits;
use crate::paths::Places;
use crate::registry::messages::{self as registry, ListPeers, ListPins, SetRoles, TrustNewKey};
use crate::sandbox::messages::{
    BuildEnv, CheckEngines, CreateEnv, EngineTrouble, EngineWarnings, HostedJobs, LimitJob, ListEnvs, LiveJobs,
    RemoveEnv, ShowEnv, TryJails,
};
use crate::scheduler::messages::{CancelJob, ExplainJob, FetchAgain, FollowJob, OpenJobs, SubmitJob};
use crate::secret::GroupKeys;

/// The words the sessions say, and to whom.
#[derive(Clone)]
pub struct Outlets {
    /// Scheduler.
    pub submit: Outlet<SubmitJob>,
    /// Scheduler.
    pub cancel: Outlet<CancelJob>,
    /// Scheduler.
    pub fetch_again: Outlet<FetchAgain>,
    /// Scheduler.
    pub explain: Outlet<ExplainJob>,
    /// Scheduler.
    pub follow: Outlet<FollowJob>,
    /// Scheduler.
    pub open_jobs: Outlet<OpenJobs>,
    /// Registry.
    pub peers: Outlet<ListPeers>,
    /// Link.
    pub add_direct: Outlet<AddDirect>,
    /// Link.
    pub remove_direct: Outlet<RemoveDirect>,
    /// Link.
    pub forget_introduced: Outlet<ForgetIntroduced>,
    /// Link.
    pub direct: Outlet<ListDirect>,
    /// Link.
    pub listening: Outlet<Listening>,
    /// Link.
    pub listening_at: Outlet<ListeningAt>,
    /// Registry.
    pub pins: Outlet<ListPins>,
    /// Registry.
    pub trust: Outlet<TrustNewKey>,
    /// Registry.
    pub set_roles: Outlet<SetRoles>,
    /// Link.
    pub greet: Outlet<Greet>,
    /// Link.
    pub invite: Outlet<OpenInvite>,
    /// Link.
    pub join: Outlet<JoinGroup>,
    /// Link.
    pub kick: Outlet<KickPeer>,
    /// Link.
    pub link_self: Outlet<ChangeSelf>,
    /// Registry.
    pub registry_self: Outlet<registry::ChangeSelf>,
    /// Discovery.
    pub discovery_error: Outlet<DiscoveryError>,
    /// Discovery.
    pub strangers: Outlet<ListStrangers>,
    /// Discovery.
    pub start_discovery: Outlet<StartDiscovery>,
    /// Discovery.
    pub stop_discovery: Outlet<StopDiscovery>,
    /// Monitor.
    pub limits: Outlet<SetLimits>,
    /// Sandbox.
    pub hosted: Outlet<HostedJobs>,
    /// Sandbox.
    pub limit: Outlet<LimitJob>,
    /// Sandbox.
    pub live: Outlet<LiveJobs>,
    /// Sandbox.
    pub engine_trouble: Outlet<EngineTrouble>,
    /// Sandbox.
    pub engine_warnings: Outlet<EngineWarnings>,
    /// Sandbox.
    pub envs: Outlet<ListEnvs>,
    /// Sandbox.
    pub show_env: Outlet<ShowEnv>,
    /// Sandbox.
    pub create_env: Outlet<CreateEnv>,
    /// Sandbox.
    pub build_env: Outlet<BuildEnv>,
    /// Sandbox.
    pub remove_env: Outlet<RemoveEnv>,
    /// Sandbox.
    pub check_engines: Outlet<CheckEngines>,
    /// Sandbox.
    pub try_jails: Outlet<TryJails>,
    /// History.
    pub find: Outlet<FindJob>,
    /// History.
    pub get: Outlet<GetRecord>,
    /// History.
    pub put: Outlet<PutRecord>,
    /// History.
    pub records: Outlet<QueryRecords>,
    /// History.
    pub stats: Outlet<QueryStats>,
    /// History.
    pub remember: Outlet<RememberPlaced>,
    /// History.
    pub placed: Outlet<FindPlaced>,
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlets")
    }
}

/// What ipc is made of.
#[derive(Debug)]
pub struct IpcParts {
    /// Its neighbours.
    pub outlets: Outlets,
    /// Where things are.
    pub places: Places,
    /// The configuration as it was loaded at start.
    pub loaded: Loaded,
    /// The keys of the group it names.
    pub keys: Option<GroupKeys>,
    /// What homied's command line said over it.
    pub flags: Vec<(String, String)>,
    /// Tells the rooms what changed.
    pub settings: watch::Sender<Settings>,
    /// Inputs and results.
    pub blobs: BlobStore,
    /// Where the scheduler keeps copies of outputs.
    pub sent_dir: PathBuf,
    /// This machine.
    pub id: PeerId,
    /// Its load.
    pub facts: watch::Receiver<Facts>,
    /// When homied started.
    pub began: Instant,
    /// Asks daemon/ to end in order.
    pub shutdown: mpsc::Sender<()>,
}
