//! Who needs what: pins, claims, and the room that is made for them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::error::BlobError;
use super::gc::{self, Holds};
use super::promises::Promise;
use super::store::{BlobStore, io, write_new};
use crate::model::{Digest, Manifest};

impl BlobStore {
    /// Keeps everything the manifest lists until `owner` (letters, digits, `-`) lets go of it.
    ///
    /// # Errors
    /// The pin cannot be written.
    pub fn pin(&self, owner: &str, manifest: &Digest) -> Result<(), BlobError> {
        let (path, tmp) = (self.pin_path(owner), self.tmp());
        write_new(&tmp, manifest.to_string().as_bytes())
            .and_then(|()| fs::rename(&tmp, &path))
            .map_err(io("write", &path))
    }

    /// Lets go. Having no such pin is fine.
    ///
    /// # Errors
    /// The pin cannot be removed.
    pub fn unpin(&self, owner: &str) -> Result<(), BlobError> {
        let path = self.pin_path(owner);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The owners of pins, so that those of forgotten jobs can be let go at start.
    ///
    /// # Errors
    /// The pins cannot be listed.
    pub fn pins(&self) -> Result<Vec<String>, BlobError> {
        let dir = self.inner.dir.join("pins");
        let entries = fs::read_dir(&dir).map_err(io("list", &dir))?;
        Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
    }

    fn pin_path(&self, owner: &str) -> PathBuf {
        debug_assert!(owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        self.inner.dir.join("pins").join(owner)
    }

    /// Keeps everything the manifest lists for `owner`, makes room for what is lacking, and says which of its chunks
    /// that is (in the manifest's order, each chunk once however often the manifest has it).
    ///
    /// # Errors
    /// The quota cannot be met, or the store cannot be read or written.
    pub fn claim(&self, owner: &str, manifest: &Manifest) -> Result<Vec<bool>, BlobError> {
        self.claim_room(owner, manifest).map(|(wanted, _)| wanted)
    }

    /// The same for a transfer: the room is its own for as long as it keeps the promise.
    pub(super) fn claim_room(
        &self,
        owner: &str,
        manifest: &Manifest,
    ) -> Result<(Vec<bool>, Option<Promise>), BlobError> {
        let _claims = self.inner.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = manifest.digest();
        let drops = {
            let (whole, drops) = {
                let seen = self.seen();
                (seen.whole.contains_key(&digest), seen.drops)
            };
            if whole && self.have(&digest) {
                self.pin(owner, &digest)?;
                return Ok((vec![false; crate::transfer::chunks(manifest).count()], None));
            }
            drops
        };
        let mut seen = HashSet::from([digest]);
        let mut lacking = 0;
        let wanted = crate::transfer::chunks(manifest)
            .map(|at| {
                let want = seen.insert(at.digest) && !self.have_all(&at.digest, at.len);
                lacking += if want { at.len } else { 0 };
                want
            })
            .collect();
        // Before anything is kept: a list that nothing comes of would stay.
        let list = if self.have(&digest) { 0 } else { manifest.named().1 };
        let promised = self.promises(|promises| promises.to_others(owner));
        self.reserve(lacking.saturating_add(list).saturating_add(promised), &seen).map_err(|e| match e {
            BlobError::Quota { quota, .. } => BlobError::Quota { wanted: lacking, promised, quota },
            other => other,
        })?;
        let promise = (lacking > 0).then(|| Promise::make(self, owner, lacking));
        self.put_manifest(manifest)?;
        self.pin(owner, &digest)?;
        if lacking == 0 {
            self.seen().is_whole(digest, drops, false);
        }
        Ok((wanted, promise))
    }

    /// Makes room for `wanted` more bytes: drops what no pin holds, least recently used first, but nothing of
    /// `keep`.
    pub(super) fn reserve(&self, wanted: u64, keep: &HashSet<Digest>) -> Result<(), BlobError> {
        let inner = &self.inner;
        let over = |used: u64| used.saturating_add(wanted) > inner.quota;
        if !over(inner.used.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let mut held = keep.clone();
        for owner in self.pins()? {
            let path = self.pin_path(&owner);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let Ok(digest) = text.parse::<Digest>() else { continue };
            held.insert(digest);
            if let Ok(Some(manifest)) = self.manifest(&digest) {
                held.extend(crate::transfer::chunks(&manifest).map(|c| c.digest));
            }
        }
        let packs = inner.packs.holding(&held);
        let all = gc::oldest_first(&inner.dir).map_err(io("list", &inner.dir))?;
        let mut dropped = Vec::new();
        for kept in &all {
            if !over(inner.used.load(Ordering::Relaxed)) {
                break;
            }
            match kept.holds {
                Holds::Pack(number) if !packs.contains_key(&number) => drop(self.remove_pack(number)),
                Holds::One(digest) if !held.contains(&digest) => {
                    // Out of the store at once; its name may be given again before its content is freed.
                    let tmp = self.tmp();
                    if fs::rename(&kept.path, &tmp).is_ok() {
                        dropped.push(tmp);
                        inner.used.fetch_sub(kept.bytes, Ordering::Relaxed);
                        self.seen().removed(&digest);
                    }
                }
                _ => {}
            }
        }
        free(dropped);
        // What is left that nobody needs lies in packs with something that is needed.
        for kept in &all {
            let Holds::Pack(number) = kept.holds else { continue };
            let needed = packs.get(&number).copied().unwrap_or(kept.bytes);
            if over(inner.used.load(Ordering::Relaxed)) && needed < kept.bytes / 2 {
                drop(self.repack(number, |digest| held.contains(digest)));
            }
        }
        if over(inner.used.load(Ordering::Relaxed)) {
            return Err(BlobError::Quota { wanted, promised: 0, quota: inner.quota });
        }
        Ok(())
    }
}

/// Gives back the room of files that are out of the store. Who is on a runtime does not wait for that: freeing a gigabyte
/// takes the kernel a tenth of a second, and is done long before as much has come over a network.
fn free(files: Vec<PathBuf>) {
    // One that cannot be removed goes when the store is opened again.
    let work = move || files.iter().for_each(|path| drop(fs::remove_file(path)));
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}
