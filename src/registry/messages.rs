//! Words the registry understands.

use std::net::SocketAddr;

use crate::mailbox::Word;
use crate::model::{BootId, Facts, Learned, PeerId, PeerView, Roles, Via, Way};
use crate::wire::heartbeat::Beat;
use crate::wire::ipc::{Pin, TrustName, TrustedKey};
use crate::wire::refusal::Refusal;

/// Whether a link to where a beat came from should be tried (rate-limited).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// No: it has proven its key there.
    Nothing,
    /// Yes: no key was ever proven here by whoever it says it is.
    Stranger,
    /// Yes: this run of a friend, or this address of it, is unproven.
    Friend,
}

/// A valid heartbeat came from `from`. It is a hint until a link has proven the key: the answer says whether to try one.
#[derive(Debug, Word)]
#[rtype(result = "Worth")]
pub struct PeerHeard {
    /// What it said.
    pub beat: Beat,
    /// The datagram's source address with the beat's worker port.
    pub addr: SocketAddr,
}

/// Over a link, with a proven key: who is at the other end. Pins a new name to its key.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct PeerLinked {
    /// The proven key's hash.
    pub peer: PeerId,
    /// The name it claims; a name pinned to another key is refused.
    pub name: String,
    /// Which run of it.
    pub boot: BootId,
    /// Where its worker listens.
    pub addr: SocketAddr,
    /// The way it was dialled; `None` if it dialled us.
    pub way: Option<Way>,
    /// Its release.
    pub version: String,
    /// Its clock minus ours, in milliseconds.
    pub clock_skew_ms: i64,
    /// How we came to know it.
    pub via: Via,
}

/// Facts came over the link.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct PeerFacts {
    /// From whom.
    pub peer: PeerId,
    /// Its name.
    pub name: String,
    /// Its load.
    pub facts: Facts,
    /// Its clock minus ours, in milliseconds, if it said its time.
    pub clock_skew_ms: Option<i64>,
}

/// Where a peer may be dialled, in the order to try it: proven and working, heard of, failed lately. Empty for a peer of
/// which nothing is known.
#[derive(Debug, Word)]
#[rtype(result = "Vec<(Way, Learned)>")]
pub struct PathsOf {
    /// Whom.
    pub peer: PeerId,
}

/// How a way to a peer has turned out.
#[derive(Debug, Clone, PartialEq, Eq, Word)]
#[rtype(result = "()")]
pub struct PathTried {
    /// To whom.
    pub peer: PeerId,
    /// Which.
    pub way: Way,
    /// What came of it.
    pub tried: Tried,
}

/// What came of a way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It answered, after so many microseconds where that was measured.
    Answered(Option<u32>),
    /// It answers no more.
    Failed,
    /// A large transfer went there with so many bytes a second.
    Carried(u64),
    /// The link goes this way from now on.
    InUse,
}

/// The link to it is gone. `goodbye` when it said so.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct PeerUnlinked {
    /// Who.
    pub peer: PeerId,
    /// It stops in order.
    pub goodbye: bool,
}

/// This machine has another name, group or worker port from here on.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ChangeSelf {
    /// Its name.
    pub name: String,
    /// Its new run.
    pub boot: BootId,
    /// Where its worker listens.
    pub worker_port: u16,
    /// It is the group of before. In another one nothing that was heard or proven so far holds; names stay pinned.
    pub same_group: bool,
}

/// What a peer may do here.
#[derive(Debug, Word)]
#[rtype(result = "Roles")]
pub struct RolesOf {
    /// Its key's hash.
    pub peer: PeerId,
}

/// Lets a peer do this and nothing else here, from now on.
#[derive(Debug, Word)]
#[rtype(result = "Result<Pin, Refusal>")]
pub struct SetRoles {
    /// Its name.
    pub name: String,
    /// What it may.
    pub roles: Roles,
}

/// Who told us of a peer to which a link is up.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct PeerIntroduced {
    /// Who.
    pub peer: PeerId,
    /// The name of the member that told us; `None` if nobody had to.
    pub by: Option<String>,
}

/// Peers whose heartbeats come here now: those are seen without a link.
#[derive(Debug, Word)]
#[rtype(result = "Vec<PeerId>")]
pub struct OnAir;

/// A machine was put out of the group: its names are free, and it is not listed.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct ForgetPeer {
    /// Its key's hash.
    pub peer: PeerId,
}

/// Everybody known, this machine first. Offline ones only when asked for.
#[derive(Debug, Word)]
#[rtype(result = "Vec<PeerView>")]
pub struct ListPeers {
    /// Peers that are offline too.
    pub offline: bool,
}

/// Which key each name stands for, and who else claims it.
#[derive(Debug, Word)]
#[rtype(result = "Vec<Pin>")]
pub struct ListPins;

/// Pins a name to the other key that was lately proven under it, and forgets the machine with the old one. Answers with
/// both and with where the new one is.
#[derive(Debug, Word)]
#[rtype(result = "Result<(TrustedKey, SocketAddr), Refusal>")]
pub struct TrustNewKey {
    /// Which name, and which key if there is a choice.
    pub trust: TrustName,
}
