//! The receiving side.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::frames::{Content, bad, flush, hear, next, push};
use super::words::{MAX_MANIFEST, MOST_WAITS, SHORT_LIST, STREAM, Say, TransferError};
use super::{ChunkSink, chunks};
use crate::model::{Digest, Manifest};
use crate::wire::frame::{Frame, FrameCodec, MAX_RAW_BULK};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Receives one transfer into `sink`. When `expect` is given, any other manifest is refused. `progress` hears (bytes
/// done, bytes wanted). Returns the manifest and the bytes of content that came.
///
/// # Errors
/// See [`TransferError`]; the sender was told, and the connection is of no more use.
pub async fn receive<S, W>(
    framed: &mut Framed<S, FrameCodec>,
    expect: Option<Digest>,
    sink: &mut W,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<(Manifest, u64), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    W: ChunkSink,
{
    match receive_inner(framed, expect, sink, &mut progress).await {
        Err(TransferError::Ours(refusal)) => {
            refuse(framed, &refusal).await;
            Err(TransferError::Ours(refusal))
        }
        other => other,
    }
}

async fn receive_inner<S, W>(
    framed: &mut Framed<S, FrameCodec>,
    expect: Option<Digest>,
    sink: &mut W,
    progress: &mut (impl FnMut(u64, u64) + Send),
) -> Result<(Manifest, u64), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    W: ChunkSink,
{
    let mut waits = 0;
    let (manifest_bytes, digest) = loop {
        match hear(framed).await? {
            Say::Offer { manifest_bytes, digest } => break (manifest_bytes, digest),
            Say::Wait if waits < MOST_WAITS => waits += 1,
            _ => return Err(bad("a transfer must begin with an offer".into())),
        }
    };
    if expect.is_some_and(|e| e != digest) {
        return Err(TransferError::Ours(Refusal::new(
            RefusalKind::Integrity,
            "the file list is not the one that was announced",
        )));
    }
    if manifest_bytes > MAX_MANIFEST {
        return Err(bad(format!("a file list of {manifest_bytes} bytes is over the cap of {MAX_MANIFEST}")));
    }
    let known = if manifest_bytes > SHORT_LIST { sink.known(digest).await } else { None };
    let manifest = match known {
        Some(manifest) => manifest,
        None => hear_list(framed, manifest_bytes, digest).await?,
    };

    let wanted = sink.wants(&manifest).await.map_err(TransferError::Ours)?;
    let mut bitmap = vec![0u8; chunks(&manifest).count().div_ceil(8)];
    let (mut count, mut total) = (0, 0);
    for (i, (at, _)) in chunks(&manifest).zip(&wanted).enumerate().filter(|(_, (_, want))| **want) {
        bitmap[i / 8] |= 1 << (i % 8);
        count += 1;
        total += at.len;
    }
    say(framed, &Say::Need { chunks: count, bytes: total, bitmap_bytes: bitmap.len() as u64 }).await?;
    for piece in bitmap.chunks(MAX_RAW_BULK) {
        push(framed, Frame::Raw { stream: STREAM, data: Bytes::copy_from_slice(piece) }).await?;
    }
    flush(framed).await?;
    progress(0, total);

    let mut got = 0;
    let mut content = Content::of(framed);
    for (at, _) in chunks(&manifest).zip(&wanted).filter(|(_, want)| **want) {
        let bytes = content.chunk(at.len as usize).await?;
        if !W::VERIFIES && Digest::of(&bytes) != at.digest {
            return Err(TransferError::Ours(other_bytes(&manifest, at.file)));
        }
        sink.write(&manifest, at, bytes).await.map_err(TransferError::Ours)?;
        got += at.len;
        progress(got, total);
    }
    if !content.end() {
        return Err(bad("more content than was asked for".into()));
    }
    sink.finish(&manifest).await.map_err(TransferError::Ours)?;
    say(framed, &Say::Done).await?;
    flush(framed).await?;
    Ok((manifest, got))
}

/// What a sender is told whose bytes are not those that it announced for a file.
pub fn other_bytes(manifest: &Manifest, file: usize) -> Refusal {
    let path = &manifest.files()[file].path;
    Refusal::new(RefusalKind::Integrity, format!("{path} does not match its hash; it changed while it was being sent"))
}

/// The file list, asked for if it is long, and checked.
async fn hear_list<S>(
    framed: &mut Framed<S, FrameCodec>,
    manifest_bytes: u64,
    digest: Digest,
) -> Result<Manifest, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if manifest_bytes > SHORT_LIST {
        say(framed, &Say::List).await?;
        flush(framed).await?;
    }
    let mut list = Vec::new();
    while (list.len() as u64) < manifest_bytes {
        match next(framed).await? {
            Frame::Raw { data, .. } if !data.is_empty() => list.extend_from_slice(&data),
            _ => return Err(bad("the file list broke off".into())),
        }
    }
    if list.len() as u64 != manifest_bytes || Digest::of(&list) != digest {
        return Err(TransferError::Ours(Refusal::new(RefusalKind::Integrity, "the file list does not match its hash")));
    }
    let manifest = Manifest::decode(&list).map_err(|e| bad(e.to_string()))?;
    // The digest is over the canonical form; another spelling of the same list would get another name.
    if manifest.digest() != digest {
        return Err(bad("the file list is not in canonical form".into()));
    }
    Ok(manifest)
}

/// Tells the sender why, then reads on for a moment: closing with unread data would reset the connection and the
/// reason with it.
async fn refuse<S>(framed: &mut Framed<S, FrameCodec>, refusal: &Refusal)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// A sender looks for a refusal after each chunk and then hangs up; this is ample for one chunk on a slow line.
    const DRAIN: Duration = Duration::from_secs(5);
    if say(framed, &Say::Refused { refusal: refusal.clone() }).await.is_err() || flush(framed).await.is_err() {
        return;
    }
    // Perhaps in the middle of a frame, so bytes, not frames.
    let (mut content, mut rest) = (Content::of(framed), BytesMut::new());
    let drain = async {
        while content.read(&mut rest, 64 << 10).await.is_ok() {
            rest.clear();
        }
    };
    let _ = timeout(DRAIN, drain).await;
}

async fn say<S>(framed: &mut Framed<S, FrameCodec>, word: &Say) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    push(framed, Frame::json(word)?).await
}
