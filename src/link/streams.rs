//! The two ends of a log stream: what has come and waits for the disk, and how much may still be sent.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::room::lock;
use crate::wire::link::OUTPUT_WINDOW;
use crate::wire::refusal::Refusal;

/// What came of a log and was not written down yet: never more than [`OUTPUT_WINDOW`], in as few pieces as can be.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    news: Notify,
}

#[derive(Debug, Default)]
struct InboxState {
    bytes: BytesMut,
    /// Bytes that came and were not credited: those here and those being written.
    owed: u64,
    end: Option<Result<(), Refusal>>,
}

/// The sender did not keep to the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Inbox {
    /// The next piece came; an empty one ends the log.
    pub(super) fn push(&self, data: &[u8]) -> Result<(), Overrun> {
        {
            let mut state = lock(&self.state);
            if state.end.is_some() {
                return Ok(());
            }
            if data.is_empty() {
                state.end = Some(Ok(()));
            } else {
                state.owed += data.len() as u64;
                if state.owed > OUTPUT_WINDOW {
                    return Err(Overrun);
                }
                state.bytes.extend_from_slice(data);
            }
        }
        self.news.notify_one();
        Ok(())
    }

    /// Nothing more comes. What came before is still given out.
    pub(super) fn end(&self, how: Result<(), Refusal>) {
        lock(&self.state).end.get_or_insert(how);
        self.news.notify_one();
    }

    /// Everything that waits; `None` at the end of the log. For one reader.
    pub(super) async fn next(&self) -> Result<Option<Bytes>, Refusal> {
        loop {
            {
                let mut state = lock(&self.state);
                if !state.bytes.is_empty() {
                    return Ok(Some(state.bytes.split().freeze()));
                }
                match &state.end {
                    Some(Ok(())) => return Ok(None),
                    Some(Err(refusal)) => return Err(refusal.clone()),
                    None => {}
                }
            }
            self.news.notified().await;
        }
    }

    /// So many bytes were written down.
    pub(super) fn settled(&self, bytes: u64) {
        lock(&self.state).owed -= bytes;
    }
}

/// How much of a log may still be sent.
#[derive(Debug)]
pub(super) struct Credit {
    state: Mutex<CreditState>,
    news: Notify,
}

#[derive(Debug)]
struct CreditState {
    left: u64,
    over: bool,
}

impl Default for Credit {
    fn default() -> Self {
        Self { state: Mutex::new(CreditState { left: OUTPUT_WINDOW, over: false }), news: Notify::new() }
    }
}

impl Credit {
    /// The receiver has written bytes down. More than a window is never owed, whatever it says.
    pub(super) fn add(&self, bytes: u64) {
        {
            let mut state = lock(&self.state);
            state.left = state.left.saturating_add(bytes).min(OUTPUT_WINDOW);
        }
        self.news.notify_one();
    }

    /// The receiver wants no more, or the link is gone.
    pub(super) fn break_off(&self) {
        lock(&self.state).over = true;
        self.news.notify_one();
    }

    /// Waits until something may be sent, with at most `most` under way, and says how much; `None` when it is over. For one
    /// sender.
    pub(super) async fn wait(&self, most: u64) -> Option<u64> {
        loop {
            {
                let state = lock(&self.state);
                if state.over {
                    return None;
                }
                let left = state.left.saturating_sub(OUTPUT_WINDOW.saturating_sub(most));
                if left > 0 {
                    return Some(left);
                }
            }
            self.news.notified().await;
        }
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) {
        loop {
            if lock(&self.state).over {
                return;
            }
            self.news.notified().await;
        }
    }

    /// So many bytes were sent.
    pub(super) fn spend(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.left = state.left.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::wire::refusal::RefusalKind;

    #[tokio::test]
    async fn a_sender_that_ignores_the_window_is_noticed_and_memory_stays_bounded() {
        let inbox = Inbox::default();
        let piece = vec![7; 64 << 10];
        for _ in 0..OUTPUT_WINDOW / piece.len() as u64 {
            assert_eq!(inbox.push(&piece), Ok(()));
        }
        assert_eq!(inbox.push(b"x"), Err(Overrun));
        let taken = inbox.next().await.expect("fine").expect("bytes").len() as u64;
        assert_eq!(taken, OUTPUT_WINDOW);
    }

    #[tokio::test]
    async fn what_came_before_the_end_is_given_out_first() {
        let inbox = Inbox::default();
        inbox.push(b"ab").expect("room");
        inbox.push(b"c").expect("room");
        inbox.end(Err(Refusal::new(RefusalKind::Unreachable, "gone")));
        inbox.push(b"late").expect("ignored");
        assert_eq!(inbox.next().await.expect("fine").as_deref(), Some(&b"abc"[..]));
        assert_eq!(inbox.next().await.expect_err("gone").message, "gone");
    }

    #[tokio::test]
    async fn credit_never_grows_over_the_window() {
        let credit = Credit::default();
        let wait = || credit.wait(OUTPUT_WINDOW);
        credit.add(u64::MAX);
        assert_eq!(wait().await, Some(OUTPUT_WINDOW));
        credit.spend(OUTPUT_WINDOW);
        credit.add(5);
        assert_eq!(wait().await, Some(5));
        credit.break_off();
        assert_eq!(wait().await, None);
    }

    #[tokio::test]
    async fn no_more_may_be_sent_than_the_sender_wants_under_way() {
        let (credit, most) = (Credit::default(), 100);
        assert_eq!(credit.wait(most).await, Some(most));
        credit.spend(most - 7);
        assert_eq!(credit.wait(most).await, Some(7));
        credit.spend(7);
        assert_eq!(credit.wait(OUTPUT_WINDOW).await, Some(OUTPUT_WINDOW - most));
        let mut waiting = Box::pin(credit.wait(most));
        assert!(waiting.as_mut().now_or_never().is_none());
        credit.add(9);
        assert_eq!(waiting.await, Some(9));
    }
}
