//! What a container writes: the engine's one attached stream, taken apart into stdout and stderr.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::container::LogOutput;
use bollard::errors::Error;
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// Pieces (of up to 64 KiB) that wait for the reader of one stream. A full queue stops the reading of the attached
/// stream, then the engine, then the job: that is how the output cap holds a job.
const QUEUED_PIECES: usize = 4;

/// The most of a job's first words on stderr that is kept, to see whether they are the init program's.
const FIRST_WORDS: usize = 400;

/// The reading end of one stream.
#[derive(Debug)]
pub(super) struct Output {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl AsyncRead for Output {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match self.pieces.poll_recv(cx) {
                Poll::Ready(Some(piece)) => self.current = piece,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let n = self.current.len().min(buf.remaining());
        buf.put_slice(&self.current[..n]);
        self.current.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// What became of the attached stream.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Why it broke off, if it did.
    pub(super) broken: Option<String>,
    /// The first words on stderr.
    pub(super) first_error: Vec<u8>,
}

/// Makes the two ends and the task that fills them. The task ends with the stream.
pub(super) fn split(
    attached: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
) -> (Output, Output, impl Future<Output = Drained>) {
    let (out_tx, out_rx) = mpsc::channel(QUEUED_PIECES);
    let (err_tx, err_rx) = mpsc::channel(QUEUED_PIECES);
    let output = |pieces| Output { pieces, current: Bytes::new() };
    (output(out_rx), output(err_rx), pump(attached, out_tx, err_tx))
}

async fn pump(
    mut attached: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
    stdout: mpsc::Sender<Bytes>,
    stderr: mpsc::Sender<Bytes>,
) -> Drained {
    let mut drained = Drained::default();
    while let Some(item) = attached.next().await {
        // A reader that is gone wants no more of its stream; the other one still counts.
        match item {
            Ok(LogOutput::StdOut { message }) => drop(stdout.send(message).await),
            Ok(LogOutput::StdErr { message }) => {
                let room = FIRST_WORDS - drained.first_error.len();
                drained.first_error.extend_from_slice(&message[..message.len().min(room)]);
                drop(stderr.send(message).await);
            }
            Ok(LogOutput::StdIn { .. }) => {}
            // Bytes without a frame: the end of a stream that was cut inside one (these containers have no terminal).
            Ok(LogOutput::Console { .. }) => {
                drained.broken = Some("the engine's output stream was cut off".to_owned());
                break;
            }
            Err(e) => {
                drained.broken = Some(super::error::words(&e));
                break;
            }
        }
    }
    drained
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn out(text: &'static str) -> Result<LogOutput, Error> {
        Ok(LogOutput::StdOut { message: Bytes::from_static(text.as_bytes()) })
    }

    fn err(text: &'static str) -> Result<LogOutput, Error> {
        Ok(LogOutput::StdErr { message: Bytes::from_static(text.as_bytes()) })
    }

    #[tokio::test]
    async fn streams_are_taken_apart_and_end() {
        let frames = [out("a"), err("E"), out("bc"), err("F"), out("")];
        let (mut stdout, mut stderr, pump) = split(futures_util::stream::iter(frames));
        let (mut a, mut b) = (String::new(), String::new());
        let (x, y, drained) = tokio::join!(stdout.read_to_string(&mut a), stderr.read_to_string(&mut b), pump);
        assert_eq!((x.expect("read"), y.expect("read")), (3, 2));
        assert_eq!((a.as_str(), b.as_str()), ("abc", "EF"));
        assert_eq!((drained.broken, drained.first_error), (None, b"EF".to_vec()));
    }

    #[tokio::test]
    async fn a_reader_that_stops_holds_the_stream_back() {
        let many: Vec<_> = (0..100).map(|_| out("x")).collect();
        let (stdout, _stderr, pump) = split(futures_util::stream::iter(many));
        let mut pump = std::pin::pin!(pump);
        tokio::select! {
            biased;
            _ = &mut pump => panic!("nobody read, yet all was taken"),
            () = std::future::ready(()) => {}
        }
        drop(stdout);
        assert_eq!(pump.await.broken, None);
    }

    #[tokio::test]
    async fn a_stream_cut_inside_a_frame_is_noticed() {
        let cut = Ok(LogOutput::Console { message: Bytes::from_static(b"half") });
        let (_out, _err, pump) = split(futures_util::stream::iter([out("a"), cut]));
        assert!(pump.await.broken.is_some());
    }
}
