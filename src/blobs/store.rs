//! Putting, getting, pinning.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::BlobError;
use super::gc;
use crate::model::{Digest, Manifest};

/// The store. Cheap to clone; safe to use from many threads.
#[derive(Debug, Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    dir: PathBuf,
    quota: u64,
    /// Bytes in the store: counted at start, then kept up to date.
    used: AtomicU64,
    /// Distinguishes temporary files of one process.
    counter: AtomicU64,
    /// Held while something is claimed or dropped, so that nothing is dropped that was just claimed.
    claims: Mutex<()>,
    seen: Mutex<Seen>,
}

/// What need not be looked up again: a tree of 10,000 files is the same one as a minute ago more often than not.
#[derive(Debug, Default)]
struct Seen {
    /// How often something was dropped from the store.
    drops: u64,
    /// Manifests of which everything is here, and whether it was synced. Nothing but this process removes blobs; when it
    /// does, or finds that somebody else did, all of these are forgotten.
    whole: HashMap<Digest, bool>,
    /// Read last, the oldest first.
    manifests: VecDeque<(Digest, Manifest)>,
}

/// Manifests that are remembered as whole: 40 bytes each.
const MOST_WHOLE: usize = 1000;
/// Manifests that are kept in memory, and the files that one of them may have: 3 MB each.
const MOST_MANIFESTS: usize = 2;
const MOST_KEPT_FILES: usize = 20_000;

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
        for sub in ["blobs", "pins", "tmp"] {
            let path = dir.join(sub);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io("make", &path))?;
        }
        let tmp = dir.join("tmp");
        for entry in fs::read_dir(&tmp).map_err(io("list", &tmp))?.flatten() {
            // A leftover that cannot be removed only costs space.
            let _ = fs::remove_file(entry.path());
        }
        let used = gc::used(&dir).map_err(io("list", &dir))?;
        let inner = Inner {
            dir,
            quota: quota_bytes,
            used: AtomicU64::new(used),
            counter: AtomicU64::new(0),
            claims: Mutex::new(()),
            seen: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is no longer here.
    fn dropped(&self) {
        let mut seen = self.seen();
        seen.drops += 1;
        seen.whole.clear();
    }

    /// Everything of that manifest was here when `drops` had this value.
    fn is_whole(&self, manifest: Digest, drops: u64, synced: bool) {
        let mut seen = self.seen();
        if seen.drops == drops {
            if seen.whole.len() >= MOST_WHOLE {
                seen.whole.clear();
            }
            *seen.whole.entry(manifest).or_default() |= synced;
        }
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.inner.dir.join("blobs").join(&name[..2]).join(&name)
    }

    /// Whether the blob is here.
    pub fn have(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Whether it is here with its length: after a power cut a file system may have the name and not the content.
    fn have_all(&self, digest: &Digest, len: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|meta| meta.len() == len)
    }

    /// Puts a blob. Having it already is fine. Durable only after [`BlobStore::sync`].
    ///
    /// # Errors
    /// The bytes do not have that hash, or they cannot be written; nothing half-written is left.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), BlobError> {
        if Digest::of(bytes) != *digest {
            return Err(BlobError::Damaged(*digest));
        }
        let path = self.path(digest);
        if self.have_all(digest, bytes.len() as u64) {
            return Ok(());
        }
        let n = self.inner.counter.fetch_add(1, Ordering::Relaxed);
        let tmp = self.inner.dir.join("tmp").join(format!("{}-{n}", std::process::id()));
        let written = write_new(&tmp, bytes).and_then(|()| match fs::rename(&tmp, &path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // The first blob of its shard; an existing directory is the usual race and fine.
                if let Some(shard) = path.parent() {
                    fs::DirBuilder::new().recursive(true).mode(0o700).create(shard)?;
                }
                fs::rename(&tmp, &path)
            }
            done => done,
        });
        if let Err(source) = written {
            let _ = fs::remove_file(&tmp);
            return Err(BlobError::Io { what: "write", path, source });
        }
        self.inner.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Reads a blob of `len` bytes and checks its hash. A damaged one is removed, so that it is fetched again.
    ///
    /// # Errors
    /// It is missing, damaged or unreadable.
    pub fn get(&self, digest: &Digest, len: u64) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.dropped();
                return Err(BlobError::Missing(*digest));
            }
            Err(e) => return Err(io("read", &path)(e)),
        };
        if bytes.len() as u64 != len || Digest::of(&bytes) != *digest {
            if fs::remove_file(&path).is_ok() {
                self.inner.used.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
            }
            self.dropped();
            return Err(BlobError::Damaged(*digest));
        }
        Ok(bytes)
    }

    /// Puts a manifest as a blob of its own.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_manifest(&self, manifest: &Manifest) -> Result<Digest, BlobError> {
        let digest = manifest.digest();
        self.put(&digest, &manifest.encode())?;
        self.keep(digest, manifest);
        Ok(digest)
    }

    /// The manifest with that digest, if it is here.
    ///
    /// # Errors
    /// It is unreadable or no manifest.
    pub fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, BlobError> {
        let path = self.path(digest);
        let kept = self.seen().manifests.iter().find(|(name, _)| name == digest).map(|(_, manifest)| manifest.clone());
        if let Some(kept) = kept.filter(|_| path.exists()) {
            return Ok(Some(kept));
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io("read", &path)(e)),
        };
        if Digest::of(&bytes) != *digest {
            let _ = fs::remove_file(&path);
            self.dropped();
            return Err(BlobError::Damaged(*digest));
        }
        let manifest = Manifest::decode(&bytes).map_err(|e| BlobError::NotAManifest(*digest, e.to_string()))?;
        self.keep(*digest, &manifest);
        Ok(Some(manifest))
    }

    /// Keeps a manifest in memory: it is asked for several times while a job is on its way.
    fn keep(&self, digest: Digest, manifest: &Manifest) {
        let mut seen = self.seen();
        let kept = &mut seen.manifests;
        if manifest.files().len() <= MOST_KEPT_FILES && !kept.iter().any(|(name, _)| *name == digest) {
            if kept.len() == MOST_MANIFESTS {
                kept.pop_front();
            }
            kept.push_back((digest, manifest.clone()));
        }
    }

    /// Keeps everything the manifest lists until `owner` (letters, digits, `-`) lets go of it.
    ///
    /// # Errors
    /// The pin cannot be written.
    pub fn pin(&self, owner: &str, manifest: &Digest) -> Result<(), BlobError> {
        let path = self.pin_path(owner);
        let n = self.inner.counter.fetch_add(1, Ordering::Relaxed);
        let tmp = self.inner.dir.join("tmp").join(format!("{}-{n}", std::process::id()));
        write_new(&tmp, manifest.to_string().as_bytes())
            .and_then(|()| fs::rename(&tmp, &path))
            .map_err(io("write", &path))
    }

    /// Lets go. Having no such pin is fine.
    ///
    /// # Errors
    /// The pin cannot be removed.
    pub fn unpin(&self, owner: &str) -> Result<(), BlobError> {
        let path = self.pin_path(owner);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The owners of pins, so that those of forgotten jobs can be let go at start.
    ///
    /// # Errors
    /// The pins cannot be listed.
    pub fn pins(&self) -> Result<Vec<String>, BlobError> {
        let dir = self.inner.dir.join("pins");
        let entries = fs::read_dir(&dir).map_err(io("list", &dir))?;
        Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
    }

    fn pin_path(&self, owner: &str) -> PathBuf {
        debug_assert!(owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        self.inner.dir.join("pins").join(owner)
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
        let mut files = HashSet::from([name]);
        for chunk in crate::transfer::chunks(manifest) {
            files.insert(chunk.digest);
            if files.len() > FEW {
                self.sync()?;
                self.is_whole(name, drops, true);
                return Ok(());
            }
        }
        let files: HashSet<PathBuf> = files.iter().map(|digest| self.path(digest)).collect();
        // Their names, and those of the directories that were made for them.
        let dirs: HashSet<&Path> = files.iter().flat_map(|path| path.ancestors().skip(1).take(2)).collect();
        let all = files.iter().map(PathBuf::as_path).chain(dirs);
        all.into_iter()
            .try_for_each(|path| File::open(path).and_then(|file| file.sync_all()).map_err(io("sync", path)))?;
        self.is_whole(name, drops, true);
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

    /// Keeps everything the manifest lists for `owner`, makes room for what is lacking, and says which of its chunks
    /// that is (in the manifest's order, each chunk once however often the manifest has it).
    ///
    /// # Errors
    /// The quota cannot be met, or the store cannot be read or written.
    pub fn claim(&self, owner: &str, manifest: &Manifest) -> Result<Vec<bool>, BlobError> {
        let _claims = self.inner.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = manifest.digest();
        let drops = {
            let seen = self.seen();
            if seen.whole.contains_key(&digest) && self.have(&digest) {
                drop(seen);
                self.pin(owner, &digest)?;
                return Ok(vec![false; crate::transfer::chunks(manifest).count()]);
            }
            seen.drops
        };
        self.put_manifest(manifest)?;
        self.pin(owner, &digest)?;
        let mut seen = HashSet::from([digest]);
        let mut lacking = 0;
        let wanted = crate::transfer::chunks(manifest)
            .map(|at| {
                let want = seen.insert(at.digest) && !self.have_all(&at.digest, at.len);
                lacking += if want { at.len } else { 0 };
                want
            })
            .collect();
        self.reserve(lacking, &seen)?;
        if lacking == 0 {
            self.is_whole(digest, drops, false);
        }
        Ok(wanted)
    }

    /// Makes room for `wanted` more bytes: drops what no pin holds, least recently used first, but nothing of
    /// `keep`.
    fn reserve(&self, wanted: u64, keep: &HashSet<Digest>) -> Result<(), BlobError> {
        let inner = &self.inner;
        let over = |used: u64| used.saturating_add(wanted) > inner.quota;
        if !over(inner.used.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let mut held = keep.clone();
        for owner in self.pins()? {
            let path = self.pin_path(&owner);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let Ok(digest) = text.parse::<Digest>() else { continue };
            held.insert(digest);
            if let Ok(Some(manifest)) = self.manifest(&digest) {
                held.extend(crate::transfer::chunks(&manifest).map(|c| c.digest));
            }
        }
        for blob in gc::oldest_first(&inner.dir).map_err(io("list", &inner.dir))? {
            if !over(inner.used.load(Ordering::Relaxed)) {
                return Ok(());
            }
            if !held.contains(&blob.digest) && fs::remove_file(&blob.path).is_ok() {
                inner.used.fetch_sub(blob.bytes, Ordering::Relaxed);
                self.dropped();
            }
        }
        if over(inner.used.load(Ordering::Relaxed)) {
            return Err(BlobError::Quota { wanted, quota: inner.quota });
        }
        Ok(())
    }

    /// Bytes in the store.
    pub fn used_bytes(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
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
        assert!(!store.have(&digest));
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
    fn a_reopened_store_knows_its_size_and_has_no_leftovers() {
        let (dir, store) = store(1 << 20);
        store.put(&Digest::of(b"abc"), b"abc").expect("put");
        fs::write(dir.path().join("store/tmp/half"), b"x").expect("write");
        let again = BlobStore::open(dir.path().join("store"), 1 << 20).expect("open");
        assert_eq!(again.used_bytes(), 3);
        assert!(!dir.path().join("store/tmp/half").exists());
    }
}
