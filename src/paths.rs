//! Where socket, config and state live, as a function of a given environment (design §8).

use std::path::PathBuf;

/// The places of one homied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The one config file it reads.
    pub config: PathBuf,
    /// Its state: keys, history, blobs, jobs.
    pub state: PathBuf,
    /// Its local socket.
    pub socket: PathBuf,
}
