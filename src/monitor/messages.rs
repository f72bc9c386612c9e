//! Words the monitor understands. Own facts are read from its `watch`, not asked for.

use crate::mailbox::Word;
use crate::model::EngineOffer;

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
}

/// New caps after a reload.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct SetLimits {
    /// The caps of a hosted job.
    pub limits: crate::model::Limits,
    /// Jobs hosted at once.
    pub slots: u16,
}
