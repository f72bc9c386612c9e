//! What the store remembers.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{Digest, Manifest};

/// What need not be looked up again: a tree of 10,000 files is the same one as a minute ago more often than not.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How often something was dropped from the store.
    pub(super) drops: u64,
    /// Manifests of which everything is here, and whether it was synced. Nothing but this process removes blobs; when it
    /// does, or finds that somebody else did, all of these are forgotten.
    pub(super) whole: HashMap<Digest, bool>,
    /// The blobs that are files of their own, unless they are too many. Nothing but this process makes any, so what is not
    /// among them is not here; one that is may have been removed by hand.
    loose: Option<HashSet<Digest>>,
    /// Read last, the oldest first.
    manifests: VecDeque<(Digest, Manifest)>,
}

/// Manifests that are remembered as whole: 40 bytes each.
const MOST_WHOLE: usize = 1000;
/// Files whose names are remembered: 5 MB, and 100 GB of large ones. Not finding a name on the disk takes 3 µs, which ten
/// thousand new blobs feel.
const MOST_LOOSE: usize = 100_000;
/// Manifests that are kept in memory, and the files that one of them may have: 3 MB each.
const MOST_MANIFESTS: usize = 2;
const MOST_KEPT_FILES: usize = 20_000;

impl Seen {
    /// Nothing but these files.
    pub(super) fn new(loose: HashSet<Digest>) -> Self {
        Self { loose: (loose.len() <= MOST_LOOSE).then_some(loose), ..Self::default() }
    }

    /// Whether there may be a file for this blob.
    pub(super) fn may_be_loose(&self, digest: &Digest) -> bool {
        self.loose.as_ref().is_none_or(|loose| loose.contains(digest))
    }

    /// There will be a file for this blob.
    pub(super) fn will_be_loose(&mut self, digest: Digest) {
        if let Some(loose) = &mut self.loose {
            loose.insert(digest);
            if loose.len() > MOST_LOOSE {
                self.loose = None;
            }
        }
    }

    /// The file of this blob was removed.
    pub(super) fn removed(&mut self, digest: &Digest) {
        if let Some(loose) = &mut self.loose {
            loose.remove(digest);
        }
        self.dropped();
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_remembered_up_to_a_number_and_beyond_it_the_disk_is_asked() {
        let name = |n: usize| Digest::of(&n.to_le_bytes());
        let mut seen = Seen::new((0..MOST_LOOSE - 1).map(name).collect());
        assert!(seen.may_be_loose(&name(5)) && !seen.may_be_loose(&name(MOST_LOOSE)));
        seen.will_be_loose(name(MOST_LOOSE));
        assert!(seen.may_be_loose(&name(MOST_LOOSE)) && !seen.may_be_loose(&name(MOST_LOOSE + 1)));
        seen.removed(&name(5));
        assert!(!seen.may_be_loose(&name(5)));
        seen.will_be_loose(name(5));
        seen.will_be_loose(name(MOST_LOOSE + 1));
        assert!(seen.may_be_loose(&name(MOST_LOOSE + 2)), "too many to know");
        assert!(Seen::new((0..=MOST_LOOSE).map(name).collect()).may_be_loose(&name(MOST_LOOSE + 2)));
    }
}
