//! What a container writes: the engine's one attached stream, taken apart into stdout and stderr.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// Pieces (of up to 64 KiB) that wait for the reader of one stream. A full queue stops the reading of the attached
/// stream, then the engine, then the job: that is how the output cap holds a job.
const QUEUED_PIECES: usize = 4;

/// A killed job's output that nobody takes for this long (its reader is over its cap) is given up: dockerd 20.10 waits
/// for whoever is attached with the container locked, so it would neither report the end nor remove it.
const STALLED: Duration = Duration::from_millis(500);

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

/// Makes the two ends and the task that fills them. The task ends with the stream; once `killed` is true it also ends
/// when a reader has taken nothing for [`STALLED`].
pub(super) fn split(
    attached: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
    killed: watch::Receiver<bool>,
) -> (Output, Output, impl Future<Output = Drained>) {
    let (out_tx, out_rx) = mpsc::channel(QUEUED_PIECES);
    let (err_tx, err_rx) = mpsc::channel(QUEUED_PIECES);
    let output = |pieces| Output { pieces, current: Bytes::new() };
    (output(out_rx), output(err_rx), pump(attached, killed, out_tx, err_tx))
}

async fn pump(
    mut attached: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
    mut killed: watch::Receiver<bool>,
    stdout: mpsc::Sender<Bytes>,
    stderr: mpsc::Sender<Bytes>,
) -> Drained {
    let mut drained = Drained::default();
    while let Some(item) = attached.next().await {
        let (to, message) = match item {
            Ok(LogOutput::StdOut { message }) => (&stdout, message),
            Ok(LogOutput::StdErr { message }) => {
                let room = FIRST_WORDS - drained.first_error.len();
                drained.first_error.extend_from_slice(&message[..message.len().min(room)]);
                (&stderr, message)
            }
            Ok(LogOutput::StdIn { .. }) => continue,
            // Bytes without a frame: the end of a stream that was cut inside one (these containers have no terminal).
            Ok(LogOutput::Console { .. }) => {
                drained.broken = Some("the engine's output stream was cut off".to_owned());
                break;
            }
            Err(e) => {
                drained.broken = Some(super::error::words(&e));
                break;
            }
        };
        tokio::select! {
            // A reader that is gone wants no more of its stream; the other one still counts.
            _ = to.send(message) => {}
            () = stalled(&mut killed) => break,
        }
    }
    drained
}

/// Resolves when a job was killed and its output is then not taken.
async fn stalled(killed: &mut watch::Receiver<bool>) {
    if killed.wait_for(|killed| *killed).await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(STALLED).await;
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
        let (mut stdout, mut stderr, pump) = split(futures_util::stream::iter(frames), watch::channel(false).1);
        let (mut a, mut b) = (String::new(), String::new());
        let (x, y, drained) = tokio::join!(stdout.read_to_string(&mut a), stderr.read_to_string(&mut b), pump);
        assert_eq!((x.expect("read"), y.expect("read")), (3, 2));
        assert_eq!((a.as_str(), b.as_str()), ("abc", "EF"));
        assert_eq!((drained.broken, drained.first_error), (None, b"EF".to_vec()));
    }

    #[tokio::test]
    async fn a_reader_that_stops_holds_the_stream_back() {
        let many: Vec<_> = (0..100).map(|_| out("x")).collect();
        let (_alive, killed) = watch::channel(false);
        let (stdout, _stderr, pump) = split(futures_util::stream::iter(many), killed);
        let mut pump = std::pin::pin!(pump);
        tokio::select! {
            biased;
            _ = &mut pump => panic!("nobody read, yet all was taken"),
            () = std::future::ready(()) => {}
        }
        drop(stdout);
        assert_eq!(pump.await.broken, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_of_a_killed_job_is_given_up() {
        let many = futures_util::stream::repeat_with(|| out("x"));
        let (kill, killed) = watch::channel(false);
        let (_stdout, _stderr, pump) = split(many, killed);
        let mut pump = std::pin::pin!(pump);
        assert!(tokio::time::timeout(Duration::from_secs(3600), pump.as_mut()).await.is_err());
        kill.send_replace(true);
        assert_eq!(pump.await.broken, None);
    }

    #[tokio::test]
    async fn a_stream_cut_inside_a_frame_is_noticed() {
        let cut = Ok(LogOutput::Console { message: Bytes::from_static(b"half") });
        let (_out, _err, pump) = split(futures_util::stream::iter([out("a"), cut]), watch::channel(false).1);
        assert!(pump.await.broken.is_some());
    }
}
