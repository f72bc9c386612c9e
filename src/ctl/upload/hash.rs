//! Reads every file once, on all processors, and writes down what it holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::known::Known;
use super::pick::{Origin, Picked};
use crate::ctl::exit::CtlError;
use crate::model::{CleanPath, FileEntry, Manifest};
use crate::transfer::describe;

/// More readers than this only fight over one disk.
const MAX_READERS: usize = 8;

/// Files that one reader takes at once, at most: fewer and readers wait for each other where files are many and small, more
/// and some are done long before others.
const MAX_PART: usize = 16;

/// A file of at most so many bytes is small: opening it twice costs more than keeping it.
const SMALL: usize = 64 << 10;
/// Bytes of small files that are kept until homied has said what it lacks. 16,000 files of 4 KiB; what is read after
/// them is read again.
const MOST_KEPT: usize = 64 << 20;

/// A manifest, and the bytes of small files that were read for it, each with its place in the list.
type Read = (Manifest, Vec<(usize, Bytes)>);

/// The manifest of `files`, in the order of their names. What is `known` is not read.
///
/// # Errors
/// A file cannot be read, or the list breaks a rule of [`Manifest::new`].
pub(super) fn manifest(files: &BTreeMap<CleanPath, Picked>, known: &Known) -> Result<Read, CtlError> {
    let list: Vec<_> = files.iter().collect();
    // To ask for the processors is to read a dozen files: not for one script.
    let readers = match list.len() {
        0 | 1 => 1,
        files => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_READERS).min(files),
    };
    // Several parts for each reader, since some take longer; of a few files, which may be large, each is one.
    let size = (list.len() / (readers * 4)).clamp(1, MAX_PART);
    let next = AtomicUsize::new(0);
    let (parts, kept) = (Mutex::new(Ok(Vec::new())), Mutex::new((0, Vec::new())));
    let work = || {
        loop {
            let first = next.fetch_add(size, Ordering::Relaxed);
            let part = list.iter().enumerate().skip(first).take(size).map(|(place, (name, picked))| {
                let (entry, bytes) = entry(name, picked, known)?;
                if let Some(bytes) = bytes {
                    keep(&kept, place, bytes);
                }
                Ok(entry)
            });
            let part: Result<Vec<FileEntry>, CtlError> = part.collect();
            let mut all = parts.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *all, part) {
                (Ok(_), Ok(part)) if part.is_empty() => return,
                (Ok(done), Ok(part)) => done.push((first, part)),
                (Ok(_), Err(e)) => {
                    *all = Err(e);
                    return;
                }
                (Err(_), _) => return,
            }
        }
    };
    if readers <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            // One that cannot be had is one reader less.
            (1..readers).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, work)));
            work();
        });
    }
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    parts.sort_unstable_by_key(|(first, _)| *first);
    let entries = parts.into_iter().flat_map(|(_, part)| part).collect();
    let manifest = Manifest::new(entries).map_err(|e| CtlError::usage(e.to_string()))?;
    Ok((manifest, kept.into_inner().unwrap_or_else(PoisonError::into_inner).1))
}

/// Keeps `bytes`, while there is room.
fn keep(kept: &Mutex<(usize, Vec<(usize, Bytes)>)>, place: usize, bytes: Bytes) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let (sum, all) = &mut *kept;
    if *sum + bytes.len() <= MOST_KEPT {
        *sum += bytes.len();
        all.push((place, bytes));
    }
}

fn entry(name: &CleanPath, picked: &Picked, known: &Known) -> Result<(FileEntry, Option<Bytes>), CtlError> {
    let read = match (&picked.origin, &picked.stamp) {
        (Origin::Disk(path), Some(stamp)) => match known.get(path, stamp) {
            Some(content) => Ok((content, None)),
            None => known.read(path, stamp, SMALL),
        },
        (Origin::Disk(path), None) => File::open(path).and_then(describe).map(|content| (content, None)),
        (Origin::Memory(bytes), _) => describe(&bytes[..]).map(|content| (content, None)),
    };
    let (described, bytes) = read.map_err(|e| CtlError::io(format!("cannot read {name}"), e))?;
    Ok((described.entry(name.clone(), picked.exec), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::model::{CHUNK_BYTES, Digest};

    #[test]
    fn files_are_described_as_the_manifest_wants_them() {
        let chunk = usize::try_from(CHUNK_BYTES).expect("fits");
        let files: BTreeMap<_, _> = [0, 1, chunk, chunk + 1, 3 * chunk]
            .into_iter()
            .map(|size| {
                let text: bytes::Bytes = (0..size).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
                let name = CleanPath::new(format!("f{size:08}")).expect("clean");
                (name, Picked { origin: Origin::Memory(text), size: size as u64, exec: false, stamp: None })
            })
            .collect();
        let (manifest, _) = manifest(&files, &Known::open(None, Path::new(""))).expect("valid");
        assert_eq!(manifest.files().len(), 5);
        for (entry, picked) in manifest.files().iter().zip(files.values()) {
            let Origin::Memory(text) = &picked.origin else { panic!("memory") };
            assert_eq!((entry.size, entry.hash), (text.len() as u64, Digest::of(text)));
            let mut rest = &text[..];
            for (digest, len) in entry.chunks() {
                let (piece, after) = rest.split_at(len as usize);
                assert_eq!(digest, Digest::of(piece));
                rest = after;
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let name = CleanPath::new("gone.csv").expect("clean");
        let picked = Picked { origin: Origin::Disk("/nonexistent/gone.csv".into()), size: 1, exec: false, stamp: None };
        let error =
            manifest(&BTreeMap::from([(name, picked)]), &Known::open(None, Path::new(""))).expect_err("unreadable");
        assert!(error.to_string().contains("cannot read gone.csv"), "{error}");
    }
}
