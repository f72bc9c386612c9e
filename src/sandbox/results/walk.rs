//! The walk and the hashing. Every step down is an `openat2` that stays beneath the job's directory, follows no link
//! and crosses no mount; files are opened without blocking and looked at by descriptor, never by path twice.
//!
//! A file with several names may be somebody else's: a hard link is the one way to have a file of the host in a
//! directory without a link that could be refused. So each of its names must have been met here, on one device; then
//! all of it is the job's own, and every name comes home as a file of its own.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::model::{CleanPath, FileEntry, Manifest, format_bytes};
use crate::sandbox::error::SandboxError;
use crate::transfer::describe;

/// Files of results: as many as a manifest takes.
const MAX_FILES: usize = 1_000_000;
/// Directories above a file: as many as a path in a manifest may have. One descriptor is open for each.
const MAX_DEPTH: usize = 64;
/// Bytes of lines about what was left behind: they travel in one frame of 64 KiB with the rest of a job's state. A job
/// that makes a million links gets a summary.
const MAX_SKIPPED: usize = 16 << 10;
/// Threads that hash. BLAKE3 on one thread is faster than most disks; four keep up with fast ones and small files.
const HASHERS: usize = 4;

/// A file that may be a result, not yet read.
pub(super) struct Candidate {
    pub(super) path: CleanPath,
    size: u64,
    exec: bool,
    /// How many names the file has.
    names: u64,
}

/// What the walk came upon.
pub(super) struct Found {
    root: OwnedFd,
    pub(super) candidates: Vec<Candidate>,
    skipped: Skipped,
}

#[derive(Default)]
struct Skipped {
    lines: Vec<String>,
    bytes: usize,
    more: usize,
}

impl Skipped {
    fn add(&mut self, path: &str, why: impl std::fmt::Display) {
        let path: String = path.chars().take(200).collect();
        let line = crate::model::visible_controls(format!("{path}: {why}").as_bytes());
        self.bytes += line.len();
        if self.bytes <= MAX_SKIPPED {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("and {} more", self.more));
        }
        self.lines
    }
}

/// Opens `name` below `dir` without following anything.
pub(super) fn open_beneath(dir: impl AsFd, name: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    match openat2(&dir, name, OpenHow::new().flags(flags).resolve(resolve)) {
        // Filters that cannot look into its argument say that there is no such call: systemd's for RestrictSUIDSGID=,
        // those of older container engines.
        Err(Errno::ENOSYS) => open_by_steps(dir, name, flags),
        opened => opened,
    }
}

/// The same with `openat`, one name after the other: none is a link, leads up, or lies on another device than `dir`.
fn open_by_steps(dir: impl AsFd, name: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    let device = fstat(&dir)?.st_dev;
    let mut below: Option<OwnedFd> = None;
    let mut parts = name.to_bytes().split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if matches!(part, b"" | b"." | b"..") {
            return Err(Errno::EXDEV);
        }
        let part = CString::new(part).map_err(|_| Errno::EINVAL)?;
        // Without O_PATH the owner's right to read would be needed on the way; O_DIRECTORY refuses a link.
        let on_the_way = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let flags = if parts.peek().is_some() { on_the_way } else { flags };
        let above = below.as_ref().map_or(dir.as_fd(), AsFd::as_fd);
        let next = openat(above, part.as_c_str(), flags, Mode::empty())?;
        if fstat(&next)?.st_dev != device {
            return Err(Errno::EXDEV);
        }
        below = Some(next);
    }
    below.ok_or(Errno::ENOENT)
}

/// The job's directory itself; its path is ours.
pub(super) fn open_root(work: &Path) -> Result<OwnedFd, SandboxError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(work, flags, Mode::empty()).map_err(|e| SandboxError::io("open", work)(e.into()))
}

/// Whether a descriptor is of a plain file with so many names.
pub(super) fn is_plain(stat: &FileStat, names: u64) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG && stat.st_nlink == names
}

fn change_time(stat: &FileStat) -> i128 {
    i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec)
}

/// A file with several names, by device and inode.
#[derive(Default)]
struct Linked {
    /// How many of its names were met.
    met: u64,
    /// Those that would be results.
    wanted: Vec<Candidate>,
}

struct Walker<'a> {
    inputs: &'a Manifest,
    started: i128,
    bytes_left: u64,
    candidates: Vec<Candidate>,
    linked: HashMap<(u64, u64), Linked>,
    skipped: Skipped,
}

pub(super) fn walk(work: &Path, inputs: &Manifest, started: i128, max_bytes: u64) -> Result<Found, SandboxError> {
    let root = open_root(work)?;
    let mut walker = Walker {
        inputs,
        started,
        bytes_left: max_bytes,
        candidates: vec![],
        linked: HashMap::new(),
        skipped: Skipped::default(),
    };
    let top = root.try_clone().map_err(SandboxError::io("open", work))?;
    walker.directory(top, "", 0, true).map_err(|e| SandboxError::io("read", work)(e.into()))?;
    walker.settle_linked();
    Ok(Found { root, candidates: walker.candidates, skipped: walker.skipped })
}

impl Walker<'_> {
    /// `settled`: no directory on the way here was touched since the job's start, so none was moved.
    fn directory(&mut self, dir: OwnedFd, prefix: &str, depth: usize, settled: bool) -> Result<(), Errno> {
        let mut dir = Dir::from_fd(dir)?;
        let names: Vec<CString> = dir.iter().filter_map(|e| e.ok().map(|e| e.file_name().to_owned())).collect();
        for name in names.iter().filter(|n| !matches!(n.to_bytes(), b"." | b"..")) {
            let shown = format!("{prefix}{}", name.to_string_lossy());
            if let Err(why) = self.entry(&dir, name, &shown, prefix, depth, settled) {
                self.skipped.add(&shown, why);
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &Dir,
        name: &CStr,
        shown: &str,
        prefix: &str,
        depth: usize,
        settled: bool,
    ) -> Result<(), String> {
        let said = |e: Errno| e.desc().to_owned();
        let stat = fstatat(dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).map_err(said)?;
        if stat.st_nlink > 1 && SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
            // Counted also where the name itself cannot come home.
            self.linked.entry((stat.st_dev, stat.st_ino)).or_default().met += 1;
        }
        let text = name.to_str().map_err(|_| "its name is not UTF-8")?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR if depth + 1 >= MAX_DEPTH => Err(format!("deeper than {MAX_DEPTH} directories")),
            SFlag::S_IFDIR => {
                let below = open_beneath(dir, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(said)?;
                let settled = settled && change_time(&stat) < self.started;
                self.directory(below, &format!("{prefix}{text}/"), depth + 1, settled).map_err(said)
            }
            SFlag::S_IFREG => self.file(&stat, shown, settled),
            SFlag::S_IFLNK => Err("symbolic link".into()),
            SFlag::S_IFIFO => Err("named pipe".into()),
            SFlag::S_IFSOCK => Err("socket".into()),
            _ => Err("device".into()),
        }
    }

    fn file(&mut self, stat: &FileStat, shown: &str, settled: bool) -> Result<(), String> {
        let path = CleanPath::new(shown).map_err(|e| e.to_string())?;
        let size = stat.st_size as u64;
        let exec = stat.st_mode & 0o100 != 0;
        if let Some(input) = self.inputs.get(&path) {
            let untouched = settled && change_time(stat) < self.started;
            if untouched && input.size == size && input.exec == exec {
                return Ok(());
            }
        }
        let candidate = Candidate { path, size, exec, names: stat.st_nlink };
        if stat.st_nlink > 1 {
            self.linked.entry((stat.st_dev, stat.st_ino)).or_default().wanted.push(candidate);
            return Ok(());
        }
        self.take(candidate)
    }

    /// Files of which every name was met are the job's own.
    fn settle_linked(&mut self) {
        let mut linked: Vec<Linked> = std::mem::take(&mut self.linked).into_values().collect();
        // The order of the walk is the file system's; what is over a limit should not depend on a hash table as well.
        linked.sort_by(|a, b| a.wanted.first().map(|c| &c.path).cmp(&b.wanted.first().map(|c| &c.path)));
        for Linked { met, wanted } in linked {
            for candidate in wanted {
                let path = candidate.path.to_string();
                let taken = if candidate.names == met {
                    self.take(candidate)
                } else {
                    Err(format!(
                        "hard link to a file that has other names outside the job's directory ({met} of {} are here)",
                        candidate.names
                    ))
                };
                if let Err(why) = taken {
                    self.skipped.add(&path, why);
                }
            }
        }
    }

    fn take(&mut self, candidate: Candidate) -> Result<(), String> {
        let size = candidate.size;
        if self.candidates.len() >= MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
        if size > self.bytes_left {
            return Err(format!(
                "{} would exceed the limit of results ({} left)",
                format_bytes(size),
                format_bytes(self.bytes_left)
            ));
        }
        self.bytes_left -= size;
        self.candidates.push(candidate);
        Ok(())
    }
}

/// What is left after hashing.
pub(super) struct Hashed {
    pub(super) files: Vec<FileEntry>,
    /// How many names those have that have several.
    pub(super) names: HashMap<String, u64>,
    pub(super) skipped: Vec<String>,
}

/// Hashes the candidates and drops those that equal their input after all.
pub(super) fn hash(found: Found, inputs: &Manifest) -> Result<Hashed, SandboxError> {
    let Found { root, candidates, mut skipped } = found;
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<FileEntry, String>)>> = Mutex::new(Vec::with_capacity(candidates.len()));
    let work = || {
        let mut mine = vec![];
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(candidate) = candidates.get(i) else { break };
            mine.push((i, hash_file(&root, candidate)));
        }
        if let Ok(mut done) = done.lock() {
            done.append(&mut mine);
        }
    };
    if candidates.len() < HASHERS {
        work();
    } else {
        std::thread::scope(|scope| (0..HASHERS).for_each(|_| drop(scope.spawn(work))));
    }
    let mut done = done.into_inner().map_err(|_| SandboxError::Results("a hashing thread ended early".into()))?;
    done.sort_by_key(|(i, _)| *i);
    let mut files = vec![];
    let mut names = HashMap::new();
    for (i, result) in done {
        match result {
            Ok(file) => {
                let same = inputs.get(&file.path).is_some_and(|input| *input == file);
                if !same {
                    if candidates[i].names > 1 {
                        names.insert(file.path.to_string(), candidates[i].names);
                    }
                    files.push(file);
                }
            }
            Err(why) => skipped.add(candidates[i].path.as_str(), why),
        }
    }
    Ok(Hashed { files, names, skipped: skipped.into_lines() })
}

fn hash_file(root: &OwnedFd, candidate: &Candidate) -> Result<FileEntry, String> {
    let said = |e: Errno| e.desc().to_owned();
    let path = CString::new(candidate.path.as_str()).map_err(|e| e.to_string())?;
    let fd = open_beneath(root, &path, OFlag::O_RDONLY).map_err(said)?;
    let stat = fstat(&fd).map_err(said)?;
    if !is_plain(&stat, candidate.names) || stat.st_size as u64 != candidate.size {
        return Err("it changed while results were listed".into());
    }
    let described = describe(File::from(fd).take(candidate.size)).map_err(|e| e.to_string())?;
    if described.size != candidate.size {
        return Err("it changed while results were listed".into());
    }
    Ok(described.entry(candidate.path.clone(), candidate.exec))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn without_openat2_the_same_is_opened_and_refused() {
        let tree = tempfile::tempdir().expect("tempdir");
        let at = |path: &str| tree.path().join(path);
        std::fs::create_dir_all(at("a/b")).expect("made");
        std::fs::write(at("a/b/file"), "here").expect("written");
        std::fs::write(at("secret"), "outside").expect("written");
        symlink("b", at("a/link")).expect("linked");
        symlink("../secret", at("a/up")).expect("linked");
        symlink("/etc/passwd", at("a/b/out")).expect("linked");
        let root = open_root(&at("a")).expect("opened");
        for (name, opens) in [
            ("b/file", true),
            ("b", true),
            ("link", false),
            ("link/file", false),
            ("up", false),
            ("b/out", false),
            ("../secret", false),
            ("b/../../secret", false),
            ("/etc/passwd", false),
            ("b/file/x", false),
            ("nothing", false),
            ("", false),
        ] {
            let name = CString::new(name).expect("no NUL");
            let steps = open_by_steps(&root, &name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW);
            assert_eq!(steps.is_ok(), opens, "{name:?}: {steps:?}");
            let whole = open_beneath(&root, &name, OFlag::O_RDONLY);
            assert_eq!(whole.is_ok(), opens, "{name:?}: {whole:?}");
        }
        // Another file system lies below.
        let host = open_root(Path::new("/")).expect("opened");
        let steps = open_by_steps(&host, c"proc/self/status", OFlag::O_RDONLY);
        assert_eq!(steps.expect_err("refused"), Errno::EXDEV);
    }
}
