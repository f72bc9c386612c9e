//! Environments and directories that somebody uses: they stay for as long as these values live.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use super::books::Key;
use super::keeper::Inner;
use crate::model::{BuildFailure, EnvBuilt, FailedBuild};
use crate::sandbox::life::blocking;

/// An environment that stays as long as this lives.
#[derive(Debug)]
pub struct EnvHeld {
    /// What it is.
    pub built: EnvBuilt,
    /// Where it lies, with `tree` in it if it is a directory.
    pub dir: PathBuf,
    /// The directory that a job sees.
    pub tree: Option<PathBuf>,
    hold: Hold,
}

impl EnvHeld {
    pub(super) fn new(built: EnvBuilt, dir: PathBuf, tree: Option<PathBuf>, inner: Arc<Inner>, key: Key) -> Self {
        Self { built, dir, tree, hold: Hold(inner, key) }
    }

    /// Its image, packed by its engine. One is packed at a time, and whoever asks for the same gets the same.
    ///
    /// # Errors
    /// The engine does not give it, or the disk is full.
    pub(super) async fn packed(&self) -> Result<Arc<Packed>, BuildFailure> {
        let Hold(inner, key) = &self.hold;
        let mut all = inner.packed.lock().await;
        all.retain(|_, packed| packed.strong_count() > 0);
        if let Some(packed) = all.get(key).and_then(Weak::upgrade) {
            return Ok(packed);
        }
        let shelf = inner.clone();
        let dir = blocking(move || shelf.shelf.new_dir()).await;
        let dir = dir.map_err(|e| BuildFailure::new(FailedBuild::Internal, e.to_string()))?;
        let packed = Packed(Scratch(inner.clone(), dir));
        inner.builder.pack(&self.built, packed.dir()).await?;
        let packed = Arc::new(packed);
        all.insert(*key, Arc::downgrade(&packed));
        Ok(packed)
    }
}

/// An image as its engine packed it: goes away with the last who reads it.
#[derive(Debug)]
pub(super) struct Packed(Scratch);

impl Packed {
    /// Where its parts lie.
    pub(super) fn dir(&self) -> &Path {
        &self.0.1
    }
}

#[derive(Debug)]
struct Hold(Arc<Inner>, Key);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut books = self.0.books();
        if let Some(count) = books.held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                books.held.remove(&self.1);
            }
        }
    }
}

/// A directory that goes away unless it was moved.
#[derive(Debug)]
pub(super) struct Scratch(pub(super) Arc<Inner>, pub(super) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let (inner, dir) = (self.0.clone(), self.1.clone());
        // Outside of a runtime homied is on its way down; the next start sweeps.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || inner.shelf.discard(&dir));
        }
    }
}
