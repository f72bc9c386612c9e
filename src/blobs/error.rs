//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use crate::model::{Digest, format_bytes};
use crate::wire::refusal::{Refusal, RefusalKind};

/// A failed operation on the store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system refused.
    #[error("blob store: cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Content that does not have the hash it should have.
    #[error("blob store: the content of {0} does not match its hash")]
    Damaged(Digest),
    /// Not there.
    #[error("blob store: {0} is not here")]
    Missing(Digest),
    /// A blob that should be a manifest is not one.
    #[error("blob store: {0} is no file list: {1}")]
    NotAManifest(Digest, String),
    /// The quota does not allow it, even after everything unpinned was dropped.
    #[error("blob store: {} more would exceed the quota of {}{}", format_bytes(*wanted), format_bytes(*quota), besides(*promised))]
    Quota {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes that others may still bring.
        promised: u64,
        /// The quota in bytes.
        quota: u64,
    },
}

fn besides(promised: u64) -> String {
    match promised {
        0 => String::new(),
        bytes => format!(", {} of it promised to other transfers under way", format_bytes(bytes)),
    }
}

impl BlobError {
    /// What the other side is told.
    pub fn refusal(&self) -> Refusal {
        let kind = match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => RefusalKind::DiskFull,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::QuotaExceeded => RefusalKind::DiskFull,
            Self::Quota { .. } => RefusalKind::DiskFull,
            Self::Damaged(_) => RefusalKind::Integrity,
            Self::NotAManifest(..) => RefusalKind::BadRequest,
            Self::Io { .. } | Self::Missing(_) => RefusalKind::Internal,
        };
        let refusal = Refusal::new(kind, self.to_string());
        if kind == RefusalKind::DiskFull {
            return refusal.hint("free disk space, or raise `store_limit` in the configuration of that machine");
        }
        refusal
    }
}
