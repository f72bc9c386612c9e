//! The bandwidth that transfers with other machines may take: a token bucket each way, shared by all bulk connections.
//! Logs and messages are not held back; they are small.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::room::lock;
use super::secure::{Frames, Wire, carried_by};

/// What may pass at once after a rest, as a time: long enough that timers need not be exact, short enough that nobody
/// else on the line notices.
const BURST: Duration = Duration::from_millis(50);

/// Most bytes that are passed on at once: at a megabyte per second, what takes about a [`BURST`].
const AT_ONCE: usize = 64 << 10;

/// Bytes that may pass (pure). What passes is counted afterwards, so the level may fall below zero and is waited for.
#[derive(Debug)]
struct Bucket {
    /// Bytes per second.
    rate: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        Self { rate: rate as f64, level: 0.0, filled: now }
    }

    /// How long nothing may pass; `None` when something may.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.rate * BURST.as_secs_f64());
        self.filled = now;
        (self.level < 0.0).then(|| Duration::from_secs_f64((-self.level / self.rate).min(60.0)))
    }

    fn spend(&mut self, bytes: usize) {
        self.level -= bytes as f64;
    }
}

/// The bandwidth of this machine's transfers.
#[derive(Debug)]
pub(super) struct Pace {
    inward: Mutex<Bucket>,
    outward: Mutex<Bucket>,
}

impl Pace {
    /// So many bytes a second each way; `None` for 0, which is no limit.
    pub(super) fn of(rate: u64) -> Option<Arc<Self>> {
        let bucket = || Mutex::new(Bucket::new(rate, Instant::now()));
        (rate > 0).then(|| Arc::new(Self { inward: bucket(), outward: bucket() }))
    }
}

/// The same connection, kept to `pace`.
pub(super) fn keep(frames: Frames, pace: &Option<Arc<Pace>>) -> Frames {
    let Some(pace) = pace.clone() else { return frames };
    let timer = || Box::pin(sleep(Duration::ZERO));
    carried_by(frames, |inner| Box::new(Paced { inner, pace, reading: timer(), writing: timer() }))
}

struct Paced {
    inner: Box<dyn Wire>,
    pace: Arc<Pace>,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
}

fn turn(bucket: &Mutex<Bucket>, timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        // In a statement of its own: the lock is not held while the timer is polled.
        let wait = lock(bucket).wait(Instant::now());
        let Some(wait) = wait else { return Poll::Ready(()) };
        timer.as_mut().reset(tokio::time::Instant::now() + wait);
        ready!(timer.as_mut().poll(cx));
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(turn(&this.pace.inward, &mut this.reading, cx));
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        lock(&this.pace.inward).spend(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(turn(&this.pace.outward, &mut this.writing, cx));
        let bytes = &bytes[..bytes.len().min(AT_ONCE)];
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
        lock(&this.pace.outward).spend(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().map(|slice| slice.len()).sum::<usize>() > AT_ONCE
            && let Some(first) = slices.iter().find(|slice| !slice.is_empty())
        {
            return self.poll_write(cx, first);
        }
        let this = &mut *self;
        ready!(turn(&this.pace.outward, &mut this.writing, cx));
        let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, slices))?;
        lock(&this.pace.outward).spend(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::secure::bulk;
    use super::*;
    use crate::wire::frame::{Frame, FrameCodec};
    use futures_util::{SinkExt, StreamExt};
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    proptest! {
        #[test]
        fn no_order_of_writes_passes_more_than_the_rate(
            rate in 1_000u64..1 << 30, steps in proptest::collection::vec((0usize..300_000, 0u64..400), 1..200),
        ) {
            let begun = Instant::now();
            let (mut now, mut bucket, mut passed, mut last) = (begun, Bucket::new(rate, begun), 0usize, 0usize);
            for (bytes, ms) in steps {
                now += Duration::from_millis(ms);
                if bucket.wait(now).is_none() {
                    bucket.spend(bytes);
                    passed += bytes;
                    last = bytes;
                }
                let fair = rate as f64 * ((now - begun).as_secs_f64() + BURST.as_secs_f64());
                // The last one is waited for afterwards.
                prop_assert!(passed as f64 <= fair + last as f64 + 1.0, "{passed} in {:?}", now - begun);
            }
        }

        #[test]
        fn after_the_wait_it_goes_on(rate in 1_000u64..1 << 30, bytes in 0usize..50_000) {
            let now = Instant::now();
            let mut bucket = Bucket::new(rate, now);
            bucket.spend(bytes);
            let wait = bucket.wait(now).unwrap_or_default();
            prop_assert!(wait == Duration::from_secs(60) || bucket.wait(now + wait + Duration::from_micros(1)).is_none());
        }
    }

    #[tokio::test]
    async fn frames_that_were_read_already_are_not_lost() {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (mut near, mut far) =
            (bulk(Frames::new(Box::new(near), FrameCodec::bulk())), Frames::new(Box::new(far), FrameCodec::bulk()));
        for number in [1u8, 2] {
            far.feed(Frame::json(&number).expect("fits")).await.expect("room");
        }
        SinkExt::<Frame>::flush(&mut far).await.expect("sent");
        assert_eq!(near.next().await.expect("open").expect("frame").parse::<u8>().expect("a number"), 1);
        let boundary = near.backpressure_boundary();
        let mut paced = keep(near, &Pace::of(1 << 20));
        assert_eq!(paced.backpressure_boundary(), boundary);
        drop(far);
        assert_eq!(paced.next().await.expect("kept").expect("frame").parse::<u8>().expect("a number"), 2);
    }

    #[tokio::test]
    async fn a_large_piece_is_not_passed_on_at_once() {
        let (near, _far) = tokio::io::duplex(1 << 20);
        let mut paced = keep(Frames::new(Box::new(near), FrameCodec::bulk()), &Pace::of(1 << 20)).into_parts().io;
        let bytes = vec![7u8; 4 * AT_ONCE];
        assert_eq!(paced.write(&bytes).await.expect("written"), AT_ONCE);
        let slices = [IoSlice::new(&bytes[..9]), IoSlice::new(&bytes)];
        assert_eq!(paced.write_vectored(&slices).await.expect("written"), 9);
    }

    #[tokio::test]
    async fn a_stream_keeps_to_its_pace_and_loses_nothing() {
        let (near, mut far) = tokio::io::duplex(64 << 10);
        let frames = Frames::new(Box::new(near), FrameCodec::bulk());
        let pace = Pace::of(4 << 20);
        let begun = Instant::now();
        let mut paced = keep(frames, &pace).into_parts().io;
        let sent = vec![7u8; 2 << 20];
        let (written, read) = tokio::join!(
            async {
                paced.write_all(&sent).await?;
                paced.shutdown().await
            },
            async {
                let mut all = Vec::new();
                far.read_to_end(&mut all).await.map(|_| all)
            }
        );
        written.expect("written");
        assert!(read.expect("read") == sent);
        // Never faster than the limit; how much slower is the machine's affair.
        assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    }
}
