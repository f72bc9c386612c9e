//! Every file below a directory, less what stays at home.
//!
//! One thread reads directories; to look at each file is half of the work, so others do that as soon as there are many:
//! by its name in the directory that is open anyway, which is half as long for the kernel as to go down to it from the top.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ignored::Ignored;

/// Directories that no job wants: history, environments and caches of this machine.
const NEVER_SENT: [&str; 4] = [".git", ".venv", "__pycache__", "node_modules"];
/// Files that are handed to another thread at once: looking at them takes far longer than handing them over.
const BATCH: usize = 128;
/// Batches that wait at most: each keeps a directory open.
const MOST_WAITING: usize = 16;
/// Threads beside the one that reads: more of them wait for the locks of the file system, or for the disk.
const MOST_LOOKERS: usize = 3;

/// One that is no directory.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is, below the root.
    pub(super) below: PathBuf,
    pub(super) kind: FileType,
    /// What a plain file is; an error for everything else.
    pub(super) meta: io::Result<Metadata>,
}

/// Some files of one directory.
struct Batch {
    /// The directory, below the root.
    dir: PathBuf,
    files: Vec<(DirEntry, FileType)>,
}

/// What `take` makes of each that is found below `root`, an absolute path without links, in no order. Links are not
/// followed.
///
/// # Errors
/// A directory or an ignore file cannot be read.
pub(super) fn walk<T: Send>(root: &Path, ignored: Ignored, take: impl Fn(Found) -> T + Sync) -> io::Result<Vec<T>> {
    let (waiting, take) = (Waiting::default(), &take);
    std::thread::scope(|scope| {
        let look = || {
            let batches = std::iter::from_fn(|| waiting.next());
            batches.flat_map(Batch::look).map(take).collect::<Vec<_>>()
        };
        let (mut lookers, mut taken, mut count) = (Vec::new(), Vec::new(), 0);
        let walked = read_all(root, ignored, |batch| {
            count += 1;
            // To ask for the processors is to read a dozen files: not for one small directory.
            if count == 2 {
                let others = std::thread::available_parallelism().map_or(1, usize::from) - 1;
                let looker = |_| std::thread::Builder::new().spawn_scoped(scope, look).ok();
                // One that cannot be had is one less; this thread looks, too.
                lookers.extend((0..others.min(MOST_LOOKERS)).filter_map(looker));
            }
            let own = if lookers.is_empty() { Some(batch) } else { waiting.put(batch) };
            taken.extend(own.into_iter().flat_map(Batch::look).map(take));
        });
        waiting.end();
        // What waits still.
        taken.append(&mut look());
        for looker in lookers {
            taken.append(&mut looker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        walked.map(|()| taken)
    })
}

/// Reads every directory, each before those below it, and hands over what else is in it.
fn read_all(root: &Path, mut ignored: Ignored, mut hand_over: impl FnMut(Batch)) -> io::Result<()> {
    let mut dirs = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = dirs.pop() {
        let full = if depth == 0 { root.to_owned() } else { root.join(&dir) };
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", super::shown(&full)));
        ignored.enter(&full, depth)?;
        let (mut below, mut files) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&full).map_err(named)? {
            let entry = entry.map_err(named)?;
            let (name, kind) = (entry.file_name(), entry.file_type().map_err(named)?);
            if NEVER_SENT.iter().any(|never| name == *never)
                || ignored.holds(&joined(&full, &name), depth + 1, kind.is_dir())
            {
                continue;
            }
            if kind.is_dir() {
                below.push(name);
                continue;
            }
            files.push((entry, kind));
            if files.len() == BATCH {
                hand_over(Batch { dir: dir.clone(), files: std::mem::take(&mut files) });
            }
        }
        if !files.is_empty() {
            hand_over(Batch { dir: dir.clone(), files });
        }
        // The first comes out first.
        below.sort_unstable_by(|a, b| b.cmp(a));
        dirs.extend(below.into_iter().map(|name| (dir.join(name), depth + 1)));
    }
    Ok(())
}

impl Batch {
    fn look(self) -> impl Iterator<Item = Found> {
        self.files.into_iter().map(move |(entry, kind)| {
            let meta = if kind.is_file() { entry.metadata() } else { Err(io::ErrorKind::Unsupported.into()) };
            Found { below: joined(&self.dir, &entry.file_name()), kind, meta }
        })
    }
}

/// [`Path::join`], which makes room for the one, and then for both.
pub(super) fn joined(dir: &Path, name: &OsStr) -> PathBuf {
    let mut path = PathBuf::with_capacity(dir.as_os_str().len() + 1 + name.len());
    path.push(dir);
    path.push(name);
    path
}

/// Batches that nobody looks at yet.
#[derive(Default)]
struct Waiting {
    state: Mutex<(VecDeque<Batch>, bool)>,
    news: Condvar,
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, (VecDeque<Batch>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it back when enough of them wait.
    fn put(&self, batch: Batch) -> Option<Batch> {
        let mut state = self.state();
        if state.0.len() == MOST_WAITING {
            return Some(batch);
        }
        state.0.push_back(batch);
        self.news.notify_one();
        None
    }

    /// No more will come.
    fn end(&self) {
        self.state().1 = true;
        self.news.notify_all();
    }

    /// The next one; `None` when there will be none.
    fn next(&self) -> Option<Batch> {
        let mut state = self.state();
        loop {
            match (state.0.pop_front(), state.1) {
                (None, false) => state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                (next, _) => return next,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn everything_is_found_once_and_is_what_it_is_however_many_there_are() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = fs::canonicalize(dir.path()).expect("real path");
        let mut want = BTreeMap::new();
        // None, one batch, a little more than one, and more than may wait.
        for (name, files) in [("none", 0), ("few", 3), ("more", BATCH + 1), ("many", (MOST_WAITING + 4) * BATCH)] {
            fs::create_dir_all(root.join(name).join("below/deep")).expect("made");
            for n in 0..files {
                let below = format!("{name}/{}{n}", ["", "below/", "below/deep/"][n % 3]);
                fs::write(root.join(&below), vec![b'x'; n % 7]).expect("written");
                want.insert(PathBuf::from(below), Some(n as u64 % 7));
            }
        }
        std::os::unix::fs::symlink("few", root.join("link")).expect("linked");
        want.insert("link".into(), None);
        fs::create_dir_all(root.join("few/node_modules")).expect("made");
        fs::write(root.join("few/node_modules/x"), "x").expect("written");
        for _ in 0..3 {
            let ignored = Ignored::above(&root, true).expect("readable");
            let found = walk(&root, ignored, |found| (found.below, found.meta.ok().map(|meta| meta.len())));
            let found = found.expect("readable");
            assert_eq!(found.len(), want.len());
            assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), want);
        }
        let nowhere = Ignored::above(&root, false).expect("readable");
        let error = walk(&root.join("gone"), nowhere, drop).expect_err("not there").to_string();
        assert!(error.contains("gone"), "{error}");
    }
}
