//! The disk watchdog: what the job's directory holds, and whether the disk itself runs full.
//!
//! A quota of the file system would be exact, but needs a file system with project quotas. So a thread looks: at the
//! free space every second, which costs nothing, and at the whole tree as often as that is cheap.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::model::format_bytes;
use crate::sandbox::engine::native::watch::tree;
use crate::sandbox::free_bytes;

/// One look at the free space.
const TICK: Duration = Duration::from_secs(1);
/// Walking the tree may take this part of the time: 1 %.
const WALK_SHARE: u32 = 100;
/// Files and directories a job may make: more would outgrow the list of results, and cost the host its inodes.
const MAX_FILES: u64 = 1_000_000;
/// Below this, the owner's machine starts to fail at everything; a guest goes before that.
const MIN_FREE: u64 = 64 << 20;

/// What a directory occupies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Occupied {
    /// Allocated blocks, in bytes: a sparse file costs only what it has.
    pub(super) bytes: u64,
    /// Files, directories and whatever else.
    pub(super) files: u64,
}

/// Looks at everything below `dir`, without following links.
pub(super) fn occupied(dir: &Path) -> Occupied {
    let mut sum = Occupied::default();
    let mut seen = HashSet::new();
    let mut queue: Vec<PathBuf> = vec![dir.to_path_buf()];
    while let Some(dir) = queue.pop() {
        // The job deletes while we look; what is gone occupies nothing.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            sum.files += 1;
            if meta.nlink() == 1 || meta.is_dir() || seen.insert(meta.ino()) {
                sum.bytes += meta.blocks() * 512;
            }
            if meta.is_dir() {
                queue.push(entry.path());
            }
        }
    }
    sum
}

/// Bytes of files that processes below us hold open after their names were removed: no walk finds them. Processes of a
/// container engine are not below us; they have only the free space that is watched.
fn nameless(dir: &Path) -> u64 {
    let Ok(device) = fs::metadata(dir).map(|m| m.dev()) else { return 0 };
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for pid in tree(std::process::id() as i32).into_iter().skip(1) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(meta) = fs::metadata(entry.path()) else { continue };
            if meta.is_file() && meta.dev() == device && meta.nlink() == 0 && seen.insert(meta.ino()) {
                bytes += meta.blocks() * 512;
            }
        }
    }
    bytes
}

/// The running watchdog. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Watchdog {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches `dir`, which may grow by `limit` bytes from now on. The receiver hears why the job must end.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(dir: PathBuf, limit: u64) -> std::io::Result<(Self, oneshot::Receiver<String>)> {
        let (stop, stopped) = mpsc::channel();
        let (bark, heard) = oneshot::channel();
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            if let Some(reason) = watch(&dir, limit, &stopped) {
                // The supervisor may have ended meanwhile.
                let _ = bark.send(reason);
            }
        })?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, heard))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(dir: &Path, limit: u64, stopped: &mpsc::Receiver<()>) -> Option<String> {
    let began = occupied(dir);
    let mut next_walk = Instant::now();
    let mut free_at_walk = free_bytes(dir);
    loop {
        match stopped.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return None,
        }
        let free = free_bytes(dir);
        if free < MIN_FREE {
            return Some(format!("the worker's disk is full ({} left)", format_bytes(free)));
        }
        // Whoever it was that took a lot since the last walk: look now.
        let suspicious = free_at_walk.saturating_sub(free) > limit / 8;
        if Instant::now() < next_walk && !suspicious {
            continue;
        }
        let start = Instant::now();
        let mut now = occupied(dir);
        now.bytes += nameless(dir);
        next_walk = Instant::now() + start.elapsed() * WALK_SHARE;
        free_at_walk = free;
        if now.bytes.saturating_sub(began.bytes) > limit {
            return Some(format!(
                "the job's files grew by {}; its limit is {}",
                format_bytes(now.bytes.saturating_sub(began.bytes)),
                format_bytes(limit)
            ));
        }
        if now.files > MAX_FILES {
            return Some(format!("the job made {} files; {MAX_FILES} is the most", now.files));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_count_not_lengths_and_hard_links_count_once() {
        let dir = tempfile::tempdir().expect("tempdir");
        let sparse = fs::File::create(dir.path().join("sparse")).expect("created");
        sparse.set_len(1 << 40).expect("sparse");
        fs::create_dir(dir.path().join("d")).expect("created");
        fs::write(dir.path().join("d/full"), vec![1; 1 << 20]).expect("written");
        sparse.sync_all().expect("synced");
        fs::File::open(dir.path().join("d/full")).expect("there").sync_all().expect("synced");
        let before = occupied(dir.path());
        fs::hard_link(dir.path().join("d/full"), dir.path().join("again")).expect("linked");
        std::os::unix::fs::symlink("/", dir.path().join("root")).expect("linked");
        let after = occupied(dir.path());
        assert!((1 << 20..1 << 22).contains(&before.bytes), "{before:?}");
        assert!(after.bytes - before.bytes < 1 << 16, "{before:?} {after:?}");
        assert_eq!((before.files, after.files), (3, 5));
    }

    #[tokio::test]
    async fn it_barks_when_the_directory_outgrows_its_limit() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (_watchdog, heard) = Watchdog::start(dir.path().to_path_buf(), 1 << 20).expect("started");
        // The first look happens in the thread; what is written before it counts as there from the beginning.
        let path = dir.path().to_path_buf();
        let writer = tokio::task::spawn_blocking(move || {
            for i in 0.. {
                let grown = fs::write(path.join(format!("f{i}")), vec![i as u8; 64 << 10]);
                if grown.is_err() || i > 4096 {
                    return;
                }
                std::thread::yield_now();
            }
        });
        let reason = tokio::time::timeout(Duration::from_secs(60), heard).await.expect("in time").expect("barked");
        assert!(reason.contains("limit is 1.0 MB"), "{reason}");
        writer.await.expect("writer");
    }
}
