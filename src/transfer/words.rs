//! The messages of a transfer.

use serde::{Deserialize, Serialize};

use crate::model::Digest;
use crate::wire::frame::FrameError;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Raw stream of everything in a transfer.
pub(super) const STREAM: u32 = 0;
/// Largest manifest: a million files with long paths. It is read piece by piece, so a liar gains nothing.
pub(super) const MAX_MANIFEST: u64 = 256 << 20;
/// How often a sender says that its list is still being made: three times before the other side would give up.
pub(super) const WAIT_EVERY: std::time::Duration = std::time::Duration::from_secs(12);
/// Most times it may say so: half an hour is enough to pack and hash any environment.
pub(super) const MOST_WAITS: u32 = 150;
/// A list of so many bytes is sent with its offer: it costs less than the round trip of asking for it.
pub(super) const SHORT_LIST: u64 = 16 << 10;
/// A transfer that moves nothing for so long is dead: the link's own limit (design §6).
pub(super) const IDLE: std::time::Duration = std::time::Duration::from_secs(45);

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
pub(super) enum Say {
    /// The list is still being made.
    Wait,
    Offer {
        manifest_bytes: u64,
        digest: Digest,
    },
    List,
    Need {
        chunks: u64,
        bytes: u64,
        bitmap_bytes: u64,
    },
    Done,
    Refused {
        refusal: Refusal,
    },
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The connection broke, or the other side spoke nonsense.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Nothing moved for 45 s.
    #[error("nothing moved for 45 s")]
    Idle,
    /// The other side refused.
    #[error("refused by the other side: {0}")]
    Theirs(Refusal),
    /// This side refused.
    #[error("{0}")]
    Ours(Refusal),
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file of the manifest.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl TransferError {
    /// The refusal to hand on.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Theirs(r) | Self::Ours(r) => r,
            Self::Frame(FrameError::Io(_) | FrameError::Closed) | Self::Idle => {
                Refusal::new(RefusalKind::Unreachable, format!("the transfer broke off: {self}"))
            }
            Self::Frame(_) => Refusal::new(RefusalKind::BadRequest, format!("the transfer broke off: {self}")),
            Self::Read { .. } => Refusal::new(RefusalKind::BadRequest, self.to_string()),
        }
    }
}
