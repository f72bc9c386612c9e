//! A receiver against senders that lie, and a sender against receivers that do.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::codec::Framed;

use super::words::{STREAM, Say};
use super::*;
use crate::model::{CleanPath, FileEntry};
use crate::wire::frame::{Frame, FrameCodec, MAX_RAW_BULK};
use crate::wire::refusal::RefusalKind;

/// Keeps what it gets.
#[derive(Default)]
pub(super) struct Keep {
    /// Whether it saw a manifest.
    pub(super) asked: bool,
    pub(super) chunks: Vec<Bytes>,
    pub(super) finished: bool,
    refuse_after: Option<usize>,
}

impl ChunkSink for Keep {
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        self.asked = true;
        Ok(vec![true; chunks(manifest).count()])
    }
    async fn write(&mut self, _: &Manifest, _: ChunkAt, bytes: Bytes) -> Result<(), Refusal> {
        if self.refuse_after == Some(self.chunks.len()) {
            return Err(Refusal::new(RefusalKind::DiskFull, "the disk is full"));
        }
        self.chunks.push(bytes);
        Ok(())
    }
    async fn finish(&mut self, _: &Manifest) -> Result<(), Refusal> {
        self.finished = true;
        Ok(())
    }
}

struct Zeros(usize);

impl ChunkSource for Zeros {
    async fn read(&mut self, _: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        Ok(Bytes::from(vec![0; (at.len as usize).min(self.0)]))
    }
}

fn zeros(files: usize, len: usize) -> Manifest {
    let hash = Digest::of(&vec![0; len]);
    let entry = |i: usize| FileEntry {
        path: CleanPath::new(format!("f{i}")).expect("clean"),
        size: len as u64,
        exec: false,
        hash,
        chunks: vec![],
        lengths: vec![],
    };
    Manifest::new((0..files).map(entry).collect()).expect("valid")
}

type Wire = Framed<DuplexStream, FrameCodec>;

fn wires() -> (Wire, Wire) {
    let (a, b) = tokio::io::duplex(32 << 10);
    (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()))
}

/// Offers a list to a receiver, sends this content once it is asked for, hangs up, and gives what came of it.
pub(super) async fn lie(offer: Say, list: &[u8], content: &[u8]) -> (TransferError, Keep) {
    let (mut liar, mut wire) = wires();
    let mut sink = Keep::default();
    let lying = async {
        let _ = liar.send(Frame::json(&offer).expect("small")).await;
        if !list.is_empty() {
            let _ = liar.send(raw(list)).await;
        }
        if liar.next().await.is_some() && !content.is_empty() {
            let _ = liar.send(raw(content)).await;
        }
        drop(liar);
    };
    let (received, ()) = tokio::join!(receive(&mut wire, None, &mut sink, |_, _| ()), lying);
    (
        received.map(|_| ()).expect_err(&format!("a lie: {}", String::from_utf8_lossy(&list[..list.len().min(200)]))),
        sink,
    )
}

pub(super) fn offer(list: &[u8]) -> Say {
    Say::Offer { manifest_bytes: list.len() as u64, digest: Digest::of(list) }
}

fn raw(data: &[u8]) -> Frame {
    Frame::Raw { stream: STREAM, data: Bytes::copy_from_slice(data) }
}

#[tokio::test]
async fn a_hostile_list_is_refused_before_anything_is_written() {
    let entry = |path: &str| format!(r#"{{"path":{path:?},"size":1,"hash":"{}"}}"#, Digest::of(b"x"));
    let long = "a".repeat(300);
    for list in [
        "".to_owned(),
        "{}".to_owned(),
        "[".to_owned(),
        format!("[{}]", entry("../x")),
        format!("[{}]", entry("/etc/passwd")),
        format!("[{}]", entry("a//b")),
        format!("[{}]", entry(&long)),
        format!("[{},{}]", entry("a"), entry("a")),
        format!("[{},{}]", entry("a"), entry("a/b")),
        // Sorted differently, so not the canonical form that the digest names.
        format!("[{},{}]", entry("b"), entry("a")),
        format!(r#"[{{"path":"a","size":18446744073709551615,"hash":"{}"}}]"#, Digest::of(b"x")),
    ] {
        let (error, sink) = lie(offer(list.as_bytes()), list.as_bytes(), b"").await;
        assert!(sink.chunks.is_empty() && !sink.finished, "{list}");
        let kind = error.into_refusal().kind;
        assert!(matches!(kind, RefusalKind::BadRequest | RefusalKind::Unreachable), "{list}: {kind:?}");
    }
}

#[tokio::test]
async fn a_list_of_another_hash_or_length_is_refused() {
    let list = zeros(1, 3).encode();
    let wrong_hash = Say::Offer { manifest_bytes: list.len() as u64, digest: Digest::of(b"other") };
    let (error, _) = lie(wrong_hash, &list, b"").await;
    assert_eq!(error.into_refusal().kind, RefusalKind::Integrity);
    let endless = Say::Offer { manifest_bytes: u64::MAX, digest: Digest::of(&list) };
    let (error, _) = lie(endless, b"", b"").await;
    assert_eq!(error.into_refusal().kind, RefusalKind::BadRequest);
}

#[tokio::test]
async fn content_that_does_not_match_or_does_not_end_is_refused() {
    let manifest = zeros(2, 100);
    let list = manifest.encode();
    let (error, sink) = lie(offer(&list), &list, &[1; 200]).await;
    assert_eq!((error.into_refusal().kind, sink.chunks.len()), (RefusalKind::Integrity, 0));
    let (error, sink) = lie(offer(&list), &list, &[0; 201]).await;
    assert_eq!(error.into_refusal().kind, RefusalKind::BadRequest);
    assert!(!sink.finished, "more than asked for is never made durable");
    let (error, sink) = lie(offer(&list), &list, &[0; 150]).await;
    assert_eq!((error.into_refusal().kind, sink.chunks.len()), (RefusalKind::Unreachable, 1));
}

/// Files of these sizes, none like another.
fn files(sizes: &[usize]) -> (Manifest, Vec<u8>) {
    let (mut entries, mut content) = (Vec::new(), Vec::new());
    for (i, size) in sizes.iter().enumerate() {
        let bytes: Vec<u8> = (0..*size).map(|at| (at / 7 + at * (i + 1)) as u8).collect();
        entries.push(FileEntry {
            path: CleanPath::new(format!("f{i:03}")).expect("clean"),
            size: *size as u64,
            exec: false,
            hash: Digest::of(&bytes),
            chunks: vec![],
            lengths: vec![],
        });
        content.extend(bytes);
    }
    (Manifest::new(entries).expect("valid"), content)
}

#[tokio::test]
async fn content_may_come_in_frames_of_any_size() {
    let (manifest, content) = files(&[3, 100_000, 0, 65_536, 65_535, 10, 4096, 300_000, 1, 131_072]);
    let list = manifest.encode();
    // As one side reads it, small frames and large ones, and frames that end in the middle of a file.
    for step in [1000, 4096, 65_535, 65_536, 100_003, MAX_RAW_BULK] {
        let (mut sender, mut wire) = wires();
        let mut sink = Keep::default();
        let sending = async {
            sender.send(Frame::json(&offer(&list)).expect("small")).await.expect("sent");
            sender.send(raw(&list)).await.expect("sent");
            assert!(sender.next().await.is_some() && sender.next().await.is_some());
            for data in content.chunks(step) {
                sender.send(raw(data)).await.expect("sent");
            }
            assert!(matches!(sender.next().await.expect("done").expect("done").parse(), Ok(Say::Done)));
            // The connection is good for more.
            sender.send(raw(b"next")).await.expect("sent");
        };
        let (received, ()) = tokio::join!(receive(&mut wire, None, &mut sink, |_, _| ()), sending);
        assert_eq!(received.expect("received").1, content.len() as u64, "{step}");
        assert!(sink.chunks.concat() == content && sink.finished, "{step}");
        assert_eq!(wire.next().await.expect("a frame").expect("whole"), raw(b"next"));
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_content_is_heard_and_any_other_word_refused() {
    let (manifest, content) = files(&[100_000, 200_000]);
    let list = manifest.encode();
    let refusal = Refusal::new(RefusalKind::BadRequest, "the disk broke");
    for word in [Say::Refused { refusal: refusal.clone() }, Say::Done] {
        let refused = matches!(word, Say::Refused { .. });
        let (mut liar, mut wire) = wires();
        let mut sink = Keep::default();
        let lying = async {
            for frame in [Frame::json(&offer(&list)).expect("small"), raw(&list), raw(&content[..150_000])] {
                liar.send(frame).await.expect("sent");
            }
            liar.send(Frame::json(&word).expect("small")).await.expect("sent");
            // What it hears ends it.
            while liar.next().await.is_some_and(|frame| !matches!(frame, Ok(Frame::Json(_)))) {}
            drop(liar);
        };
        let (received, ()) = tokio::join!(receive(&mut wire, None, &mut sink, |_, _| ()), lying);
        match received.expect_err("no more content") {
            TransferError::Theirs(theirs) => assert!(refused && theirs == refusal),
            other => assert!(!refused && other.to_string().contains("a message where content"), "{other}"),
        }
        assert!(!sink.finished && sink.chunks.len() == 1);
    }
}

/// Has parts of its chunks at hand now and then, as a machine does that is short of memory.
struct Fickle {
    files: Vec<Vec<u8>>,
    /// How long the next part is; nothing is at hand where it has no bytes.
    parts: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl ChunkSource for Fickle {
    async fn read(&mut self, _: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.files[at.file]))
    }
    fn at_hand(&mut self, at: ChunkAt, from: u64, len: usize) -> Option<Bytes> {
        assert!(at.len >= LARGE && from < at.len && len > 0, "{at:?}: {len} from {from}");
        let rest = &self.files[at.file][from as usize..];
        let part = self.parts.next().filter(|part| *part > 0)?.min(len).min(rest.len());
        Some(Bytes::copy_from_slice(&rest[..part]))
    }
}

proptest! {
    #[test]
    fn what_is_at_hand_and_what_is_not_arrive_as_one(
        lens in proptest::collection::vec(1usize..600_000, 1..5), parts in proptest::collection::vec(0usize..400_000, 1..6),
    ) {
        let files: Vec<Vec<u8>> =
            lens.iter().enumerate().map(|(n, len)| (0..*len).map(|i| (i % 251) as u8 ^ n as u8).collect()).collect();
        let entry = |(n, bytes): (usize, &Vec<u8>)| FileEntry {
            path: CleanPath::new(format!("f{n}")).expect("clean"),
            size: bytes.len() as u64,
            exec: false,
            hash: Digest::of(bytes),
            chunks: vec![],
            lengths: vec![],
        };
        let manifest = Manifest::new(files.iter().enumerate().map(entry).collect()).expect("valid");
        let mut source = Fickle { files: files.clone(), parts: parts.into_iter().cycle() };
        let ((mut a, mut b), mut sink) = (wires(), Keep::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (sent, got) = runtime.block_on(async {
            tokio::join!(send(&mut a, &manifest, &mut source, |_, _| ()), receive(&mut b, None, &mut sink, |_, _| ()))
        });
        prop_assert_eq!(sent.expect("sent"), lens.iter().sum::<usize>() as u64);
        got.expect("received");
        prop_assert!(sink.chunks.iter().zip(&files).all(|(got, is)| got[..] == is[..]) && sink.chunks.len() == files.len());
    }
}

/// A connection whose writer learns late that what it wrote is on its way: the other side has answered by then.
struct LateWriter {
    inner: DuplexStream,
    /// Bytes that were passed on, and how many more polls until the writer is told.
    written: Option<(usize, usize)>,
}

impl AsyncWrite for LateWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let (count, polls) = match self.written.take() {
            Some(written) => written,
            // More polls than the other side needs to read all of it and to answer.
            None => (ready!(Pin::new(&mut self.inner).poll_write(cx, buffer))?, 20),
        };
        if polls == 0 {
            return Poll::Ready(Ok(count));
        }
        self.written = Some((count, polls - 1));
        cx.waker().wake_by_ref();
        Poll::Pending
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for LateWriter {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

#[tokio::test]
async fn a_receiver_may_be_done_before_its_sender_knows_that_it_is() {
    // Whole frames and nothing over: the last of the content is on its way before the end of the list is reached. And one
    // that is not whole.
    for (files, len) in [(1, MAX_RAW_BULK), (4, MAX_RAW_BULK), (256, MAX_RAW_BULK / 64), (1, MAX_RAW_BULK - 1)] {
        // Read as a whole, and part by part.
        const { assert!(MAX_RAW_BULK as u64 >= LARGE) };
        for at_hand in if len as u64 >= LARGE { &[0, usize::MAX][..] } else { &[0] } {
            let (a, b) = tokio::io::duplex(4 * MAX_RAW_BULK);
            let mut a = Framed::new(LateWriter { inner: a, written: None }, FrameCodec::bulk());
            let mut b = Framed::new(b, FrameCodec::bulk());
            let (manifest, mut sink) = (zeros(files, len), Keep::default());
            let mut source = Fickle { files: vec![vec![0; len]; files], parts: vec![*at_hand].into_iter().cycle() };
            let (sent, got) = tokio::join!(
                send(&mut a, &manifest, &mut source, |_, _| ()),
                receive(&mut b, None, &mut sink, |_, _| ()),
            );
            assert_eq!(sent.expect("sent"), (files * len) as u64);
            got.expect("received");
            assert!(sink.finished);
        }
    }
}

#[tokio::test]
async fn a_receiver_whose_disk_fills_up_says_so_to_a_sender_in_full_flow() {
    let (mut a, mut b) = wires();
    let manifest = zeros(500, 100_000);
    let mut sink = Keep { refuse_after: Some(3), ..Keep::default() };
    let mut source = Zeros(usize::MAX);
    let (sent, received) = tokio::join!(send(&mut a, &manifest, &mut source, |_, _| ()), async {
        let received = receive(&mut b, None, &mut sink, |_, _| ()).await;
        drop(b);
        received
    });
    assert_eq!(sent.expect_err("refused").into_refusal().kind, RefusalKind::DiskFull);
    assert!(received.is_err());
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_is_told_to_both_sides() {
    let (mut a, mut b) = wires();
    let manifest = zeros(3, 1000);
    let mut source = Zeros(999);
    let mut sink = Keep::default();
    let (sent, received) =
        tokio::join!(send(&mut a, &manifest, &mut source, |_, _| ()), receive(&mut b, None, &mut sink, |_, _| ()));
    for error in [sent.expect_err("short"), received.map(|_| ()).expect_err("short")] {
        assert!(error.to_string().contains("changed while it was being sent"), "{error}");
    }
}

#[tokio::test]
async fn a_sender_hears_nonsense_as_nonsense() {
    for bitmap in [0u64, 2, u64::MAX] {
        let (mut a, mut b) = wires();
        let manifest = zeros(3, 10);
        let mut source = Zeros(10);
        let nonsense = async {
            let _ = (b.next().await, b.next().await);
            let need = Say::Need { chunks: 3, bytes: 30, bitmap_bytes: bitmap };
            let _ = b.send(Frame::json(&need).expect("small")).await;
            drop(b);
        };
        let (sent, ()) = tokio::join!(send(&mut a, &manifest, &mut source, |_, _| ()), nonsense);
        assert!(sent.expect_err("nonsense").to_string().contains("wrong length"), "{bitmap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_waits_for_a_list_that_takes_long_and_hears_why_there_is_none() {
    let (mut a, mut b) = wires();
    let manifest = zeros(1, 10);
    // Far longer than a receiver waits in silence.
    let slow = async {
        tokio::time::sleep(super::words::IDLE * 10).await;
        Ok(manifest.clone())
    };
    let mut sink = Keep::default();
    let sending = async {
        let ready = prepare(&mut a, slow).await.expect("ready");
        send(&mut a, &ready, &mut Zeros(usize::MAX), |_, _| ()).await
    };
    let (sent, received) = tokio::join!(sending, receive(&mut b, None, &mut sink, |_, _| ()));
    assert!(sent.is_ok() && received.is_ok() && sink.finished);

    let (mut a, mut b) = wires();
    let nothing = async { Err::<(), _>(Refusal::new(RefusalKind::NoEnvironment, "it is gone")) };
    let (gave, received) = tokio::join!(prepare(&mut a, nothing), receive(&mut b, None, &mut sink, |_, _| ()));
    assert!(gave.is_err());
    assert_eq!(received.expect_err("nothing").into_refusal().kind, RefusalKind::NoEnvironment);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_only_ever_says_wait_is_given_up() {
    let (mut liar, mut wire) = wires();
    let mut sink = Keep::default();
    let lying = async {
        for _ in 0..=super::words::MOST_WAITS {
            liar.send(Frame::json(&Say::Wait).expect("small")).await.expect("sent");
        }
        // What it hears ends it.
        let _ = liar.next().await;
        drop(liar);
    };
    let (received, ()) = tokio::join!(receive(&mut wire, None, &mut sink, |_, _| ()), lying);
    assert_eq!(received.expect_err("given up").into_refusal().kind, RefusalKind::BadRequest);
}
