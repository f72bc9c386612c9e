//! Words the link understands. All of them are about one peer and, mostly, one (job, epoch).

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::handle::{Ending, Link};
use crate::config::Listen;
use crate::ipc::messages::ReloadConfig;
use crate::mailbox::{Outlet, Word};
use crate::model::{BootId, Digest, EngineKind, Epoch, HostedStatus, JobId, Offer, PeerId, Token, Totals};
use crate::scheduler::messages::{LinkChanged, WorkerReports};
use crate::secret::GroupKeys;
use crate::wire::group::{Invited, Joined, Kicked};
use crate::wire::ipc::DirectPeer;
use crate::wire::refusal::Refusal;

/// Offers a job to a peer, dialling it if no link is up. A refusal of kind `unreachable` means nobody answered.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct OfferJob {
    /// To whom; may be this machine (loopback).
    pub peer: PeerId,
    /// The job.
    pub offer: Offer,
}

/// Sends the inputs of an accepted job from our blob store. Answers when the worker has all of them.
#[derive(Debug, Word)]
#[rtype(result = "Result<u64, Refusal>")]
pub struct SendInputs {
    /// To whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// The manifest in our store.
    pub inputs: Digest,
    /// Turns true when the worker may have them, for it begins when it has. Until then a way to it is made ready; if it never
    /// will be true, nothing is sent.
    pub may_begin: watch::Receiver<bool>,
    /// Bytes done and bytes in all, for the user.
    pub progress: watch::Sender<(u64, u64)>,
}

/// Copies the job's output log from the worker to the end of `into` (its present length is the offset to start
/// at) until the log is complete or the link breaks. Status reports of the job go to
/// [`crate::scheduler::messages::WorkerReports`]. Answers with the final length.
#[derive(Debug, Word)]
#[rtype(result = "Result<u64, Refusal>")]
pub struct FollowOutput {
    /// At whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// Our copy of the log.
    pub into: OutputCopy,
}

/// Our copy of a remote log: the file and the announcer of its growth.
#[derive(Debug, Clone)]
pub struct OutputCopy {
    /// The file, appended to.
    pub path: std::path::PathBuf,
    /// Tells our own readers.
    pub announce: std::sync::Arc<crate::pipe::LogAnnouncer>,
}

/// Brings the results of a finished job into our blob store, where they are pinned as [`results_pin`]. Answers when every chunk is here and verified.
#[derive(Debug, Word)]
#[rtype(result = "Result<Totals, Refusal>")]
pub struct FetchResults {
    /// From whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
    /// The manifest announced; another one is refused.
    pub manifest: Digest,
    /// Bytes done and bytes in all, for the user.
    pub progress: watch::Sender<(u64, u64)>,
}

/// Brings the files of an environment (a directory, the parts of an image) into our blob store, where they are pinned as [`env_pin`]. Asked
/// again after a break it goes on where it was. Answers with the digest of their manifest.
#[derive(Debug, Word)]
#[rtype(result = "Result<Digest, Refusal>")]
pub struct FetchEnv {
    /// From whom.
    pub peer: PeerId,
    /// Its identity: the digest of its lock.
    pub digest: Digest,
    /// The engine it was made for.
    pub engine: EngineKind,
    /// Whether an image is of use; one that is not is refused before any of it travels.
    pub images: bool,
    /// Most bytes it may have; more is refused before any of them travels.
    pub max_bytes: u64,
    /// Bytes done and bytes in all, for the user.
    pub progress: watch::Sender<(u64, u64)>,
}

/// Asks how a job stands. The answer also goes to the scheduler as a report.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct QueryJob {
    /// At whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// Kills a job.
#[derive(Debug, Word)]
#[rtype(result = "Result<HostedStatus, Refusal>")]
pub struct StopRemoteJob {
    /// At whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// Tells a worker that it may forget a job.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct AcknowledgeJob {
    /// To whom.
    pub peer: PeerId,
    /// The job.
    pub job: JobId,
    /// The assignment.
    pub epoch: Epoch,
}

/// Makes a link to a peer that was just discovered, if none is up (rate-limited by the link).
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct Greet {
    /// Where its worker listens.
    pub addr: std::net::SocketAddr,
    /// Who it says it is.
    pub peer: PeerId,
    /// The key of that one was proven here before: strangers do not keep it waiting.
    pub friend: bool,
}

/// Adds an address to be dialled and kept up. Persisting it is the caller's.
#[derive(Debug, Word)]
#[rtype(result = "Result<DirectPeer, Refusal>")]
pub struct AddDirect {
    /// `HOST:PORT`.
    pub address: String,
    /// A label.
    pub name: Option<String>,
}

/// Forgets such an address (by address or name).
#[derive(Debug, Word)]
#[rtype(result = "Result<DirectPeer, Refusal>")]
pub struct RemoveDirect {
    /// The address or the name.
    pub which: String,
}

/// Forgets a machine that others told of and that is not there, by its name; `None` if there is none of that name.
#[derive(Debug, Word)]
#[rtype(result = "Option<Result<DirectPeer, Refusal>>")]
pub struct ForgetIntroduced {
    /// The name.
    pub which: String,
}

/// Lists such addresses and how they stand.
#[derive(Debug, Word)]
#[rtype(result = "Vec<DirectPeer>")]
pub struct ListDirect;

/// Makes an invitation to this machine's group.
#[derive(Debug, Word)]
#[rtype(result = "Result<Invited, Refusal>")]
pub struct OpenInvite {
    /// Where this machine can be reached beside its own addresses: `HOST[:PORT]`, first in the token.
    pub at: Vec<String>,
}

/// Goes to whoever made an invitation and becomes a member. What comes back must be put into the config to count.
#[derive(Debug, Word)]
#[rtype(result = "Result<Joined, Refusal>")]
pub struct JoinGroup {
    /// The invitation.
    pub token: Token,
}

/// Puts a machine out of the group: everybody else gets a new secret.
#[derive(Debug, Word)]
#[rtype(result = "Result<Kicked, Refusal>")]
pub struct KickPeer {
    /// Its name.
    pub name: String,
}

/// The room that reads the config, given after the start because it stands above this one.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ConnectIpc {
    /// Makes every room go by a new secret of the group.
    pub reload: Outlet<ReloadConfig>,
}

/// Says goodbye on every link and stops listening.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct CloseLinks {
    /// Whether homied will be back at once.
    pub restart: bool,
}

/// This machine has another name, group or worker port from here on. Every link is closed with a goodbye (but for the
/// loopback) and whoever is wanted is dialled anew. Answers when the goodbyes are said; whether the port is open is what
/// [`Listening`] tells.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ChangeSelf {
    /// The group's keys; `None` without a secret.
    pub keys: Option<GroupKeys>,
    /// Our name.
    pub name: String,
    /// Our new run: others tell by it that what they knew of us is past.
    pub boot: BootId,
    /// Where to listen.
    pub worker_port: u16,
    /// On which addresses.
    pub listen: Listen,
    /// It is the group of before, so its members will see us again.
    pub same_group: bool,
}

/// The scheduler, given after the start because it stands before this room on the road of a job. Links that are up
/// already are told to it at once.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ConnectScheduler {
    /// Hears how jobs stand.
    pub reports: Outlet<WorkerReports>,
    /// Hears of links that come and go.
    pub changed: Outlet<LinkChanged>,
}

/// The port we listen on, or why we do not, in one line (where the port was picked: tests, several daemons).
#[derive(Debug, Word)]
#[rtype(result = "Result<u16, String>")]
pub struct Listening;

/// The addresses on which we listen (none for all of them), and those left out because strangers could reach them.
#[derive(Debug, Word)]
#[rtype(result = "(Vec<IpAddr>, Vec<IpAddr>)")]
pub struct ListeningAt;

/// The owner's name under which a worker's blob store pins the inputs of a hosted job.
pub fn inputs_pin(job: JobId, epoch: Epoch) -> String {
    format!("hosted-{job}-{epoch}")
}

/// The owner's name under which a submitter's blob store pins the results of a job that [`FetchResults`] brought.
pub fn results_pin(job: JobId, epoch: Epoch) -> String {
    format!("results-{job}-{epoch}")
}

/// The owner's name under which a blob store pins the files of an environment that [`FetchEnv`] brings.
pub fn env_pin(digest: Digest, engine: EngineKind) -> String {
    format!("env-{digest}-{}", engine.as_str())
}

/// A task of this room has a link that works.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct LinkUp {
    pub(super) link: Arc<Link>,
}

/// A link has ended.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct LinkDown {
    pub(super) link: Arc<Link>,
    pub(super) ending: Ending,
}

/// Nothing is heard on a link: it may be that its way leads nowhere any more.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct LinkDoubted {
    pub(super) link: Arc<Link>,
}

/// This machine has these addresses from here on.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct AddressesChanged {
    pub(super) own: Vec<IpAddr>,
}

/// Why a dial was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody wants this peer.
    Peer(PeerId),
    /// It was just discovered, at this address.
    Greeting(PeerId, std::net::SocketAddr),
    /// The link to it may be dead.
    Doubt(PeerId),
    /// The user added this address.
    Direct(String),
    /// Others tell of this peer.
    Introduced(PeerId),
}

/// A dial has come to an end: a link is up (and was announced before), or there is none.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub(super) struct Dialled {
    pub(super) why: Cause,
    /// The run of ours it was made in.
    pub(super) ours: BootId,
    pub(super) result: Result<PeerId, Refusal>,
}

/// A task of this room wants a link to a peer, dialled if need be.
#[derive(Debug, Word)]
#[rtype(result = "Result<Arc<Link>, Refusal>")]
pub(super) struct Reach {
    pub(super) peer: PeerId,
}
