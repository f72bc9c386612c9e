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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Each message and its golden file. A message that is missing here does not compile.
    fn golden(say: &Say) -> &'static str {
        match say {
            Say::Wait => "transfer-wait.json",
            Say::Offer { .. } => "transfer-offer.json",
            Say::List => "transfer-list.json",
            Say::Need { .. } => "transfer-need.json",
            Say::Done => "transfer-done.json",
            Say::Refused { .. } => "transfer-refused.json",
        }
    }

    #[test]
    fn a_transfer_is_spoken_of_as_before() {
        let refusal = Refusal::new(RefusalKind::DiskFull, "the disk of raj is full").hint("`homie peers` shows others");
        let all = [
            Say::Wait,
            Say::Offer { manifest_bytes: 301, digest: Digest([0xd1; 32]) },
            Say::List,
            Say::Need { chunks: 2, bytes: 1_048_588, bitmap_bytes: 1 },
            Say::Done,
            Say::Refused { refusal },
        ];
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire/1");
        let mut seen: Vec<&str> = all.iter().map(golden).collect();
        for say in &all {
            let name = golden(say);
            let text = std::fs::read_to_string(dir.join(name)).expect(name);
            assert_eq!(serde_json::to_string_pretty(say).expect("JSON"), text.trim_end(), "{name}");
            let read: Say = serde_json::from_str(&text).expect(name);
            assert_eq!(serde_json::to_value(&read).expect("JSON"), serde_json::to_value(say).expect("JSON"), "{name}");
        }
        // Every variant that serde knows is among them.
        let unknown = serde_json::from_str::<Say>(r#"{"t":"?"}"#).expect_err("no message").to_string();
        let known = unknown.split('`').skip(3).step_by(2).count();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), known, "{unknown}");
    }
}
