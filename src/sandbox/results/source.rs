//! Reading results where they lie, chunk by chunk, for a transfer.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use super::walk;
use crate::model::Manifest;
use crate::transfer::{ChunkAt, ChunkSource, Spare};

/// The results of one ended job. The receiver checks every hash, so a file that was damaged since is noticed there.
#[derive(Debug)]
pub struct ResultsSource {
    dir: PathBuf,
    names: HashMap<String, u64>,
    /// The directory, once opened.
    root: Option<OwnedFd>,
    /// The file read last: chunks come in order, so it is opened once.
    open: Option<(usize, Arc<std::fs::File>)>,
    spare: Spare,
}

impl ResultsSource {
    /// Results below `dir`; `names` has how many names those files have that have several.
    pub fn new(dir: PathBuf, names: HashMap<String, u64>) -> Self {
        Self { dir, names, root: None, open: None, spare: Spare::default() }
    }

    fn file(&mut self, manifest: &Manifest, index: usize) -> io::Result<Arc<std::fs::File>> {
        if let Some((_, file)) = self.open.as_ref().filter(|(at, _)| *at == index) {
            return Ok(Arc::clone(file));
        }
        let entry = manifest.files().get(index).ok_or(io::ErrorKind::InvalidInput)?;
        let path = CString::new(entry.path.as_str())?;
        let root = match &mut self.root {
            Some(root) => root,
            slot => slot.insert(walk::open_root(&self.dir).map_err(io::Error::other)?),
        };
        let fd = walk::open_beneath(root, &path, OFlag::O_RDONLY)?;
        let names = self.names.get(entry.path.as_str()).copied().unwrap_or(1);
        if !walk::is_plain(&fstat(&fd)?, names) {
            return Err(io::Error::other("it is no plain file any more"));
        }
        let file = Arc::new(std::fs::File::from(fd));
        self.open = Some((index, Arc::clone(&file)));
        Ok(file)
    }
}

impl ChunkSource for ResultsSource {
    async fn read(&mut self, manifest: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let file = self.file(manifest, at.file)?;
        let mut bytes = self.spare.take(at.len as usize);
        let read = move || file.read_exact_at(&mut bytes, at.offset).map(|()| bytes);
        let bytes = tokio::task::spawn_blocking(read).await??;
        Ok(self.spare.lend(bytes))
    }
}
