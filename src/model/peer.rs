//! Another machine of the group, as this one sees it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ids::{BootId, PeerId};
use super::path::PathView;
use super::resources::Facts;
use super::roles::Roles;

/// Whether a peer would take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerStatus {
    /// Online, with a free slot.
    Idle,
    /// Online, every slot taken.
    Busy,
    /// Online, its owner lends nothing now.
    Paused,
    /// Not heard for several beats.
    Offline,
}

impl PeerStatus {
    /// The name used in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Paused => "paused",
            Self::Offline => "offline",
        }
    }
}

/// How a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// By its broadcast.
    Broadcast,
    /// By an address the user added, or because it dialled us.
    Direct,
    /// By an address or name the user added, reached through a proxy.
    Proxy,
    /// It is this machine.
    Own,
}

/// A row of `homie peers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// Its key's hash.
    pub id: PeerId,
    /// Its name.
    pub name: String,
    /// Where its worker port was last seen; `0.0.0.0:0` if only a proxy knows (see [`Via::Proxy`]).
    pub addr: SocketAddr,
    /// Which run of it.
    pub boot: BootId,
    /// Whether it would take a job.
    pub status: PeerStatus,
    /// How it is known.
    pub via: Via,
    /// Its version (`0.1.0`), empty until a link was made.
    pub version: String,
    /// Whether a link to it is up.
    pub linked: bool,
    /// Milliseconds since it was last heard.
    pub heard_ms_ago: u64,
    /// Its clock minus ours in milliseconds; `None` until a link measured it.
    pub clock_skew_ms: Option<i64>,
    /// What it may do here.
    #[serde(default)]
    pub roles: Roles,
    /// The name of the member that told us of it; `None` where nobody had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced_by: Option<String>,
    /// The ways to it, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathView>,
    /// What it said of itself.
    pub facts: Facts,
}
