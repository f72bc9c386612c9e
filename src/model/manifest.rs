//! What a transfer carries: a list of plain files, each with a clean relative path, and the chunks they are made of.
//!
//! A manifest arrives from a peer or a client before any byte of content, so everything in it is checked here once:
//! whoever holds a [`Manifest`] may join its paths onto a directory.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _, Serialize};

use super::ids::Digest;

/// Bytes of one chunk where a manifest gives no lengths (the last one of a file may be shorter), about the mean where
/// it does, and the most that a file without a chunk list may have. 1 MiB keeps the chunk list of a 2 GiB file under
/// 150 KB and makes a lost connection cost little.
pub const CHUNK_BYTES: u64 = 1 << 20;
/// The longest chunk that a manifest may name: a receiver holds one in memory before it can check its hash.
pub const MAX_CHUNK_BYTES: u64 = 2 << 20;
/// The shortest, the last one of a file aside: so a chunk list is never out of proportion to what it lists.
pub const MIN_CHUNK_BYTES: u64 = 64 << 10;

/// Files in one manifest. A million entries is beyond any job's tree and still fits in memory when hostile.
pub(super) const MAX_FILES: usize = 1_000_000;
/// Bytes of a path, the classic PATH_MAX of the systems that write it.
pub(super) const MAX_PATH_BYTES: usize = 4096;
/// Bytes of one component, NAME_MAX of every usual file system.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Directories above a file. Deeper trees are mistakes or attacks on recursive code.
pub(super) const MAX_DEPTH: usize = 64;

/// Why a path is not clean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} is refused: {why}")]
pub struct PathError {
    path: String,
    why: &'static str,
}

/// A relative path of plain components: no root, no `.` or `..`, no empty or over-long component, no control
/// character. Components are separated by `/` on every system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CleanPath(String);

impl CleanPath {
    /// Checks `path` and takes it over.
    ///
    /// # Errors
    /// The path is empty, absolute, too long or deep, or one component is `.`, `..`, empty or has a control character.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        let fail = |why| PathError { path: path.chars().take(120).collect(), why };
        if path.is_empty() {
            return Err(fail("it is empty"));
        }
        if path.len() > MAX_PATH_BYTES {
            return Err(fail("it is longer than 4096 bytes"));
        }
        if path.starts_with('/') {
            return Err(fail("it is absolute"));
        }
        // Most names are ASCII, and looking at bytes is looking at one of them after the other.
        let is_control = |byte: u8| byte.is_ascii_control();
        if path.bytes().any(is_control) || (!path.is_ascii() && path.chars().any(char::is_control)) {
            return Err(fail("it has a control character"));
        }
        let mut depth = 0;
        for name in path.split('/') {
            depth += 1;
            match name {
                "" => return Err(fail("it has an empty component")),
                "." | ".." => return Err(fail("it has a component . or ..")),
                _ if name.len() > MAX_NAME_BYTES => return Err(fail("a component is longer than 255 bytes")),
                _ => {}
            }
        }
        if depth > MAX_DEPTH {
            return Err(fail("it is deeper than 64 directories"));
        }
        Ok(Self(path))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, first directory first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether a component starts with a dot: such a path may shadow a user's configuration (`.git/hooks`, `.bashrc`).
    pub fn is_hidden(&self) -> bool {
        self.components().any(|c| c.starts_with('.'))
    }
}

impl fmt::Display for CleanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<CleanPath> for String {
    fn from(path: CleanPath) -> Self {
        path.0
    }
}
impl TryFrom<String> for CleanPath {
    type Error = PathError;
    fn try_from(path: String) -> Result<Self, PathError> {
        Self::new(path)
    }
}

/// One plain file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it goes, below the directory of the transfer.
    pub path: CleanPath,
    /// Length in bytes.
    pub size: u64,
    /// Whether its owner may execute it; no other mode bit travels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
    /// BLAKE3 of the whole content.
    pub hash: Digest,
    /// BLAKE3 of each chunk, in order; empty when the file is a single chunk (its hash is `hash`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Digest>,
    /// The length of each of `chunks` in bytes; empty when they have [`CHUNK_BYTES`], the last one what is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<u32>,
}

impl FileEntry {
    /// The chunks in order with their lengths; none for an empty file.
    pub fn chunks(&self) -> impl Iterator<Item = (Digest, u64)> + '_ {
        let count = if self.lengths.is_empty() { self.size.div_ceil(CHUNK_BYTES) } else { self.lengths.len() as u64 };
        (0..count).map(move |i| {
            let digest = if self.chunks.is_empty() { self.hash } else { self.chunks[i as usize] };
            let even = || CHUNK_BYTES.min(self.size - i * CHUNK_BYTES);
            (digest, self.lengths.get(i as usize).map_or_else(even, |len| u64::from(*len)))
        })
    }

    fn encode(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(b"{\"path\":\"");
        // There are no control characters in a clean path.
        for byte in self.path.as_str().bytes() {
            if matches!(byte, b'"' | b'\\') {
                json.push(b'\\');
            }
            json.push(byte);
        }
        json.extend_from_slice(b"\",\"size\":");
        number(json, self.size);
        if self.exec {
            json.extend_from_slice(b",\"exec\":true");
        }
        json.extend_from_slice(b",\"hash\":");
        hex(&self.hash, json);
        if !self.chunks.is_empty() {
            json.extend_from_slice(b",\"chunks\":");
            list(json, &self.chunks, hex);
        }
        if !self.lengths.is_empty() {
            json.extend_from_slice(b",\"lengths\":");
            list(json, &self.lengths, |len, json| number(json, u64::from(*len)));
        }
        json.push(b'}');
    }

    /// Whether the chunks make up the size. What a peer says of its files is not believed.
    fn adds_up(&self) -> bool {
        if self.lengths.is_empty() {
            let wanted = self.size.div_ceil(CHUNK_BYTES);
            return if self.chunks.is_empty() { wanted <= 1 } else { wanted > 1 && self.chunks.len() as u64 == wanted };
        }
        let last = self.lengths.len() - 1;
        let least = |at| if at == last { 1 } else { MIN_CHUNK_BYTES };
        let fits = |(at, len): (usize, &u32)| (least(at)..=MAX_CHUNK_BYTES).contains(&u64::from(*len));
        // As many numbers of 32 bits as fit into memory do not overflow 64.
        self.chunks.len() == self.lengths.len()
            && self.lengths.iter().enumerate().all(fits)
            && self.lengths.iter().map(|len| u64::from(*len)).sum::<u64>() == self.size
    }
}

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of the wanted shape, or a path in it is not clean.
    #[error("the file list cannot be read: {0}")]
    Shape(String),
    /// More than [`MAX_FILES`] entries.
    #[error("the file list has {0} entries; 1000000 is the most")]
    TooMany(usize),
    /// The chunk list does not fit the size.
    #[error("the chunk list of {0:?} does not fit its size")]
    Chunks(String),
    /// Two entries want the same place: the same path, or a file where another entry needs a directory.
    #[error("two entries of the file list want the same place: {0:?}")]
    Collision(String),
    /// The sizes do not add up to a number a disk could hold.
    #[error("the file list adds up to more than 2^63 bytes")]
    TooBig,
}

/// A checked list of files. Cheap to clone: nobody changes one.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    list: Arc<List>,
}

#[derive(Debug, Default)]
struct List {
    files: Vec<FileEntry>,
    total_bytes: u64,
    /// The digest and the length of the JSON form, once somebody asked: making that of 10,000 files takes milliseconds.
    named: OnceLock<(Digest, u64)>,
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.files() == other.files()
    }
}
impl Eq for Manifest {}

impl Manifest {
    /// Checks and sorts `files`.
    ///
    /// # Errors
    /// See [`ManifestError`]: too many, colliding, or chunk lists that do not fit.
    pub fn new(mut files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        if files.len() > MAX_FILES {
            return Err(ManifestError::TooMany(files.len()));
        }
        let mut total_bytes: u64 = 0;
        for f in &files {
            if !f.adds_up() {
                return Err(ManifestError::Chunks(f.path.to_string()));
            }
            total_bytes = total_bytes.checked_add(f.size).filter(|n| *n < 1 << 63).ok_or(ManifestError::TooBig)?;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(place) = collision(&files) {
            return Err(ManifestError::Collision(place.to_owned()));
        }
        Ok(Self { list: Arc::new(List { files, total_bytes, named: OnceLock::new() }) })
    }

    /// Reads the JSON form that [`Manifest::encode`] writes.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn decode(json: &[u8]) -> Result<Self, ManifestError> {
        Self::new(entries(json, MAX_FILES)?)
    }

    /// The canonical JSON form: an array of entries sorted by path.
    ///
    /// What serde_json writes of them, to the byte, in a tenth of its time: 10,000 files are encoded for every job that
    /// takes them along.
    pub fn encode(&self) -> Vec<u8> {
        // Of an entry without its path and its list of chunks, and of one of these.
        let (entry, chunk) = (120, 64 + 3 + 8);
        let bytes = |f: &FileEntry| entry + f.path.as_str().len() + f.chunks.len() * chunk;
        let mut json = Vec::with_capacity(2 + self.files().iter().map(bytes).sum::<usize>());
        list(&mut json, self.files(), FileEntry::encode);
        json
    }

    /// BLAKE3 of [`Manifest::encode`]: the name of this exact set of files.
    pub fn digest(&self) -> Digest {
        self.named().0
    }

    /// The digest and the length in bytes of [`Manifest::encode`].
    pub fn named(&self) -> (Digest, u64) {
        *self.list.named.get_or_init(|| {
            let json = self.encode();
            (Digest::of(&json), json.len() as u64)
        })
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[FileEntry] {
        &self.list.files
    }

    /// The entry at `path`.
    pub fn get(&self, path: &CleanPath) -> Option<&FileEntry> {
        self.files().binary_search_by(|f| f.path.cmp(path)).ok().map(|i| &self.files()[i])
    }

    /// The sum of all sizes.
    pub fn total_bytes(&self) -> u64 {
        self.list.total_bytes
    }
}

/// A place that two of `files`, which are sorted by path, want: the same path, or a file where another needs a directory.
fn collision(files: &[FileEntry]) -> Option<&str> {
    let mut before = "";
    for file in files {
        let path = file.path.as_str();
        if path == before {
            return Some(path);
        }
        for (at, _) in path.match_indices('/') {
            let dir = &path[..at];
            // Looked for already with the file before, if that lies below it too.
            let is_below = before.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
            if !is_below && files.binary_search_by(|file| file.path.as_str().cmp(dir)).is_ok() {
                return Some(dir);
            }
        }
        before = path;
    }
    None
}

fn list<T>(json: &mut Vec<u8>, items: &[T], encode: impl Fn(&T, &mut Vec<u8>)) {
    json.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        encode(item, json);
    }
    json.push(b']');
}

fn hex(digest: &Digest, json: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'"'; 66];
    for (two, byte) in text[1..65].chunks_exact_mut(2).zip(digest.0) {
        two.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    json.extend_from_slice(&text);
}

fn number(json: &mut Vec<u8>, mut number: u64) {
    // The longest has twenty digits.
    let (mut text, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    json.extend_from_slice(&text[at..]);
}

/// Reads a list of at most `most` entries. A longer one is refused where it becomes too long: its text is bounded, but
/// what it would be in memory is several times that.
fn entries(json: &[u8], most: usize) -> Result<Vec<FileEntry>, ManifestError> {
    struct Entries(usize);
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<FileEntry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of files")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut files = Vec::new();
            while let Some(entry) = list.next_element()? {
                files.push(entry);
                if files.len() > self.0 {
                    return Err(A::Error::custom(ManifestError::TooMany(files.len())));
                }
            }
            Ok(files)
        }
    }
    let shape = |e: serde_json::Error| ManifestError::Shape(e.to_string());
    let mut from = serde_json::Deserializer::from_slice(json);
    let files = from.deserialize_seq(Entries(most)).map_err(shape)?;
    from.end().map(|()| files).map_err(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, size: u64, chunks: usize) -> FileEntry {
        FileEntry {
            path: CleanPath::new(path).expect("clean"),
            size,
            exec: false,
            hash: Digest([7; 32]),
            chunks: vec![Digest([1; 32]); chunks],
            lengths: vec![],
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long_name = "a".repeat(256);
        let long_path = "a/".repeat(2048) + "b";
        let deep = "d/".repeat(64) + "f";
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "a/\u{1b}[2J",
            "\u{85}",
            &long_name,
            &long_path,
            &deep,
        ] {
            assert!(CleanPath::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a b/ü.txt", "...", "..a/b", "日本/語", "-rf", "a\\b"] {
            assert!(CleanPath::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn colliding_entries_are_refused() {
        for pair in [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]] {
            let files = pair.iter().map(|p| file(p, 1, 0)).collect();
            assert!(matches!(Manifest::new(files), Err(ManifestError::Collision(_))), "{pair:?}");
        }
        assert!(Manifest::new(vec![file("a", 1, 0), file("a.b", 1, 0), file("ab/c", 1, 0)]).is_ok());
    }

    #[test]
    fn chunk_lists_must_fit_the_size() {
        for (size, chunks, fits) in [
            (0, 0, true),
            (0, 1, false),
            (CHUNK_BYTES, 0, true),
            (CHUNK_BYTES, 1, false),
            (CHUNK_BYTES + 1, 0, false),
            (CHUNK_BYTES + 1, 2, true),
            (CHUNK_BYTES + 1, 3, false),
            (u64::MAX, 0, false),
        ] {
            assert_eq!(Manifest::new(vec![file("f", size, chunks)]).is_ok(), fits, "{size} {chunks}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_where_it_becomes_so() {
        let list = Manifest::new((0..4).map(|n| file(&format!("f{n}"), 1, 0)).collect()).expect("valid").encode();
        assert_eq!(entries(&list, 4).expect("fits").len(), 4);
        let error = entries(&list, 3).expect_err("too long").to_string();
        assert!(error.contains("has 4 entries"), "{error}");
    }

    #[test]
    fn given_lengths_must_fit_the_size_and_the_bounds() {
        let (least, most) = (MIN_CHUNK_BYTES as u32, MAX_CHUNK_BYTES as u32);
        for (lengths, chunks, extra, fits) in [
            (vec![least, 1], 2, 0, true),
            (vec![most, most, least], 3, 0, true),
            (vec![most], 1, 0, true),
            (vec![1], 1, 0, true),
            (vec![least, 0], 2, 0, false),
            (vec![0, least], 2, 0, false),
            (vec![least - 1, least], 2, 0, false),
            (vec![most + 1], 1, 0, false),
            (vec![least, u32::MAX], 2, 0, false),
            (vec![least, least], 2, 1, false),
            (vec![least, least], 1, 0, false),
            (vec![least, least], 3, 0, false),
            (vec![least], 0, 0, false),
        ] {
            let size = lengths.iter().map(|n| u64::from(*n)).sum::<u64>() + extra;
            let entry = FileEntry { lengths: lengths.clone(), ..file("f", size, chunks) };
            assert_eq!(Manifest::new(vec![entry.clone()]).is_ok(), fits, "{lengths:?} {chunks} {extra}");
            if fits {
                assert_eq!(entry.chunks().map(|(_, n)| n as u32).collect::<Vec<_>>(), lengths);
            }
        }
    }

    #[test]
    fn chunk_lengths_add_up() {
        let f = file("f", 2 * CHUNK_BYTES + 5, 3);
        assert_eq!(f.chunks().map(|(_, n)| n).collect::<Vec<_>>(), [CHUNK_BYTES, CHUNK_BYTES, 5]);
        assert_eq!(file("e", 0, 0).chunks().count(), 0);
    }

    proptest! {
        #[test]
        fn any_path_is_refused_or_stays_below_its_directory(text in "\\PC{0,40}|[./a]{0,12}") {
            if let Ok(path) = CleanPath::new(text) {
                let joined = std::path::Path::new("/base").join(path.as_str());
                prop_assert!(joined.starts_with("/base"));
                prop_assert!(joined.components().all(|c| !matches!(c, std::path::Component::ParentDir)));
            }
        }

        #[test]
        fn a_list_is_encoded_as_serde_has_it(
            files in proptest::collection::vec(
                ("[a-c\"\\\\ ü/é日\u{7e}]{1,9}|\\PC{1,9}", any::<u64>(), any::<bool>(), any::<[u8; 32]>(), 0..4usize, any::<bool>()), 0..6,
            ),
        ) {
            let entry = |(path, size, exec, hash, chunks, lengths): (String, u64, bool, [u8; 32], usize, bool)| {
                let lengths = if lengths { vec![MIN_CHUNK_BYTES as u32; chunks] } else { vec![] };
                let size = match chunks {
                    0 => size % (CHUNK_BYTES + 1),
                    n if lengths.is_empty() => CHUNK_BYTES * n as u64 + size % CHUNK_BYTES + 1,
                    n => MIN_CHUNK_BYTES * n as u64,
                };
                let chunks = if chunks > 0 && lengths.is_empty() { chunks + 1 } else { chunks };
                let path = CleanPath::new(path).ok()?;
                Some(FileEntry { path, size, exec, hash: Digest(hash), chunks: vec![Digest(hash); chunks], lengths })
            };
            if let Ok(m) = Manifest::new(files.into_iter().filter_map(entry).collect()) {
                prop_assert_eq!(m.encode(), serde_json::to_vec(m.files()).expect("JSON"));
                prop_assert_eq!(Manifest::decode(&m.encode()), Ok(m));
            }
        }

        #[test]
        fn two_want_the_same_place_if_one_is_the_other_or_above_it(
            names in proptest::collection::vec("[a-b.]/?([a-b.]{1,2}/?){0,3}[ab]", 0..9),
        ) {
            let files: Vec<_> = names.iter().filter_map(|n| CleanPath::new(n.as_str()).ok()).collect();
            let above = |a: &CleanPath, b: &CleanPath| a == b || b.as_str().starts_with(&format!("{a}/"));
            let pairs = files.iter().enumerate().flat_map(|(i, a)| files[i + 1..].iter().map(move |b| (a, b)));
            let collide = pairs.into_iter().any(|(a, b)| above(a, b) || above(b, a));
            let list = Manifest::new(files.iter().map(|n| file(n.as_str(), 1, 0)).collect());
            prop_assert_eq!(list.is_err(), collide);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let _ = Manifest::decode(&bytes);
        }

        #[test]
        fn encoded_manifests_decode_to_themselves(names in proptest::collection::hash_set("[a-c]{1,3}", 0..8)) {
            let m = Manifest::new(names.iter().map(|n| file(n, 3, 0)).collect()).expect("valid");
            prop_assert_eq!(Manifest::decode(&m.encode()), Ok(m));
        }
    }
}
