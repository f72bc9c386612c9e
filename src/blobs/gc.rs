//! Counting and listing what is in the store.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::packs::number_of;
use crate::model::Digest;

/// What a file of the store holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    One(Digest),
    /// The pack with this number.
    Pack(u32),
}

pub(super) struct Kept {
    pub(super) holds: Holds,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    used_at: SystemTime,
}

/// What `named` makes of the files in `dir`. Anything with another name is not ours to count or remove.
fn files(dir: &Path, into: &mut Vec<Kept>, named: impl Fn(&str) -> Option<Holds>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(holds) = entry.file_name().to_str().and_then(&named) else { continue };
        let meta = entry.metadata()?;
        // Reading updates atime at most once a day on most systems (relatime), hence the later of both.
        let used_at = meta.accessed().ok().max(meta.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
        into.push(Kept { holds, path: entry.path(), bytes: meta.len(), used_at });
    }
    Ok(())
}

fn loose(dir: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for shard in fs::read_dir(dir.join("blobs"))? {
        files(&shard?.path(), &mut found, |name| name.parse().ok().map(Holds::One))?;
    }
    Ok(found)
}

/// The blobs that are files of their own, and their bytes.
pub(super) fn counted(dir: &Path) -> io::Result<(HashSet<Digest>, u64)> {
    let all = loose(dir)?;
    let bytes = all.iter().map(|kept| kept.bytes).sum();
    let names = all.iter().filter_map(|kept| if let Holds::One(digest) = kept.holds { Some(digest) } else { None });
    Ok((names.collect(), bytes))
}

/// All files, the least recently used first.
pub(super) fn oldest_first(dir: &Path) -> io::Result<Vec<Kept>> {
    let mut all = loose(dir)?;
    files(&dir.join("packs"), &mut all, |name| number_of(name).map(Holds::Pack))?;
    all.sort_by_key(|kept| kept.used_at);
    Ok(all)
}
