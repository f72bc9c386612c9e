//! One hosted job as the actor knows it, and the record that is kept of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::admission::Grant;
use super::follow::Orders;
use super::live::Measured;
use super::messages::Borrower;
use super::relimit::Relimit;
use super::results::Results;
use super::supervisor::{LimitedNote, StartedNote};
use crate::model::{Attempt, Delivery, HostedState, HostedStatus, JobRecord, JobState, Offer, Outcome, PeerId, Role};
use crate::monitor::messages::GpuHolder;
use crate::pipe::OutputLog;
use crate::wire::refusal::Refusal;

/// Beside the job's directory: what was granted. Its presence says that the job was accepted.
pub(super) const GRANT: &str = "grant.json";
/// Which environment it runs in, so that a later homied holds it.
pub(super) const ENV: &str = "env.json";
/// The manifest of the inputs, for the comparison at the end.
pub(super) const INPUTS: &str = "inputs.json";

/// What this machine's clock says of a job's end may be wrong by years, and the machine may have been off ever since: a
/// submitter has this long to come in any case. One that runs comes within seconds of seeing this machine.
const KEPT_AT_LEAST: Duration = Duration::from_secs(3600);

/// A hosted job in the actor's hands. All it does happens in [`super::life`]; they share these channels.
#[derive(Debug)]
pub(super) struct Hosted {
    /// Whose it is.
    pub(super) borrower: PeerId,
    /// The record as of its acceptance.
    pub(super) base: JobRecord,
    pub(super) grant: Grant,
    /// `JOB-EPOCH` below the directory of all jobs.
    pub(super) dir: PathBuf,
    pub(super) status: watch::Receiver<HostedStatus>,
    pub(super) log: OutputLog,
    pub(super) orders: watch::Sender<Orders>,
    /// Whether its acceptance is written down; `None` until that is known.
    pub(super) accepted: watch::Receiver<Option<Result<(), Refusal>>>,
    /// What its supervisor said when the program started.
    pub(super) running: watch::Receiver<Option<StartedNote>>,
    /// What it said of new limits.
    pub(super) limited: watch::Receiver<Option<LimitedNote>>,
    /// Changes of limits go one after the other.
    pub(super) limit_turn: Arc<Mutex<()>>,
}

impl Hosted {
    /// Whether it holds a slot.
    pub(super) fn is_active(&self) -> bool {
        self.status.borrow().state != HostedState::Done
    }

    /// Which GPUs it has, and how its processes are known.
    pub(super) fn gpu_holder(&self) -> GpuHolder {
        let init = self.running.borrow().as_ref().and_then(|note| note.meter.init);
        GpuHolder { job: self.base.id, gpus: self.grant.gpus.iter().map(|g| g.index).collect(), init }
    }

    /// What a change of its limits needs.
    pub(super) fn relimit(&self) -> Relimit {
        Relimit {
            dir: self.dir.clone(),
            status: self.status.clone(),
            running: self.running.clone(),
            orders: self.orders.clone(),
            limited: self.limited.clone(),
            turn: Arc::clone(&self.limit_turn),
        }
    }

    /// What a look at its counters needs.
    pub(super) fn measured(&self) -> Measured {
        let running = self.running.borrow();
        let mut record = self.record();
        record.started_ms = record.started_ms.or(running.as_ref().map(|note| note.started_ms));
        Measured {
            limits: record.limits.clone().unwrap_or_else(|| self.grant.limits.clone()),
            record,
            gpus: self.grant.gpus.iter().map(|g| g.index).collect(),
            meter: running.as_ref().map(|note| note.meter.clone()),
        }
    }

    /// Its record now.
    pub(super) fn record(&self) -> JobRecord {
        record(&self.base, &self.status.borrow())
    }

    pub(super) fn work_dir(&self) -> PathBuf {
        work_dir(&self.dir)
    }
}

pub(super) fn work_dir(job_dir: &Path) -> PathBuf {
    job_dir.join("work")
}

/// The first record of a job.
pub(super) fn accepted_record(offer: &Offer, from: &Borrower, grant: &Grant, now_ms: u64) -> JobRecord {
    JobRecord {
        input_totals: offer.input_totals,
        state: JobState::Uploading,
        epoch: offer.epoch,
        attempts: vec![Attempt {
            epoch: offer.epoch,
            peer: from.peer,
            peer_name: from.name.clone(),
            offered_ms: now_ms,
            accepted: true,
            end: None,
            awaited: false,
        }],
        peer: Some(from.peer),
        peer_name: Some(from.name.clone()),
        engine: Some(grant.engine.as_str().to_owned()),
        limits: Some(grant.limits.clone()),
        ..JobRecord::new(offer.job, Role::Hosted, offer.spec.clone(), offer.inputs, now_ms)
    }
}

/// The status of a job that was just accepted.
pub(super) fn accepted_status(record: &JobRecord) -> HostedStatus {
    HostedStatus {
        engine: record.engine.clone(),
        limits: record.limits.clone(),
        ..HostedStatus::new(record.id, record.epoch, HostedState::Accepted)
    }
}

/// The status of an ended job that an earlier homied wrote down.
pub(super) fn done_status(record: &JobRecord, results: &Results) -> HostedStatus {
    HostedStatus {
        state: HostedState::Done,
        output_bytes: record.output_bytes,
        usage: record.usage,
        outcome: record.outcome.clone(),
        results: results.reference(),
        ..accepted_status(record)
    }
}

/// The record of a job that stands at `status`. An ended one stays `collecting` until its submitter has everything.
pub(super) fn record(base: &JobRecord, status: &HostedStatus) -> JobRecord {
    let mut record = base.clone();
    record.state = status.state.job_state();
    record.outcome.clone_from(&status.outcome);
    record.engine.clone_from(&status.engine);
    record.usage = status.usage;
    record.limits.clone_from(&status.limits);
    record.output_bytes = status.output_bytes;
    if let Some(results) = &status.results {
        record.results = (results.totals.files > 0).then_some(results.manifest);
        record.result_totals = results.totals;
        record.skipped.clone_from(&results.skipped);
        if record.results.is_some() {
            record.delivery = Delivery::Waiting;
        }
    }
    record
}

/// The last record of a job: nothing more will happen to it here.
pub(super) fn closed(mut record: JobRecord, delivered: bool, now_ms: u64) -> JobRecord {
    let outcome = record
        .outcome
        .get_or_insert_with(|| Outcome::Lost { message: "nobody knows how it ended: its supervisor is gone".into() });
    record.state = outcome.state();
    record.ended_ms.get_or_insert(now_ms);
    record.delivery = match (record.results.is_some(), delivered) {
        (false, _) => Delivery::None,
        (true, true) => Delivery::Delivered,
        (true, false) => Delivery::Expired,
    };
    record
}

/// How much longer what a job left is kept of the time `keep`.
pub(super) fn kept_for(keep: Duration, ended_ms: u64, now_ms: u64) -> Duration {
    let gone = Duration::from_millis(now_ms.saturating_sub(ended_ms));
    keep.saturating_sub(gone).max(keep.min(KEPT_AT_LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_kept_from_their_end_on_whatever_a_clock_that_leapt_says() {
        const HOUR: u64 = 3_600_000;
        let hours = |n: u64| Duration::from_secs(3600 * n);
        let kept = |keep, gone| kept_for(keep, 100 * HOUR, 100 * HOUR + gone);
        assert_eq!([0, HOUR, 47 * HOUR].map(|gone| kept(hours(48), gone)), [48, 47, 1].map(hours));
        // A clock that was at 1970 and is set right, or a machine that was off for years.
        assert_eq!([48 * HOUR, 500_000 * HOUR].map(|gone| kept(hours(48), gone)), [hours(1); 2]);
        assert_eq!(kept_for(hours(48), 500_000 * HOUR, 100 * HOUR), hours(48), "turned back");
        assert_eq!(kept(Duration::from_secs(9), HOUR), Duration::from_secs(9), "never longer than is asked for");
    }
}
