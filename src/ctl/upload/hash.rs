//! Reads every file once, on all processors, and writes down what it holds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::known::Known;
use super::pick::{Origin, Picked};
use crate::ctl::exit::CtlError;
use crate::model::{CleanPath, FileEntry, Manifest};
use crate::transfer::describe;

/// More readers than this only fight over one disk.
const MAX_READERS: usize = 8;

/// The manifest of `files`, in the order of their names. What is `known` is not read.
///
/// # Errors
/// A file cannot be read, or the list breaks a rule of [`Manifest::new`].
pub(super) fn manifest(files: &BTreeMap<CleanPath, Picked>, known: &Known) -> Result<Manifest, CtlError> {
    let list: Vec<_> = files.iter().collect();
    // To ask for the processors is to read a dozen files: not for one script.
    let readers = match list.len() {
        0 | 1 => 1,
        files => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_READERS).min(files),
    };
    let next = AtomicUsize::new(0);
    let entries = Mutex::new(Ok(Vec::with_capacity(list.len())));
    let work = || {
        while let Some((name, picked)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            let entry = entry(name, picked, known);
            let mut all = entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match (&mut *all, entry) {
                (Ok(done), Ok(entry)) => done.push(entry),
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
        std::thread::scope(|scope| (0..readers).for_each(|_| drop(scope.spawn(work))));
    }
    let entries = entries.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    Manifest::new(entries).map_err(|e| CtlError::usage(e.to_string()))
}

fn entry(name: &CleanPath, picked: &Picked, known: &Known) -> Result<FileEntry, CtlError> {
    let read = match &picked.origin {
        Origin::Disk(path) => {
            picked.stamp.and_then(|stamp| known.get(path, &stamp)).map_or_else(|| known.read(path), Ok)
        }
        Origin::Memory(bytes) => describe(&bytes[..]),
    };
    let described = read.map_err(|e| CtlError::io(format!("cannot read {name}"), e))?;
    Ok(described.entry(name.clone(), picked.exec))
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
        let manifest = manifest(&files, &Known::open(None, Path::new(""))).expect("valid");
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
