//! An environment as friends get it: the list of its files, and where to read them.
//!
//! A directory is read where it lies. An image is packed by its engine first, into a directory beside it that stays for as
//! long as somebody reads; friends who ask at the same time read the same one.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::build::IMAGE;
use super::held::{EnvHeld, Packed};
use super::tree;
use crate::model::Manifest;
use crate::sandbox::SandboxError;
use crate::sandbox::life::blocking;
use crate::sandbox::results::ResultsSource;
use crate::transfer::{ChunkAt, ChunkSource};
use crate::wire::refusal::{Refusal, RefusalKind};

/// An environment, open for reading.
pub struct EnvGiven {
    manifest: Manifest,
    /// What an engine packed.
    image: Option<(Arc<Packed>, ResultsSource)>,
    /// The directory, or where what the environment says of itself lies.
    tree: ResultsSource,
    _held: EnvHeld,
}

impl fmt::Debug for EnvGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvGiven").field("held", &self._held).finish_non_exhaustive()
    }
}

impl EnvGiven {
    /// Its files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl ChunkSource for EnvGiven {
    async fn read(&mut self, manifest: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let packed = manifest.files().get(at.file).is_some_and(|f| f.path.as_str().starts_with(IMAGE));
        match &mut self.image {
            Some((_, image)) if packed => image.read(manifest, at).await,
            _ => self.tree.read(manifest, at).await,
        }
    }
}

impl EnvHeld {
    /// Opens it for a transfer. Takes as long as packing and hashing all of it takes.
    ///
    /// # Errors
    /// Its engine does not give it, or its files cannot be read.
    pub async fn open(self) -> Result<EnvGiven, Refusal> {
        let packed = match &self.built.image {
            Some(_) => Some(self.packed().await.map_err(|f| Refusal::new(RefusalKind::NoEnvironment, f.message))?),
            None => None,
        };
        let dir = match (&self.tree, &packed) {
            (Some(tree), _) => tree.clone(),
            (None, Some(packed)) => packed.dir().to_path_buf(),
            (None, None) => return Err(Refusal::new(RefusalKind::NoEnvironment, "nothing of it is here")),
        };
        let (tree, image) = (self.tree.clone(), packed.as_ref().map(|p| p.dir().to_path_buf()));
        let listed = blocking(move || {
            let problem = |e: &dyn fmt::Display| SandboxError::Results(e.to_string());
            let mut files = Vec::new();
            if let Some(tree) = &tree {
                files.extend_from_slice(tree::scan(tree).map_err(|e| problem(&e))?.files());
            }
            if let Some(image) = &image {
                let packed = tree::scan(image).map_err(|e| problem(&e))?;
                // Beside a directory what the environment says of itself comes from there.
                let wanted = packed.files().iter().filter(|f| tree.is_none() || f.path.as_str().starts_with(IMAGE));
                files.extend(wanted.cloned());
            }
            Manifest::new(files).map_err(|e| problem(&e))
        });
        let manifest = listed.await.map_err(|e| Refusal::internal(e.to_string()))?;
        let image = packed.map(|packed| {
            let source = ResultsSource::new(packed.dir().to_path_buf(), HashMap::new());
            (packed, source)
        });
        Ok(EnvGiven { manifest, image, tree: ResultsSource::new(dir, HashMap::new()), _held: self })
    }
}
