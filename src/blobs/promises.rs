//! Room that was promised to transfers under way, and that their bytes do not take up yet: without it, each of several that
//! begin together would be given the same room.

use std::collections::HashMap;
use std::sync::PoisonError;

use super::store::BlobStore;

/// What is promised, by owner: of a transfer that was begun anew only the newest counts.
#[derive(Debug, Default)]
pub(super) struct Promises {
    by_owner: HashMap<String, (u64, u64)>,
    last: u64,
}

impl Promises {
    /// Bytes that others than `owner` may still bring.
    pub(super) fn to_others(&self, owner: &str) -> u64 {
        let others = self.by_owner.iter().filter(|(other, _)| *other != owner);
        others.fold(0, |all, (_, (_, bytes))| all.saturating_add(*bytes))
    }

    /// In place of what this owner was promised before. Gives the number of the promise.
    fn make(&mut self, owner: &str, bytes: u64) -> u64 {
        self.last += 1;
        self.by_owner.insert(owner.to_owned(), (self.last, bytes));
        self.last
    }

    fn left(&mut self, owner: &str, number: u64) -> Option<&mut u64> {
        self.by_owner.get_mut(owner).filter(|(of, _)| *of == number).map(|(_, bytes)| bytes)
    }
}

/// Room for one transfer. What is left of it is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Promise {
    store: BlobStore,
    owner: String,
    number: u64,
}

impl Promise {
    /// Promises `bytes` of `store`, which has them.
    pub(super) fn make(store: &BlobStore, owner: &str, bytes: u64) -> Self {
        let number = store.promises(|promises| promises.make(owner, bytes));
        Self { store: store.clone(), owner: owner.to_owned(), number }
    }

    /// So many bytes came, and count as used from now on.
    pub(super) fn came(&self, bytes: u64) {
        self.store.promises(|promises| {
            if let Some(left) = promises.left(&self.owner, self.number) {
                *left = left.saturating_sub(bytes);
            }
        });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.store.promises(|promises| {
            if promises.left(&self.owner, self.number).is_some() {
                promises.by_owner.remove(&self.owner);
            }
        });
    }
}

impl BlobStore {
    pub(super) fn promises<T>(&self, work: impl FnOnce(&mut Promises) -> T) -> T {
        work(&mut self.inner.promises.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
