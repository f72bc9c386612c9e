//! Words the monitor understands. Own facts are read from its `watch`, not asked for.

use crate::mailbox::Word;
use crate::model::{EngineOffer, JobId, SeenGpu};

/// The engines that are ready here (after a probe, or when one came or went).
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct SetEngines {
    /// All of them.
    pub engines: Vec<EngineOffer>,
}

/// How many jobs are hosted now.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct SetHosting {
    /// Running or about to.
    pub running: u16,
    /// At most this many at once.
    pub slots: u16,
    /// Those of them that have GPUs.
    pub gpus: Vec<GpuHolder>,
    /// Whether several may have the same.
    pub gpu_share: bool,
}

/// A hosted job that has GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuHolder {
    /// Which.
    pub job: JobId,
    /// NVML's indices.
    pub gpus: Vec<u32>,
    /// The first process of its namespace as this machine numbers it, from which all others descend; `None` before it
    /// runs.
    pub init: Option<i32>,
}

/// The GPUs as they are this very moment: what was last seen may be half a minute old, too old to promise one. A
/// driver that hangs does not answer; the asker's patience ends it.
#[derive(Debug, Word)]
#[rtype(result = "Vec<SeenGpu>")]
pub struct LookAtGpus;

/// New caps after a reload.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct SetLimits {
    /// The caps of a hosted job.
    pub limits: crate::model::Limits,
    /// Jobs hosted at once.
    pub slots: u16,
}
