//! Putting, getting, pinning.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::error::BlobError;
use super::gc;
use super::pack;
use super::packs::Packs;
use super::promises::Promises;
use super::seen::Seen;
use crate::model::{Digest, Manifest};

/// The store. Cheap to clone; safe to use from many threads.
#[derive(Debug, Clone)]
pub struct BlobStore {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) quota: u64,
    /// Bytes in the store: counted at start, then kept up to date.
    pub(super) used: AtomicU64,
    /// Small blobs that came together.
    pub(super) packs: Packs,
    /// Distinguishes temporary files.
    counter: AtomicU64,
    /// Held while something is claimed or dropped, so that nothing is dropped that was just claimed.
    pub(super) claims: Mutex<()>,
    pub(super) promises: Mutex<Promises>,
    seen: Mutex<Seen>,
}

pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError + use<> {
    let path = path.to_owned();
    move |source| BlobError::Io { what, path, source }
}

impl BlobStore {
    /// Opens (and makes) the store at `dir`. Leftovers of an interrupted write are removed.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(dir: PathBuf, quota_bytes: u64) -> Result<Self, BlobError> {
        for sub in ["blobs", "packs", "pins", "tmp"] {
            let path = dir.join(sub);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io("make", &path))?;
        }
        let tmp = dir.join("tmp");
        for entry in fs::read_dir(&tmp).map_err(io("list", &tmp))?.flatten() {
            // A leftover that cannot be removed only costs space.
            let _ = fs::remove_file(entry.path());
        }
        let (loose, used) = gc::counted(&dir).map_err(io("list", &dir))?;
        let (packs, packed) = Packs::open(dir.join("packs")).map_err(io("list", &dir))?;
        let inner = Inner {
            dir,
            quota: quota_bytes,
            used: AtomicU64::new(used + packed),
            packs,
            counter: AtomicU64::new(0),
            claims: Mutex::new(()),
            promises: Mutex::default(),
            seen: Mutex::new(Seen::new(loose)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.inner.dir.join("blobs").join(&name[..2]).join(&name)
    }

    /// A name below `tmp` that nobody else has: it was emptied when the store was opened.
    pub(super) fn tmp(&self) -> PathBuf {
        let n = self.inner.counter.fetch_add(1, Ordering::Relaxed);
        self.inner.dir.join("tmp").join(n.to_string())
    }

    /// The length of a blob that is a file of its own.
    fn loose_len(&self, digest: &Digest) -> Option<u64> {
        let looked_for = self.seen().may_be_loose(digest);
        fs::metadata(looked_for.then(|| self.path(digest))?).ok().map(|meta| meta.len())
    }

    /// Whether the blob is here.
    pub fn have(&self, digest: &Digest) -> bool {
        self.inner.packs.len_of(digest).is_some() || self.loose_len(digest).is_some()
    }

    /// Whether it is here with its length: after a power cut a file system may have the name and not the content.
    pub(super) fn have_all(&self, digest: &Digest, len: u64) -> bool {
        self.inner.packs.len_of(digest) == Some(len) || self.loose_len(digest) == Some(len)
    }

    /// Puts a blob. Having it already is fine. Durable only after [`BlobStore::sync`].
    ///
    /// # Errors
    /// The bytes do not have that hash, or they cannot be written; nothing half-written is left.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), BlobError> {
        if self.have_all(digest, bytes.len() as u64) {
            return if Digest::of(bytes) == *digest { Ok(()) } else { Err(BlobError::Damaged(*digest)) };
        }
        let (path, tmp) = (self.path(digest), self.tmp());
        let put = match write_hashed(&tmp, bytes) {
            Ok(found) if found == *digest => {
                self.seen().will_be_loose(*digest);
                into_place(&tmp, &path)
            }
            Ok(_) => {
                let _ = fs::remove_file(&tmp);
                return Err(BlobError::Damaged(*digest));
            }
            Err(error) => Err(error),
        };
        if let Err(source) = put {
            let _ = fs::remove_file(&tmp);
            return Err(BlobError::Io { what: "write", path, source });
        }
        self.inner.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Puts blobs that came together: the small ones into a pack. Otherwise like [`BlobStore::put`] of each.
    ///
    /// # Errors
    /// One of them, by its place in `blobs`, does not have its hash or cannot be written. Those before it were put.
    pub fn put_all(&self, blobs: &[(Digest, Bytes)]) -> Result<(), (usize, BlobError)> {
        let (mut small, mut failed) = (Vec::new(), Ok(()));
        for (place, (digest, bytes)) in blobs.iter().enumerate() {
            let put = if bytes.len() > pack::MOST_BLOB {
                self.put(digest, bytes)
            } else if Digest::of(bytes) != *digest {
                Err(BlobError::Damaged(*digest))
            } else {
                if self.inner.packs.len_of(digest).is_none() {
                    small.push((place, digest, bytes));
                }
                Ok(())
            };
            if let Err(error) = put {
                failed = Err((place, error));
                break;
            }
        }
        let Some((first, ..)) = small.first() else { return failed };
        if small.len() < pack::FEWEST || !self.inner.packs.have_room(small.len()) {
            small.iter().try_for_each(|(place, digest, bytes)| self.put(digest, bytes).map_err(|e| (*place, e)))?;
            return failed;
        }
        let small: Vec<_> = small.iter().map(|(_, digest, bytes)| (**digest, bytes)).collect();
        self.add_pack(&small).map_err(|e| (*first, e))?;
        failed
    }

    /// Gives the number of the pack.
    fn add_pack<B: AsRef<[u8]>>(&self, blobs: &[(Digest, B)]) -> Result<u32, BlobError> {
        let dir = self.inner.dir.join("packs");
        let (number, bytes) = self.inner.packs.add(&self.tmp(), blobs).map_err(io("write a pack in", &dir))?;
        self.inner.used.fetch_add(bytes, Ordering::Relaxed);
        Ok(number)
    }

    pub(super) fn remove_pack(&self, number: u32) -> io::Result<()> {
        let bytes = self.inner.packs.remove(number)?;
        self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
        self.seen().dropped();
        Ok(())
    }

    /// Puts what `keep` wants of a pack into a new one, and removes the old one: a pack is never changed.
    pub(super) fn repack(&self, number: u32, keep: impl Fn(&Digest) -> bool) -> Result<(), BlobError> {
        let packs = &self.inner.packs;
        let mut kept = Vec::new();
        for digest in packs.blobs_of(number).into_iter().filter(keep) {
            // One that cannot be read is lost already.
            if let Ok(Some(bytes)) = self.read(&digest)
                && Digest::of(&bytes) == digest
            {
                kept.push((digest, bytes));
            }
        }
        let dir = self.inner.dir.join("packs");
        if !kept.is_empty() {
            // The old one may have been synced, and its owner told so.
            let new = self.add_pack(&kept)?;
            packs.sync(new).map_err(io("sync", &dir))?;
        }
        self.remove_pack(number).map_err(io("remove a pack of", &dir))
    }

    /// The bytes under that name, unchecked.
    fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, BlobError> {
        let packed = self.inner.packs.run([digest]).and_then(|run| run.map(|run| run.bytes()).transpose());
        if let Some(bytes) = packed.map_err(io("read a pack in", &self.inner.dir))? {
            return Ok(Some(bytes));
        }
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &path)(e)),
        }
    }

    /// Removes a damaged blob, so that it is fetched again.
    fn discard(&self, digest: &Digest) {
        match self.inner.packs.run([digest]) {
            // Where there is no room for a new pack, it stays, and is found damaged again.
            Ok(Some(run)) => {
                if let Err(error) = self.repack(run.pack, |other| other != digest) {
                    tracing::warn!(%error, %digest, "cannot drop a damaged blob");
                }
                self.seen().dropped();
            }
            _ => {
                let path = self.path(digest);
                let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
                if fs::remove_file(&path).is_ok() {
                    self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
                }
                self.seen().removed(digest);
            }
        }
    }

    /// Reads a blob of `len` bytes and checks its hash. A damaged one is removed, so that it is fetched again.
    ///
    /// # Errors
    /// It is missing, damaged or unreadable.
    pub fn get(&self, digest: &Digest, len: u64) -> Result<Vec<u8>, BlobError> {
        let Some(bytes) = self.read(digest)? else {
            self.seen().dropped();
            return Err(BlobError::Missing(*digest));
        };
        if bytes.len() as u64 != len || Digest::of(&bytes) != *digest {
            self.discard(digest);
            return Err(BlobError::Damaged(*digest));
        }
        Ok(bytes)
    }

    /// Reads several blobs, each with its length, as [`BlobStore::get`] does: neighbours in a pack at once.
    ///
    /// # Errors
    /// One of them, by its place in `wanted`, is missing, damaged or unreadable.
    pub fn get_all(&self, wanted: &[(Digest, u64)]) -> Result<Vec<Bytes>, (usize, BlobError)> {
        let mut all = Vec::with_capacity(wanted.len());
        while let Some(rest) = wanted.get(all.len()..).filter(|rest| !rest.is_empty()) {
            let before = all.len();
            let run = self.inner.packs.run(rest.iter().map(|(digest, _)| digest));
            if let Ok(Some(Ok(read))) = run.map(|run| run.map(|run| run.read())) {
                let is_whole =
                    |bytes: &Bytes, wanted: &(Digest, u64)| (Digest::of(bytes), bytes.len() as u64) == *wanted;
                let whole = read.into_iter().zip(rest).take_while(|(bytes, wanted)| is_whole(bytes, wanted));
                all.extend(whole.map(|(bytes, _)| bytes));
            }
            // It is no part of a pack, or there is something wrong with it.
            if all.len() == before {
                let (digest, len) = &rest[0];
                all.push(self.get(digest, *len).map_err(|e| (before, e))?.into());
            }
        }
        Ok(all)
    }

    /// Puts a manifest as a blob of its own.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_manifest(&self, manifest: &Manifest) -> Result<Digest, BlobError> {
        let digest = manifest.digest();
        self.put(&digest, &manifest.encode())?;
        self.seen().keep(digest, manifest);
        Ok(digest)
    }

    /// The manifest with that digest, if it is here.
    ///
    /// # Errors
    /// It is unreadable or no manifest.
    pub fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, BlobError> {
        let kept = self.seen().manifest(digest);
        if let Some(kept) = kept.filter(|_| self.have(digest)) {
            return Ok(Some(kept));
        }
        let Some(bytes) = self.read(digest)? else { return Ok(None) };
        if Digest::of(&bytes) != *digest {
            self.discard(digest);
            return Err(BlobError::Damaged(*digest));
        }
        let manifest = Manifest::decode(&bytes).map_err(|e| BlobError::NotAManifest(*digest, e.to_string()))?;
        self.seen().keep(*digest, &manifest);
        Ok(Some(manifest))
    }

    /// Makes the manifest and everything it lists, all of which was put, survive a power cut. A few files are synced one
    /// by one: syncfs would wait for whatever else the machine's programs have just written, seconds of it while one of
    /// them copies or compiles.
    ///
    /// # Errors
    /// One of them is missing, or the disk refuses.
    pub fn sync_of(&self, manifest: &Manifest) -> Result<(), BlobError> {
        /// An fsync takes 0.1 ms on a good disk, a syncfs of ten thousand small files some hundred.
        const FEW: usize = 16;
        let name = manifest.digest();
        let drops = {
            let seen = self.seen();
            if seen.whole.get(&name) == Some(&true) {
                return Ok(());
            }
            seen.drops
        };
        let file_of = |digest: &Digest| self.inner.packs.path_of(digest).unwrap_or_else(|| self.path(digest));
        let mut files = HashSet::from([file_of(&name)]);
        for chunk in crate::transfer::chunks(manifest) {
            files.insert(file_of(&chunk.digest));
            if files.len() > FEW {
                self.sync()?;
                self.seen().is_whole(name, drops, true);
                return Ok(());
            }
        }
        // Their names, and those of the directories that were made for them.
        let dirs: HashSet<&Path> = files.iter().flat_map(|path| path.ancestors().skip(1).take(2)).collect();
        let all = files.iter().map(PathBuf::as_path).chain(dirs);
        all.into_iter()
            .try_for_each(|path| File::open(path).and_then(|file| file.sync_all()).map_err(io("sync", path)))?;
        self.seen().is_whole(name, drops, true);
        Ok(())
    }

    /// Makes everything put so far survive a power cut: one syncfs instead of an fsync for each of 10,000 files.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), BlobError> {
        let dir = &self.inner.dir;
        let handle = File::open(dir).map_err(io("open", dir))?;
        #[cfg(target_os = "linux")]
        let synced = nix::unistd::syncfs(handle.as_fd()).map_err(io::Error::from);
        #[cfg(not(target_os = "linux"))]
        let synced = handle.sync_all();
        synced.map_err(io("sync", dir))
    }

    /// Bytes in the store.
    pub fn used_bytes(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// Writes a file and gives the hash of what was written, taken piece by piece so that the processor fetches each from
/// memory once.
fn write_hashed(path: &Path, bytes: &[u8]) -> io::Result<Digest> {
    /// An eighth of the second-level cache of a present processor, and a hundred times what a system call costs.
    const PIECE: usize = 128 << 10;
    let (mut file, mut hasher) = (create(path)?, blake3::Hasher::new());
    for piece in bytes.chunks(PIECE) {
        hasher.update(piece);
        file.write_all(piece)?;
    }
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// Renames a blob to its name.
fn into_place(tmp: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(tmp, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // The first blob of its shard; an existing directory is the usual race and fine.
            if let Some(shard) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(shard)?;
            }
            fs::rename(tmp, path)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CleanPath, FileEntry};

    fn store(quota: u64) -> (tempfile::TempDir, BlobStore) {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("store"), quota).expect("open");
        (dir, store)
    }

    fn manifest_of(bytes: &[u8]) -> Manifest {
        let path = CleanPath::new("f").expect("clean");
        let hash = Digest::of(bytes);
        let entry = FileEntry { path, size: bytes.len() as u64, exec: false, hash, chunks: vec![], lengths: vec![] };
        Manifest::new(vec![entry]).expect("valid")
    }

    #[test]
    fn what_was_put_comes_back_and_lies_are_refused() {
        let (_dir, store) = store(1 << 20);
        let digest = Digest::of(b"hello");
        assert!(matches!(store.get(&digest, 5), Err(BlobError::Missing(_))));
        assert!(matches!(store.put(&digest, b"hullo"), Err(BlobError::Damaged(_))));
        let long = vec![5; (1 << 20) + 1];
        assert!(matches!(store.put(&digest, &long), Err(BlobError::Damaged(_))));
        assert!(!store.have(&digest) && fs::read_dir(store.inner.dir.join("tmp")).expect("there").next().is_none());
        store.put(&Digest::of(&long), &long).expect("put");
        assert_eq!(store.get(&Digest::of(&long), long.len() as u64).expect("get"), long);
        store.discard(&Digest::of(&long));
        store.put(&digest, b"hello").expect("put");
        store.put(&digest, b"hello").expect("again");
        assert_eq!(store.get(&digest, 5).expect("get"), b"hello");
        assert_eq!(store.used_bytes(), 5);
    }

    #[test]
    fn what_a_manifest_lists_is_synced_be_it_little_or_much() {
        let (_dir, store) = store(1 << 20);
        let entry = |n: u32| {
            let bytes = n.to_le_bytes();
            let path = CleanPath::new(format!("f{n}")).expect("clean");
            store.put(&Digest::of(&bytes), &bytes).expect("put");
            FileEntry { path, size: 4, exec: false, hash: Digest::of(&bytes), chunks: vec![], lengths: vec![] }
        };
        for count in [0, 1, 15, 16, 200] {
            let manifest = Manifest::new((0..count).map(entry).collect()).expect("valid");
            store.put_manifest(&manifest).expect("put");
            store.sync_of(&manifest).expect("synced");
        }
        let lost = manifest_of(b"never put");
        store.put_manifest(&lost).expect("put");
        assert!(store.sync_of(&lost).is_err(), "one that is not there cannot be kept");
    }

    #[test]
    fn what_was_seen_whole_is_looked_up_again_when_something_was_dropped() {
        let (_dir, store) = store(2000);
        let bytes = [3u8; 600];
        let (manifest, chunk) = (manifest_of(&bytes), Digest::of(&bytes));
        let wants = || store.claim("sent-1", &manifest).expect("room");
        let arrives = || {
            store.put(&chunk, &bytes).expect("put");
            store.sync_of(&manifest).expect("synced");
            assert_eq!(wants(), [false]);
            assert_eq!(store.seen().whole.get(&manifest.digest()), Some(&true));
        };
        assert_eq!(wants(), [true]);
        arrives();
        // It rots, and is found out by whoever reads it.
        fs::write(store.path(&chunk), [4u8; 600]).expect("rot");
        store.get(&chunk, 600).expect_err("damaged");
        assert_eq!(wants(), [true]);
        arrives();
        // Somebody removes it by hand: known as soon as it is missed.
        fs::remove_file(store.path(&chunk)).expect("removed");
        store.get(&chunk, 600).expect_err("missing");
        assert_eq!(wants(), [true]);
        arrives();
        // And the list itself.
        fs::remove_file(store.path(&manifest.digest())).expect("removed");
        assert_eq!(store.manifest(&manifest.digest()).expect("readable"), None);
        assert_eq!(wants(), [false]);
        assert_eq!(store.manifest(&manifest.digest()).expect("readable"), Some(manifest.clone()));
        // It goes when room is needed.
        store.unpin("sent-1").expect("unpin");
        // What was removed by hand is counted until the store is opened again, so there is not room for more.
        store.reserve(1000, &HashSet::new()).expect("room");
        assert_eq!(wants(), [true]);
    }

    #[test]
    fn a_blob_that_rotted_is_noticed_and_dropped() {
        let (_dir, store) = store(1 << 20);
        let digest = Digest::of(b"hello");
        store.put(&digest, b"hello").expect("put");
        fs::write(store.path(&digest), b"hellO").expect("rot");
        assert!(matches!(store.get(&digest, 5), Err(BlobError::Damaged(_))));
        assert!(!store.have(&digest));
    }

    #[test]
    fn the_quota_drops_what_is_not_pinned_and_keeps_what_is() {
        let (_dir, store) = store(2000);
        let kept = [1u8; 600];
        let loose = [2u8; 600];
        let manifest = manifest_of(&kept);
        let digest = store.put_manifest(&manifest).expect("put");
        store.pin("sent-1", &digest).expect("pin");
        store.put(&Digest::of(&kept), &kept).expect("put");
        store.put(&Digest::of(&loose), &loose).expect("put");
        store.reserve(1000, &HashSet::new()).expect("room after dropping the loose one");
        assert!(store.have(&Digest::of(&kept)) && store.have(&digest) && !store.have(&Digest::of(&loose)));
        assert!(matches!(store.reserve(1900, &HashSet::new()), Err(BlobError::Quota { .. })));
        store.unpin("sent-1").expect("unpin");
        store.reserve(1900, &HashSet::new()).expect("room after unpinning");
        assert!(!store.have(&Digest::of(&kept)));
    }

    #[test]
    fn what_was_dropped_is_freed_afterwards_and_its_name_may_be_given_again_before() {
        // One thread for what blocks, and it is busy.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("runtime");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || wait.recv());
        let (_dir, store) = store(2000);
        let bytes = [1u8; 1200];
        let digest = Digest::of(&bytes);
        store.put(&digest, &bytes).expect("put");
        {
            let _entered = runtime.enter();
            store.reserve(1500, &HashSet::new()).expect("room, without waiting for it");
        }
        let left = || fs::read_dir(store.inner.dir.join("tmp")).expect("there").count();
        assert_eq!((left(), store.have(&digest), store.used_bytes()), (1, false, 0));
        store.put(&digest, &bytes).expect("put again");
        go.send(()).expect("it waits");
        // Waits for what was begun.
        runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await }).expect("freed");
        assert_eq!((left(), store.get(&digest, 1200).expect("there")), (0, bytes.to_vec()));
        store.reserve(1500, &HashSet::new()).expect("room");
        assert_eq!((left(), store.have(&digest)), (0, false), "without a runtime it is done at once");
    }

    #[test]
    fn a_reopened_store_knows_its_size_and_has_no_leftovers() {
        let (dir, store) = store(1 << 20);
        store.put(&Digest::of(b"abc"), b"abc").expect("put");
        fs::write(dir.path().join("store/tmp/half"), b"x").expect("write");
        let again = BlobStore::open(dir.path().join("store"), 1 << 20).expect("open");
        assert_eq!(again.used_bytes(), 3);
        assert!(!dir.path().join("store/tmp/half").exists());
    }
}
