//! Inputs that are coming in. A list of files is collected in memory before anything is known of it, so a peer may send one
//! for each job at a time, however many tickets it asked for; how many jobs it has here is the sandbox's to say.

use std::collections::HashMap;
use std::future::Future;

use tokio::sync::oneshot;

use crate::model::{Epoch, JobId, PeerId};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Whose transfer it is: of a job that waits for its inputs, or of any of those that have them already. Nobody counts
/// those, so all of a peer's take turns.
pub(super) type Turn = (PeerId, Option<(JobId, Epoch)>);

/// The transfers under way.
#[derive(Debug, Default)]
pub(super) struct Taking {
    /// The other end of each is gone when the transfer is.
    under_way: HashMap<Turn, oneshot::Sender<()>>,
}

impl Taking {
    /// Begins one. The one before ends: whoever lost a way comes again over another, long before the old connection is
    /// known to be dead.
    pub(super) fn begin(&mut self, turn: Turn) -> Newer {
        let (tx, rx) = oneshot::channel();
        self.under_way.retain(|_, older| !older.is_closed());
        self.under_way.insert(turn, tx);
        Newer(rx)
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
        let turn = |peer: u8, job: u8| (PeerId([peer; 32]), Some((JobId([job; 16]), Epoch(1))));
        let mut taking = Taking::default();
        let first = taking.begin(turn(1, 1));
        let others = [taking.begin(turn(1, 2)), taking.begin(turn(2, 1)), taking.begin((PeerId([1; 32]), None))];
        let second = taking.begin(turn(1, 1));
        assert!(first.ends(std::future::pending::<Result<(), _>>()).await.is_err(), "the second took its place");
        for going_on in others.into_iter().chain([second]) {
            assert_eq!(going_on.ends(std::future::ready(Ok(7))).await, Ok(7));
        }
        drop(taking.begin(turn(3, 1)));
        assert_eq!(taking.under_way.len(), 1, "the others are over");
    }
}
