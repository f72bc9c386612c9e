//! The file on disk: read with care, written whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::shape::MAX_FILE;

/// Rights of a new config file: it holds the group's secret.
const PRIVATE: u32 = 0o600;

/// The text of the file; empty if there is none.
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<String, ConfigError> {
    let fail = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    // Not to hang on a pipe that somebody put there.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(fail(format!("cannot be read: {e}"))),
    };
    let meta = file.metadata().map_err(|e| fail(format!("cannot be read: {e}")))?;
    if !meta.is_file() {
        return Err(fail("is not a file".to_owned()));
    }
    if meta.mode() & 0o077 != 0 {
        warnings.push(format!("{}: others can read it, and the secret in it; run chmod 600", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| fail(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(fail(format!("is larger than {MAX_FILE} bytes, so it is no config")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() as u64;
        ConfigError::Syntax { path: path.to_owned(), line, problem: "not UTF-8; save the file as UTF-8".to_owned() }
    })
}

/// Replaces the file by `text` in one step: a reader sees the old or the new one, and after a power cut one of them
/// is there. Rights and owner of an existing file are kept; a link is followed.
pub(super) fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    write_target(&target, text)
        .map_err(|e| ConfigError::File { path: path.to_owned(), problem: format!("cannot be written: {e}") })
}

fn write_target(target: &Path, text: &str) -> std::io::Result<()> {
    let dir = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let old = std::fs::metadata(target).ok();
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let staged = Staged(dir.join(name));
    // A rest of a crashed process with the same id is in the way of create_new.
    let _ = std::fs::remove_file(&staged.0);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&staged.0)?;
    file.write_all(text.as_bytes())?;
    if let Some(old) = old {
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        let mine = file.metadata()?;
        if (mine.uid(), mine.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.sync_all()?;
    std::fs::rename(&staged.0, target)?;
    File::open(dir)?.sync_all()
}

/// A file on its way; whatever is left of it on failure is removed.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // After the rename there is nothing of this name any more, and that is fine.
        let _ = std::fs::remove_file(&self.0);
    }
}
