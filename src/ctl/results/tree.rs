//! Directories held by descriptor. A path is walked component by component and no link is ever followed, so that
//! neither a hostile result nor somebody moving directories about meanwhile can make a file land elsewhere.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::decide::Present;
use crate::model::Digest;

/// Permissions of new directories, less the user's umask.
const DIR_MODE: Mode = Mode::from_bits_truncate(0o777);
const FLAGS: OFlag = OFlag::O_CLOEXEC.union(OFlag::O_NOFOLLOW);

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir(File);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Opens the directory the user named; links in the user's own words are followed. It is made if it is missing.
    pub(super) fn at_path(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let file = File::open(path)?;
        if file.metadata()?.is_dir() { Ok(Self(file)) } else { Err(Errno::ENOTDIR.into()) }
    }

    /// The subdirectory `name`.
    pub(super) fn open(&self, name: &str) -> io::Result<Self> {
        let fd: OwnedFd = openat(self, name, FLAGS | OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty())?;
        Ok(Self(fd.into()))
    }

    /// The subdirectory `name`, made with `mode` if it is missing.
    pub(super) fn make(&self, name: &str, mode: Mode) -> io::Result<Self> {
        match mkdirat(self, name, mode) {
            Ok(()) | Err(Errno::EEXIST) => self.open(name),
            Err(e) => Err(e.into()),
        }
    }

    /// The subdirectory that `names` lead to, each made if it is missing.
    pub(super) fn descend<'a>(&self, names: impl Iterator<Item = &'a str>) -> io::Result<Self> {
        let mut dir = Self(self.0.try_clone()?);
        for name in names {
            dir = dir.make(name, DIR_MODE)?;
        }
        Ok(dir)
    }

    /// A new file that nobody else has made.
    pub(super) fn create(&self, name: &str, exec: bool) -> io::Result<File> {
        let mode = Mode::from_bits_truncate(if exec { 0o777 } else { 0o666 });
        Ok(openat(self, name, FLAGS | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY, mode)?.into())
    }

    /// What stands at `name`, with the hash of a plain file.
    pub(super) fn present(&self, name: &str) -> io::Result<Present> {
        match self.stat(name)? {
            None => Ok(Present::Nothing),
            Some(stat) if kind(&stat) == SFlag::S_IFREG => {
                // Not blocking: should it have become a pipe meanwhile, opening must not hang.
                let flags = FLAGS | OFlag::O_RDONLY | OFlag::O_NONBLOCK;
                let mut file: File = openat(self, name, flags, Mode::empty())?.into();
                if !file.metadata()?.is_file() {
                    return Ok(Present::Other);
                }
                hash(&mut file).map(Present::File)
            }
            Some(_) => Ok(Present::Other),
        }
    }

    fn stat(&self, name: &str) -> io::Result<Option<FileStat>> {
        match fstatat(self, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Moves `name` into `to`, over whatever plain file stands there.
    pub(super) fn move_over(&self, name: &str, to: &Self, new: &str) -> io::Result<()> {
        renameat(self, name, to, new).map_err(io::Error::from)
    }

    /// Moves `name` into `to`; `false` when something stands there already.
    #[cfg(target_os = "linux")]
    pub(super) fn move_new(&self, name: &str, to: &Self, new: &str) -> io::Result<bool> {
        use nix::fcntl::{RenameFlags, renameat2};
        match renameat2(self, name, to, new, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            // Some network file systems do not know the flag.
            Err(Errno::EINVAL | Errno::ENOSYS) => self.move_new_by_link(name, to, new),
            Err(e) => Err(e.into()),
        }
    }

    /// Moves `name` into `to`; `false` when something stands there already.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn move_new(&self, name: &str, to: &Self, new: &str) -> io::Result<bool> {
        self.move_new_by_link(name, to, new)
    }

    /// A new name refuses to be given twice, on every system and file system that has hard links.
    fn move_new_by_link(&self, name: &str, to: &Self, new: &str) -> io::Result<bool> {
        match nix::unistd::linkat(self, name, to, new, AtFlags::empty()) {
            Ok(()) => unlinkat(self, name, UnlinkatFlags::NoRemoveDir).map(|()| true).map_err(io::Error::from),
            Err(Errno::EEXIST) => Ok(false),
            Err(Errno::EPERM | Errno::ENOTSUP) if to.stat(new)?.is_none() => {
                self.move_over(name, to, new).map(|()| true)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Removes the subdirectory `name` with everything in it, links themselves instead of what they lead to.
    pub(super) fn remove_tree(&self, name: &str) -> io::Result<()> {
        let dir = match self.open(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in dir.names()? {
            match unlinkat(&dir, entry.as_os_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                // Linux says EISDIR, POSIX allows EPERM.
                Err(Errno::EISDIR | Errno::EPERM) => {
                    let name = entry.to_str().ok_or_else(|| io::Error::from(Errno::EILSEQ))?;
                    dir.remove_tree(name)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        unlinkat(self, name, UnlinkatFlags::RemoveDir).map_err(io::Error::from)
    }

    /// The names in it.
    fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        let mut names = Vec::new();
        let mut dir = nix::dir::Dir::from_fd(self.0.try_clone()?.into())?;
        for entry in dir.iter() {
            let name = std::ffi::OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The user that owns it.
    pub(super) fn owner(&self) -> io::Result<u32> {
        self.0.metadata().map(|m| m.uid())
    }

    /// Bytes that this user may still write to its file system.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let stat = nix::sys::statvfs::fstatvfs(self)?;
        // The width of the first number differs from system to system.
        #[allow(clippy::useless_conversion)]
        let blocks = u64::from(stat.blocks_available());
        Ok(blocks.saturating_mul(stat.fragment_size()))
    }

    /// Makes everything on its file system durable, in one call.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return nix::unistd::syncfs(self).map_err(io::Error::from);
        #[cfg(not(target_os = "linux"))]
        self.0.sync_all()
    }

    /// The descriptor itself, for locking.
    pub(super) fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn hash(file: &mut File) -> io::Result<Digest> {
    /// Big enough that system calls do not count, small enough for the cache.
    const BUFFER: usize = 256 << 10;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest(*hasher.finalize().as_bytes())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn hostile() -> (tempfile::TempDir, Dir) {
        let tmp = tempfile::tempdir().expect("tempdir");
        let root = tmp.path();
        fs::create_dir_all(root.join("dest/real")).expect("mkdir");
        fs::create_dir(root.join("outside")).expect("mkdir");
        fs::write(root.join("outside/precious"), "precious").expect("write");
        symlink("../outside", root.join("dest/linked")).expect("link");
        symlink("../outside/precious", root.join("dest/file-link")).expect("link");
        nix::unistd::mkfifo(&root.join("dest/pipe"), Mode::S_IRWXU).expect("mkfifo");
        let dest = Dir::at_path(&root.join("dest")).expect("open");
        (tmp, dest)
    }

    #[test]
    fn no_link_is_followed_and_no_pipe_is_waited_for() {
        let (tmp, dest) = hostile();
        assert!(dest.open("linked").is_err());
        assert!(dest.make("linked", DIR_MODE).is_err());
        assert!(dest.descend(["real", "a", "b"].into_iter()).is_ok());
        assert!(dest.descend(["linked", "a"].into_iter()).is_err());
        assert!(dest.create("file-link", false).is_err());
        for name in ["file-link", "linked", "pipe", "real"] {
            assert_eq!(dest.present(name).expect(name), Present::Other, "{name}");
        }
        assert_eq!(dest.present("nothing").expect("readable"), Present::Nothing);
        assert!(!tmp.path().join("outside/a").exists());
        assert_eq!(fs::read(tmp.path().join("outside/precious")).expect("kept"), b"precious");
    }

    #[test]
    fn moving_never_destroys_unless_told_to() {
        let (tmp, dest) = hostile();
        let here = |name: &str| tmp.path().join("dest").join(name);
        fs::write(here("new"), "new").expect("write");
        fs::write(here("old"), "old").expect("write");
        assert!(!dest.move_new("new", &dest, "old").expect("renamed"));
        assert!(!dest.move_new("new", &dest, "file-link").expect("renamed"));
        assert!(!dest.move_new_by_link("new", &dest, "old").expect("renamed"));
        assert_eq!(fs::read(here("old")).expect("kept"), b"old");
        assert!(dest.move_new("new", &dest, "fresh").expect("renamed"));
        assert!(dest.move_new_by_link("fresh", &dest, "again").expect("renamed"));
        dest.move_over("again", &dest, "old").expect("renamed");
        assert_eq!(fs::read(here("old")).expect("replaced"), b"new");
        assert!(!here("again").exists() && !here("fresh").exists());
    }

    #[test]
    fn removing_a_tree_leaves_what_its_links_lead_to() {
        let (tmp, dest) = hostile();
        let staging = dest.descend(["staging", "deep"].into_iter()).expect("made");
        staging.create("f", true).expect("created");
        symlink("../../../outside", tmp.path().join("dest/staging/deep/link")).expect("link");
        dest.remove_tree("staging").expect("removed");
        assert!(!tmp.path().join("dest/staging").exists());
        assert!(tmp.path().join("outside/precious").exists());
        dest.remove_tree("staging").expect("nothing to remove is fine");
        assert!(dest.remove_tree("linked").is_err());
    }
}
