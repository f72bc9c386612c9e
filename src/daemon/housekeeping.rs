//! What a long-lived homied tidies: outputs and results that were kept long enough, pins that nobody holds any more.

use std::path::Path;
use std::time::Duration;

use crate::blobs::BlobStore;
use crate::clock::wall_ms;
use crate::history::messages::{PutRecord, QueryRecords};
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{Delivery, JobRecord, Role};
use crate::wire::ipc::HistoryQuery;

/// How often: results wait for days, so an hour more or less is nothing.
const PAUSE: Duration = Duration::from_secs(3600);
/// The store is a cache: an answer that takes longer than this can wait for the next round.
const ROOM: Duration = Duration::from_secs(60);

/// What housekeeping touches.
#[derive(Debug)]
pub(super) struct Broom {
    pub(super) blobs: BlobStore,
    pub(super) sent_dir: std::path::PathBuf,
    pub(super) records: Outlet<QueryRecords>,
    pub(super) put: Outlet<PutRecord>,
    pub(super) keep: Duration,
}

/// Drops pins of sessions and of fetches of an earlier homied: nobody goes on with them, and what is asked for again is
/// claimed again.
pub(super) fn drop_stale_puts(blobs: &BlobStore) {
    let Ok(pins) = blobs.pins() else { return };
    for pin in pins.iter().filter(|p| p.starts_with("put-") || p.starts_with("env-")) {
        if let Err(error) = blobs.unpin(pin) {
            tracing::warn!(%error, pin, "cannot drop a stale pin");
        }
    }
}

impl Broom {
    /// Sweeps for ever.
    pub(super) async fn run(self) {
        loop {
            self.sweep().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn sweep(&self) {
        let query = HistoryQuery { role: Some(Role::Sent), ..HistoryQuery::default() };
        let Ok(Ok(records)) = ask_outlet(&self.records, QueryRecords { query, uid: None }, ROOM).await else { return };
        let now = wall_ms();
        for mut record in records {
            if !is_old(&record, now, self.keep) {
                continue;
            }
            let dir = self.sent_dir.join(record.id.to_string());
            remove(&dir).await;
            if record.delivery == Delivery::Waiting {
                record.delivery = Delivery::Expired;
                let _ = ask_outlet(&self.put, PutRecord { record: Box::new(record.clone()) }, ROOM).await;
            }
            let (blobs, id) = (self.blobs.clone(), record.id.to_string());
            let _ = tokio::task::spawn_blocking(move || {
                // Whatever pinned something for this job: inputs, results of any assignment.
                for pin in blobs.pins().unwrap_or_default().iter().filter(|p| p.contains(&id)) {
                    if let Err(error) = blobs.unpin(pin) {
                        tracing::warn!(%error, pin, "cannot drop a pin");
                    }
                }
            })
            .await;
        }
    }
}

/// Whether what is kept of a job may go: it has ended, and longer ago than things are kept.
fn is_old(record: &JobRecord, now: u64, keep: Duration) -> bool {
    let ended = record.ended_ms.filter(|_| record.is_terminal());
    ended.is_some_and(|at| now.saturating_sub(at) > keep.as_millis() as u64)
}

async fn remove(dir: &Path) {
    match tokio::fs::remove_dir_all(dir).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(dir = %dir.display(), error = %e, "cannot remove an old output");
        }
        _ => {}
    }
}
