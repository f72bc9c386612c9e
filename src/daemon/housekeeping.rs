//! What a long-lived homied tidies: outputs and results that were kept long enough, pins that nobody holds any more.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::blobs::BlobStore;
use crate::clock::wall_ms;
use crate::history::messages::{GetRecord, PutRecord};
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{Delivery, JobId, JobRecord, Role};

/// How often: results wait for days, so an hour more or less is nothing.
const PAUSE: Duration = Duration::from_secs(3600);
/// The store is a cache: an answer that takes longer than this can wait for the next round.
const ROOM: Duration = Duration::from_secs(60);

/// What housekeeping touches.
#[derive(Debug)]
pub(super) struct Broom {
    pub(super) blobs: BlobStore,
    pub(super) sent_dir: std::path::PathBuf,
    pub(super) get: Outlet<GetRecord>,
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
        let mut due = HashSet::new();
        loop {
            self.sweep(&mut due).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Goes through what is kept, not through the history: that only grows, and most of it has nothing here any more.
    /// What is due at one look goes at the next one. What history does not know may be a job that is just being taken: it
    /// has a pin before it has a record. What is old may be so by a clock that leapt: then there is this long to fetch what
    /// waits, or to set the clock.
    async fn sweep(&self, due: &mut HashSet<JobId>) {
        let (blobs, sent_dir) = (self.blobs.clone(), self.sent_dir.clone());
        let Ok(kept) = tokio::task::spawn_blocking(move || kept(&blobs, &sent_dir)).await else { return };
        let (now, before) = (wall_ms(), std::mem::take(due));
        for job in kept {
            let record = match ask_outlet(&self.get, GetRecord { job, role: Role::Sent }, ROOM).await {
                Ok(Ok(record)) => record,
                // One that cannot be read must not keep the others from being looked at.
                Ok(Err(_)) => continue,
                Err(_) => return,
            };
            if record.as_ref().is_some_and(|record| !is_old(record, now, self.keep)) {
                continue;
            }
            if before.contains(&job) {
                self.drop_all_of(job, record).await;
            } else {
                due.insert(job);
            }
        }
    }

    async fn drop_all_of(&self, job: JobId, record: Option<JobRecord>) {
        if let Some(mut record) = record.filter(|r| r.delivery == Delivery::Waiting) {
            record.delivery = Delivery::Expired;
            // Said before it is so: results that are called waiting must be there.
            if !matches!(ask_outlet(&self.put, PutRecord { record: Box::new(record) }, ROOM).await, Ok(Ok(()))) {
                return;
            }
        }
        remove(&self.sent_dir.join(job.to_string())).await;
        let blobs = self.blobs.clone();
        let _ = tokio::task::spawn_blocking(move || {
            for pin in blobs.pins().unwrap_or_default().iter().filter(|pin| job_of(pin) == Some(job)) {
                if let Err(error) = blobs.unpin(pin) {
                    tracing::warn!(%error, pin, "cannot drop a pin");
                }
            }
        })
        .await;
    }
}

/// The jobs sent from here of which something is kept: a directory with output, or a pin. Blocks.
fn kept(blobs: &BlobStore, sent_dir: &Path) -> BTreeSet<JobId> {
    let entries = std::fs::read_dir(sent_dir).into_iter().flatten().flatten();
    let dirs = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let pins = blobs.pins().unwrap_or_default();
    dirs.chain(pins.iter().filter_map(|pin| job_of(pin))).collect()
}

/// Whose inputs (`sent-JOB`) or results (`results-JOB-EPOCH`) a pin holds.
fn job_of(pin: &str) -> Option<JobId> {
    let id = pin.strip_prefix("sent-").or_else(|| pin.strip_prefix("results-"))?;
    id.split('-').next()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::mailbox::probe;
    use crate::model::{Digest, JobSpec, Manifest, Outcome};

    const KEEP: Duration = Duration::from_secs(100);

    fn ended(n: u8, ms_ago: u64) -> JobRecord {
        let outcome = Outcome::Exited { code: 0 };
        JobRecord {
            state: outcome.state(),
            outcome: Some(outcome),
            ended_ms: Some(wall_ms() - ms_ago),
            delivery: Delivery::Waiting,
            ..JobRecord::new(JobId([n; 16]), Role::Sent, JobSpec::default(), Digest([0; 32]), 1)
        }
    }

    #[test]
    fn what_is_old_and_what_nobody_knows_goes_at_the_second_look_however_much_came_after_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let blobs = BlobStore::open(dir.path().join("store"), 1 << 30).expect("store");
        let manifest = blobs.put_manifest(&Manifest::default()).expect("put");
        let sent_dir = dir.path().join("sent");
        let [old, fresh, open, unknown] = [1, 2, 3, 4].map(|n| JobId([n; 16]));
        for job in [old, fresh, open, unknown] {
            std::fs::create_dir_all(sent_dir.join(job.to_string())).expect("made");
            for pin in [format!("sent-{job}"), format!("results-{job}-1"), format!("hosted-{job}-1")] {
                blobs.pin(&pin, &manifest).expect("pinned");
            }
        }
        std::fs::remove_dir(sent_dir.join(unknown.to_string())).expect("removed");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let kept_after = |sweeps: usize| {
            let test = async {
                let (get, _) = probe(move |m: &GetRecord| {
                    Ok(match m.job.0[0] {
                        1 => Some(ended(1, 200_000)),
                        2 => Some(ended(2, 50_000)),
                        3 => Some(JobRecord {
                            ended_ms: None,
                            ..JobRecord::new(open, Role::Sent, JobSpec::default(), Digest([0; 32]), 1)
                        }),
                        _ => None,
                    })
                });
                let (put, mut told) = probe(|_: &PutRecord| Ok(()));
                let broom = Broom { blobs: blobs.clone(), sent_dir: sent_dir.clone(), get, put, keep: KEEP };
                let mut due = HashSet::new();
                for _ in 0..sweeps {
                    broom.sweep(&mut due).await;
                }
                (kept(&blobs, &sent_dir), told.try_recv().map(|m| (m.record.id, m.record.delivery)))
            };
            runtime.block_on(tokio::task::LocalSet::new().run_until(test))
        };
        let (left, told) = kept_after(1);
        assert!(told.is_err());
        assert_eq!(left, BTreeSet::from([old, fresh, open, unknown]));
        let (left, told) = kept_after(2);
        assert_eq!(told.ok(), Some((old, Delivery::Expired)));
        assert_eq!(left, BTreeSet::from([fresh, open]));
        assert!(!sent_dir.join(old.to_string()).exists() && sent_dir.join(fresh.to_string()).exists());
        let hosted = blobs.pins().expect("pins").iter().filter(|p| p.starts_with("hosted-")).count();
        assert_eq!(hosted, 4, "what is kept for others is not ours to drop");
    }

    #[test]
    fn what_was_old_by_a_clock_that_was_set_right_since_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let blobs = BlobStore::open(dir.path().join("store"), 1 << 30).expect("store");
        let sent_dir = dir.path().join("sent");
        std::fs::create_dir_all(sent_dir.join(JobId([1; 16]).to_string())).expect("made");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let test = async {
            let looks = AtomicUsize::new(0);
            let (get, _) = probe(move |_: &GetRecord| {
                let ms_ago = [200_000, 50_000, 200_000, 200_000][looks.fetch_add(1, Ordering::Relaxed)];
                Ok(Some(ended(1, ms_ago)))
            });
            let (put, _told) = probe(|_: &PutRecord| Ok(()));
            let broom = Broom { blobs: blobs.clone(), sent_dir: sent_dir.clone(), get, put, keep: KEEP };
            let mut due = HashSet::new();
            for is_kept in [true, true, true, false] {
                broom.sweep(&mut due).await;
                assert_eq!(kept(&blobs, &sent_dir).len(), usize::from(is_kept));
            }
        };
        runtime.block_on(tokio::task::LocalSet::new().run_until(test));
    }
}
