//! Frames in and out, none of them later than [`IDLE`].

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::words::{IDLE, Say, TransferError};
use crate::wire::frame::{Frame, FrameCodec, FrameError};

pub(super) async fn push<S>(framed: &mut Framed<S, FrameCodec>, frame: Frame) -> Result<(), TransferError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(IDLE, framed.feed(frame)).await {
        Err(_) => Err(TransferError::Idle),
        Ok(done) => Ok(done?),
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

pub(super) fn unexpected(say: &Say) -> TransferError {
    FrameError::Malformed(format!("unexpected word in a transfer: {say:?}")).into()
}
