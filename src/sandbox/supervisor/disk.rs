//! The disk watchdog: what the job's directory holds, and whether the disk itself runs full.
//!
//! A quota of the file system would be exact, but needs a file system with project quotas. So a thread looks: at the
//! free space every second, which costs nothing, and at the whole tree as often as that is cheap.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fchmodat, fstatat};
use tokio::sync::oneshot;

use crate::model::format_bytes;
use crate::sandbox::engine::native::watch::tree;
use crate::sandbox::free_bytes;

/// One look at the free space.
const TICK: Duration = Duration::from_secs(1);
/// Walking the tree may take this part of the time: 1 %...
const WALK_SHARE: u32 = 100;
/// ...but a walk that was slow because the machine is busy must not leave the job alone for minutes: so long at most,
/// or 10 % of the time where a tree is that large.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Files and directories a job may make at most: more would outgrow the list of results.
const MAX_FILES: u64 = 1_000_000;
/// Even a job with a small disk may make this many: a virtual environment of Python has some thousand.
const MIN_FILES: u64 = 16_384;
/// Below this, the owner's machine starts to fail at everything; a guest goes before that.
const MIN_FREE: u64 = 64 << 20;
/// Directories may lie this deep in each other. The walk holds a descriptor for each, and nobody can take results home
/// from deeper than 64.
const MAX_DEPTH: usize = 256;

/// How many files and directories a job with a disk of `bytes` may make: one for each 4 KiB, as file systems are laid
/// out for at most, so that it cannot take the host's inodes instead of its space.
pub(in crate::sandbox) fn max_files(bytes: u64) -> u64 {
    (bytes / 4096).clamp(MIN_FILES, MAX_FILES)
}

/// What a directory occupies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Occupied {
    /// Allocated blocks, in bytes: a sparse file costs only what it has.
    pub(super) bytes: u64,
    /// Files, directories and whatever else.
    pub(super) files: u64,
    /// Something lies deeper than [`MAX_DEPTH`] and was not looked at.
    pub(super) too_deep: bool,
}

/// Looks at everything below `dir`. Steps down by descriptors only: the job can make paths that are too long to be
/// opened, and put links in the place of directories while we look.
pub(super) fn occupied(dir: &Path) -> Occupied {
    let mut walk = Walk { sum: Occupied::default(), seen: HashSet::new() };
    if let Ok(top) = nix::fcntl::open(dir, DOWN, Mode::empty()) {
        walk.directory(top, 0);
    }
    walk.sum
}

const DOWN: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

struct Walk {
    sum: Occupied,
    /// Files with several names count once.
    seen: HashSet<u64>,
}

impl Walk {
    fn directory(&mut self, dir: OwnedFd, depth: usize) {
        if depth > MAX_DEPTH {
            self.sum.too_deep = true;
            return;
        }
        let Ok(mut dir) = Dir::from_fd(dir) else { return };
        let mut below: Vec<CString> = vec![];
        let names = dir.as_fd().try_clone_to_owned();
        let Ok(here) = names else { return };
        // The job deletes while we look; what is gone occupies nothing.
        for entry in dir.iter().flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = fstatat(&here, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
            let is_dir = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
            self.sum.files += 1;
            if stat.st_nlink == 1 || is_dir || self.seen.insert(stat.st_ino) {
                self.sum.bytes += stat.st_blocks as u64 * 512;
            }
            if is_dir {
                below.push(name.to_owned());
            }
        }
        drop(dir);
        for name in below {
            match nix::fcntl::openat(&here, name.as_c_str(), DOWN, Mode::empty()) {
                Ok(next) => self.directory(next, depth + 1),
                Err(Errno::EACCES) => self.closed(&here, &name, depth + 1),
                Err(_) => {}
            }
        }
    }

    /// Looks into a directory that the job has closed to its own user, who is ours too when homied is not root. Closed
    /// again when this returns.
    fn closed(&mut self, above: &OwnedFd, name: &CString, depth: usize) {
        // By descriptor, so that it is this directory's mode that changes and no other's.
        let Ok(place) = nix::fcntl::openat(above, name.as_c_str(), DOWN | OFlag::O_PATH, Mode::empty()) else { return };
        let Ok(stat) = nix::sys::stat::fstat(&place) else { return };
        let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
        let path = format!("/proc/self/fd/{}", place.as_raw_fd());
        let change = |mode| fchmodat(above, path.as_str(), mode, nix::sys::stat::FchmodatFlags::FollowSymlink);
        if change(mode | Mode::S_IRUSR | Mode::S_IXUSR).is_ok() {
            if let Ok(next) = nix::fcntl::open(path.as_str(), DOWN.difference(OFlag::O_NOFOLLOW), Mode::empty()) {
                self.directory(next, depth);
            }
            let _ = change(mode);
        }
    }
}

/// Which processes may hold files that no walk finds.
#[derive(Debug, Clone)]
pub(super) enum Holders {
    /// Everything below the supervisor.
    Below,
    /// Those that a control group lists in this file.
    Listed(PathBuf),
}

impl Holders {
    fn pids(&self) -> Vec<i32> {
        match self {
            Self::Below => tree(std::process::id() as i32).into_iter().skip(1).collect(),
            Self::Listed(file) => {
                let text = fs::read_to_string(file).unwrap_or_default();
                text.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid > 0).collect()
            }
        }
    }
}

/// Bytes of files that processes of the job hold open or mapped after their names were removed: no walk finds them.
fn nameless(dir: &Path, holders: &Holders) -> u64 {
    let Ok(device) = fs::metadata(dir).map(|m| m.dev()) else { return 0 };
    let mut open = HashSet::new();
    let mut mapped: HashMap<u64, u64> = HashMap::new();
    let mut bytes = 0;
    for pid in holders.pids() {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(meta) = fs::metadata(entry.path()) else { continue };
            if meta.is_file() && meta.dev() == device && meta.nlink() == 0 && open.insert(meta.ino()) {
                bytes += meta.blocks() * 512;
            }
        }
        for (inode, end) in fs::read_to_string(format!("/proc/{pid}/maps")).iter().flat_map(|t| deleted_maps(t, device))
        {
            let most = mapped.entry(inode).or_default();
            *most = end.max(*most);
        }
    }
    // How many blocks such a file has cannot be asked; it can be as many as were mapped.
    bytes + mapped.iter().filter(|(inode, _)| !open.contains(inode)).map(|(_, end)| end).sum::<u64>()
}

/// (inode, end of the mapped part) of each mapping in `/proc/PID/maps` of a file on `device` that has no name any more.
fn deleted_maps(maps: &str, device: u64) -> impl Iterator<Item = (u64, u64)> {
    maps.lines().filter_map(move |line| {
        let mut fields = line.strip_suffix(" (deleted)")?.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        let (major, minor) = fields.next()?.split_once(':')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let number = nix::sys::stat::makedev(hex(major)?, hex(minor)?);
        let inode = fields.next()?.parse().ok()?;
        (number == device).then_some((inode, hex(offset)? + hex(to)?.checked_sub(hex(from)?)?))
    })
}

/// The running watchdog. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Watchdog {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches `dir`, which may grow by `limit` bytes beyond `began`. The receiver hears why the job must end.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(
        dir: PathBuf,
        began: Occupied,
        limit: u64,
        holders: Holders,
    ) -> std::io::Result<(Self, oneshot::Receiver<String>)> {
        let (stop, stopped) = mpsc::channel();
        let (bark, heard) = oneshot::channel();
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            if let Some(reason) = watch(&dir, began, limit, &holders, &stopped) {
                // The supervisor may have ended meanwhile.
                let _ = bark.send(reason);
            }
        })?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, heard))
    }
}

impl Watchdog {
    /// It need not look any more; it ends while other things are done.
    pub(super) fn stop(&mut self) {
        self.stop = None;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(dir: &Path, began: Occupied, limit: u64, holders: &Holders, stopped: &mpsc::Receiver<()>) -> Option<String> {
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
        now.bytes += nameless(dir, holders);
        let took = start.elapsed();
        next_walk = Instant::now() + (took * WALK_SHARE).min(LONGEST_PAUSE.max(took * 10));
        free_at_walk = free;
        if now.bytes.saturating_sub(began.bytes) > limit {
            return Some(format!(
                "the job's files grew by {}; its limit is {}",
                format_bytes(now.bytes.saturating_sub(began.bytes)),
                format_bytes(limit)
            ));
        }
        let most = began.files + max_files(limit);
        if now.files > most {
            return Some(format!("the job made {} files; {most} is the most with its disk limit", now.files));
        }
        if now.too_deep {
            return Some(format!("the job nested directories more than {MAX_DEPTH} deep"));
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

    #[test]
    fn neither_depth_nor_closed_doors_hide_what_is_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        let name = "d".repeat(200);
        let mut here = nix::fcntl::open(dir.path(), DOWN, Mode::empty()).expect("opened");
        // 30 names of 200 bytes are more than a path may have.
        for _ in 0..30 {
            nix::sys::stat::mkdirat(&here, name.as_str(), Mode::S_IRWXU).expect("made");
            here = nix::fcntl::openat(&here, name.as_str(), DOWN, Mode::empty()).expect("opened");
        }
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY;
        let file = nix::fcntl::openat(&here, "bottom", flags, Mode::S_IRUSR).expect("made");
        nix::unistd::write(&file, &[1; 1 << 16]).expect("written");
        nix::unistd::fsync(&file).expect("synced");
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).expect("made");
        fs::write(closed.join("file"), "x").expect("written");
        let shut = std::os::unix::fs::PermissionsExt::from_mode(0o0);
        fs::set_permissions(&closed, shut).expect("closed");
        let seen = occupied(dir.path());
        assert_eq!((seen.files, seen.too_deep), (33, false));
        assert!(seen.bytes >= 1 << 16, "{seen:?}");
        assert_eq!(fs::metadata(&closed).expect("there").mode() & 0o7777, 0, "the door is closed again");
        for _ in 0..MAX_DEPTH {
            nix::sys::stat::mkdirat(&here, "d", Mode::S_IRWXU).expect("made");
            here = nix::fcntl::openat(&here, "d", DOWN, Mode::empty()).expect("opened");
        }
        assert!(occupied(dir.path()).too_deep);
        crate::sandbox::workspace::remove(dir.path()).expect("removed");
    }

    #[test]
    fn a_mapping_of_a_nameless_file_counts_to_its_end() {
        let device = nix::sys::stat::makedev(0xfd, 1);
        let maps = "\
7f00-7f40 rw-s 00000100 fd:01 77 /work/fill-0 (deleted)\n\
7f00-7f10 rw-s 00000000 fd:01 78 /work/kept\n\
7f00-7f10 rw-s 00000000 00:01 79 /memfd:x (deleted)\n\
nonsense (deleted)\n";
        assert_eq!(deleted_maps(maps, device).collect::<Vec<_>>(), [(77, 0x140)]);
    }

    #[tokio::test]
    async fn it_barks_when_the_directory_outgrows_its_limit() {
        let dir = tempfile::tempdir().expect("tempdir");
        let began = occupied(dir.path());
        let (_watchdog, heard) =
            Watchdog::start(dir.path().to_path_buf(), began, 1 << 20, Holders::Below).expect("started");
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
