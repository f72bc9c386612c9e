//! HistoryActor: one thread, one connection. Writes that arrive together are made durable together.
//!
//! A write is answered only after its commit. The first write of a group opens a transaction and sends the actor a
//! [`Commit`], which queues behind everything that has arrived by then; so a lone write commits at once, and a
//! thousand concurrent ones share a few fsyncs. Reads close the group first: nobody sees what may yet be undone.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Handler, SyncArbiter, SyncContext};

use super::error::HistoryError;
use super::messages::{
    FindJob, FindPlaced, FlushHistory, GetRecord, LoadOpen, PutRecord, QueryRecords, QueryStats, RememberPlaced,
};
use super::store::Store;
use crate::mailbox::{Door, Word};
use crate::model::JobRecord;
use crate::wire::ipc::{PeerStats, Placed};
use crate::wire::refusal::Refusal;

/// The longest queue of unanswered writes before a commit is made in between: bounds the loss of one failed commit.
const MOST_IN_GROUP: usize = 512;

type Written = Result<(), Refusal>;
type Waiting = Rc<RefCell<Vec<OneshotSender<Written>>>>;

/// Keeps what became of every job, on both sides.
pub struct HistoryActor {
    store: Option<Store>,
    waiting: Waiting,
}

impl std::fmt::Debug for HistoryActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryActor").field("waiting", &self.waiting.borrow().len()).finish_non_exhaustive()
    }
}

/// Opens the history at `path` and starts its thread. Must be called inside the System.
///
/// # Errors
/// The file cannot be used; the error says why and what to do.
pub fn start(path: &Path) -> Result<Door<HistoryActor>, HistoryError> {
    // Opened here, so that homied learns of a bad file before it says that it is ready.
    let store = Mutex::new(Some(Store::open(path)?));
    Ok(SyncArbiter::start(1, move || HistoryActor {
        store: store.lock().ok().and_then(|mut s| s.take()),
        waiting: Waiting::default(),
    }))
}

/// Ends the group of writes.
#[derive(Debug, Word)]
#[rtype(result = "()")]
struct Commit;

/// The answer to a write: `now`, or with the group's commit.
#[derive(Debug)]
pub struct AfterCommit {
    waiting: Waiting,
    now: Option<Written>,
}

impl<M> MessageResponse<HistoryActor, M> for AfterCommit
where
    M: actix::Message<Result = Written>,
{
    fn handle(self, _: &mut SyncContext<HistoryActor>, tx: Option<OneshotSender<Written>>) {
        let Some(tx) = tx else { return };
        match self.now {
            // The asker may have given up; its write is kept or undone all the same.
            Some(answer) => _ = tx.send(answer),
            None => self.waiting.borrow_mut().push(tx),
        }
    }
}

impl Actor for HistoryActor {
    type Context = SyncContext<Self>;

    fn stopped(&mut self, _: &mut SyncContext<Self>) {
        self.commit();
    }
}

impl HistoryActor {
    fn store(&self) -> Result<&Store, Refusal> {
        // Only a restart of the actor, which nothing asks for, would find it empty.
        self.store.as_ref().ok_or_else(|| Refusal::internal("the history has stopped"))
    }

    /// One write of the group.
    fn write(&mut self, ctx: &SyncContext<Self>, act: impl FnOnce(&Store) -> Result<(), HistoryError>) -> AfterCommit {
        if self.waiting.borrow().len() >= MOST_IN_GROUP {
            self.commit();
        }
        let now = self.write_in_group(ctx, act).unwrap_or_else(|refusal| Some(Err(refusal)));
        AfterCommit { waiting: Rc::clone(&self.waiting), now }
    }

    /// Some answer that is known at once, or none before the commit.
    fn write_in_group(
        &mut self,
        ctx: &SyncContext<Self>,
        act: impl FnOnce(&Store) -> Result<(), HistoryError>,
    ) -> Result<Option<Written>, Refusal> {
        let store = self.store()?;
        let opens = !store.in_group();
        if opens {
            store.begin()?;
        }
        if let Err(e) = act(store) {
            let undone = !store.in_group();
            let refusal = Refusal::from(e);
            if undone {
                // SQLite has undone the whole group, not only this write.
                self.answer(&Err(refusal.clone()));
            } else if opens {
                self.commit();
            }
            return Err(refusal);
        }
        if opens && ctx.address().try_send(Commit).is_err() {
            return Ok(Some(store.commit().map_err(Refusal::from)));
        }
        Ok(None)
    }

    /// Makes the group durable and answers its writers.
    fn commit(&mut self) {
        // Without a group nobody waits: whoever ends one answers its writers.
        let Some(store) = self.store.as_ref().filter(|s| s.in_group()) else { return };
        let done = store.commit().map_err(Refusal::from);
        if let Err(refusal) = &done {
            tracing::error!("history: {refusal}");
        }
        self.answer(&done);
    }

    fn answer(&self, done: &Written) {
        for tx in self.waiting.borrow_mut().drain(..) {
            let _ = tx.send(done.clone());
        }
    }

    /// The store with nothing pending, for a read.
    fn settled(&mut self) -> Result<&Store, Refusal> {
        self.commit();
        self.store()
    }
}

impl Handler<Commit> for HistoryActor {
    type Result = ();
    fn handle(&mut self, _: Commit, _: &mut SyncContext<Self>) {
        self.commit();
    }
}

impl Handler<PutRecord> for HistoryActor {
    type Result = AfterCommit;
    fn handle(&mut self, m: PutRecord, ctx: &mut SyncContext<Self>) -> AfterCommit {
        self.write(ctx, |store| store.put(&m.record))
    }
}

impl Handler<RememberPlaced> for HistoryActor {
    type Result = AfterCommit;
    fn handle(&mut self, m: RememberPlaced, ctx: &mut SyncContext<Self>) -> AfterCommit {
        self.write(ctx, |store| store.remember_placed(m.uid, &m.placed))
    }
}

impl Handler<GetRecord> for HistoryActor {
    type Result = Result<Option<JobRecord>, Refusal>;
    fn handle(&mut self, m: GetRecord, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.settled()?.get(m.job, m.role)?)
    }
}

impl Handler<FindJob> for HistoryActor {
    type Result = Result<JobRecord, Refusal>;
    fn handle(&mut self, m: FindJob, _: &mut SyncContext<Self>) -> Self::Result {
        self.settled()?.find(&m.prefix, m.uid)
    }
}

impl Handler<LoadOpen> for HistoryActor {
    type Result = Result<Vec<JobRecord>, Refusal>;
    fn handle(&mut self, m: LoadOpen, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.settled()?.open_jobs(m.role)?)
    }
}

impl Handler<QueryRecords> for HistoryActor {
    type Result = Result<Vec<JobRecord>, Refusal>;
    fn handle(&mut self, m: QueryRecords, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.settled()?.query(&m.query, m.uid)?)
    }
}

impl Handler<QueryStats> for HistoryActor {
    type Result = Result<Vec<PeerStats>, Refusal>;
    fn handle(&mut self, m: QueryStats, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.settled()?.stats(&m.query, m.uid)?)
    }
}

impl Handler<FindPlaced> for HistoryActor {
    type Result = Result<Vec<Placed>, Refusal>;
    fn handle(&mut self, m: FindPlaced, _: &mut SyncContext<Self>) -> Self::Result {
        Ok(self.settled()?.find_placed(m.uid, &m.paths)?)
    }
}

impl Handler<FlushHistory> for HistoryActor {
    type Result = ();
    fn handle(&mut self, _: FlushHistory, _: &mut SyncContext<Self>) {
        match self.settled().map(Store::flush) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("history: {e}"),
            Err(e) => tracing::warn!("history: {e}"),
        }
    }
}
