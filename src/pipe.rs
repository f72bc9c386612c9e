//! Output logs on disk: one writer, any number of cursors that wake up when it grows.
//!
//! Bytes never pass a mailbox: a job's output is a file (see [`crate::wire::output`]), on the worker written by the
//! job's supervisor, on the submitter by the link session. Streaming is a cursor over it, so a slow reader stalls
//! nobody and coming back later costs nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio::task::{spawn_blocking, yield_now};

use crate::cached::read_cached;

/// How far a log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogState {
    /// Its length in bytes.
    pub len: u64,
    /// Nothing will be added any more.
    pub done: bool,
}

/// A log that others may follow. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OutputLog {
    path: Arc<PathBuf>,
    state: watch::Receiver<LogState>,
}

/// The writing end of an [`OutputLog`]'s announcements. The bytes themselves are written by whoever owns the file.
#[derive(Debug)]
pub struct LogAnnouncer {
    state: watch::Sender<LogState>,
}

impl OutputLog {
    /// A log at `path` that is `state` long now, and the handle by which its growth is announced.
    pub fn new(path: impl Into<PathBuf>, state: LogState) -> (LogAnnouncer, Self) {
        let (tx, rx) = watch::channel(state);
        (LogAnnouncer { state: tx }, Self { path: Arc::new(path.into()), state: rx })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it has come.
    pub fn state(&self) -> LogState {
        *self.state.borrow()
    }

    /// Starts reading at `from`.
    pub fn cursor(&self, from: u64) -> Cursor {
        Cursor { log: self.clone(), at: from, file: None }
    }
}

impl LogAnnouncer {
    /// Announces that the log is `len` long.
    pub fn grown(&self, len: u64) {
        self.state.send_if_modified(|s| {
            let news = len > s.len;
            s.len = s.len.max(len);
            news
        });
    }

    /// Announces that nothing will be added.
    pub fn done(&self) {
        self.state.send_if_modified(|s| !std::mem::replace(&mut s.done, true));
    }

    /// How far it has come.
    pub fn state(&self) -> LogState {
        *self.state.borrow()
    }
}

/// A reader's place in a log.
#[derive(Debug)]
pub struct Cursor {
    log: OutputLog,
    at: u64,
    file: Option<Arc<File>>,
}

impl Cursor {
    /// The offset of the next byte it will give.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The next bytes, at most `max`; waits for them. `None` once the log is done and read to its end.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn next(&mut self, max: usize) -> io::Result<Option<Bytes>> {
        loop {
            let state = *self.log.state.borrow_and_update();
            if self.at < state.len {
                return self.read(max.min((state.len - self.at) as usize)).await.map(Some);
            }
            if state.done {
                return Ok(None);
            }
            if self.log.state.changed().await.is_err() {
                // The announcer is gone without a word (homied shuts down): what was announced has been read.
                return Ok(None);
            }
        }
    }

    /// What is there now, at most `max`; empty at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn available(&mut self, max: usize) -> io::Result<Bytes> {
        let len = self.log.state().len;
        if self.at >= len { Ok(Bytes::new()) } else { self.read(max.min((len - self.at) as usize)).await }
    }

    async fn read(&mut self, want: usize) -> io::Result<Bytes> {
        // What is at hand is given without a wait: whoever also listens to something else, as followers do, must come to it
        // between two pieces of a log that has no end.
        yield_now().await;
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let path = Arc::clone(&self.log.path);
                let file = Arc::new(in_a_thread(move || File::open(&*path)).await?);
                Arc::clone(self.file.insert(file))
            }
        };
        let (mut buf, at) = (BytesMut::zeroed(want), self.at);
        // A log is mostly read right after it was written, and a turn of another thread for each line delays it on a busy
        // machine by milliseconds.
        let got = match read_cached(&file, &mut buf, at) {
            Some(got) => got,
            None => {
                let (full, got) = in_a_thread(move || {
                    loop {
                        match file.read_at(&mut buf, at) {
                            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                            got => return got.map(|got| (buf, got)),
                        }
                    }
                })
                .await?;
                buf = full;
                got
            }
        };
        if got == 0 {
            self.file = None;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the output log is shorter than announced"));
        }
        buf.truncate(got);
        self.at += got as u64;
        Ok(buf.freeze())
    }
}

/// Away from the runtime's threads, since a disk can be slow.
async fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_kernel_cannot_give_at_once_is_read_all_the_same() {
        // Of files of procfs the kernel never says that they are.
        let path = Path::new("/proc/version");
        let text = std::fs::read(path).expect("Linux");
        let (_announcer, log) = OutputLog::new(path, LogState { len: text.len() as u64, done: true });
        let (mut cursor, mut read) = (log.cursor(0), Vec::new());
        while let Some(bytes) = cursor.next(10).await.expect("readable") {
            read.extend_from_slice(&bytes);
        }
        assert_eq!(read, text);
    }

    #[tokio::test]
    async fn a_log_that_was_cut_is_an_error_and_not_a_wait() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log");
        std::fs::write(&path, b"ab").expect("write");
        let (_announcer, log) = OutputLog::new(&path, LogState { len: 5, done: false });
        let mut cursor = log.cursor(0);
        assert_eq!(cursor.next(9).await.expect("readable").as_deref(), Some(&b"ab"[..]));
        let cut = cursor.next(9).await.expect_err("there is no more");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_cursor_gives_what_was_announced_and_ends_with_the_log() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log");
        std::fs::write(&path, b"hello").expect("write");
        let (announcer, log) = OutputLog::new(&path, LogState::default());
        let mut cursor = log.cursor(0);
        assert!(cursor.available(9).await.expect("readable").is_empty());
        announcer.grown(5);
        assert_eq!(&cursor.next(3).await.expect("readable").expect("more")[..], b"hel");
        assert_eq!(&cursor.next(9).await.expect("readable").expect("more")[..], b"lo");
        let waiting = tokio::spawn(async move { cursor.next(9).await });
        announcer.done();
        assert_eq!(waiting.await.expect("task").expect("readable"), None);
        assert_eq!(&log.cursor(4).next(9).await.expect("readable").expect("more")[..], b"o");
    }
}
