//! A pack: many small blobs in one file, because making, naming and opening a file costs more than 4 KiB of content.
//!
//! ```text
//! the blobs, one after the other
//! for each of them, in that order:   its BLAKE3 (32 bytes), its length (u32)
//! the end:                           number of blobs (u32), BLAKE3 of the list and of that number (32), b"homiepk1"
//! ```
//! Numbers are little-endian. A blob begins where the one before it ends, so a list that adds up to the file's length
//! cannot point outside it or to one place twice. The list is checked when a pack is opened; a blob's content is
//! checked against its hash whenever it is read, as that of every other blob. A pack is written once, as a whole, and
//! never changed.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::model::{Digest, MIN_CHUNK_BYTES};

/// The largest blob that goes into a pack: a chunk of a cut file is longer, its last one aside. From here on a file of
/// its own costs little beside its content.
pub(super) const MOST_BLOB: usize = MIN_CHUNK_BYTES as usize;
/// The fewest small blobs that make a pack: so many syncs cost as much as all of the store.
pub(super) const FEWEST: usize = 16;
/// The longest pack: offsets have 32 bits. Those that are written have the few MiB of a batch.
const MOST_BYTES: u64 = u32::MAX as u64;
const MAGIC: &[u8; 8] = b"homiepk1";
/// Bytes that a blob takes beside its content.
pub(super) const ENTRY: usize = 32 + 4;
const END: usize = 4 + 32 + MAGIC.len();

/// A blob of a pack, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Writes a pack of these blobs. Gives its list, and its length in bytes.
///
/// # Errors
/// It cannot be written, or is too long to be one.
pub(super) fn write<B: AsRef<[u8]>>(to: impl Write, blobs: &[(Digest, B)]) -> io::Result<(Vec<Entry>, u64)> {
    /// Much less costs more calls, much more does not stay in a processor's cache.
    const BUFFER: usize = 256 << 10;
    let sum: u64 = blobs.iter().map(|(_, bytes)| bytes.as_ref().len() as u64).sum();
    if sum > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too much for one pack"));
    }
    let mut to = io::BufWriter::with_capacity(BUFFER, to);
    let mut entries = Vec::with_capacity(blobs.len());
    let mut list = Vec::with_capacity(blobs.len() * ENTRY + END);
    let mut offset = 0;
    for (digest, bytes) in blobs {
        let bytes = bytes.as_ref();
        to.write_all(bytes)?;
        // Neither is more than the sum.
        let len = bytes.len() as u32;
        entries.push(Entry { digest: *digest, offset, len });
        offset += len;
        list.extend_from_slice(&digest.0);
        list.extend_from_slice(&len.to_le_bytes());
    }
    list.extend_from_slice(&(blobs.len() as u32).to_le_bytes());
    let hash = Digest::of(&list);
    list.extend_from_slice(&hash.0);
    list.extend_from_slice(MAGIC);
    to.write_all(&list)?;
    to.flush()?;
    Ok((entries, sum + list.len() as u64))
}

/// What lies in a pack. Reads its list and not its content.
///
/// # Errors
/// `InvalidData` when it is no whole pack; anything else when it cannot be read.
pub(super) fn list(from: &File) -> io::Result<Vec<Entry>> {
    let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let cut_short = || bad("it is cut short");
    let length = from.metadata()?.len();
    let end_at = length.checked_sub(END as u64).ok_or_else(cut_short)?;
    let mut end = [0; END];
    from.read_exact_at(&mut end, end_at)?;
    let Some((count, hash)) = end.strip_suffix(MAGIC).and_then(|end| end.split_first_chunk::<4>()) else {
        return Err(bad("it does not end as a pack"));
    };
    // At most 160 GB by its number, so what is read is bounded by the file's own length.
    let list_bytes = u64::from(u32::from_le_bytes(*count)) * ENTRY as u64;
    let list_at = end_at.checked_sub(list_bytes).filter(|at| *at <= MOST_BYTES).ok_or_else(cut_short)?;
    let mut list = vec![0; list_bytes as usize];
    from.read_exact_at(&mut list, list_at)?;
    list.extend_from_slice(count);
    if Digest::of(&list).0 != hash {
        return Err(bad("its list does not match its hash"));
    }
    let mut entries = Vec::with_capacity(list.len() / ENTRY);
    let mut offset = 0u64;
    let mut rest = &list[..];
    while let Some((digest, more)) = rest.split_first_chunk::<32>() {
        let Some((len, more)) = more.split_first_chunk::<4>() else { break };
        let len = u32::from_le_bytes(*len);
        // It is within MOST_BYTES if the sum is what it must be.
        entries.push(Entry { digest: Digest(*digest), offset: offset as u32, len });
        offset += u64::from(len);
        rest = more;
    }
    if offset == list_at { Ok(entries) } else { Err(bad("its list does not add up to its length")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file with this content.
    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        (&file).write_all(bytes).expect("written");
        file
    }

    fn packed(blobs: &[Vec<u8>]) -> Vec<u8> {
        let named: Vec<_> = blobs.iter().map(|bytes| (Digest::of(bytes), bytes)).collect();
        let mut pack = Vec::new();
        let (entries, bytes) = write(&mut pack, &named).expect("memory can be written");
        assert_eq!((list(&file(&pack)).expect("whole"), pack.len() as u64), (entries, bytes));
        pack
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_packed_is_found_where_the_list_says(
            blobs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40),
        ) {
            let pack = file(&packed(&blobs));
            let listed = list(&pack).expect("whole");
            prop_assert_eq!(listed.len(), blobs.len());
            for (entry, blob) in listed.iter().zip(&blobs) {
                let mut bytes = vec![0; entry.len as usize];
                pack.read_exact_at(&mut bytes, u64::from(entry.offset)).expect("inside");
                prop_assert_eq!(&bytes, blob);
                prop_assert_eq!(entry.digest, Digest::of(blob));
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400), count in 0u32..20) {
            // Most of these fail early; the second form gets past the hash.
            let _ = list(&file(&bytes));
            let mut bytes = bytes;
            let list_at = bytes.len().saturating_sub(count as usize * ENTRY);
            bytes.extend_from_slice(&count.to_le_bytes());
            let hash = Digest::of(&bytes[list_at..]);
            bytes.extend_from_slice(&hash.0);
            bytes.extend_from_slice(MAGIC);
            if let Ok(entries) = list(&file(&bytes)) {
                let sum: u64 = entries.iter().map(|entry| u64::from(entry.len)).sum();
                prop_assert_eq!(sum, list_at as u64);
            }
        }
    }

    #[test]
    fn a_pack_that_is_cut_short_or_flipped_is_an_error() {
        let blobs: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 5 + usize::from(n)]).collect();
        let content: usize = blobs.iter().map(Vec::len).sum();
        let good = packed(&blobs);
        list(&file(&good)).expect("whole");
        for at in 0..good.len() {
            list(&file(&good[..at])).expect_err("cut short");
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            match list(&file(&bad)) {
                Ok(listed) => {
                    // Content is looked at when it is read.
                    assert!(at < content, "byte {at}");
                    let wrong = |e: &&Entry| Digest::of(&bad[e.offset as usize..][..e.len as usize]) != e.digest;
                    assert_eq!(listed.iter().filter(wrong).count(), 1, "byte {at}");
                }
                Err(e) => {
                    assert!(at >= content, "byte {at}");
                    assert_eq!(e.kind(), io::ErrorKind::InvalidData);
                }
            }
        }
        let mut longer = good;
        longer.push(0);
        list(&file(&longer)).expect_err("more than a pack");
    }
}
