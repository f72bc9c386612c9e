//! Frames in and out, none of them later than [`IDLE`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::pieces::Pieces;
use super::words::{IDLE, STREAM, Say, TransferError};
use crate::wire::frame::{Announced, Frame, FrameCodec, FrameError, HEADER, STREAM_ID};
use crate::wire::refusal::{Refusal, RefusalKind};

pub(super) async fn push<S>(framed: &mut Framed<S, FrameCodec>, frame: Frame) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(IDLE, framed.feed(frame)).await {
        Err(_) => Err(TransferError::Idle),
        Ok(done) => Ok(done?),
    }
}

/// Sends everything in `content` as one raw frame, from where it lies: gigabytes are not copied into a frame first.
pub(super) async fn push_content<S>(
    framed: &mut Framed<S, FrameCodec>,
    content: &mut Pieces,
) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = framed.codec().raw_head(STREAM, content.remaining())?;
    content.push_front(Bytes::copy_from_slice(&head));
    // Frames that wait go first.
    if !framed.write_buffer().is_empty() {
        flush(framed).await?;
    }
    match timeout(IDLE, framed.get_mut().write_all_buf(content)).await {
        Err(_) => Err(TransferError::Idle),
        Ok(done) => Ok(done.map_err(FrameError::Io)?),
    }
}

pub(super) async fn flush<S>(framed: &mut Framed<S, FrameCodec>) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(IDLE, SinkExt::<Frame>::flush(framed)).await {
        Err(_) => Err(TransferError::Idle),
        Ok(done) => Ok(done?),
    }
}

pub(super) async fn next<S>(framed: &mut Framed<S, FrameCodec>) -> Result<Frame, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(IDLE, framed.next()).await {
        Err(_) => Err(TransferError::Idle),
        Ok(None) => Err(FrameError::Closed.into()),
        Ok(Some(frame)) => Ok(frame?),
    }
}

/// The next word. A refusal of the other side is an error here.
pub(super) async fn hear<S>(framed: &mut Framed<S, FrameCodec>) -> Result<Say, TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match next(framed).await?.parse()? {
        Say::Refused { refusal } => Err(TransferError::Theirs(refusal)),
        say => Ok(say),
    }
}

/// The raw frames of a transfer's content, read to where it is wanted: it is not copied out of frames.
pub(super) struct Content<'a, S> {
    framed: &'a mut Framed<S, FrameCodec>,
    /// What was read together with the frame before.
    early: BytesMut,
    /// Bytes of the frame at hand that have not been read.
    left: usize,
}

/// Chunks of this size and more are read into a buffer of their own. Before smaller ones, the whole frame is read at
/// once, with all those that it has.
const ALONE: usize = 64 << 10;

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Content<'a, S> {
    pub(super) fn of(framed: &'a mut Framed<S, FrameCodec>) -> Self {
        let early = std::mem::take(framed.read_buffer_mut());
        Self { framed, early, left: 0 }
    }

    /// Reads on until `into` has at least `want` bytes, and at most the rest of one frame beyond them.
    pub(super) async fn fill(&mut self, into: &mut BytesMut, want: usize) -> Result<(), TransferError> {
        let mut head = BytesMut::new();
        // No frame of a transfer is shorter: a raw one begins with the id of its stream, and no message has fewer bytes.
        let mut lacking = HEADER + STREAM_ID;
        while into.len() < want {
            let lacks = want - into.len();
            let (place, count) = match self.left {
                0 => (&mut head, lacking),
                left if want < ALONE => (&mut *into, left),
                left => {
                    into.reserve(lacks);
                    (&mut *into, left.min(lacks))
                }
            };
            timeout(IDLE, self.read(place, count)).await.unwrap_or(Err(TransferError::Idle))?;
            if self.left > 0 {
                self.left -= count;
                continue;
            }
            let Some(header) = head.first_chunk() else { continue };
            match self.framed.codec().announced(*header)? {
                Announced::Raw(len) => {
                    self.left = len - STREAM_ID;
                    head.clear();
                    if self.left == 0 {
                        return Err(bad("the content broke off".into()));
                    }
                }
                Announced::Json(len) if head.len() < HEADER + len => lacking = HEADER + len - head.len(),
                Announced::Json(_) => {
                    return match Frame::Json(head.split_off(HEADER).freeze()).parse()? {
                        Say::Refused { refusal } => Err(TransferError::Theirs(refusal)),
                        _ => Err(bad("a message where content was expected".into())),
                    };
                }
            }
        }
        Ok(())
    }

    /// Whether the frame at hand was read to its end. Frames are read as usual from here on.
    pub(super) fn end(self) -> bool {
        *self.framed.read_buffer_mut() = self.early;
        self.left == 0
    }

    /// Reads so many bytes, whatever they are, behind what `into` has.
    pub(super) async fn read(&mut self, into: &mut BytesMut, count: usize) -> Result<(), TransferError> {
        into.reserve(count);
        let mut into = into.limit(count);
        let early = self.early.split_to(self.early.len().min(count));
        into.put_slice(&early);
        while into.has_remaining_mut() {
            if self.framed.get_mut().read_buf(&mut into).await.map_err(FrameError::Io)? == 0 {
                return Err(FrameError::Closed.into());
            }
        }
        Ok(())
    }
}

pub(super) fn bad(text: String) -> TransferError {
    TransferError::Ours(Refusal::new(RefusalKind::BadRequest, text))
}

pub(super) fn unexpected(say: &Say) -> TransferError {
    FrameError::Malformed(format!("unexpected word in a transfer: {say:?}")).into()
}
