//! Frames in and out, none of them later than [`IDLE`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::LARGE;
use super::pieces::Pieces;
use super::spare::Spare;
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
    /// Chunks that were read and not asked for yet, and perhaps the beginning of another.
    pending: BytesMut,
    /// Those of large chunks.
    spare: Spare,
}

/// Chunks of this size and more are read into a buffer of their own. Before smaller ones, the whole frame is read at
/// once, with all those that it has.
const ALONE: usize = 64 << 10;

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Content<'a, S> {
    pub(super) fn of(framed: &'a mut Framed<S, FrameCodec>) -> Self {
        let early = std::mem::take(framed.read_buffer_mut());
        Self { framed, early, left: 0, pending: BytesMut::new(), spare: Spare::default() }
    }

    /// The next `len` bytes, in one piece.
    pub(super) async fn chunk(&mut self, len: usize) -> Result<Bytes, TransferError> {
        let is_alone = len >= LARGE as usize && self.pending.len() < len;
        let mut into = std::mem::take(&mut self.pending);
        if is_alone {
            let begun = std::mem::replace(&mut into, self.spare.room(len));
            into.extend_from_slice(&begun);
        }
        self.fill(&mut into, len).await?;
        if is_alone {
            return Ok(self.spare.lend(into));
        }
        self.pending = into;
        Ok(self.pending.split_to(len).freeze())
    }

    /// Reads on until `into` has at least `want` bytes. Before [`ALONE`] of them, at most the rest of one frame beyond.
    async fn fill(&mut self, into: &mut BytesMut, want: usize) -> Result<(), TransferError> {
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

    /// Whether nothing is left over of what was read, and of the frame at hand. Frames are read as usual from here on.
    pub(super) fn end(self) -> bool {
        *self.framed.read_buffer_mut() = self.early;
        self.left == 0 && self.pending.is_empty()
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
