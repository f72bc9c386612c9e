//! The local socket: what homie-ctl says to homied.
//!
//! First frame each way is a [`Greeting`]. Then the client sends [`Request`]s; homied answers each with a
//! [`Reply`], after any number of events with the same id. Lists are sent as one event per row, so that no
//! reply outgrows a frame. Three methods turn the connection into something else until it ends: `files.put` and
//! `results.get` into a transfer (see [`crate::transfer`]), `job.follow` into a stream of events and output.
//!
//! A transfer is announced: homied answers the request with the event [`READY`] (or refuses it with an error reply),
//! then the transfer's own frames follow, and after its end the reply.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::Refusal;
use crate::model::{Digest, Facts, JobId, JobRecord, JobSpec, LimitChange, Limits, PeerId, PeerView, Totals};

/// The first frame each way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Protocol versions the sender speaks.
    pub protocol: Vec<u32>,
    /// Its release.
    pub version: String,
}

/// A request of the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, unique on its connection.
    pub id: u64,
    /// One of [`method`].
    pub method: String,
    /// What the method takes.
    #[serde(default)]
    pub params: Value,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// It was done.
    Ok {
        /// Which request.
        id: u64,
        /// What the method gives.
        ok: Value,
    },
    /// It was refused.
    Error {
        /// Which request.
        id: u64,
        /// Why.
        error: Refusal,
    },
    /// More is to come.
    Event {
        /// Which request.
        id: u64,
        /// A row of a list, or a [`crate::model::JobEvent`].
        event: Value,
    },
}

/// The event that says: the transfer begins with the next frame. Before it a request can still be refused.
pub const READY: &str = "ready";

/// The methods and what they take and give.
pub mod method {
    /// () -> [`super::StatusView`]
    pub const STATUS: &str = "status";
    /// [`super::PeersParams`] -> rows of [`crate::model::PeerView`]
    pub const PEERS: &str = "peers";
    /// [`super::AddPeer`] -> [`super::DirectPeer`]
    pub const PEERS_ADD: &str = "peers.add";
    /// [`super::RemovePeer`] -> [`super::DirectPeer`]
    pub const PEERS_REMOVE: &str = "peers.remove";
    /// () -> rows of [`super::Stranger`]
    pub const PEERS_STRANGERS: &str = "peers.strangers";
    /// () -> rows of [`super::DirectPeer`]
    pub const PEERS_DIRECT: &str = "peers.direct";
    /// () -> rows of [`super::Pin`]
    pub const TRUST: &str = "trust";
    /// [`super::TrustName`] -> [`super::TrustedKey`]
    pub const TRUST_NEW_KEY: &str = "trust.new-key";
    /// [`crate::wire::group::RoleParams`] -> [`super::Pin`]
    pub const TRUST_ROLE: &str = "trust.role";
    /// [`crate::wire::group::InviteParams`] -> [`crate::wire::group::InviteView`]
    pub const GROUP_INVITE: &str = "group.invite";
    /// [`crate::wire::group::JoinParams`] -> [`crate::wire::group::Joined`]
    pub const GROUP_JOIN: &str = "group.join";
    /// [`crate::wire::group::KickParams`] -> [`crate::wire::group::Kicked`]
    pub const GROUP_KICK: &str = "group.kick";
    /// () -> rows of [`super::ConfigRow`]
    pub const CONFIG: &str = "config";
    /// Rereads the file. () -> rows of [`super::ConfigRow`]
    pub const CONFIG_RELOAD: &str = "config.reload";
    /// () -> event [`super::READY`], a transfer from the client, then [`super::FilesPut`]
    pub const FILES_PUT: &str = "files.put";
    /// [`super::Submit`] -> [`crate::model::JobRecord`]
    pub const JOB_SUBMIT: &str = "job.submit";
    /// [`super::ExplainParams`] -> rows of [`super::Candidate`]
    pub const JOB_EXPLAIN: &str = "job.explain";
    /// [`super::ListJobs`] -> rows of [`crate::model::JobRecord`]
    pub const JOB_LIST: &str = "job.list";
    /// [`super::JobRef`] -> [`crate::model::JobRecord`]
    pub const JOB_GET: &str = "job.get";
    /// [`super::Follow`] -> events ([`crate::model::JobEvent`], the record first), raw frames of the output log, then the
    /// last [`crate::model::JobRecord`]. Each assignment of a job has a log of its own: the raw stream's id is its epoch.
    pub const JOB_FOLLOW: &str = "job.follow";
    /// [`super::JobRef`] -> [`crate::model::JobRecord`]
    pub const JOB_CANCEL: &str = "job.cancel";
    /// What hosted jobs use now. () -> rows of [`super::LiveJob`]
    pub const JOB_TOP: &str = "job.top";
    /// Changes the limits of a hosted job. [`super::LimitParams`] -> [`super::LimitedJob`]
    pub const JOB_LIMIT: &str = "job.limit";
    /// [`super::JobRef`] -> event [`super::READY`], a transfer to the client, then `{}`
    pub const RESULTS_GET: &str = "results.get";
    /// What was sent with a job, for the rule that inputs are never replaced; no rows when the list is no longer kept.
    /// [`super::JobRef`] -> rows of [`super::SentFile`]
    pub const JOB_INPUTS: &str = "job.inputs";
    /// [`super::PlacedQuery`] -> rows of [`super::Placed`]
    pub const RESULTS_PLACED: &str = "results.placed";
    /// [`super::Delivered`] -> `{}`
    pub const RESULTS_DELIVERED: &str = "results.delivered";
    /// [`super::HistoryQuery`] -> rows of [`crate::model::JobRecord`]
    pub const HISTORY: &str = "history";
    /// [`super::HistoryQuery`] -> rows of [`super::PeerStats`]
    pub const HISTORY_STATS: &str = "history.stats";
    /// () -> rows of [`crate::model::EnvView`]
    pub const ENV_LIST: &str = "env.list";
    /// [`crate::wire::env::EnvRef`] -> rows of [`crate::wire::env::EnvLine`]
    pub const ENV_SHOW: &str = "env.show";
    /// [`crate::wire::env::EnvCreate`] -> [`crate::wire::env::EnvCreated`]
    pub const ENV_CREATE: &str = "env.create";
    /// [`crate::wire::env::EnvBuild`] -> events ([`crate::model::EnvEvent`]), then `{}`. A client that goes stops it.
    pub const ENV_BUILD: &str = "env.build";
    /// [`crate::wire::env::EnvRef`] -> `{}`
    pub const ENV_REMOVE: &str = "env.remove";
    /// What works, what this machine cannot give, and whether its jails hold. [`super::super::doctor::DoctorParams`] -> rows of
    /// [`super::super::doctor::DoctorRow`], each when it is known
    pub const DOCTOR: &str = "doctor";
    /// Asks homied to end in order. () -> `{}`
    pub const SHUTDOWN: &str = "shutdown";
}

/// What `homie status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// Name of this machine.
    pub name: String,
    /// Its id.
    pub id: PeerId,
    /// homied's release.
    pub version: String,
    /// homied's process id.
    pub pid: u32,
    /// Milliseconds since homied started.
    pub uptime_ms: u64,
    /// Its usual address on the LAN, if it has one.
    pub ip: Option<String>,
    /// Discovery port, and why it is not open if so.
    pub discovery_port: u16,
    /// Why discovery does not broadcast.
    pub discovery_error: Option<String>,
    /// Worker port.
    pub worker_port: u16,
    /// Why the worker port is not open.
    pub worker_error: Option<String>,
    /// Addresses on which it is open; none means all of them.
    #[serde(default)]
    pub worker_at: Vec<String>,
    /// Addresses left out because strangers could reach them.
    #[serde(default)]
    pub worker_not_at: Vec<String>,
    /// Why no engine is ready.
    pub engine_error: Option<String>,
    /// How many peers are online.
    pub peers_online: u32,
    /// Jobs of mine that are not ended.
    pub jobs_sent: u32,
    /// Jobs of others (and mine) hosted here now.
    pub jobs_hosted: u32,
    /// This machine.
    pub facts: Facts,
    /// Things its owner should know (a weak secret, degraded isolation).
    pub warnings: Vec<String>,
}

/// Which peers to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeersParams {
    /// Offline ones too.
    pub all: bool,
}

/// A peer known by its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectPeer {
    /// `HOST:PORT` as configured.
    pub address: String,
    /// The name given to it, or learned.
    pub name: Option<String>,
    /// Whether a link to it is up.
    pub linked: bool,
    /// Why not, in one line.
    pub error: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Milliseconds since it was last heard.
    pub heard_ms_ago: Option<u64>,
}

/// A machine on the network that cannot be understood: its group or its secret differs. A hint that nothing proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Where its heartbeats come from.
    pub addr: std::net::IpAddr,
    /// Milliseconds since the last.
    pub heard_ms_ago: u64,
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "heard {}, but its group or secret differs", self.addr)
    }
}

/// `homie add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddPeer {
    /// `HOST` or `HOST:PORT`.
    pub address: String,
    /// A label.
    pub name: Option<String>,
}

/// `homie remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovePeer {
    /// The address or the name.
    pub which: String,
}

/// A name and the key that it stands for on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The name.
    pub name: String,
    /// The key's hash.
    pub id: PeerId,
    /// What it may do here.
    #[serde(default)]
    pub roles: crate::model::Roles,
    /// Other keys that were lately proven under that name, and refused.
    pub others: Vec<OtherKey>,
}

/// A key that was refused because its name belongs to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherKey {
    /// Its hash.
    pub id: PeerId,
    /// Where its machine's worker listens.
    pub addr: std::net::SocketAddr,
    /// Milliseconds since it was last shown.
    pub seen_ms_ago: u64,
}

/// `homie trust NAME --new-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustName {
    /// The name.
    pub name: String,
    /// The beginning of the new key's id, needed when more than one was shown.
    pub key: Option<String>,
}

/// A name stands for another key now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedKey {
    /// The name.
    pub name: String,
    /// The key of before.
    pub old: PeerId,
    /// The key from now on.
    pub new: PeerId,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRow {
    /// The key, as in the file.
    pub key: String,
    /// The value, masked if it is a secret.
    pub value: Value,
    /// `default`, `/etc/homie/config.yaml:3`, `HOMIE_NAME`...
    pub origin: String,
    /// A warning about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// `homie run`, after its files were put, if it has any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Made by the client; the same id again is the same job.
    pub id: JobId,
    /// What to run.
    pub spec: JobSpec,
    /// Where results go by default; homied only keeps the text.
    pub home_dir: String,
    /// The manifest of its files.
    pub inputs: Digest,
}

/// `homie run --explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainParams {
    /// What would run.
    pub spec: JobSpec,
    /// What would be sent.
    pub input_totals: Totals,
}

/// A row of `--explain`: best first, then those that lost and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The machine.
    pub peer: PeerView,
    /// Its score; higher is better. `None` when it was filtered out.
    pub score: Option<f64>,
    /// The parts of the score, or the reason it was filtered out.
    pub why: String,
}

/// A job by its id or a unique prefix of it (or `last`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// What the user typed.
    pub job: String,
}

/// `homie limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitParams {
    /// What the user typed.
    pub job: String,
    /// What changes.
    pub change: LimitChange,
}

/// A hosted job with other limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedJob {
    /// The job, with the new limits.
    pub record: JobRecord,
    /// The limits it had.
    pub before: Limits,
    /// Those it has.
    pub after: Limits,
}

/// A hosted job and what it uses at this moment. Its record's `usage` is up to now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveJob {
    /// The job.
    pub record: JobRecord,
    /// What it gets.
    pub limits: Limits,
    /// Memory now, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads now.
    pub processes: u32,
    /// NVML's indices of its GPUs.
    pub gpus: Vec<u32>,
    /// GPU memory now, in bytes.
    pub gpu_memory_bytes: u64,
    /// When the counters were read, milliseconds since 1970: two looks give the use of processors.
    pub at_ms: u64,
}

/// `homie jobs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListJobs {
    /// Ended ones too.
    pub all: bool,
    /// Jobs hosted here instead of jobs sent from here.
    pub hosted: bool,
}

/// `homie attach` and `homie logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Which job.
    pub job: String,
    /// Offset into the output log of assignment `epoch` to start at; must be a record's border.
    pub from: u64,
    /// The assignment that `from` counts in; any other one is sent from its beginning. `None`: the present one.
    #[serde(default)]
    pub epoch: Option<crate::model::Epoch>,
    /// Whether to wait for more; otherwise only what is there is sent.
    pub wait: bool,
}

/// Which of these paths were put there by earlier jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedQuery {
    /// Absolute paths.
    pub paths: Vec<String>,
}

/// A file that a job of this user put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Absolute path.
    pub path: String,
    /// Hash of what was put there.
    pub hash: Digest,
}

/// A file that was sent with a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// Where it was in the job's directory.
    pub path: crate::model::CleanPath,
    /// Hash of what was sent.
    pub hash: Digest,
}

/// Results were put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Which job.
    pub job: JobId,
    /// Some of the files (a long list comes in several messages).
    pub placed: Vec<Placed>,
    /// Whether this was the last message.
    pub last: bool,
}

/// `homie history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryQuery {
    /// Only jobs that ran on, or came from, this peer.
    pub peer: Option<String>,
    /// Only one side.
    pub role: Option<crate::model::Role>,
    /// At most this many, newest first.
    pub limit: Option<u32>,
}

/// A row of `homie history --stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStats {
    /// The peer's name.
    pub peer: String,
    /// Sent to it, or hosted for it.
    pub role: crate::model::Role,
    /// Jobs that ended.
    pub jobs: u64,
    /// Of these, with exit code 0.
    pub succeeded: u64,
    /// Sum of run times.
    pub wall_ms: u64,
    /// Sum of processor times.
    pub cpu_ms: u64,
    /// Bytes of inputs and results together.
    pub bytes: u64,
    /// End of the latest job, milliseconds since 1970.
    pub last_ms: Option<u64>,
}

/// The reply to `files.put`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesPut {
    /// The manifest that is now in homied's store.
    pub inputs: Digest,
    /// Bytes that were really sent.
    pub sent_bytes: u64,
}
