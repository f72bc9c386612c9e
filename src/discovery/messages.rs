//! Words discovery understands.

use crate::config::Listen;
use crate::mailbox::Word;
use crate::model::BootId;
use crate::secret::GroupKeys;
use crate::wire::ipc::Stranger;

/// Sends our own next beat now (at most once in 250 ms), because somebody new was heard.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct BeatSoon;

/// Machines that are heard and cannot be understood: their group or their secret differs. A hint, since anybody can
/// make such a datagram.
#[derive(Debug, Word)]
#[rtype(result = "Vec<Stranger>")]
pub struct ListStrangers;

/// Why we do not broadcast, if so.
#[derive(Debug, Word)]
#[rtype(result = "Option<String>")]
pub struct DiscoveryError;

/// Speaks and listens anew, as somebody whom nobody has heard before. A conversation that goes on ends first, with a
/// goodbye; answers when that is said.
#[derive(Debug, Clone, Word)]
#[rtype(result = "()")]
pub struct StartDiscovery {
    /// The group's keys; without them this machine stays alone.
    pub keys: Option<GroupKeys>,
    /// This run.
    pub boot: BootId,
    /// Its name.
    pub name: String,
    /// UDP port of heartbeats, here and everywhere in the group.
    pub discovery_port: u16,
    /// Where its worker listens.
    pub worker_port: u16,
    /// Whether to beat, or only to listen.
    pub broadcast: bool,
    /// On which networks to beat.
    pub listen: Listen,
}

/// Sends the goodbye beat and closes the socket.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct StopDiscovery;
