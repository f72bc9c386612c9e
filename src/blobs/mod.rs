//! The content-addressed store: chunks and manifests, each under the BLAKE3 hash of its bytes.
//!
//! Owned by nobody in particular: links put chunks, the sandbox reads them, ipc does both. What a job needs is pinned
//! by its owner's name; what is not pinned may go when the quota is reached, least recently used first. A blob is
//! never hard-linked into a place a job can write to.
//!
//! ```text
//! blobs/ab/ab12…   one chunk or manifest        pins/OWNER   digest of a manifest
//! packs/7          many small ones (`pack.rs`)  tmp/         being written, or dropped and not freed yet
//! ```
//! Every call here blocks; callers on a runtime use `spawn_blocking`, or the [`StoreSource`] and [`StoreSink`] below.

mod claim;
mod error;
mod gc;
mod large;
mod pack;
mod packs;
mod promises;
mod seen;
mod store;
mod stream;

#[cfg(test)]
mod tests;

pub use error::BlobError;
pub use store::BlobStore;
pub use stream::{StoreSink, StoreSource};
