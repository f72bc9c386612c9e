//! The store as either end of a transfer.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::{JoinSet, spawn_blocking};

use super::error::BlobError;
use super::promises::Promise;
use super::store::BlobStore;
use crate::cached::read_cached;
use crate::model::{Digest, Manifest, Totals};
use crate::transfer::{ChunkAt, ChunkSink, ChunkSource, LARGE, Spare, other_bytes};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Bytes that may wait for more before they are written. Small files are written in batches of this size, so that 10,000
/// of them do not cost 10,000 hand-overs to a blocking thread. Large chunks do not wait.
const BATCH_BYTES: usize = 4 << 20;
/// Batches, or large chunks, that are hashed and written while more comes in. Two keep a disk busy and are 8 MiB of memory
/// at most.
const WRITERS: usize = 2;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Refusal> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| e.refusal()),
        Err(_) => Err(Refusal::internal("the blob store is shutting down")),
    }
}

/// Sends from the store: large chunks without a look at their hash, which the receiver takes anyway. It is what reading
/// them costs once more.
#[derive(Debug)]
pub struct StoreSource {
    store: BlobStore,
    spare: Spare,
    /// What was sent unchecked.
    unchecked: Vec<(Digest, u64)>,
    /// The chunk that is read part by part.
    open: Option<(Digest, File)>,
}

impl StoreSource {
    /// Of this store.
    pub fn new(store: BlobStore) -> Self {
        Self { store, spare: Spare::default(), unchecked: Vec::new(), open: None }
    }
}

impl ChunkSource for StoreSource {
    async fn read(&mut self, _: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let store = self.store.clone();
        if at.len < LARGE {
            let read = spawn_blocking(move || store.get(&at.digest, at.len)).await.map_err(io::Error::other)?;
            return read.map(Bytes::from).map_err(io::Error::other);
        }
        let mut buffer = self.spare.take(at.len as usize);
        let read = move || match store.read_unchecked(&at.digest, &mut buffer) {
            Ok(true) => Ok((buffer, false)),
            Ok(false) => store.get(&at.digest, at.len).map(|bytes| (BytesMut::from(Bytes::from(bytes)).into(), true)),
            Err(e) => Err(e),
        };
        let read = spawn_blocking(read).await.map_err(io::Error::other)?;
        let (buffer, checked) = read.map_err(io::Error::other)?;
        if !checked {
            self.unchecked.push((at.digest, at.len));
        }
        Ok(self.spare.lend(buffer))
    }

    async fn read_all(&mut self, manifest: &Manifest, wanted: &[ChunkAt]) -> Result<Vec<Bytes>, (usize, io::Error)> {
        if let [one] = wanted {
            return self.read(manifest, *one).await.map(|bytes| vec![bytes]).map_err(|e| (0, e));
        }
        let (store, wanted) = (self.store.clone(), wanted.iter().map(|at| (at.digest, at.len)).collect::<Vec<_>>());
        let read = spawn_blocking(move || store.get_all(&wanted)).await.map_err(|e| (0, io::Error::other(e)))?;
        read.map_err(|(index, e)| (index, io::Error::other(e)))
    }

    fn at_hand(&mut self, at: ChunkAt, from: u64, len: usize) -> Option<Bytes> {
        if from == 0 {
            self.open = None;
            self.open = Some((at.digest, self.store.open_cached(&at.digest, at.len)?));
        }
        let (_, file) = self.open.as_ref().filter(|(digest, _)| *digest == at.digest)?;
        let mut part = self.spare.take(len.min((at.len - from) as usize));
        let got = read_cached(file, &mut part, from)?;
        part.truncate(got);
        if from == 0 {
            self.unchecked.push((at.digest, at.len));
        }
        Some(self.spare.lend(part))
    }

    /// Finds the damaged one among what was sent, so that it is removed and fetched again. That is no more work than the
    /// sending was, should the receiver have lied.
    async fn doubted(&mut self) -> bool {
        let (store, sent) = (self.store.clone(), std::mem::take(&mut self.unchecked));
        let damaged =
            move || sent.iter().rev().any(|(name, len)| matches!(store.get(name, *len), Err(BlobError::Damaged(_))));
        spawn_blocking(damaged).await.unwrap_or(false)
    }
}

/// Receives into the store and pins what it received.
#[derive(Debug)]
pub struct StoreSink {
    store: BlobStore,
    owner: String,
    /// Whether it must survive a power cut when it is complete.
    durable: bool,
    /// What its sender said would come, if it did.
    most: Option<Totals>,
    /// The room that is kept for what is on its way; also by those that still write.
    room: Option<Arc<Promise>>,
    batch: Vec<(Digest, Bytes)>,
    /// Whose chunks they are: each one's file in the manifest.
    files: Vec<usize>,
    batch_bytes: usize,
    /// Batches on their way to the disk.
    writing: JoinSet<Result<(), (usize, BlobError)>>,
}

impl StoreSink {
    /// A sink that pins for `owner` as soon as the manifest is known.
    pub fn new(store: BlobStore, owner: impl Into<String>) -> Self {
        let owner = owner.into();
        Self {
            store,
            owner,
            durable: true,
            most: None,
            room: None,
            batch: Vec::new(),
            files: Vec::new(),
            batch_bytes: 0,
            writing: JoinSet::new(),
        }
    }

    /// For what its sender keeps until it is of no more use here: after a power cut it is asked for again, so a
    /// gigabyte need not be on the disk before it is worked with.
    pub fn fleeting(store: BlobStore, owner: impl Into<String>) -> Self {
        let mut sink = Self::new(store, owner);
        sink.durable = false;
        sink
    }

    /// Takes no more than this.
    pub fn at_most(mut self, most: Option<Totals>) -> Self {
        self.most = most;
        self
    }

    /// Hands the batch to a thread.
    async fn write_batch(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        self.wait_for_a_writer(manifest).await?;
        let store = self.store.clone();
        let (batch, files) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.files));
        let (room, bytes) = (self.room.clone(), std::mem::take(&mut self.batch_bytes) as u64);
        self.writing.spawn_blocking(move || {
            let put = store.put_all(&batch).map_err(|(place, e)| (files[place], e));
            came(room.as_deref(), bytes);
            put
        });
        Ok(())
    }

    /// Until fewer than [`WRITERS`] are at work.
    async fn wait_for_a_writer(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        while self.writing.len() >= WRITERS {
            self.written(manifest).await?;
        }
        Ok(())
    }

    /// Waits for one batch.
    async fn written(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        match self.writing.join_next().await {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err((file, BlobError::Damaged(_))))) => Err(other_bytes(manifest, file)),
            Some(Ok(Err((_, error)))) => Err(error.refusal()),
            Some(Err(_)) => Err(Refusal::internal("the blob store is shutting down")),
        }
    }
}

/// Bytes that were promised room have it.
fn came(room: Option<&Promise>, bytes: u64) {
    if let Some(room) = room {
        room.came(bytes);
    }
}

impl Drop for StoreSink {
    /// A transfer that broke off: what came is kept, so that the next one begins after it. Without this, a line that
    /// breaks before each [`BATCH_BYTES`] would never get anywhere. Batches that a thread has begun it ends by itself.
    fn drop(&mut self) {
        self.writing.detach_all();
        let (store, batch, room) = (self.store.clone(), std::mem::take(&mut self.batch), self.room.take());
        if !batch.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // One that cannot be written is sent again.
            runtime.spawn_blocking(move || {
                let _ = store.put_all(&batch);
                drop(room);
            });
        }
    }
}

impl ChunkSink for StoreSink {
    /// [`BlobStore::put_all`] does, in the thread that writes.
    const VERIFIES: bool = true;

    async fn known(&mut self, digest: Digest) -> Option<Manifest> {
        let store = self.store.clone();
        // A list that cannot be read is sent again.
        spawn_blocking(move || store.manifest(&digest)).await.ok()?.ok()?
    }

    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        let is = Totals { files: manifest.files().len() as u64, bytes: manifest.total_bytes() };
        if let Some(most) = self.most.filter(|most| is.files > most.files || is.bytes > most.bytes) {
            let text = format!(
                "{} files of {} bytes come, but {} of {} were announced",
                is.files, is.bytes, most.files, most.bytes
            );
            return Err(Refusal::new(RefusalKind::Integrity, text).hint("offer the job anew, with what it has"));
        }
        let (store, owner, manifest) = (self.store.clone(), self.owner.clone(), manifest.clone());
        let (wanted, room) = blocking(move || store.claim_room(&owner, &manifest)).await?;
        self.room = room.map(Arc::new);
        Ok(wanted)
    }

    async fn write(&mut self, manifest: &Manifest, at: ChunkAt, bytes: Bytes) -> Result<(), Refusal> {
        if at.len >= LARGE {
            self.wait_for_a_writer(manifest).await?;
            let (store, room) = (self.store.clone(), self.room.clone());
            self.writing.spawn_blocking(move || {
                let put = store.put(&at.digest, &bytes).map_err(|e| (at.file, e));
                came(room.as_deref(), at.len);
                put
            });
            return Ok(());
        }
        self.batch_bytes += bytes.len();
        self.batch.push((at.digest, bytes));
        self.files.push(at.file);
        if self.batch_bytes >= BATCH_BYTES { self.write_batch(manifest).await } else { Ok(()) }
    }

    async fn finish(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        if !self.batch.is_empty() {
            self.write_batch(manifest).await?;
        }
        while !self.writing.is_empty() {
            self.written(manifest).await?;
        }
        self.room = None;
        if !self.durable {
            return Ok(());
        }
        let (store, manifest) = (self.store.clone(), manifest.clone());
        blocking(move || store.sync_of(&manifest)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cached::open_cached;
    use crate::model::{CHUNK_BYTES, CleanPath, FileEntry};
    use crate::transfer::{chunks, receive, send};
    use crate::wire::frame::FrameCodec;
    use tokio_util::codec::Framed;

    fn entry(path: &str, bytes: &[u8]) -> FileEntry {
        let parts: Vec<Digest> = bytes.chunks(CHUNK_BYTES as usize).map(Digest::of).collect();
        let chunks = if parts.len() > 1 { parts } else { vec![] };
        let path = CleanPath::new(path).expect("clean");
        FileEntry { path, size: bytes.len() as u64, exec: false, hash: Digest::of(bytes), chunks, lengths: vec![] }
    }

    fn fill(store: &BlobStore, files: &[(&str, Vec<u8>)]) -> Manifest {
        for (_, bytes) in files {
            for chunk in bytes.chunks(CHUNK_BYTES as usize) {
                store.put(&Digest::of(chunk), chunk).expect("put");
            }
        }
        Manifest::new(files.iter().map(|(p, b)| entry(p, b)).collect()).expect("valid")
    }

    async fn transfer(from: &BlobStore, to: &BlobStore, manifest: &Manifest) -> (u64, Manifest) {
        let (a, b) = tokio::io::duplex(64 << 10);
        let (mut a, mut b) = (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()));
        let mut source = StoreSource::new(from.clone());
        let mut sink = StoreSink::new(to.clone(), "test-1");
        let (sent, got) = tokio::join!(
            send(&mut a, manifest, &mut source, |_, _| ()),
            receive(&mut b, Some(manifest.digest()), &mut sink, |_, _| ())
        );
        (sent.expect("sent"), got.expect("received").0)
    }

    #[tokio::test]
    async fn a_transfer_that_breaks_off_early_is_gone_on_with() {
        let dir = tempfile::tempdir().expect("tempdir");
        let open = |n: &str| BlobStore::open(dir.path().join(n), 1 << 30).expect("open");
        let (from, to) = (open("a"), open("b"));
        let big: Vec<u8> = (0..3 * CHUNK_BYTES).map(|i| (i % 251) as u8 ^ (i >> 20) as u8).collect();
        let manifest = fill(&from, &[("big", big)]);
        let mut sink = StoreSink::new(to.clone(), "test-1");
        assert_eq!(sink.wants(&manifest).await.expect("room"), [true; 3]);
        let first = chunks(&manifest).next().expect("three");
        let bytes = StoreSource::new(from).read(&manifest, first).await.expect("readable");
        sink.write(&manifest, first, bytes).await.expect("taken");
        drop(sink);
        let again = async {
            while to.claim("test-1", &manifest).expect("room") != [false, true, true] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), again).await.expect("kept");
    }

    #[tokio::test]
    async fn a_large_chunk_that_is_in_memory_is_at_hand_part_by_part() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("a"), 1 << 30).expect("open");
        let big: Vec<u8> = (0..CHUNK_BYTES + LARGE).map(|i| (i % 251) as u8).collect();
        let manifest = fill(&store, &[("big", big.clone())]);
        let [first, second] = chunks(&manifest).collect::<Vec<_>>()[..] else { panic!("two chunks") };
        // Whoever mounts something at the same moment makes the kernel unsure for that moment.
        let try_often = 1000;
        let can_tell = (0..try_often).any(|_| {
            let file = open_cached(&store.path(&first.digest));
            file.is_some_and(|file| read_cached(&file, &mut [0], 0).is_some())
        });
        let mut source = StoreSource::new(store.clone());
        let mut part = |at: ChunkAt, from: u64| (0..try_often).find_map(|_| source.at_hand(at, from, 100_003));
        assert_eq!(part(first, 0).is_some(), can_tell);
        // Old kernels and some filesystems do not say what is in memory.
        for at in [first, second].into_iter().filter(|_| can_tell) {
            let mut came = Vec::new();
            while came.len() < at.len as usize {
                came.extend(part(at, came.len() as u64).expect("it was just written"));
            }
            assert!(came == big[at.offset as usize..][..at.len as usize]);
        }
        assert_eq!(source.at_hand(first, 1, 9), None, "another one is open");
        std::fs::write(store.path(&first.digest), b"short").expect("damaged");
        assert_eq!(source.at_hand(first, 0, 9), None, "of another length");
    }

    #[tokio::test]
    async fn a_transfer_brings_everything_and_a_second_one_sends_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let open = |n: &str| BlobStore::open(dir.path().join(n), 1 << 30).expect("open");
        let (from, to) = (open("a"), open("b"));
        let big: Vec<u8> = (0..2 * CHUNK_BYTES + 77).map(|i| (i * 7 % 251) as u8).collect();
        let files =
            [("big", big.clone()), ("copy/of big", big.clone()), ("empty", vec![]), ("small/ü", b"hello".to_vec())];
        let manifest = fill(&from, &files);
        let (sent, got) = transfer(&from, &to, &manifest).await;
        assert_eq!(got, manifest);
        assert_eq!(sent, big.len() as u64 + 5, "the copy is not sent twice");
        for at in chunks(&manifest) {
            assert_eq!(to.get(&at.digest, at.len).expect("here"), from.get(&at.digest, at.len).expect("there"));
        }
        assert_eq!(transfer(&from, &to, &manifest).await.0, 0);
        assert_eq!(to.manifest(&manifest.digest()).expect("readable"), Some(manifest));
    }

    #[tokio::test]
    async fn a_blob_that_rotted_is_refused_by_its_receiver_and_dropped_by_its_sender() {
        let dir = tempfile::tempdir().expect("tempdir");
        let open = |n: &str| BlobStore::open(dir.path().join(n), 1 << 30).expect("open");
        let (from, to) = (open("a"), open("b"));
        let big: Vec<u8> = (0..3 * CHUNK_BYTES).map(|i| (i % 251) as u8 ^ (i >> 20) as u8).collect();
        let manifest = fill(&from, &[("big", big)]);
        let rotten = chunks(&manifest).nth(1).expect("three");
        std::fs::write(from.path(&rotten.digest), vec![7; rotten.len as usize]).expect("rot");
        let (a, b) = tokio::io::duplex(64 << 10);
        let (mut a, mut b) = (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()));
        let (mut source, mut sink) = (StoreSource::new(from.clone()), StoreSink::new(to.clone(), "test-1"));
        let sending = async {
            let sent = send(&mut a, &manifest, &mut source, |_, _| ()).await;
            drop(a);
            sent
        };
        let (sent, got) = tokio::join!(sending, receive(&mut b, None, &mut sink, |_, _| ()));
        for (error, says) in [(sent.map(|_| ()), "damaged"), (got.map(|_| ()), "does not match its hash")] {
            let refusal = error.expect_err("refused").into_refusal();
            assert_eq!(refusal.kind, crate::wire::refusal::RefusalKind::Integrity);
            assert!(refusal.message.contains(says), "{refusal}");
        }
        let left: Vec<bool> = chunks(&manifest).map(|at| from.have(&at.digest)).collect();
        assert_eq!((left, to.have(&rotten.digest)), (vec![true, false, true], false));
    }

    #[tokio::test]
    async fn ten_thousand_small_files_and_an_empty_list_go_through() {
        let dir = tempfile::tempdir().expect("tempdir");
        let open = |n: &str| BlobStore::open(dir.path().join(n), 1 << 30).expect("open");
        let (from, to) = (open("a"), open("b"));
        let names: Vec<String> = (0..10_000).map(|i| format!("d{}/f{i}", i % 100)).collect();
        let files: Vec<(&str, Vec<u8>)> = names.iter().map(|n| (n.as_str(), n.as_bytes().to_vec())).collect();
        let manifest = fill(&from, &files);
        assert_eq!(transfer(&from, &to, &manifest).await.1.files().len(), 10_000);
        let empty = Manifest::default();
        assert_eq!(transfer(&from, &to, &empty).await, (0, empty));
    }

    #[tokio::test]
    async fn another_manifest_than_the_announced_one_is_refused_on_both_sides() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("a"), 1 << 30).expect("open");
        let manifest = fill(&store, &[("f", b"x".to_vec())]);
        let (a, b) = tokio::io::duplex(64 << 10);
        let (mut a, mut b) = (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()));
        let mut source = StoreSource::new(store.clone());
        let mut sink = StoreSink::new(store, "test-1");
        let sending = async {
            let sent = send(&mut a, &manifest, &mut source, |_, _| ()).await;
            drop(a);
            sent
        };
        let (sent, got) = tokio::join!(sending, receive(&mut b, Some(Digest::of(b"another")), &mut sink, |_, _| ()));
        for error in [sent.expect_err("refused"), got.map(|_| ()).expect_err("refused")] {
            let refusal = error.into_refusal();
            assert!(refusal.message.contains("announced"), "{refusal}");
        }
    }

    fn one_file(byte: u8, bytes: usize) -> Manifest {
        Manifest::new(vec![entry("f", &vec![byte; bytes])]).expect("valid")
    }

    #[tokio::test]
    async fn transfers_that_begin_together_are_not_promised_the_same_room() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("a"), 10_000).expect("open");
        let [first, second] = [1, 2].map(|byte| one_file(byte, 6000));
        let mut one = StoreSink::new(store.clone(), "test-1");
        assert_eq!(one.wants(&first).await.expect("room"), [true]);
        let mut two = StoreSink::new(store.clone(), "test-2");
        let refusal = two.wants(&second).await.expect_err("it is promised to the first");
        assert_eq!(refusal.kind, RefusalKind::DiskFull);
        // Begun anew over another way, while the first connection is not known to be dead.
        let mut anew = StoreSink::new(store.clone(), "test-1");
        assert_eq!(anew.wants(&first).await.expect("its own room"), [true]);
        drop(one);
        two.wants(&second).await.expect_err("the newer one still needs it");
        drop(anew);
        assert_eq!(two.wants(&second).await.expect("it broke off"), [true]);
        // What came is used and promised no more.
        let at = chunks(&second).next().expect("one");
        two.write(&second, at, vec![2; 6000].into()).await.expect("taken");
        two.finish(&second).await.expect("durable");
        let mut three = StoreSink::new(store.clone(), "test-3");
        assert_eq!(three.wants(&one_file(3, 3000)).await.expect("there is room beside it"), [true]);
    }

    #[tokio::test]
    async fn a_list_that_there_is_no_room_for_is_not_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = BlobStore::open(dir.path().join("a"), 5000).expect("open");
        let manifest = one_file(1, 6000);
        StoreSink::new(store.clone(), "test-1").wants(&manifest).await.expect_err("too much");
        assert_eq!((store.used_bytes(), store.pins().expect("readable")), (0, vec![]));
    }

    #[tokio::test]
    async fn a_quota_stops_a_transfer_with_a_reason_and_a_hint() {
        let dir = tempfile::tempdir().expect("tempdir");
        let from = BlobStore::open(dir.path().join("a"), 1 << 30).expect("open");
        let to = BlobStore::open(dir.path().join("b"), 5000).expect("open");
        let manifest = fill(&from, &[("f", vec![9; 6000])]);
        let (a, b) = tokio::io::duplex(64 << 10);
        let (mut a, mut b) = (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()));
        let mut source = StoreSource::new(from.clone());
        let mut sink = StoreSink::new(to, "test-1");
        let sending = async {
            let sent = send(&mut a, &manifest, &mut source, |_, _| ()).await;
            drop(a);
            sent
        };
        let (sent, _) = tokio::join!(sending, receive(&mut b, None, &mut sink, |_, _| ()));
        let refusal = sent.expect_err("refused").into_refusal();
        assert_eq!(refusal.kind, crate::wire::refusal::RefusalKind::DiskFull);
        assert!(refusal.hint.is_some());
    }
}
