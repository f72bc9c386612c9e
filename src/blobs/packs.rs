//! All packs of a store: which blobs lie in which of them, and their files.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::pack;
use crate::model::Digest;

/// Blobs that packs may hold before small ones become files again: what is known of one takes 45 bytes, of this many
/// 13 MB with the table's free places.
const MOST_BLOBS: usize = 200_000;
/// Packs that are kept open: those of a tree of 50,000 files of 4 KiB, and a small part of the 1024 files that a process
/// may usually open.
const MOST_OPEN: usize = 64;

#[derive(Debug)]
pub(super) struct Packs {
    dir: PathBuf,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    blobs: HashMap<Digest, At>,
    packs: HashMap<u32, Pack>,
    /// Those that are open, the one that was opened first in front.
    open: VecDeque<u32>,
    /// The number of the pack that is made next.
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct At {
    pack: u32,
    offset: u32,
    len: u32,
}

#[derive(Debug)]
struct Pack {
    bytes: u64,
    file: Option<Arc<File>>,
}

/// Blobs that lie one after the other in a pack.
#[derive(Debug)]
pub(super) struct Run {
    file: Arc<File>,
    /// The pack's number.
    pub(super) pack: u32,
    offset: u64,
    lens: Vec<usize>,
}

/// The number that a pack of this name has.
pub(super) fn number_of(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number: &u32| number.to_string() == name)
}

impl Run {
    /// The bytes of all of them, with one read. None if the file has become shorter: that is not what they should be.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.lens.iter().sum()];
        match self.file.read_exact_at(&mut bytes, self.offset) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Vec::new()),
            read => read.map(|()| bytes),
        }
    }

    /// Each of them.
    pub(super) fn read(&self) -> io::Result<Vec<Bytes>> {
        let mut rest = Bytes::from(self.bytes()?);
        Ok(self.lens.iter().map(|len| rest.split_to(rest.len().min(*len))).collect())
    }
}

impl Packs {
    /// The packs in `dir`, and the bytes that they take. A damaged one is removed: it can only be what a power cut left
    /// of one that nobody was told of, and what was in it is fetched again.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(super) fn open(dir: PathBuf) -> io::Result<(Self, u64)> {
        let mut index = Index::default();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let Some(number) = path.file_name().and_then(|name| number_of(name.to_str()?)) else { continue };
            index.next = index.next.max(number.saturating_add(1));
            match File::open(&path).and_then(|file| Ok((pack::list(&file)?, file.metadata()?.len()))) {
                Ok((entries, bytes)) => index.add(number, bytes, &entries),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, path = %path.display(), "removing a damaged pack of blobs");
                    let _ = fs::remove_file(&path);
                }
                // A disk that cannot read it now may be able to later.
                Err(error) => tracing::warn!(%error, path = %path.display(), "cannot read a pack of blobs"),
            }
        }
        let bytes = index.packs.values().map(|pack| pack.bytes).sum();
        Ok((Self { dir, index: Mutex::new(index) }, bytes))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(number.to_string())
    }

    /// The length of a blob that lies in a pack.
    pub(super) fn len_of(&self, digest: &Digest) -> Option<u64> {
        self.index().blobs.get(digest).map(|at| u64::from(at.len))
    }

    /// Whether so many more blobs may be packed.
    pub(super) fn have_room(&self, count: usize) -> bool {
        self.index().blobs.len() + count <= MOST_BLOBS
    }

    /// The file that a blob lies in.
    pub(super) fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        let number = self.index().blobs.get(digest)?.pack;
        Some(self.path(number))
    }

    /// The longest beginning of `wanted` that lies in one pack without a gap; `None` when the first is in none.
    ///
    /// # Errors
    /// The pack is there and cannot be opened.
    pub(super) fn run<'a>(&self, wanted: impl IntoIterator<Item = &'a Digest>) -> io::Result<Option<Run>> {
        let mut index = self.index();
        let mut wanted = wanted.into_iter().map_while(|digest| index.blobs.get(digest).copied());
        let Some(first) = wanted.next() else { return Ok(None) };
        let mut lens = vec![first.len as usize];
        let mut end = first.offset + first.len;
        for at in wanted.take_while(|at| at.pack == first.pack) {
            if at.offset != end {
                break;
            }
            end += at.len;
            lens.push(at.len as usize);
        }
        let file = match index.packs.get(&first.pack).and_then(|pack| pack.file.clone()) {
            Some(file) => file,
            None => match File::open(self.path(first.pack)) {
                Ok(file) => index.opened(first.pack, file),
                // Somebody removed it by hand. It stays counted until the store is opened again, as other blobs do.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    index.forget(first.pack);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Some(Run { file, pack: first.pack, offset: u64::from(first.offset), lens }))
    }

    /// Makes a pack of these blobs, by way of the file `tmp`. Gives its number and its length in bytes.
    ///
    /// # Errors
    /// It cannot be written; nothing is left of it.
    pub(super) fn add<B: AsRef<[u8]>>(&self, tmp: &Path, blobs: &[(Digest, B)]) -> io::Result<(u32, u64)> {
        let number = {
            let mut index = self.index();
            let number = index.next;
            index.next = number.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
            number
        };
        let written: io::Result<_> = (|| {
            let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(tmp)?;
            let (entries, bytes) = pack::write(&file, blobs)?;
            fs::rename(tmp, self.path(number))?;
            Ok((file, entries, bytes))
        })();
        let (file, entries, bytes) = written.inspect_err(|_| drop(fs::remove_file(tmp)))?;
        let mut index = self.index();
        index.add(number, bytes, &entries);
        index.opened(number, file);
        Ok((number, bytes))
    }

    /// The blobs that are read from this pack.
    pub(super) fn blobs_of(&self, number: u32) -> Vec<Digest> {
        let index = self.index();
        let mut of: Vec<_> = index.blobs.iter().filter(|(_, at)| at.pack == number).collect();
        of.sort_by_key(|(_, at)| at.offset);
        of.into_iter().map(|(digest, _)| *digest).collect()
    }

    /// The packs with something of `held`, and how many bytes of them that takes.
    pub(super) fn holding(&self, held: &HashSet<Digest>) -> HashMap<u32, u64> {
        let index = self.index();
        let mut packs = HashMap::new();
        for at in held.iter().filter_map(|digest| index.blobs.get(digest)) {
            *packs.entry(at.pack).or_default() += u64::from(at.len) + pack::ENTRY as u64;
        }
        packs
    }

    /// Makes a pack survive a power cut.
    ///
    /// # Errors
    /// It is gone, or the disk refuses.
    pub(super) fn sync(&self, number: u32) -> io::Result<()> {
        File::open(self.path(number))?.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// Removes a pack. Gives the bytes that it took.
    ///
    /// # Errors
    /// The file cannot be removed; then all of it stays.
    pub(super) fn remove(&self, number: u32) -> io::Result<u64> {
        let mut index = self.index();
        match fs::remove_file(self.path(number)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(index.forget(number)),
        }
    }
}

impl Index {
    fn add(&mut self, number: u32, bytes: u64, entries: &[pack::Entry]) {
        let at = |e: &pack::Entry| (e.digest, At { pack: number, offset: e.offset, len: e.len });
        self.blobs.extend(entries.iter().map(at));
        self.packs.insert(number, Pack { bytes, file: None });
    }

    fn opened(&mut self, number: u32, file: File) -> Arc<File> {
        let file = Arc::new(file);
        if let Some(pack) = self.packs.get_mut(&number) {
            pack.file = Some(file.clone());
            self.open.push_back(number);
        }
        if self.open.len() > MOST_OPEN
            && let Some(first) = self.open.pop_front()
            && let Some(pack) = self.packs.get_mut(&first)
        {
            pack.file = None;
        }
        file
    }

    /// Its bytes.
    fn forget(&mut self, number: u32) -> u64 {
        self.blobs.retain(|_, at| at.pack != number);
        self.open.retain(|open| *open != number);
        self.packs.remove(&number).map_or(0, |pack| pack.bytes)
    }
}
