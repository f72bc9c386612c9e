//! Inputs that are coming in. A list of files is collected in memory before anything is known of it, so a peer may send one
//! for each job at a time, however many tickets it asked for; how many jobs it has here is the sandbox's to say.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::model::{Epoch, JobId, PeerId};
use crate::wire::refusal::{Refusal, RefusalKind};

/// A job that waits for its inputs.
pub(super) type Waiting = (PeerId, JobId, Epoch);

/// The transfers under way.
#[derive(Debug, Default)]
pub(super) struct Taking {
    /// The other end of each is gone when the transfer is.
    under_way: HashMap<Waiting, oneshot::Sender<()>>,
    /// Held by a peer's transfer for a job that has its inputs already.
    turns: HashMap<PeerId, Arc<tokio::sync::Mutex<()>>>,
}

impl Taking {
    /// Begins one. The one before ends: whoever lost a way comes again over another, long before the old connection is
    /// known to be dead.
    pub(super) fn begin(&mut self, of: Waiting) -> Newer {
        let (tx, rx) = oneshot::channel();
        self.under_way.retain(|_, older| !older.is_closed());
        self.under_way.insert(of, tx);
        Newer(rx)
    }

    /// What a peer's transfers for jobs that have their inputs already hold one after the other: nobody counts those jobs.
    pub(super) fn turn(&mut self, of: PeerId) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        self.turns.entry(of).or_default().clone()
    }
}

/// Tells a transfer that a newer one has begun.
#[derive(Debug)]
pub(super) struct Newer(oneshot::Receiver<()>);

impl Newer {
    /// Does `work`, but no longer than until then.
    pub(super) async fn ends<T>(self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        tokio::select! {
            done = work => done,
            _ = self.0 => Err(Refusal::new(RefusalKind::Unreachable, "the same peer has begun it anew")
                .hint("nothing is to be done: the newer one goes on with the chunks that lack")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_of_each_goes_on_and_those_that_ended_are_forgotten() {
        let of = |peer: u8, job: u8| (PeerId([peer; 32]), JobId([job; 16]), Epoch(1));
        let mut taking = Taking::default();
        let first = taking.begin(of(1, 1));
        let others = [taking.begin(of(1, 2)), taking.begin(of(2, 1))];
        let second = taking.begin(of(1, 1));
        assert!(first.ends(std::future::pending::<Result<(), _>>()).await.is_err(), "the second took its place");
        for going_on in others.into_iter().chain([second]) {
            assert_eq!(going_on.ends(std::future::ready(Ok(7))).await, Ok(7));
        }
        drop(taking.begin(of(3, 1)));
        assert_eq!(taking.under_way.len(), 1, "the others are over");

        let held = taking.turn(PeerId([1; 32])).lock_owned().await;
        assert!(taking.turn(PeerId([1; 32])).try_lock().is_err() && taking.turn(PeerId([2; 32])).try_lock().is_ok());
        drop(held);
        assert!(taking.turn(PeerId([1; 32])).try_lock().is_ok() && taking.turns.len() == 1);
    }
}
