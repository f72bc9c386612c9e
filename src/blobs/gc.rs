//! Counting and listing what is in the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::Digest;

pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    used_at: SystemTime,
}

fn blobs(dir: &Path) -> io::Result<Vec<Blob>> {
    let mut found = Vec::new();
    for shard in fs::read_dir(dir.join("blobs"))? {
        for entry in fs::read_dir(shard?.path())? {
            let entry = entry?;
            let meta = entry.metadata()?;
            // Anything that is not named like a blob is not ours to count or remove.
            let Some(digest) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            // Reading updates atime at most once a day on most systems (relatime), hence the later of both.
            let used_at = meta.accessed().ok().max(meta.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Blob { digest, path: entry.path(), bytes: meta.len(), used_at });
        }
    }
    Ok(found)
}

/// Bytes of all blobs.
pub(super) fn used(dir: &Path) -> io::Result<u64> {
    Ok(blobs(dir)?.iter().map(|b| b.bytes).sum())
}

/// All blobs, the least recently used first.
pub(super) fn oldest_first(dir: &Path) -> io::Result<Vec<Blob>> {
    let mut all = blobs(dir)?;
    all.sort_by_key(|b| b.used_at);
    Ok(all)
}
