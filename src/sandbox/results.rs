//! Results as a transfer's source: read where the job left them.
//!
//! The job wrote this directory, so nothing in it is trusted: every component is opened without following links, and
//! only plain files are read. What changed after it was hashed is noticed by the receiver.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use tokio::task::spawn_blocking;

use crate::model::{CHUNK_BYTES, CleanPath, Manifest};
use crate::transfer::{ChunkAt, ChunkSource};

/// Reads the files of a manifest below one directory.
#[derive(Debug)]
pub struct ResultsSource {
    dir: Arc<PathBuf>,
    /// The file read last: chunks come in order, so it is nearly always the one wanted next.
    last: Option<(usize, Arc<File>)>,
}

impl ResultsSource {
    /// Reads below `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir: Arc::new(dir), last: None }
    }
}

impl ChunkSource for ResultsSource {
    async fn read(&mut self, manifest: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let known = self.last.take().filter(|(file, _)| *file == at.file).map(|(_, file)| file);
        let (dir, path) = (self.dir.clone(), manifest.files()[at.file].path.clone());
        let read = move || {
            let file = match known {
                Some(file) => file,
                None => Arc::new(open_plain(&dir, &path)?),
            };
            let mut bytes = vec![0; at.len as usize];
            file.read_exact_at(&mut bytes, at.chunk * CHUNK_BYTES)?;
            Ok::<_, io::Error>((file, bytes))
        };
        let (file, bytes) = spawn_blocking(read).await.map_err(io::Error::other)??;
        self.last = Some((at.file, file));
        Ok(bytes.into())
    }
}

/// Opens a plain file component by component; a link, a device or a pipe in its place is an error.
fn open_plain(dir: &PathBuf, path: &CleanPath) -> io::Result<File> {
    // O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
    let walk = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let mut at: OwnedFd = open(dir, walk | OFlag::O_DIRECTORY, Mode::empty())?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let kind = if names.peek().is_some() { OFlag::O_DIRECTORY } else { OFlag::empty() };
        at = openat(&at, name, walk | kind, Mode::empty())?;
    }
    let file = File::from(at);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no plain file")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, FileEntry};
    use crate::transfer::chunks;

    fn manifest(path: &str, bytes: &[u8]) -> Manifest {
        let parts: Vec<Digest> = bytes.chunks(CHUNK_BYTES as usize).map(Digest::of).collect();
        let chunks = if parts.len() > 1 { parts } else { vec![] };
        let path = CleanPath::new(path).expect("clean");
        let size = bytes.len() as u64;
        Manifest::new(vec![FileEntry { path, size, exec: false, hash: Digest::of(bytes), chunks }]).expect("valid")
    }

    #[tokio::test]
    async fn chunks_are_read_where_they_lie() {
        let dir = tempfile::tempdir().expect("tempdir");
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 9).map(|i| (i % 251) as u8).collect();
        std::fs::create_dir(dir.path().join("out")).expect("mkdir");
        std::fs::write(dir.path().join("out/model"), &bytes).expect("write");
        let manifest = manifest("out/model", &bytes);
        let mut source = ResultsSource::new(dir.path().to_owned());
        let mut all = Vec::new();
        for at in chunks(&manifest) {
            all.extend_from_slice(&source.read(&manifest, at).await.expect("readable"));
        }
        assert!(all == bytes);
    }

    #[tokio::test]
    async fn links_and_pipes_in_the_place_of_a_file_are_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let outside = tempfile::tempdir().expect("tempdir");
        std::fs::write(outside.path().join("shadow"), b"root").expect("write");
        std::os::unix::fs::symlink(outside.path().join("shadow"), dir.path().join("file")).expect("link");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("dir")).expect("link");
        nix::unistd::mkfifo(&dir.path().join("pipe"), Mode::S_IRWXU).expect("mkfifo");
        for path in ["file", "dir/shadow", "pipe", "missing"] {
            let manifest = manifest(path, b"root");
            let at = chunks(&manifest).next().expect("one");
            let read = ResultsSource::new(dir.path().to_owned()).read(&manifest, at).await;
            assert!(read.is_err(), "{path}");
        }
    }
}
