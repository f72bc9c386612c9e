//! What the store remembers.

use std::collections::{HashMap, VecDeque};

use crate::model::{Digest, Manifest};

/// What need not be looked up again: a tree of 10,000 files is the same one as a minute ago more often than not.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How often something was dropped from the store.
    pub(super) drops: u64,
    /// Manifests of which everything is here, and whether it was synced. Nothing but this process removes blobs; when it
    /// does, or finds that somebody else did, all of these are forgotten.
    pub(super) whole: HashMap<Digest, bool>,
    /// Read last, the oldest first.
    manifests: VecDeque<(Digest, Manifest)>,
}

/// Manifests that are remembered as whole: 40 bytes each.
const MOST_WHOLE: usize = 1000;
/// Manifests that are kept in memory, and the files that one of them may have: 3 MB each.
const MOST_MANIFESTS: usize = 2;
const MOST_KEPT_FILES: usize = 20_000;

impl Seen {
    /// Something is no longer here.
    pub(super) fn dropped(&mut self) {
        self.drops += 1;
        self.whole.clear();
    }

    /// Everything of that manifest was here when `drops` had this value.
    pub(super) fn is_whole(&mut self, manifest: Digest, drops: u64, synced: bool) {
        if self.drops == drops {
            if self.whole.len() >= MOST_WHOLE {
                self.whole.clear();
            }
            *self.whole.entry(manifest).or_default() |= synced;
        }
    }

    /// A manifest that was read or put a moment ago.
    pub(super) fn manifest(&self, digest: &Digest) -> Option<Manifest> {
        self.manifests.iter().find(|(name, _)| name == digest).map(|(_, manifest)| manifest.clone())
    }

    /// Keeps a manifest: it is asked for several times while a job is on its way.
    pub(super) fn keep(&mut self, digest: Digest, manifest: &Manifest) {
        if manifest.files().len() <= MOST_KEPT_FILES && self.manifest(&digest).is_none() {
            if self.manifests.len() == MOST_MANIFESTS {
                self.manifests.pop_front();
            }
            self.manifests.push_back((digest, manifest.clone()));
        }
    }
}
