//! What a job left: found by a walk that trusts nothing, served in place.
//!
//! The job's last process is gone when this begins, so nothing moves any more; but whatever it made lies there: links
//! to the host's files, pipes that block whoever opens them, sparse files of terabytes. Only plain files whose every name
//! lies here are results; everything else is listed with the reason it was left behind.

mod source;
mod walk;

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use source::ResultsSource;

use super::error::SandboxError;
use crate::model::{FileEntry, Manifest, ResultRef, Totals};

/// The list of results beside the job's directory: `results.json`.
pub(super) const RESULTS: &str = "results.json";

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Results {
    /// New and changed files.
    pub(super) manifest: Manifest,
    /// What was left behind and why.
    pub(super) skipped: Vec<String>,
    /// How many names those files have that have several (hard links), all of them in the job's directory.
    pub(super) names: HashMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    files: Vec<FileEntry>,
    skipped: Vec<String>,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    names: HashMap<String, u64>,
}

impl Results {
    /// What the submitter is told; `None` when there is nothing to tell.
    pub(super) fn reference(&self) -> Option<ResultRef> {
        let files = self.manifest.files().len() as u64;
        (files > 0 || !self.skipped.is_empty()).then(|| ResultRef {
            manifest: self.manifest.digest(),
            totals: Totals { files, bytes: self.manifest.total_bytes() },
            skipped: self.skipped.clone(),
        })
    }

    /// Writes the list for a later homied.
    pub(super) fn save(&self, job_dir: &Path) -> Result<(), SandboxError> {
        let path = job_dir.join(RESULTS);
        let list =
            OnDisk { files: self.manifest.files().to_vec(), skipped: self.skipped.clone(), names: self.names.clone() };
        super::supervisor::write_json(&path, &list).map_err(SandboxError::io("write", &path))
    }

    /// Reads it back.
    pub(super) fn load(job_dir: &Path) -> Result<Self, SandboxError> {
        let path = job_dir.join(RESULTS);
        let list: OnDisk = super::supervisor::read_json(&path).map_err(SandboxError::io("read", &path))?;
        let manifest = Manifest::new(list.files).map_err(|e| SandboxError::Results(e.to_string()))?;
        Ok(Self { manifest, skipped: list.skipped, names: list.names })
    }
}

/// Walks `work` and lists what is new or changed against `inputs`. A file that was not touched since `started` (change
/// time in nanoseconds of something written just before the job) is not read. Blocks.
///
/// # Errors
/// The directory itself cannot be read.
pub(super) fn collect(work: &Path, inputs: &Manifest, started: i128, max_bytes: u64) -> Result<Results, SandboxError> {
    let found = walk::walk(work, inputs, started, max_bytes)?;
    let walk::Hashed { files, names, skipped } = walk::hash(found, inputs)?;
    let manifest = Manifest::new(files).map_err(|e| SandboxError::Results(e.to_string()))?;
    Ok(Results { manifest, skipped, names })
}

/// The change time of a file in nanoseconds since 1970. No program can set it, which makes it a witness.
pub(super) fn change_time(path: &Path) -> Result<i128, SandboxError> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).map_err(SandboxError::io("look at", path))?;
    Ok(i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()))
}

#[cfg(test)]
mod tests;
