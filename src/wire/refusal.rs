//! The one error that crosses a process: kind for programs, message and hint for people.

use serde::{Deserialize, Serialize};

/// What went wrong, as a word that scripts may rely on. The same words appear in `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// Every slot of the worker is taken.
    Busy,
    /// Its owner lends nothing now.
    Paused,
    /// The asker may not do that.
    NotAllowed,
    /// No engine is ready there.
    NoEngine,
    /// Its engines are weaker than the job demands.
    Isolation,
    /// The job needs more than the owner's limits or the machine give.
    Limits,
    /// It does not have the environment.
    NoEnvironment,
    /// It has no (free) GPU of that kind.
    NoGpu,
    /// A later assignment of the job is known.
    StaleEpoch,
    /// No such job (any more).
    UnknownJob,
    /// No such peer.
    UnknownPeer,
    /// Nobody can take the job.
    NoPeer,
    /// What was sent cannot be used.
    BadRequest,
    /// What was sent is not what was announced.
    Integrity,
    /// The disk is full, or the quota is.
    DiskFull,
    /// The other machine cannot be reached.
    Unreachable,
    /// The configuration cannot be used.
    Config,
    /// It is on its way down.
    ShuttingDown,
    /// Anything else; a fault of Homie's own.
    Internal,
}

impl RefusalKind {
    /// Whether another peer may well say yes to the same job.
    pub fn another_peer_may_take_it(self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Paused
                | Self::NotAllowed
                | Self::NoEngine
                | Self::Isolation
                | Self::Limits
                | Self::NoEnvironment
                | Self::NoGpu
                | Self::DiskFull
                | Self::UnknownPeer
                | Self::Unreachable
                | Self::ShuttingDown
                | Self::Internal
        )
    }

    /// The kebab-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Paused => "paused",
            Self::NotAllowed => "not-allowed",
            Self::NoEngine => "no-engine",
            Self::Isolation => "isolation",
            Self::Limits => "limits",
            Self::NoEnvironment => "no-environment",
            Self::NoGpu => "no-gpu",
            Self::StaleEpoch => "stale-epoch",
            Self::UnknownJob => "unknown-job",
            Self::UnknownPeer => "unknown-peer",
            Self::NoPeer => "no-peer",
            Self::BadRequest => "bad-request",
            Self::Integrity => "integrity",
            Self::DiskFull => "disk-full",
            Self::Unreachable => "unreachable",
            Self::Config => "config",
            Self::ShuttingDown => "shutting-down",
            Self::Internal => "internal",
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// What was wrong and where; lower-case, no full stop.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// A fault of Homie's own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Internal, message)
    }

    /// The same with a next step for the user.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
