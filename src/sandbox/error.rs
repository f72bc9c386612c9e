//! What can go wrong with a hosted job on this side, by what becomes of the job.

use std::io;
use std::path::{Path, PathBuf};

use crate::blobs::BlobError;
use crate::model::{FailKind, Outcome};

/// A failed step of hosting a job.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The file system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The inputs are not complete in the store.
    #[error("the inputs are not here: {0}")]
    Inputs(#[from] BlobError),
    /// The list of results cannot be made.
    #[error("the results cannot be listed: {0}")]
    Results(String),
    /// The supervisor could not be started or ended without a report.
    #[error("{0}")]
    Supervisor(String),
}

impl SandboxError {
    /// For `map_err`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }

    /// How a job ends that met this.
    pub(super) fn outcome(&self) -> Outcome {
        let full = |e: &io::Error| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let kind = match self {
            Self::Io { source, .. } if full(source) => FailKind::DiskLimit,
            Self::Inputs(BlobError::Io { source, .. }) if full(source) => FailKind::DiskLimit,
            Self::Inputs(_) => FailKind::Inputs,
            Self::Results(_) => FailKind::Results,
            Self::Supervisor(_) => FailKind::Engine,
            Self::Io { .. } => FailKind::Internal,
        };
        Outcome::failed(kind, self.to_string())
    }
}
