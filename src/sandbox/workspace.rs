//! The job's directory: made from the inputs in the blob store, and removed with whatever the job left in it.
//!
//! Blobs are copied, never hard-linked: a job that writes into its input must not write into the store.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FchmodatFlags, Mode};
use nix::unistd::{Gid, Uid};

use super::error::SandboxError;
use crate::blobs::BlobStore;
use crate::model::{FileEntry, JobId, Manifest};

/// Threads that copy: creating one is mostly waiting for the file system's locks, and more than four gain
/// nothing.
const COPIERS: usize = 4;

/// Makes `work` with everything that `inputs` lists, owned by the job's user. `work` must not exist: nobody but us has
/// been in it when this returns. Blocks.
///
/// # Errors
/// A blob is missing or damaged, or the disk is full.
pub(super) fn materialise(
    work: &Path,
    inputs: &Manifest,
    blobs: &BlobStore,
    uid: u32,
    gid: u32,
) -> Result<(), SandboxError> {
    make_dir(work, &Owner::of(uid, gid))?;
    fill(work, inputs, blobs, uid, gid)
}

/// Puts everything that `inputs` lists into `work`, which is empty and the job's user's. Blocks.
///
/// # Errors
/// A blob is missing or damaged, or the disk is full.
pub(super) fn fill(work: &Path, inputs: &Manifest, blobs: &BlobStore, uid: u32, gid: u32) -> Result<(), SandboxError> {
    let owner = Owner::of(uid, gid);
    let mut dirs = BTreeSet::new();
    for file in inputs.files() {
        let path = file.path.as_str();
        dirs.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    // Sorted, so that each comes after the one it lies in.
    for dir in dirs {
        make_dir(&work.join(dir), &owner)?;
    }
    let parts: Vec<Part> = inputs.files().iter().flat_map(Part::of).collect();
    // A part of a file may be copied before the one that it begins with.
    for part in parts.iter().filter(|part| part.is_one_of_many()) {
        make_file(work, part.file, &owner)?;
    }
    let next = AtomicUsize::new(0);
    let copy = || {
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            part.copy(work, blobs, &owner)?;
        }
        Ok(())
    };
    if parts.len() < 2 {
        return copy();
    }
    std::thread::scope(|scope| {
        let copiers: Vec<_> = (0..COPIERS.min(parts.len())).map(|_| scope.spawn(copy)).collect();
        let mut result = Ok(());
        for copier in copiers {
            match copier.join() {
                Ok(done) => result = result.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    })
}

/// Whom files are given to; nobody when they already belong to the right user.
struct Owner(Option<(Uid, Gid)>);

impl Owner {
    fn of(uid: u32, gid: u32) -> Self {
        let own = Uid::effective().as_raw() == uid && Gid::effective().as_raw() == gid;
        Self((!own).then(|| (Uid::from_raw(uid), Gid::from_raw(gid))))
    }
}

fn make_dir(path: &Path, owner: &Owner) -> Result<(), SandboxError> {
    DirBuilder::new().mode(0o755).create(path).map_err(SandboxError::io("make", path))?;
    match owner.0 {
        Some((uid, gid)) => nix::unistd::chown(path, Some(uid), Some(gid))
            .map_err(|e| SandboxError::io("give to the job", path)(e.into())),
        None => Ok(()),
    }
}

/// What one thread copies at once: a file, or some chunks of a big one.
struct Part<'a> {
    file: &'a FileEntry,
    /// Number of its first chunk.
    first: usize,
    /// Where that lies in the file.
    offset: u64,
}

impl<'a> Part<'a> {
    /// About 16 MiB: far more than it costs to find the place, and little enough that all threads end together.
    const CHUNKS: usize = 16;

    fn of(file: &'a FileEntry) -> impl Iterator<Item = Self> + 'a {
        let begins = file.chunks().enumerate().scan(0, |at, (number, (_, len))| {
            let offset = *at;
            *at += len;
            Some((number, offset))
        });
        let later = begins.step_by(Self::CHUNKS).skip(1);
        // An empty file has no chunks and is a file all the same.
        std::iter::once((0, 0)).chain(later).map(move |(first, offset)| Self { file, first, offset })
    }

    /// Whether it is the first of several.
    fn is_one_of_many(&self) -> bool {
        self.first == 0 && self.file.chunks().nth(Self::CHUNKS).is_some()
    }

    fn copy(&self, work: &Path, blobs: &BlobStore, owner: &Owner) -> Result<(), SandboxError> {
        let path = work.join(self.file.path.as_str());
        let file = if self.first > 0 || self.is_one_of_many() {
            OpenOptions::new().write(true).open(&path).map_err(SandboxError::io("open", &path))?
        } else {
            make_file(work, self.file, owner)?
        };
        let mut at = self.offset;
        for (digest, len) in self.file.chunks().skip(self.first).take(Self::CHUNKS) {
            // Reading checks the hash, so a store that rotted is noticed before the job computes with it.
            let bytes = blobs.get(&digest, len)?;
            file.write_all_at(&bytes, at).map_err(SandboxError::io("write", &path))?;
            at += len;
        }
        Ok(())
    }
}

fn make_file(work: &Path, entry: &FileEntry, owner: &Owner) -> Result<File, SandboxError> {
    let path = work.join(entry.path.as_str());
    let mode = if entry.exec { 0o755 } else { 0o644 };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .map_err(SandboxError::io("make", &path))?;
    if let Some((uid, gid)) = owner.0 {
        nix::unistd::fchown(&file, Some(uid), Some(gid))
            .map_err(|e| SandboxError::io("give to the job", &path)(e.into()))?;
    }
    Ok(file)
}

/// Directories that the removal goes into before it begins anew from the top: far fewer than it may open files.
const REMOVE_DEPTH: usize = 64;

/// Removes a job's directory and everything in it; one that is not there is fine. Blocks.
///
/// The job may have closed directories to its own user (ours, when homied is not root) and nested them deeper than
/// descriptors or the stack reach, so what lies deep is lifted to the top first.
///
/// # Errors
/// Something in it cannot be removed.
pub(super) fn remove(dir: &Path) -> Result<(), SandboxError> {
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if let Ok(top) = nix::fcntl::open(dir, DOWN, Mode::empty()) {
        let id = JobId::random().map_err(|e| SandboxError::Supervisor(e.to_string()))?;
        let mut lift = Lift { top: &top, prefix: format!(".homie-{id}-"), lifted: 0 };
        lift.all().map_err(|e| SandboxError::io("empty", dir)(e.into()))?;
    }
    gone(fs::remove_dir_all(dir)).map_err(SandboxError::io("remove", dir))
}

const DOWN: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Makes a tree one that can be removed.
struct Lift<'a> {
    top: &'a OwnedFd,
    /// Of names that the job cannot have taken.
    prefix: String,
    lifted: u64,
}

impl Lift<'_> {
    fn all(&mut self) -> nix::Result<()> {
        self.directory(self.top, 0)?;
        let mut done = 0;
        while done < self.lifted {
            done += 1;
            let next = nix::fcntl::openat(self.top, format!("{}{done}", self.prefix).as_str(), DOWN, Mode::empty())?;
            self.directory(&next, 1)?;
        }
        Ok(())
    }

    /// Opens every directory below `dir` to its owner, and moves those that lie too deep to the top.
    fn directory(&mut self, dir: &OwnedFd, depth: usize) -> nix::Result<()> {
        nix::sys::stat::fchmod(dir, Mode::S_IRWXU)?;
        let mut entries = Dir::from_fd(dir.try_clone().map_err(|_| Errno::EMFILE)?)?;
        let may_be_dir = |e: &nix::dir::Entry| e.file_type().is_none_or(|t| t == nix::dir::Type::Directory);
        let names: Vec<CString> =
            entries.iter().flatten().filter(may_be_dir).map(|e| e.file_name().to_owned()).collect();
        drop(entries);
        for name in names.iter().filter(|n| !matches!(n.to_bytes(), b"." | b"..")) {
            // By a descriptor that needs no right to look inside.
            let place = match nix::fcntl::openat(dir, name.as_c_str(), DOWN | OFlag::O_PATH, Mode::empty()) {
                Err(Errno::ENOTDIR | Errno::ELOOP) => continue,
                opened => opened?,
            };
            let path = format!("/proc/self/fd/{}", place.as_raw_fd());
            nix::sys::stat::fchmodat(dir, path.as_str(), Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
            if depth + 1 >= REMOVE_DEPTH {
                self.lifted += 1;
                let to = format!("{}{}", self.prefix, self.lifted);
                nix::fcntl::renameat(dir, name.as_c_str(), self.top, to.as_str())?;
            } else {
                let below = nix::fcntl::open(path.as_str(), DOWN.difference(OFlag::O_NOFOLLOW), Mode::empty())?;
                self.directory(&below, depth + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use crate::model::{CHUNK_BYTES, CleanPath, Digest};

    /// A file entry whose chunks are put into the store.
    fn put(blobs: &BlobStore, path: &str, bytes: &[u8], exec: bool) -> FileEntry {
        let pieces: Vec<Digest> = bytes
            .chunks(CHUNK_BYTES as usize)
            .map(|c| {
                blobs.put(&Digest::of(c), c).expect("put");
                Digest::of(c)
            })
            .collect();
        FileEntry {
            path: CleanPath::new(path).expect("clean"),
            size: bytes.len() as u64,
            exec,
            hash: Digest::of(bytes),
            chunks: if pieces.len() > 1 { pieces } else { vec![] },
            lengths: vec![],
        }
    }

    #[test]
    fn inputs_appear_byte_for_byte_and_are_no_links_into_the_store() {
        let dir = tempfile::tempdir().expect("tempdir");
        let blobs = BlobStore::open(dir.path().join("blobs"), 1 << 30).expect("store");
        let big: Vec<u8> = (0..CHUNK_BYTES + 77).map(|i| (i % 251) as u8).collect();
        // Of more chunks than one thread copies at once, none of them like another.
        let huge: Vec<u8> = (0..CHUNK_BYTES * 35 + 5).map(|i| (i >> 18) as u8 ^ (i % 251) as u8).collect();
        let manifest = Manifest::new(vec![
            put(&blobs, "a/b/big", &big, false),
            put(&blobs, "huge", &huge, true),
            put(&blobs, "a/run.sh", b"#!/bin/sh\n", true),
            put(&blobs, "empty", b"", false),
            put(&blobs, "ü x", b"same", false),
            put(&blobs, "y", b"same", false),
        ])
        .expect("valid");
        let work = dir.path().join("work");
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        materialise(&work, &manifest, &blobs, uid, gid).expect("made");
        assert_eq!(fs::read(work.join("a/b/big")).expect("there"), big);
        assert!(fs::read(work.join("huge")).expect("there") == huge);
        assert_eq!(fs::metadata(work.join("huge")).expect("there").permissions().mode() & 0o777, 0o755);
        assert!(fs::read(work.join("empty")).expect("there").is_empty());
        assert_eq!(fs::read(work.join("ü x")).expect("there"), b"same");
        assert_eq!(fs::metadata(work.join("a/run.sh")).expect("there").permissions().mode() & 0o777, 0o755);
        fs::write(work.join("y"), "changed").expect("written");
        assert_eq!(blobs.get(&Digest::of(b"same"), 4).expect("unharmed"), b"same");
        // A second attempt at the same place is a fault, not a merge.
        assert!(materialise(&work, &manifest, &blobs, uid, gid).is_err());
        remove(&work).expect("removed");
        remove(&work).expect("gone is fine");
    }

    #[test]
    fn whatever_a_job_built_can_be_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let work = dir.path().join("work");
        fs::create_dir(&work).expect("made");
        let mut here = nix::fcntl::open(&work, DOWN, Mode::empty()).expect("opened");
        // More levels than a process has descriptors, in a path longer than the kernel takes.
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&here, "deep", Mode::S_IRWXU).expect("made");
            here = nix::fcntl::openat(&here, "deep", DOWN, Mode::empty()).expect("opened");
        }
        fs::create_dir_all(work.join("closed/inside")).expect("made");
        fs::write(work.join("closed/inside/file"), "x").expect("written");
        for closed in ["closed/inside", "closed"] {
            fs::set_permissions(work.join(closed), std::os::unix::fs::PermissionsExt::from_mode(0o0)).expect("closed");
        }
        // What a link leads to stays.
        let kept = dir.path().join("kept");
        fs::create_dir(&kept).expect("made");
        std::os::unix::fs::symlink(&kept, work.join("link")).expect("linked");
        remove(&work).expect("removed");
        assert!(kept.exists() && !work.exists());
    }

    #[test]
    fn a_missing_blob_is_a_failure_of_the_inputs() {
        let dir = tempfile::tempdir().expect("tempdir");
        let blobs = BlobStore::open(dir.path().join("blobs"), 1 << 30).expect("store");
        let mut entry = put(&blobs, "x", b"here", false);
        entry.hash = Digest::of(b"not");
        let manifest = Manifest::new(vec![entry]).expect("valid");
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let failed = materialise(&dir.path().join("work"), &manifest, &blobs, uid, gid).expect_err("missing");
        assert!(matches!(
            failed.outcome(),
            crate::model::Outcome::Failed { reason: crate::model::FailKind::Inputs, .. }
        ));
    }
}
