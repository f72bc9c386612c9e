//! What keeps the registry from starting.

use std::path::PathBuf;

/// The names that were pinned to keys cannot be had. Starting without them would let any machine take any name, so
/// this is not passed over.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("cannot read the known peers in {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not hold what it should.
    #[error("cannot understand the known peers in {path}: {why}; move the file away to start without known names")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
