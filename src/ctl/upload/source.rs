//! Hands the chunks that homied lacks to the transfer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::pick::Origin;
use crate::model::Manifest;
use crate::transfer::{ChunkAt, ChunkSource, Part, Spare};

/// From this size on a read is worth a thread of its own, so that disk and socket work at the same time.
const WORTH_A_THREAD: u64 = 256 << 10;

/// The files behind a manifest, in its order.
#[derive(Debug)]
pub(super) struct Files<'a> {
    origins: &'a [Origin],
    /// The file read last: chunks come in order.
    open: Option<(usize, Arc<File>)>,
    spare: Spare,
}

impl<'a> Files<'a> {
    /// The origins of the manifest's files, in its order.
    pub(super) fn new(origins: &'a [Origin]) -> Self {
        Self { origins, open: None, spare: Spare::default() }
    }
}

impl ChunkSource for Files<'_> {
    async fn read(&mut self, _manifest: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let start = at.offset;
        let path = match &self.origins[at.file] {
            Origin::Memory(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                let end = start + usize::try_from(at.len).map_err(io::Error::other)?;
                return Ok(bytes.slice(start..end));
            }
            Origin::Disk(path) => path,
        };
        let file = match &self.open {
            Some((index, file)) if *index == at.file => file.clone(),
            _ => {
                let file = Arc::new(File::open(path)?);
                self.open = Some((at.file, file.clone()));
                file
            }
        };
        let mut bytes = self.spare.take(usize::try_from(at.len).map_err(io::Error::other)?);
        let read = move || read_at(&file, start, &mut bytes).map(|()| bytes);
        let read = if at.len < WORTH_A_THREAD {
            read()
        } else {
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
        };
        Ok(self.spare.lend(read?))
    }
}

/// The bytes there; fewer if the file has become shorter, which the transfer notices.
fn read_at(file: &File, start: u64, bytes: &mut Part) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(())
}
