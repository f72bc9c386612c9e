//! Packs, seen through the store.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{BlobError, BlobStore, pack};
use crate::model::{CleanPath, Digest, FileEntry, Manifest};

struct Place {
    dir: tempfile::TempDir,
    store: BlobStore,
}

type Blobs = Vec<(Digest, Bytes)>;

/// So many different blobs of `len` bytes.
fn blobs(from: u32, count: u32, len: usize) -> Blobs {
    let bytes = |n: u32| Bytes::from(n.to_le_bytes().repeat(len.div_ceil(4))[..len].to_vec());
    (from..from + count).map(bytes).map(|bytes| (Digest::of(&bytes), bytes)).collect()
}

fn wanted(blobs: &Blobs) -> Vec<(Digest, u64)> {
    blobs.iter().map(|(digest, bytes)| (*digest, bytes.len() as u64)).collect()
}

fn manifest_of(blobs: &Blobs) -> Manifest {
    let entry = |(n, (hash, bytes)): (usize, &(Digest, Bytes))| {
        let path = CleanPath::new(format!("f{n:06}")).expect("clean");
        FileEntry { path, size: bytes.len() as u64, exec: false, hash: *hash, chunks: vec![], lengths: vec![] }
    };
    Manifest::new(blobs.iter().enumerate().map(entry).collect()).expect("valid")
}

impl Place {
    fn new(quota: u64) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("store"), quota).expect("open");
        Self { dir, store }
    }

    fn reopened(&self) -> BlobStore {
        BlobStore::open(self.dir.path().join("store"), self.store.inner.quota).expect("open")
    }

    fn packs(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> =
            fs::read_dir(self.dir.path().join("store/packs")).expect("there").flatten().map(|e| e.path()).collect();
        all.sort_by_key(|path| path.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok()));
        all
    }

    /// Bytes of all files.
    fn bytes(&self) -> u64 {
        fn below(dir: &Path) -> u64 {
            let entries = fs::read_dir(dir).expect("there").flatten();
            entries.map(|e| if e.path().is_dir() { below(&e.path()) } else { e.metadata().expect("there").len() }).sum()
        }
        let store = self.dir.path().join("store");
        below(&store.join("blobs")) + below(&store.join("packs"))
    }

    #[track_caller]
    fn assert_counted(&self) {
        assert_eq!(self.store.used_bytes(), self.bytes());
        assert_eq!(self.reopened().used_bytes(), self.bytes());
    }
}

#[test]
fn small_ones_that_come_together_lie_together_and_a_store_opened_again_has_them() {
    let place = Place::new(1 << 30);
    let mut all = blobs(0, 100, 1000);
    all.push((Digest::of(b""), Bytes::new()));
    all.extend(blobs(500, 2, pack::MOST_BLOB + 1));
    let few = blobs(1000, pack::FEWEST as u32 - 1, 50);
    place.store.put_all(&all).expect("put");
    place.store.put_all(&few).expect("put");
    place.store.put_all(&all).expect("again");
    assert_eq!(place.packs().len(), 1);
    all.extend(few);
    // Across the pack's border, out of order, and one twice.
    all.swap(3, 70);
    all.push(all[5].clone());
    let manifest = manifest_of(&all);
    for store in [&place.store, &place.reopened()] {
        let read = store.get_all(&wanted(&all)).expect("here");
        assert!(read.iter().eq(all.iter().map(|(_, bytes)| bytes)));
        for (digest, bytes) in &all {
            assert!(store.have(digest));
            assert_eq!(store.get(digest, bytes.len() as u64).expect("here"), bytes[..]);
        }
        assert!(store.claim("sent-1", &manifest).expect("room").iter().all(|want| !want));
        store.sync_of(&manifest).expect("synced");
    }
    place.assert_counted();
}

#[test]
fn what_comes_before_one_that_is_not_what_it_should_be_is_kept() {
    for lying in [0, 7, 40] {
        let place = Place::new(1 << 30);
        let mut all = blobs(0, 60, 100);
        all[lying].1 = Bytes::from_static(b"something else");
        let Err((at, BlobError::Damaged(digest))) = place.store.put_all(&all) else { panic!("it must be found out") };
        assert_eq!((at, digest), (lying, all[lying].0));
        assert!(all[..lying].iter().all(|(digest, _)| place.store.have(digest)));
        assert!(!place.store.have(&all[lying].0));
        let missing = place.store.get_all(&wanted(&all)).expect_err("one is missing");
        assert!(matches!(missing, (at, BlobError::Missing(_)) if at == lying));
        place.assert_counted();
    }
}

#[test]
fn one_that_rotted_in_a_pack_is_fetched_again_and_its_neighbours_are_not() {
    let place = Place::new(1 << 30);
    let all = blobs(0, 50, 100);
    place.store.put_all(&all).expect("put");
    let manifest = manifest_of(&all);
    place.store.claim("sent-1", &manifest).expect("room");
    let pack = &place.packs()[0];
    let mut bytes = fs::read(pack).expect("there");
    bytes[20 * 100 + 3] ^= 4;
    fs::write(pack, bytes).expect("rot");
    let Err((at, BlobError::Damaged(_))) = place.store.get_all(&wanted(&all)) else { panic!("it must be found out") };
    assert_eq!(at, 20);
    for store in [&place.store, &place.reopened()] {
        let want = store.claim("sent-1", &manifest).expect("room");
        assert!(want.iter().enumerate().all(|(n, want)| *want == (n == 20)), "{want:?}");
        assert!(matches!(store.get(&all[20].0, 100), Err(BlobError::Missing(_))));
        store.get_all(&wanted(&all)[21..]).expect("whole");
    }
    place.assert_counted();
    place.store.put(&all[20].0, &all[20].1).expect("put");
    place.store.get_all(&wanted(&all)).expect("whole again");
}

#[test]
fn a_pack_that_became_shorter_loses_only_what_it_lost() {
    let place = Place::new(1 << 30);
    let all = blobs(0, 50, 100);
    place.store.put_all(&all).expect("put");
    let pack = fs::File::options().write(true).open(&place.packs()[0]).expect("there");
    pack.set_len(30 * 100 + 50).expect("cut");
    let Err((at, BlobError::Damaged(_))) = place.store.get_all(&wanted(&all)) else { panic!("it must be found out") };
    assert_eq!(at, 30);
    let have: Vec<bool> = all.iter().map(|(digest, _)| place.store.have(digest)).collect();
    assert_eq!(have, [[true; 30].as_slice(), &[false; 20]].concat());
    place.store.get_all(&wanted(&all)[..30]).expect("whole");
}

#[test]
fn a_pack_that_is_none_is_removed_when_the_store_is_opened_and_one_that_is_gone_is_noticed() {
    let place = Place::new(1 << 30);
    let (all, more) = (blobs(0, 50, 100), blobs(100, 50, 100));
    for blobs in [&all, &more] {
        place.store.put_all(blobs).expect("put");
    }
    let first = &place.packs()[0];
    let whole = fs::read(first).expect("there");
    fs::write(first, &whole[..whole.len() - 1]).expect("cut");
    // Neither is a pack's name.
    for name in ["007", "notes"] {
        fs::write(first.with_file_name(name), b"x").expect("write");
    }
    let again = place.reopened();
    assert_eq!(place.packs().len(), 3, "the damaged one is gone and what is not ours stays");
    assert!(again.claim("sent-1", &manifest_of(&all)).expect("room").iter().all(|want| *want));
    again.get_all(&wanted(&more)).expect("whole");
    // The number of the one that is gone may be taken by another.
    again.put_all(&all).expect("put");
    again.get_all(&wanted(&all)).expect("whole");
    again.get_all(&wanted(&more)).expect("whole");

    let place = Place::new(1 << 30);
    place.store.put_all(&all).expect("put");
    let again = place.reopened();
    fs::remove_file(&place.packs()[0]).expect("removed");
    assert!(matches!(again.get(&all[3].0, 100), Err(BlobError::Missing(_))));
    assert!(again.claim("sent-1", &manifest_of(&all)).expect("room").iter().all(|want| *want));
}

#[test]
fn the_quota_drops_packs_that_nobody_needs_and_thins_out_those_that_somebody_does() {
    let place = Place::new(100_000);
    let (kept, loose, mixed) = (blobs(0, 50, 400), blobs(100, 50, 400), blobs(200, 50, 400));
    for blobs in [&kept, &loose, &mixed] {
        place.store.put_all(blobs).expect("put");
    }
    let needed = blobs(210, 5, 400);
    for (owner, blobs) in [("sent-1", &kept), ("sent-2", &needed)] {
        assert!(place.store.claim(owner, &manifest_of(blobs)).expect("room").iter().all(|want| !want));
    }
    let have = |blobs: &Blobs| blobs.iter().filter(|(digest, _)| place.store.have(digest)).count();
    place.store.reserve(40_000, &HashSet::new()).expect("room without the loose ones");
    assert_eq!((have(&kept), have(&loose), have(&mixed)), (50, 0, 50));
    place.store.reserve(60_000, &HashSet::new()).expect("room without what only fills up a pack");
    assert_eq!((have(&kept), have(&mixed), have(&needed)), (50, 5, 5));
    place.store.get_all(&wanted(&needed)).expect("whole");
    assert!(matches!(place.store.reserve(80_000, &HashSet::new()), Err(BlobError::Quota { .. })));
    assert_eq!((have(&kept), have(&needed)), (50, 5));
    place.assert_counted();
    for owner in ["sent-1", "sent-2"] {
        place.store.unpin(owner).expect("unpin");
    }
    // What is claimed just now is needed as well.
    let claimed: HashSet<Digest> = needed.iter().map(|(digest, _)| *digest).collect();
    place.store.reserve(90_000, &claimed).expect("room");
    assert_eq!((have(&kept), have(&needed)), (0, 5));
    place.assert_counted();
}

#[test]
fn a_list_of_files_that_came_as_somebodys_file_is_a_list_all_the_same() {
    let place = Place::new(1 << 30);
    let mut all = blobs(0, 50, 100);
    let manifest = manifest_of(&blobs(100, 3, 10));
    all[7] = (manifest.digest(), manifest.encode().into());
    place.store.put_all(&all).expect("put");
    assert_eq!(place.store.manifest(&manifest.digest()).expect("readable"), Some(manifest.clone()));
    assert_eq!(place.store.claim("sent-1", &manifest).expect("room"), [true; 3]);
    assert_eq!(place.reopened().manifest(&manifest.digest()).expect("readable"), Some(manifest));
}

#[test]
fn more_packs_than_are_kept_open_can_be_read() {
    let place = Place::new(1 << 30);
    let all = blobs(0, 200 * pack::FEWEST as u32, 8);
    for blobs in all.chunks(pack::FEWEST) {
        place.store.put_all(blobs).expect("put");
    }
    assert_eq!(place.packs().len(), 200);
    for store in [&place.store, &place.reopened()] {
        store.get_all(&wanted(&all)).expect("whole");
        store.get_all(&wanted(&all)).expect("and again");
    }
    place.assert_counted();
}
