//! What a file is made of: its hash, and the chunks it is cut into where its content says (FastCDC), so that an insertion
//! in the middle of a gigabyte changes one or two of them and leaves the others as they were.

use std::io::{self, Read};

use fastcdc::v2020::{FastCDC, Normalization};

use crate::model::{CHUNK_BYTES, CleanPath, Digest, FileEntry, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES};

/// Shortest chunk that is cut, a file's last one aside. Half the mean: the cutter passes over so much of each chunk
/// without looking, and on random data one byte inserted cost 1.2 MiB of new chunks, 1.6 at most.
const LEAST: usize = (CHUNK_BYTES / 2) as usize;
const MEAN: usize = CHUNK_BYTES as usize;
const MOST: usize = MAX_CHUNK_BYTES as usize;
/// Read and cut at once: several chunks, so that little is moved in memory for the next.
const WINDOW: usize = 4 * MOST;

const _: () = assert!(LEAST as u64 >= MIN_CHUNK_BYTES);

/// The content of a file, as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the whole.
    pub hash: Digest,
    /// BLAKE3 of each chunk; empty for a file of at most [`CHUNK_BYTES`].
    pub chunks: Vec<Digest>,
    /// Their lengths.
    pub lengths: Vec<u32>,
}

impl Described {
    /// The entry of a manifest for a file with this content.
    pub fn entry(self, path: CleanPath, exec: bool) -> FileEntry {
        let Self { size, hash, chunks, lengths } = self;
        FileEntry { path, size, exec, hash, chunks, lengths }
    }
}

/// Reads `from` to its end and says what it is made of. The same bytes give the same answer everywhere.
///
/// # Errors
/// It cannot be read.
pub fn describe(mut from: impl Read) -> io::Result<Described> {
    let mut window = Vec::new();
    fill(&mut from, &mut window, MEAN + 1)?;
    if window.len() <= MEAN {
        let size = window.len() as u64;
        return Ok(Described { size, hash: Digest::of(&window), chunks: Vec::new(), lengths: Vec::new() });
    }
    let mut sum = Sum {
        whole: blake3::Hasher::new(),
        all: Described { size: 0, hash: Digest([0; 32]), chunks: Vec::new(), lengths: Vec::new() },
    };
    let mut cut = Vec::new();
    // Cut already, and hashed while the next window is read and cut: one takes as long as the other.
    let mut before = (Vec::new(), Vec::new());
    loop {
        let read = std::thread::scope(|scope| {
            let hashing = (!before.1.is_empty()).then(|| scope.spawn(|| sum.take(&before.0, &before.1)));
            let read = fill(&mut from, &mut window, WINDOW).map(|()| cut_into(&window, &mut cut));
            if let Some(Err(panic)) = hashing.map(|hashing| hashing.join()) {
                std::panic::resume_unwind(panic);
            }
            read
        });
        let done = read?;
        if window.len() < WINDOW {
            sum.take(&window, &cut);
            sum.all.hash = Digest(*sum.whole.finalize().as_bytes());
            return Ok(sum.all);
        }
        std::mem::swap(&mut before.0, &mut window);
        std::mem::swap(&mut before.1, &mut cut);
        window.clear();
        window.extend_from_slice(&before.0[done..]);
        cut.clear();
    }
}

/// What is known of the content so far.
struct Sum {
    whole: blake3::Hasher,
    all: Described,
}

impl Sum {
    /// The next bytes, cut into pieces of these lengths; what is left of them comes again.
    fn take(&mut self, bytes: &[u8], cut: &[u32]) {
        let mut rest = bytes;
        for len in cut {
            let (piece, after) = rest.split_at(*len as usize);
            self.whole.update(piece);
            self.all.chunks.push(Digest::of(piece));
            self.all.size += u64::from(*len);
            rest = after;
        }
        self.all.lengths.extend_from_slice(cut);
    }
}

/// The lengths of the chunks at the beginning of `window`, and their sum. One that is not full ends the file.
fn cut_into(window: &[u8], lengths: &mut Vec<u32>) -> usize {
    let mut done = 0;
    for chunk in FastCDC::with_level(window, LEAST, MEAN, MOST, Normalization::Level2) {
        // Where a chunk may go on beyond the window its end is not known yet.
        if window.len() == WINDOW && window.len() - chunk.offset < MOST {
            break;
        }
        lengths.push(chunk.length as u32);
        done = chunk.offset + chunk.length;
    }
    done
}

/// Reads until `window` has `len` bytes or there are no more.
fn fill(from: &mut impl Read, window: &mut Vec<u8>, len: usize) -> io::Result<()> {
    let lacking = len.saturating_sub(window.len());
    window.reserve(lacking.min(64 << 10));
    from.take(lacking as u64).read_to_end(window).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Manifest;
    use std::collections::HashSet;

    /// Bytes without a pattern, the same every time.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new_derive_key("homie test noise").finalize_xof().fill(&mut bytes);
        bytes
    }

    fn listed(bytes: &[u8]) -> Described {
        let described = describe(bytes).expect("memory can be read");
        assert_eq!((described.size, described.hash), (bytes.len() as u64, Digest::of(bytes)));
        let entry = described.clone().entry(CleanPath::new("f").expect("clean"), false);
        let mut at = 0;
        for (digest, len) in entry.chunks() {
            assert_eq!(digest, Digest::of(&bytes[at..at + len as usize]));
            at += len as usize;
        }
        assert_eq!(at, bytes.len());
        Manifest::new(vec![entry]).expect("a manifest takes it");
        described
    }

    #[test]
    fn every_size_is_described_as_a_manifest_wants_it() {
        let all = noise(3 * WINDOW + 77);
        for len in [0, 1, LEAST, MEAN, MEAN + 1, MOST, MOST + 1, WINDOW - 1, WINDOW, WINDOW + 1, all.len()] {
            let described = listed(&all[..len]);
            assert_eq!(described.chunks.is_empty(), len <= MEAN, "{len}");
        }
        // Content that never says where to cut.
        assert!(listed(&vec![0; 2 * WINDOW + 5]).lengths.iter().all(|len| *len as usize <= MOST));
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_bytes_arrive() {
        struct Drops<'a>(&'a [u8], usize);
        impl Read for Drops<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let most = into.len().min(self.1);
                self.1 = self.1 * 7 % 100_003 + 1;
                self.0.read(&mut into[..most])
            }
        }
        let bytes = noise(2 * WINDOW + 4321);
        assert_eq!(describe(Drops(&bytes, 5)).expect("read"), listed(&bytes));
    }

    #[test]
    fn one_byte_more_in_the_middle_leaves_nearly_all_chunks_as_they_were() {
        let before = noise(64 << 20);
        let mut after = before.clone();
        after.insert(before.len() / 2, 0xA5);
        let old: HashSet<Digest> = listed(&before).chunks.into_iter().collect();
        let new = listed(&after);
        let fresh: u64 = new
            .chunks
            .iter()
            .zip(&new.lengths)
            .filter(|(hash, _)| !old.contains(hash))
            .map(|(_, len)| u64::from(*len))
            .sum();
        assert!((1..4 << 20).contains(&fresh), "{fresh} bytes are new");
    }
}
