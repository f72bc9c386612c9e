//! Reads and writes the config file: whole or not at all, and for its owner's eyes only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// No config of a person is longer; a longer file is something else.
const LONGEST: u64 = 256 << 10;

/// The file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system said no.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Not a text, or far too long.
    #[error("{} is not a config file: {why}", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |error| StoreError::Io { what, path: path.to_owned(), error }
}

/// The text of the file, `None` when there is none.
///
/// # Errors
/// It cannot be read, is no UTF-8 or far too long.
pub fn read(path: &Path) -> Result<Option<String>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("read", path)(e)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > LONGEST {
        return Err(StoreError::NotText { path: path.to_owned(), why: "it is longer than 256 KiB" });
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| StoreError::NotText { path: path.to_owned(), why: "it is not UTF-8" })
}

/// Puts `text` in the place of the file: a new file beside it, synced, then renamed over it. A new file is 0600 and
/// its directory 0700; an existing one loses what lets others read the secret.
///
/// # Errors
/// The directory or file cannot be written; the old file is untouched then.
pub fn write(path: &Path, text: &str) -> Result<(), StoreError> {
    // A link (dotfiles in a repository) is followed, so that the rename replaces the file and not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))?;
    }
    let old = fs::metadata(path).ok();
    let mode = old.as_ref().map_or(0o600, |m| private_mode(m.mode(), m.uid()));
    let temp = dir.join(format!(".config.{}.tmp", std::process::id()));
    let written = write_new(&temp, text, mode).and_then(|()| {
        if let Some(old) = &old {
            // Only root can and needs to keep another owner; failing to is no harm.
            let _ = std::os::unix::fs::chown(&temp, Some(old.uid()), Some(old.gid()));
        }
        fs::rename(&temp, path)
    });
    if let Err(e) = written {
        let _ = fs::remove_file(&temp);
        return Err(io_error("write", path)(e));
    }
    // The rename itself must survive a power cut.
    File::open(dir).and_then(|d| d.sync_all()).map_err(io_error("sync", dir))
}

/// A person's file is theirs alone; root may keep one for a group (the packaged /etc/homie is `root:homie 0640`).
fn private_mode(mode: u32, owner: u32) -> u32 {
    if owner == 0 { mode & 0o660 } else { mode & 0o600 }
}

fn write_new(temp: &Path, text: &str, mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(temp);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o777
    }

    #[test]
    fn a_new_file_and_its_directory_are_private() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join(".homie/config.yaml");
        assert!(matches!(read(&path), Ok(None)));
        write(&path, "name: a\n").expect("writable");
        assert_eq!(read(&path).expect("readable").as_deref(), Some("name: a\n"));
        assert_eq!((mode(&path), mode(path.parent().expect("dir"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(home.path().join(".homie")).expect("dir").count(), 1, "a temporary file was left");
    }

    #[test]
    fn an_open_file_becomes_private_and_a_link_stays_a_link() {
        let home = tempfile::tempdir().expect("tempdir");
        let real = home.path().join("real.yaml");
        let link = home.path().join("config.yaml");
        fs::write(&real, "name: a\n").expect("write");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("chmod");
        std::os::unix::fs::symlink(&real, &link).expect("symlink");
        write(&link, "name: b\n").expect("writable");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("readable"), "name: b\n");
        assert_eq!(mode(&real) & 0o007, 0, "the world may read a secret");
        assert_eq!((private_mode(0o644, 0), private_mode(0o644, 1000)), (0o640, 0o600));
    }

    #[test]
    fn what_is_no_config_file_is_refused_with_its_path() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join("config.yaml");
        fs::write(&path, b"\xff\xfe").expect("write");
        let error = read(&path).expect_err("no text").to_string();
        assert!(error.contains("config.yaml") && error.contains("UTF-8"), "{error}");
        let error = write(&home.path().join("config.yaml/x"), "").expect_err("no directory").to_string();
        assert!(error.contains("config.yaml/x"), "{error}");
    }
}
