//! What files held when they were last read, so that an unchanged tree is listed and not read again.
//!
//! One file in the user's cache directory for each directory that jobs are sent from. It is believed only as a whole (it
//! ends with its own BLAKE3) and only when it is this user's alone; anything else is an empty one. An entry is believed
//! for a path whose device, inode, size, time of modification and time of change are all what they were.
//!
//! A file that changes twice within one tick of the file system's clock has one stamp and two contents. So what was
//! changed shortly before it was read is not remembered, as git has it with its index.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::model::{CHUNK_BYTES, Digest};
use crate::transfer::{Described, describe};

/// What such a file begins with; another form gets another number.
const MAGIC: &[u8] = b"homie hashes 1\n";
/// The longest one that is read or written: 80,000 small files, or the chunks of 200 GB.
const MOST_BYTES: usize = 8 << 20;
/// Directories that are remembered; when another one comes, the one that was written first goes.
const MOST_FILES: usize = 32;
/// Ticks of file systems are 10 ms and less ...
const TICK_NS: i64 = 100_000_000;
/// ... except where times have no fractions: FAT counts in steps of two seconds.
const COARSE_TICK_NS: i64 = 2_000_000_000;

/// What is the same for as long as a file is unchanged: device, inode, size, and times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.len(),
            modified: ns(meta.mtime(), meta.mtime_nsec()),
            changed: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether every later change would give it another stamp.
    fn is_settled(&self, now: i64) -> bool {
        let tick = if self.changed % 1_000_000_000 == 0 { COARSE_TICK_NS } else { TICK_NS };
        self.changed.max(self.modified).saturating_add(tick) < now
    }

    fn words(&self) -> [u64; 5] {
        [self.dev, self.ino, self.size, self.modified as u64, self.changed as u64]
    }
}

/// The part of a path's BLAKE3 that stands for it.
type Name = [u8; 16];

fn name(path: &Path) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&Digest::of(path.as_os_str().as_encoded_bytes()).0[..16]);
    name
}

#[derive(Debug)]
struct Entry {
    name: Name,
    stamp: Stamp,
    content: Described,
}

/// What is known of the files that are sent from one directory.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it is kept; `None` forgets everything.
    place: Option<PathBuf>,
    old: Vec<Entry>,
    /// A hash table of [`Name`]s, which are hashes already: where in `old` an entry is, and one more.
    slots: Vec<u32>,
    new: Mutex<Vec<Entry>>,
}

impl Known {
    /// What was written down for `cwd` in `cache`, the user's cache directory.
    pub(super) fn open(cache: Option<&Path>, cwd: &Path) -> Self {
        let file = Digest::of(cwd.as_os_str().as_encoded_bytes()).to_string();
        let place = cache.map(|cache| cache.join("homie").join(file));
        let old = place.as_deref().and_then(|place| load(place).ok()?).unwrap_or_default();
        let mut known = Self { place, slots: vec![0; (2 * old.len()).next_power_of_two()], old, new: Mutex::default() };
        for at in 0..known.old.len() {
            let slot = known.slot(&known.old[at].name);
            known.slots[slot] = at as u32 + 1;
        }
        known
    }

    /// Where in `slots` this name is, or would be: there is always a free one.
    fn slot(&self, name: &Name) -> usize {
        let (first, _) = name.split_at(8);
        let mut slot = first.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        loop {
            slot &= self.slots.len() - 1;
            match self.slots[slot] {
                0 => return slot,
                at if self.old[at as usize - 1].name == *name => return slot,
                _ => slot += 1,
            }
        }
    }

    fn find(&self, name: &Name) -> Option<&Entry> {
        let at = *self.slots.get(self.slot(name))?;
        self.old.get((at as usize).checked_sub(1)?)
    }

    /// What the file there holds, if it is `stamp`ed as when that was found out.
    pub(super) fn get(&self, path: &Path, stamp: &Stamp) -> Option<Described> {
        let entry = self.find(&name(path))?;
        (entry.stamp == *stamp).then(|| entry.content.clone())
    }

    /// Reads the file there, which was `stamp`ed so when it was found, and remembers what it holds. Gives the bytes too
    /// if they are no more than `most`.
    pub(super) fn read(&self, path: &Path, stamp: &Stamp, most: usize) -> io::Result<(Described, Option<Bytes>)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i64);
        let file = File::open(path)?;
        let (content, bytes) = match all_of(&file, stamp.size, most)? {
            Some(bytes) => (describe(&bytes[..])?, Some(bytes.into())),
            None => (describe(&file)?, None),
        };
        let same = content.size == stamp.size && Stamp::of(&file.metadata()?) == *stamp;
        if same && self.place.is_some() && stamp.is_settled(now) {
            let entry = Entry { name: name(path), stamp: *stamp, content: content.clone() };
            self.new.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
        Ok((content, bytes))
    }

    /// Writes down what was learnt. One that cannot be written costs nothing but time. Gives the place.
    pub(super) fn save(mut self) -> Option<PathBuf> {
        let new = std::mem::take(self.new.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !new.is_empty() {
            let mut replaced = vec![false; self.old.len()];
            for entry in &new {
                if let Some(at) = self.slots[self.slot(&entry.name)].checked_sub(1) {
                    replaced[at as usize] = true;
                }
            }
            let mut bytes = MAGIC.to_vec();
            new.iter().for_each(|entry| entry.encode(&mut bytes));
            let kept = self.old.iter().zip(&replaced).filter(|(_, replaced)| !**replaced);
            kept.for_each(|(entry, _)| entry.encode(&mut bytes));
            let _ = write(self.place.as_deref()?, bytes);
        }
        self.place
    }
}

impl Entry {
    /// Adds itself to `bytes`, if there is room.
    fn encode(&self, bytes: &mut Vec<u8>) {
        let Self { name, stamp, content } = self;
        if bytes.len() + entry_bytes(content.chunks.len()) + 32 > MOST_BYTES {
            return;
        }
        bytes.extend_from_slice(name);
        for word in stamp.words() {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&content.hash.0);
        bytes.extend_from_slice(&(content.chunks.len() as u32).to_le_bytes());
        for (chunk, len) in content.chunks.iter().zip(&content.lengths) {
            bytes.extend_from_slice(&chunk.0);
            bytes.extend_from_slice(&len.to_le_bytes());
        }
    }
}

/// Bytes of an entry with so many chunks.
const fn entry_bytes(chunks: usize) -> usize {
    16 + 5 * 8 + 32 + 4 + chunks * 36
}

/// The content of a small file with one call, if it is as long as it was; otherwise none of it has been read.
fn all_of(file: &File, size: u64, most: usize) -> io::Result<Option<Vec<u8>>> {
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= most) else { return Ok(None) };
    // One more, to see whether it has grown.
    let mut bytes = vec![0; size + 1];
    let read = loop {
        match file.read_at(&mut bytes, 0) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => break done?,
        }
    };
    bytes.truncate(size);
    Ok((read == size).then_some(bytes))
}

fn load(place: &Path) -> io::Result<Option<Vec<Entry>>> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(place)?;
    let meta = file.metadata()?;
    let own = meta.is_file() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0;
    let mut bytes = Vec::with_capacity(meta.len().min(MOST_BYTES as u64) as usize + 1);
    if own {
        file.take(MOST_BYTES as u64).read_to_end(&mut bytes)?;
    }
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (body, hash) = bytes.split_last_chunk::<32>()?;
    let mut rest = (Digest::of(body).0 == *hash).then_some(body)?.strip_prefix(MAGIC)?;
    let mut entries = Vec::with_capacity(rest.len() / entry_bytes(0));
    while !rest.is_empty() {
        let name = take(&mut rest)?;
        let mut word = || take(&mut rest).map(u64::from_le_bytes);
        let stamp =
            Stamp { dev: word()?, ino: word()?, size: word()?, modified: word()? as i64, changed: word()? as i64 };
        let mut content =
            Described { size: stamp.size, hash: Digest(take(&mut rest)?), chunks: Vec::new(), lengths: Vec::new() };
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            content.chunks.push(Digest(take(&mut rest)?));
            content.lengths.push(u32::from_le_bytes(take(&mut rest)?));
        }
        entries.push(Entry { name, stamp, content });
    }
    Some(entries)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (piece, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*piece)
}

fn write(place: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    let Some(dir) = place.parent() else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    bytes.extend_from_slice(&Digest::of(&bytes).0);
    let tmp = place.with_extension(std::process::id().to_string());
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&tmp)?;
    file.write_all(&bytes).and_then(|()| fs::rename(&tmp, place)).inspect_err(|_| drop(fs::remove_file(&tmp)))?;
    // One came, so one may have to go.
    let (mut count, mut oldest) = (0, None);
    for entry in fs::read_dir(dir)?.flatten() {
        let written = entry.metadata()?.modified()?;
        count += 1;
        if oldest.as_ref().is_none_or(|(time, _)| written < *time) {
            oldest = Some((written, entry.path()));
        }
    }
    match oldest {
        Some((_, path)) if count > MOST_FILES => fs::remove_file(path),
        _ => Ok(()),
    }
}

const _: () = assert!(entry_bytes(1) < CHUNK_BYTES as usize, "a chunk's entry is small beside the chunk");

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const MOST: usize = 64 << 10;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().expect("tempdir") }
        }

        fn known(&self) -> Known {
            Known::open(Some(&self.dir.path().join("cache")), Path::new("/some/where"))
        }

        /// A file that was last changed long ago, as far as its times say.
        fn file(&self, text: &[u8]) -> PathBuf {
            let path = self.dir.path().join("data");
            fs::write(&path, text).expect("written");
            // The time of change cannot be set: wait until it is old enough.
            let changed = Stamp::of(&fs::metadata(&path).expect("there"));
            let settled =
                || changed.is_settled(SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_nanos() as i64);
            while !settled() {
                std::thread::yield_now();
            }
            path
        }
    }

    fn stamp(path: &Path) -> Stamp {
        Stamp::of(&fs::metadata(path).expect("there"))
    }

    #[test]
    fn what_was_read_is_known_until_the_file_changes() {
        let place = Place::new();
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES).map(|i| (i * i % 251) as u8).collect();
        let path = place.file(&bytes);
        let known = place.known();
        assert_eq!(known.get(&path, &stamp(&path)), None);
        let content = known.read(&path, &stamp(&path), MOST).expect("read").0;
        assert_eq!(content.hash, Digest::of(&bytes));
        assert!(content.chunks.len() > 1);
        let kept = known.save().expect("a place");
        assert_eq!(fs::metadata(&kept).expect("written").permissions().mode() & 0o777, 0o600);

        assert_eq!(place.known().get(&path, &stamp(&path)), Some(content.clone()));
        assert_eq!(place.known().get(&path.with_file_name("other"), &stamp(&path)), None, "another path");
        // The same size, and the time of modification put back: the time of change tells.
        let before = stamp(&path);
        let modified = fs::metadata(&path).expect("there").modified().expect("a time");
        fs::write(&path, vec![7; bytes.len()]).expect("written");
        File::options().write(true).open(&path).and_then(|f| f.set_modified(modified)).expect("set");
        assert_eq!((stamp(&path).size, stamp(&path).modified), (before.size, before.modified));
        assert_eq!(place.known().get(&path, &stamp(&path)), None);
        // And the new content takes the old one's place.
        let path = place.file(b"short");
        let known = place.known();
        known.read(&path, &stamp(&path), MOST).expect("read");
        known.save();
        assert_eq!(place.known().get(&path, &stamp(&path)).expect("known").hash, Digest::of(b"short"));
        assert_eq!(place.known().old.len(), 1);
    }

    #[test]
    fn the_bytes_of_a_small_file_come_along_and_one_that_changed_meanwhile_is_read_to_its_end() {
        let place = Place::new();
        let path = place.dir.path().join("data");
        for len in [0, 1, 4096, MOST - 1, MOST, MOST + 1] {
            let bytes = vec![len as u8; len];
            fs::write(&path, &bytes).expect("written");
            let found = stamp(&path);
            let read = place.known().read(&path, &found, MOST).expect("read");
            assert_eq!(read.0, describe(&bytes[..]).expect("read"));
            assert_eq!(read.1.as_deref(), (len <= MOST).then_some(&bytes[..]));
            for now in [[&bytes[..], b"x"].concat(), bytes[..len / 2].to_vec()] {
                fs::write(&path, &now).expect("written");
                let known = place.known();
                let (content, kept) = known.read(&path, &found, MOST).expect("read");
                assert_eq!(content, describe(&now[..]).expect("read"));
                assert!(kept.is_none_or(|kept| kept == now));
                assert!(known.new.into_inner().expect("not poisoned").iter().all(|new| new.stamp == stamp(&path)));
            }
        }
    }

    #[test]
    fn what_changed_a_moment_ago_is_not_remembered() {
        let at = |changed, modified| Stamp { dev: 1, ino: 2, size: 3, modified, changed };
        let second = 1_000_000_000;
        assert!(!at(50 * second + 5, 1).is_settled(50 * second + 5));
        assert!(!at(50 * second + 5, 1).is_settled(50 * second + TICK_NS));
        assert!(at(50 * second + 5, 1).is_settled(50 * second + TICK_NS + 6));
        // Whole seconds may be all that the file system has.
        assert!(!at(50 * second, 1).is_settled(52 * second));
        assert!(at(50 * second, 1).is_settled(52 * second + 1));
        // A clock that was put back, or a time set by hand.
        assert!(!at(5, 90 * second).is_settled(60 * second));
    }

    #[test]
    fn a_damaged_cut_or_foreign_one_is_an_empty_one() {
        let place = Place::new();
        let path = place.file(b"hello");
        let known = place.known();
        known.read(&path, &stamp(&path), MOST).expect("read");
        let kept = known.save().expect("a place");
        let good = fs::read(&kept).expect("written");
        let holds = || place.known().get(&path, &stamp(&path)).is_some();
        assert!(holds());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&kept, &bad).expect("written");
            assert!(!holds(), "byte {at}");
            fs::write(&kept, &good[..at]).expect("written");
            assert!(!holds(), "cut at {at}");
        }
        // A body that breaks off, with a good hash.
        let mut body = good[..good.len() - 32 - 9].to_vec();
        let hash = Digest::of(&body).0;
        body.extend_from_slice(&hash);
        fs::write(&kept, &body).expect("written");
        assert!(!holds());
        fs::write(&kept, &good).expect("written");
        assert!(holds());
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o620)).expect("set");
        assert!(!holds(), "others may write it");
        let moved = kept.with_extension("moved");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("set");
        fs::rename(&kept, &moved).expect("moved");
        std::os::unix::fs::symlink(&moved, &kept).expect("linked");
        assert!(!holds(), "a link");
    }

    #[test]
    fn the_oldest_directories_are_forgotten() {
        let place = Place::new();
        let path = place.file(b"hello");
        let cache = place.dir.path().join("cache");
        for n in 0..MOST_FILES + 5 {
            let known = Known::open(Some(&cache), Path::new(&format!("/dir/{n}")));
            known.read(&path, &stamp(&path), MOST).expect("read");
            known.save();
        }
        assert_eq!(fs::read_dir(cache.join("homie")).expect("there").count(), MOST_FILES);
        let known = Known::open(None, Path::new("/x"));
        known.read(&path, &stamp(&path), MOST).expect("read");
        assert_eq!(known.save(), None);
    }
}
