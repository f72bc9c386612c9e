//! One transfer of files over one connection, the same on the local socket and between peers.
//!
//! ```text
//! sender                                   receiver
//!   wait                             ->     (every 12 s, while its list is still being made)
//!   offer {manifest_bytes, digest}   ->
//!                                    <-     list            (unless it has that list, or the list is short)
//!   raw: the manifest                ->     checks it, looks what it has
//!                                    <-     need {chunks, bytes, bitmap_bytes}
//!                                    <-     raw: one bit for each chunk of the manifest, in order
//!   raw: the wanted chunks, in order ->     hashes, writes
//!                                    <-     done            (or, at any time: refused {...})
//! ```
//! Files are never an archive; a broken transfer is simply begun again and asks only for what is still lacking.

mod describe;
mod frames;
#[cfg(test)]
mod hostile;
mod pieces;
mod receive;
mod send;
mod spare;
#[cfg(test)]
mod tests;
mod words;

use std::future::Future;
use std::io;

use bytes::Bytes;

use crate::model::{Digest, Manifest};
use crate::wire::refusal::Refusal;

pub use describe::{Described, describe};
pub use receive::{other_bytes, receive};
pub use send::{prepare, send};
pub use spare::{Part, Spare};
pub use words::TransferError;

/// A chunk of so many bytes or more is read, received and written by itself, in a buffer that goes round: a sink that
/// waits for more before it writes keeps that memory.
pub const LARGE: u64 = 256 << 10;

/// One chunk's place in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkAt {
    /// Index into [`Manifest::files`].
    pub file: usize,
    /// Where in the file it begins.
    pub offset: u64,
    /// Its hash.
    pub digest: Digest,
    /// Its length.
    pub len: u64,
}

/// Where a sender reads.
pub trait ChunkSource: Send {
    /// The bytes of one chunk, exactly `at.len` of them.
    fn read(&mut self, manifest: &Manifest, at: ChunkAt) -> impl Future<Output = io::Result<Bytes>> + Send;

    /// The bytes of several small chunks, in their order. For a source to which each read is a thread's work.
    ///
    /// An error comes with the place in `wanted` that it is about.
    fn read_all(
        &mut self,
        manifest: &Manifest,
        wanted: &[ChunkAt],
    ) -> impl Future<Output = Result<Vec<Bytes>, (usize, io::Error)>> + Send {
        async move {
            let mut all = Vec::with_capacity(wanted.len());
            for (index, at) in wanted.iter().enumerate() {
                all.push(self.read(manifest, *at).await.map_err(|e| (index, e))?);
            }
            Ok(all)
        }
    }

    /// Some bytes of a large chunk from `from` on, at most `len` and at least one, if they can be had without waiting. Read in
    /// the turn in which they are sent, they are still in the processor's cache and cost no turn of another thread.
    fn at_hand(&mut self, at: ChunkAt, from: u64, len: usize) -> Option<Bytes> {
        let _ = (at, from, len);
        None
    }

    /// The receiver says that something it was sent did not have its hash. A source that hands on what it has not
    /// checked looks now whether that is so, and says it.
    fn doubted(&mut self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
}

/// Where a receiver writes.
pub trait ChunkSink: Send {
    /// Whether it checks every chunk's hash itself, where it writes: then that is not done twice.
    const VERIFIES: bool = false;

    /// The file list of that name, if it has it: then the sender need not send it.
    fn known(&mut self, _: Digest) -> impl Future<Output = Option<Manifest>> + Send {
        std::future::ready(None)
    }

    /// Which of the manifest's chunks (in order) it wants; where it may refuse the whole (quota, hostile names).
    fn wants(&mut self, manifest: &Manifest) -> impl Future<Output = Result<Vec<bool>, Refusal>> + Send;

    /// Takes one chunk, whose hash was verified unless [`ChunkSink::VERIFIES`]. Chunks come in the manifest's order.
    fn write(
        &mut self,
        manifest: &Manifest,
        at: ChunkAt,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Everything is here: make it durable. The sender is told `done` only after this.
    fn finish(&mut self, manifest: &Manifest) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// All chunks of a manifest, in the order in which they are numbered and sent.
pub fn chunks(manifest: &Manifest) -> impl Iterator<Item = ChunkAt> + '_ {
    manifest.files().iter().enumerate().flat_map(|(file, entry)| {
        let mut next = 0;
        entry.chunks().map(move |(digest, len)| {
            let offset = next;
            next += len;
            ChunkAt { file, offset, digest, len }
        })
    })
}
