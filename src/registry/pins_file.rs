//! Effect: `peers.json`, written whole and by rename so that no crash leaves half of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::RegistryError;
use super::pins::Pins;

/// The file, as the actor's answers write it.
#[derive(Debug, Clone)]
pub(super) struct PinsFile {
    path: Arc<PathBuf>,
    /// The revision on disk. Held while writing, so that writes neither overlap nor go back.
    written: Arc<Mutex<u64>>,
}

impl PinsFile {
    /// The file in the state directory and what it holds; no pins if there is no such file yet. Blocks.
    pub(super) fn open(state: &Path) -> Result<(Self, Pins), RegistryError> {
        let path = path_in(state);
        let pins = load(&path)?;
        Ok((Self { path: Arc::new(path), written: Arc::new(Mutex::new(pins.revision())) }, pins))
    }

    /// Writes a revision down, unless a later one already is. A disk that is full must not keep a friend away, so a
    /// failure is logged and the pin holds until homied ends.
    pub(super) async fn write(self, revision: u64, text: Vec<u8>) {
        let mut written = self.written.lock().await;
        if *written >= revision {
            return;
        }
        let path = Arc::clone(&self.path);
        let saved = tokio::task::spawn_blocking(move || save(&path, &text)).await;
        match saved.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(()) => *written = revision,
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "cannot write the known peers down"),
        }
    }
}

/// Its name in the state directory.
fn path_in(state: &Path) -> PathBuf {
    state.join("peers.json")
}

/// The pins at `path`; none if there is no such file yet. Blocks.
fn load(path: &Path) -> Result<Pins, RegistryError> {
    match fs::read(path) {
        Ok(text) => Pins::decode(&text).map_err(|why| RegistryError::Parse { path: path.to_owned(), why }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Pins::default()),
        Err(source) => Err(RegistryError::Read { path: path.to_owned(), source }),
    }
}

/// Puts `text` at `path`, readable by its owner only, on disk when this returns. Blocks.
fn save(path: &Path, text: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temp, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PeerId;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn pins_survive_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = path_in(dir.path());
        assert_eq!(load(&path).expect("no file is no pins"), Pins::default());
        let mut pins = Pins::default();
        for (name, key) in [("bob", 1), ("eve", 2)] {
            pins.claim(name, PeerId([key; 32])).expect("free");
            save(&path, &pins.encode()).expect("writable");
        }
        assert_eq!(load(&path).expect("written"), pins);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_broken_file_names_itself() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = path_in(dir.path());
        fs::write(&path, "{\"version\":1").expect("writable");
        let text = load(&path).expect_err("broken").to_string();
        assert!(text.contains("peers.json") && text.contains("move the file away"), "{text}");
    }
}
