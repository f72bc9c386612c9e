//! Which assignment of a job counts, when several are known: the newest, and each is begun once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, watch};

use super::hosted::Hosted;
use super::messages::Borrower;
use super::parts::LOAD_LIMIT;
use crate::history::messages::GetRecord;
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{Epoch, HostedStatus, JobId, Offer, Role};
use crate::wire::refusal::{Refusal, RefusalKind};

pub(super) type Status = Result<HostedStatus, Refusal>;

/// Whether acceptance is written down, and how the job stands.
pub(super) type Taken = (watch::Receiver<Option<Result<(), Refusal>>>, watch::Receiver<HostedStatus>);

/// What an offer finds of an earlier one.
pub(super) enum Earlier {
    None,
    Same(Taken),
    /// To be ended first.
    Older(watch::Receiver<HostedStatus>),
}

/// Looks whether `offer` is new; an older assignment of the job is told to end.
///
/// # Errors
/// The job is another peer's, or a later assignment of it is here.
pub(super) fn earlier(here: Option<&Hosted>, from: &Borrower, offer: &Offer) -> Result<Earlier, Refusal> {
    let Some(hosted) = here else { return Ok(Earlier::None) };
    if hosted.borrower != from.peer {
        return Err(another_peers());
    }
    match hosted.base.epoch {
        have if have == offer.epoch => Ok(Earlier::Same((hosted.accepted.clone(), hosted.status.clone()))),
        have if have > offer.epoch => Err(stale(offer.job, have)),
        _ => {
            hosted.orders.send_modify(|o| {
                o.stop.get_or_insert_with(|| from.name.clone());
                o.forget = true;
            });
            Ok(Earlier::Older(hosted.status.clone()))
        }
    }
}

/// What was once ended here and handed over is not begun again.
///
/// # Errors
/// It was, or a later assignment, or the job is another peer's; or history does not answer.
pub(super) async fn check_past(get: &Outlet<GetRecord>, from: &Borrower, offer: &Offer) -> Result<(), Refusal> {
    let (job, epoch) = (offer.job, offer.epoch);
    let past = ask_outlet(get, GetRecord { job, role: Role::Hosted }, LOAD_LIMIT).await;
    match past.map_err(|e| Refusal::internal(e.to_string()))?? {
        Some(record) if record.peer != Some(from.peer) => Err(another_peers()),
        Some(record) if record.epoch > epoch => Err(stale(job, record.epoch)),
        Some(record) if record.epoch == epoch && record.is_terminal() => Err(Refusal::new(
            RefusalKind::UnknownJob,
            format!("assignment {epoch} of job {} has ended here and nothing of it is left", job.short()),
        )),
        _ => Ok(()),
    }
}

/// Once acceptance is on disk, the status.
pub(super) async fn when_accepted((mut accepted, status): Taken) -> Status {
    let known = accepted.wait_for(Option::is_some).await.map_err(|_| shutting_down())?.clone();
    known.unwrap_or(Ok(()))?;
    let now = status.borrow().clone();
    Ok(now)
}

/// Offers of one job are decided one after the other, in the order in which they came: between looking for an earlier
/// assignment and taking the new one, history is asked and an old program may have to be killed.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<JobId, Weak<Mutex<()>>>);

impl Turns {
    /// Whoever locks this decides about `job`.
    pub(super) fn of(&mut self, job: JobId) -> Arc<Mutex<()>> {
        self.0.retain(|_, turn| turn.strong_count() > 0);
        let known = self.0.get(&job).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::default();
            self.0.insert(job, Arc::downgrade(&turn));
            turn
        })
    }
}

pub(super) fn unknown(job: JobId) -> Refusal {
    Refusal::new(RefusalKind::UnknownJob, format!("job {} is not hosted here", job.short()))
}

pub(super) fn stale(job: JobId, have: Epoch) -> Refusal {
    Refusal::new(
        RefusalKind::StaleEpoch,
        format!("assignment {have} of job {} is known here; an earlier one is void", job.short()),
    )
}

fn another_peers() -> Refusal {
    Refusal::new(RefusalKind::NotAllowed, "a job of that id belongs to another peer")
}

pub(super) fn shutting_down() -> Refusal {
    Refusal::new(RefusalKind::ShuttingDown, "this machine's homied is on its way down")
}
