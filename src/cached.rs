//! Files that the kernel has in memory, opened and read without waiting for a disk: what may be done on a thread of the
//! runtime. Whoever is told `None` does the same on another thread, where it may take as long as it takes.

use std::fs::File;
use std::io::IoSliceMut;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{ReadWriteFlags, preadv2};

/// Opens a file for reading; `None` when its name is not in memory, when there is none, or when the kernel cannot tell
/// (before Linux 5.12).
pub(crate) fn open_cached(path: &Path) -> Option<File> {
    openat2(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED).ok().map(File::from)
}

/// Reads at an offset, perhaps less than there is; `None` when that is not in memory, at the end of the file, or when its
/// filesystem cannot tell.
pub(crate) fn read_cached(file: &File, into: &mut [u8], at: u64) -> Option<usize> {
    let got = preadv2(file, &mut [IoSliceMut::new(into)], at, ReadWriteFlags::NOWAIT).ok();
    // Linux 5.9 and 5.10 say 0 of what is not in memory (readv(2), BUGS).
    got.filter(|got| *got > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_at_hand_and_what_cannot_be_known_is_not() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        std::fs::write(&path, b"hello").expect("written");
        // Whoever mounts something at the same moment makes the kernel unsure for that moment.
        let file = (0..1000).find_map(|_| open_cached(&path));
        let mut into = [0; 9];
        let read = |file: &File, into: &mut [u8]| (0..1000).find_map(|_| read_cached(file, into, 3));
        match file.as_ref().and_then(|file| read(file, &mut into)) {
            Some(got) => assert_eq!(&into[..got], b"lo"),
            // Old kernels, and filesystems such as overlayfs: slower and not wrong.
            None => println!("left out: this kernel or filesystem does not say what is in memory"),
        }
        if let Some(file) = file {
            assert_eq!(read_cached(&file, &mut into, 5), None, "its end");
        }
        assert!(open_cached(&dir.path().join("none")).is_none());
        // No file of procfs is ever read without waiting, as far as the kernel knows.
        let slow = File::open("/proc/version").expect("Linux");
        assert_eq!(read_cached(&slow, &mut [0], 0), None);
    }
}
