//! Large blobs on their way to somebody who checks their hash.

use std::fs::File;
use std::io::{self, Read};

use super::error::BlobError;
use super::store::{BlobStore, io};
use crate::cached::open_cached;
use crate::model::Digest;

impl BlobStore {
    /// A blob that has a file of its own and that length, opened without waiting for a disk. Its hash is NOT checked, as in
    /// [`BlobStore::read_unchecked`].
    pub(super) fn open_cached(&self, digest: &Digest, len: u64) -> Option<File> {
        let file = open_cached(&self.path(digest))?;
        (file.metadata().ok()?.len() == len).then_some(file)
    }

    /// Fills `into` with a blob that has a file of its own and that length; `false` when there is none. Its hash is NOT
    /// checked: for a sender, whose receiver does that anyway and refuses what is damaged, which [`BlobStore::get`] of
    /// the same blob then finds and removes.
    ///
    /// # Errors
    /// It is unreadable.
    pub(super) fn read_unchecked(&self, digest: &Digest, into: &mut [u8]) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(io("read", &path)(e)),
        };
        if file.metadata().map_err(io("read", &path))?.len() != into.len() as u64 {
            return Ok(false);
        }
        match file.read_exact(into) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(io("read", &path)(e)),
        }
    }
}
