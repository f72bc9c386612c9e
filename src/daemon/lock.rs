//! One homied to a state directory: a lock that ends with its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why the state directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another homied has it.
    #[error("already running{} with the files in {}", .pid.map(|p| format!(" (pid {p})")).unwrap_or_default(), .dir.display())]
    Running {
        /// Its process.
        pid: Option<u32>,
        /// The state directory.
        dir: PathBuf,
    },
    /// The lock file cannot be made or written.
    #[error("{}: {why}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
}

/// Held for as long as homied runs.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock of the state directory `dir`, which must exist, and writes our process id into `homied.pid`.
    ///
    /// Call it in the process that stays: after [`super::background::detach`].
    ///
    /// # Errors
    /// Another homied holds it, or the file cannot be written.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("homied.pid");
        let fail = |why| LockError::Io { path: path.clone(), why };
        // The lock is the file's, not the name's, so the file is never removed: a second homied could lock a new one.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Best effort: the other one may be writing it just now.
                let _ = file.take(16).read_to_string(&mut text);
                return Err(LockError::Running { pid: text.trim().parse().ok(), dir: dir.to_owned() });
            }
            Err(TryLockError::Error(why)) => return Err(fail(why)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
        writeln!(file, "{}", std::process::id()).map_err(fail)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_homied_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let first = StateLock::take(dir.path()).expect("free");
        let second = StateLock::take(dir.path()).expect_err("taken").to_string();
        let me = std::process::id();
        assert_eq!(second, format!("already running (pid {me}) with the files in {}", dir.path().display()));
        drop(first);
        // The rest of a longer process id must not stay behind.
        std::fs::write(dir.path().join("homied.pid"), "123456789012\n").expect("write");
        // A test beside this one may be starting a process just now, which holds a copy until its exec.
        let third = std::iter::repeat_with(|| StateLock::take(dir.path())).take(1_000_000).find_map(Result::ok);
        let _third = third.expect("free again");
        assert_eq!(std::fs::read_to_string(dir.path().join("homied.pid")).expect("read"), format!("{me}\n"));
        let nowhere = StateLock::take(&dir.path().join("none")).expect_err("no directory").to_string();
        assert!(nowhere.contains("none/homied.pid"), "{nowhere}");
    }
}
