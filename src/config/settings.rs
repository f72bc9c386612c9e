//! The validated settings, and the slice of them that each room gets.

use crate::model::{Isolation, Limits};
use crate::secret::Secret;

/// Which engine hosts jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// Docker (or Podman) when one answers and has the environment, else native.
    #[default]
    Auto,
    /// Only Docker or Podman.
    Docker,
    /// Only the embedded Linux engine.
    Native,
}

/// Everything homied was told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of this machine.
    pub name: String,
    /// Name of the group; part of the key derivation, so two groups with one secret stay apart.
    pub group: String,
    /// The shared secret; empty means: not set up yet, this machine stays alone.
    pub group_secret: Secret,
    /// UDP port of heartbeats.
    pub discovery_port: u16,
    /// TCP port of links.
    pub worker_port: u16,
    /// Caps of a hosted job.
    pub limits: Limits,
    /// Jobs hosted at once.
    pub job_slots: u16,
    /// Which engine.
    pub engine: EngineChoice,
    /// The weakest jail a friend's job is put in.
    pub min_isolation: Isolation,
    /// Users who may administer homied beside root and its own user.
    pub admins: Vec<String>,
    /// Peers to dial: (`HOST:PORT`, label).
    pub direct: Vec<(String, Option<String>)>,
    /// Whether to broadcast heartbeats.
    pub broadcast: bool,
}
