//! The sending side.

use std::iter::Peekable;

use bytes::{Buf, Bytes};
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

use super::frames::{flush, hear, next, push, push_content, unexpected};
use super::pieces::Pieces;
use super::words::{SHORT_LIST, STREAM, Say, TransferError, WAIT_EVERY};
use super::{ChunkAt, ChunkSource, LARGE, chunks};
use crate::model::Manifest;
use crate::wire::frame::{Frame, FrameCodec, FrameError, MAX_RAW_BULK};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Small chunks that are read at once: enough to make the hand-over to another thread small beside the reading, and
/// no more than the next frames will carry.
const BATCH_BYTES: u64 = 1 << 20;

/// Sends what `manifest` lists and the receiver lacks. `progress` hears (bytes done, bytes wanted). Returns the
/// bytes of content that were sent once the receiver has made everything durable.
///
/// # Errors
/// See [`TransferError`]; after any of them the connection is of no more use.
pub async fn send<S, R>(
    framed: &mut Framed<S, FrameCodec>,
    manifest: &Manifest,
    source: &mut R,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<u64, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: ChunkSource,
{
    let mut done = send_inner(framed, manifest, source, &mut progress).await;
    if let Err(error @ TransferError::Frame(FrameError::Io(_))) = done {
        done = Err(or_its_reason(framed, error).await);
    }
    match done {
        Err(error @ TransferError::Read { .. }) => {
            // So that the receiver says why and does not wait for the rest.
            let refusal = Refusal::new(RefusalKind::BadRequest, error.to_string());
            if push(framed, Frame::json(&Say::Refused { refusal })?).await.is_ok() {
                let _ = flush(framed).await;
            }
            Err(error)
        }
        Err(TransferError::Theirs(refusal)) if refusal.kind == RefusalKind::Integrity => {
            if !source.doubted().await {
                return Err(TransferError::Theirs(refusal));
            }
            let text = "a file was damaged on the disk of the machine that sends it, and was removed there";
            Err(TransferError::Ours(Refusal::new(RefusalKind::Integrity, text).hint("try again: it is read anew")))
        }
        done => done,
    }
}

/// Waits until what is to be sent is known, and keeps the receiver from giving up meanwhile. When it comes to nothing,
/// the receiver is told why.
///
/// # Errors
/// The refusal that came out of `work`, or the connection broke.
pub async fn prepare<S, T>(
    framed: &mut Framed<S, FrameCodec>,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(WAIT_EVERY, &mut work).await {
            Ok(Ok(ready)) => return Ok(ready),
            Ok(Err(refusal)) => {
                push(framed, Frame::json(&Say::Refused { refusal: refusal.clone() })?).await?;
                flush(framed).await?;
                return Err(TransferError::Ours(refusal));
            }
            Err(_) => {
                push(framed, Frame::json(&Say::Wait)?).await?;
                flush(framed).await?;
            }
        }
    }
}

async fn send_inner<S, R>(
    framed: &mut Framed<S, FrameCodec>,
    manifest: &Manifest,
    source: &mut R,
    progress: &mut (impl FnMut(u64, u64) + Send),
) -> Result<u64, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: ChunkSource,
{
    let (digest, manifest_bytes) = manifest.named();
    let mut asked = manifest_bytes <= SHORT_LIST;
    push(framed, Frame::json(&Say::Offer { manifest_bytes, digest })?).await?;
    let mut sent = false;
    let need = loop {
        if asked && !std::mem::replace(&mut sent, true) {
            for piece in Bytes::from(manifest.encode()).chunks_of(MAX_RAW_BULK) {
                push(framed, Frame::Raw { stream: STREAM, data: piece }).await?;
            }
        }
        flush(framed).await?;
        match hear(framed).await? {
            Say::List if !asked => asked = true,
            need => break need,
        }
    };
    let (wanted, bytes) = hear_need(framed, manifest, &need).await?;
    progress(0, bytes);
    let mut sent = 0;
    let mut frame = Pieces::default();
    let mut wanted = chunks(manifest).zip(wanted).filter_map(|(at, want)| want.then_some(at)).peekable();
    let mut ready = next_ready(source, manifest, &mut wanted).await?;
    while let Some(now) = ready {
        ready = match now {
            Ready::Read(chunks) => {
                sent += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
                // Reading what comes next and sending this overlap: disk and network work at the same time.
                let sending = push_data(framed, &mut frame, chunks);
                let (sending, reading) = tokio::join!(sending, next_ready(source, manifest, &mut wanted));
                sending?;
                reading?
            }
            Ready::AtHand(at, part) => {
                push_parts(framed, &mut frame, source, manifest, at, part).await?;
                sent += at.len;
                next_ready(source, manifest, &mut wanted).await?
            }
        };
        progress(sent, bytes);
        if ready.is_some() {
            // When that was all, the next word may be "done" already.
            refused_meanwhile(framed)?;
        }
    }
    if frame.has_remaining() {
        push_content(framed, &mut frame).await?;
    }
    flush(framed).await?;
    match hear(framed).await? {
        Say::Done => Ok(sent),
        other => Err(unexpected(&other)),
    }
}

/// A receiver that refuses half-way (disk full) has said so while we were sending: no need to send the rest.
fn refused_meanwhile<S>(framed: &mut Framed<S, FrameCodec>) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match framed.next().now_or_never() {
        None => Ok(()),
        Some(None) => Err(FrameError::Closed.into()),
        Some(Some(frame)) => match frame?.parse()? {
            Say::Refused { refusal } => Err(TransferError::Theirs(refusal)),
            other => Err(unexpected(&other)),
        },
    }
}

/// What is sent next.
enum Ready {
    Read(Vec<Bytes>),
    /// A chunk that need not be waited for, and its first part.
    AtHand(ChunkAt, Bytes),
}

async fn next_ready<R: ChunkSource>(
    source: &mut R,
    manifest: &Manifest,
    wanted: &mut Peekable<impl Iterator<Item = ChunkAt>>,
) -> Result<Option<Ready>, TransferError> {
    if let Some(at) = wanted.peek().copied().filter(|at| at.len >= LARGE)
        && let Some(part) = source.at_hand(at, 0, MAX_RAW_BULK)
    {
        wanted.next();
        return Ok(Some(Ready::AtHand(at, part)));
    }
    match batch(wanted) {
        batch if batch.is_empty() => Ok(None),
        batch => Ok(Some(Ready::Read(read(source, manifest, &batch).await?))),
    }
}

/// Sends a chunk part by part, as it is read.
async fn push_parts<S, R>(
    framed: &mut Framed<S, FrameCodec>,
    frame: &mut Pieces,
    source: &mut R,
    manifest: &Manifest,
    at: ChunkAt,
    first: Bytes,
) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: ChunkSource,
{
    let mut from = first.len() as u64;
    push_data(framed, frame, vec![first]).await?;
    while from < at.len {
        let len = (at.len - from).min((MAX_RAW_BULK - frame.remaining()) as u64) as usize;
        let part = match source.at_hand(at, from, len) {
            Some(part) => part,
            // The machine needed that memory for something else: the rest is waited for.
            None => {
                let mut whole = read(source, manifest, &[at]).await?;
                whole.pop().unwrap_or_default().slice(from as usize..)
            }
        };
        from += part.len() as u64;
        push_data(framed, frame, vec![part]).await?;
    }
    Ok(())
}

/// What is read at once: one chunk, or several small ones.
fn batch(wanted: &mut Peekable<impl Iterator<Item = ChunkAt>>) -> Vec<ChunkAt> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(at) = wanted.next_if(|at| batch.is_empty() || bytes + at.len <= BATCH_BYTES) {
        bytes += at.len;
        batch.push(at);
    }
    batch
}

async fn read<R: ChunkSource>(
    source: &mut R,
    manifest: &Manifest,
    wanted: &[ChunkAt],
) -> Result<Vec<Bytes>, TransferError> {
    let fail = |index: usize, source| {
        let at: &ChunkAt = &wanted[index];
        TransferError::Read { path: manifest.files()[at.file].path.to_string(), source }
    };
    let all = source.read_all(manifest, wanted).await.map_err(|(index, e)| fail(index, e))?;
    match wanted.iter().zip(&all).position(|(at, bytes)| bytes.len() as u64 != at.len) {
        None => Ok(all),
        Some(index) => Err(fail(index, std::io::Error::other("it changed while it was being sent"))),
    }
}

async fn hear_need<S>(
    framed: &mut Framed<S, FrameCodec>,
    manifest: &Manifest,
    need: &Say,
) -> Result<(Vec<bool>, u64), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let nonsense = |text: &str| TransferError::Frame(FrameError::Malformed(text.into()));
    let Say::Need { bitmap_bytes, .. } = *need else {
        return Err(nonsense("the receiver did not say what it needs"));
    };
    let count = chunks(manifest).count();
    if bitmap_bytes != count.div_ceil(8) as u64 {
        return Err(nonsense("the list of wanted chunks has the wrong length"));
    }
    let mut bitmap = Vec::with_capacity(bitmap_bytes as usize);
    while (bitmap.len() as u64) < bitmap_bytes {
        match next(framed).await? {
            Frame::Raw { data, .. } if !data.is_empty() => bitmap.extend_from_slice(&data),
            _ => return Err(nonsense("the list of wanted chunks broke off")),
        }
    }
    let wanted: Vec<bool> = (0..count).map(|i| bitmap[i / 8] & (1 << (i % 8)) != 0).collect();
    let bytes = chunks(manifest).zip(&wanted).filter(|(_, want)| **want).map(|(at, _)| at.len).sum();
    Ok((wanted, bytes))
}

/// Fills frames of the best size from chunks of any size.
async fn push_data<S>(
    framed: &mut Framed<S, FrameCodec>,
    frame: &mut Pieces,
    chunks: Vec<Bytes>,
) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for mut chunk in chunks {
        while !chunk.is_empty() {
            frame.push(chunk.split_to(chunk.len().min(MAX_RAW_BULK - frame.remaining())));
            if frame.remaining() == MAX_RAW_BULK {
                push_content(framed, frame).await?;
            }
        }
    }
    Ok(())
}

/// When writing fails because the other side hung up, what it said before tells more.
async fn or_its_reason<S>(framed: &mut Framed<S, FrameCodec>, error: TransferError) -> TransferError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match (&error, hear(framed).await) {
        (TransferError::Frame(_), Err(TransferError::Theirs(refusal))) => TransferError::Theirs(refusal),
        _ => error,
    }
}

trait ChunksOf {
    fn chunks_of(self, len: usize) -> impl Iterator<Item = Bytes>;
}

impl ChunksOf for Bytes {
    /// Cuts without copying.
    fn chunks_of(mut self, len: usize) -> impl Iterator<Item = Bytes> {
        std::iter::from_fn(move || (!self.is_empty()).then(|| self.split_to(len.min(self.len()))))
    }
}
