//! Jobs and their history.

use std::time::Duration;

use serde_json::Value;

use super::{Answer, value};
use crate::history::messages::{FindJob, QueryRecords, QueryStats};
use crate::ipc::session::{Session, answer, params};
use crate::mailbox::ask_outlet;
use crate::model::{JobRecord, Role};
use crate::sandbox::messages::{HostedJobs, LimitJob, LiveJobs};
use crate::scheduler::messages::{CancelJob, ExplainJob, OpenJobs, SubmitJob};
use crate::wire::ipc::{ExplainParams, HistoryQuery, JobRef, LimitParams, ListJobs, Request, Submit};
use crate::wire::refusal::{Refusal, RefusalKind};

/// The sandbox gives up on a supervisor before this.
const LIMIT_PATIENCE: Duration = Duration::from_secs(30);
/// Rows of `homie jobs --all`: what fits on a few screens; `homie history --limit` gives more.
const LISTED: u32 = 100;

pub(super) async fn submit(session: &mut Session, request: &Request) -> Result<Value, Refusal> {
    let submit: Submit = params(request)?;
    let (uid, inputs) = (session.caller.uid, submit.inputs);
    let record = session.ask(&session.shared.parts.outlets.submit, SubmitJob { uid, submit }).await??;
    session.submitted.insert(inputs);
    value(&record)
}

pub(super) async fn explain(session: &mut Session, request: &Request) -> Answer {
    let rows = match params::<ExplainParams>(request) {
        Ok(params) => session.ask(&session.shared.parts.outlets.explain, ExplainJob { params }).await,
        Err(refusal) => Err(refusal),
    };
    session.rows(request.id, rows.and_then(|rows| rows)).await
}

/// The job the caller means: the freshest record of it that is known.
pub(in crate::ipc) async fn find(session: &Session, typed: &str) -> Result<JobRecord, Refusal> {
    let outlets = &session.shared.parts.outlets;
    let uid = session.caller.jobs_of();
    let found = session.ask(&outlets.find, FindJob { prefix: typed.to_owned(), uid }).await??;
    let open = session.ask(&outlets.open_jobs, OpenJobs).await?;
    Ok(open.into_iter().find(|r| r.id == found.id).unwrap_or(found))
}

pub(super) async fn get(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let which: JobRef = params(request)?;
    value(&find(session, &which.job).await?)
}

pub(super) async fn cancel(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let which: JobRef = params(request)?;
    let record = find(session, &which.job).await?;
    if record.is_terminal() {
        let how = record.state.as_str();
        let text = format!("job {} has already ended: {how}", record.id.short());
        return Err(Refusal::new(RefusalKind::UnknownJob, text));
    }
    value(&session.ask(&session.shared.parts.outlets.cancel, CancelJob { job: record.id }).await??)
}

/// What the jobs hosted here use now.
pub(super) async fn top(session: &mut Session, request: &Request) -> Answer {
    let rows = session.ask(&session.shared.parts.outlets.live, LiveJobs).await;
    session.rows(request.id, rows).await
}

pub(super) async fn limit(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let wanted: LimitParams = params(request)?;
    if wanted.change.is_empty() {
        return Err(Refusal::new(RefusalKind::BadRequest, "nothing to change was named"));
    }
    let mut job = wanted.job.clone();
    if job == "last" {
        let hosted = session.ask(&session.shared.parts.outlets.hosted, HostedJobs).await?;
        let newest = hosted.iter().filter(|r| !r.is_terminal()).max_by_key(|r| r.created_ms);
        job = newest.map_or(job, |r| r.id.to_string());
    }
    let order = LimitJob { job, change: wanted.change };
    let limited = ask_outlet(&session.shared.parts.outlets.limit, order, LIMIT_PATIENCE).await;
    match answer(limited)? {
        Err(refusal) if refusal.kind == RefusalKind::UnknownJob => Err(elsewhere(session, &wanted.job, refusal).await),
        limited => value(&limited?),
    }
}

/// Who asks for a job that does not run here may mean one that does so elsewhere.
async fn elsewhere(session: &Session, typed: &str, refusal: Refusal) -> Refusal {
    let Ok(record) = find(session, typed).await else { return refusal };
    if record.is_terminal() {
        let text = format!("job {} has already ended: {}", record.id.short(), record.state.as_str());
        return Refusal::new(RefusalKind::UnknownJob, text);
    }
    match (record.role, &record.peer_name) {
        (Role::Sent, Some(peer)) => {
            let text = format!("job {} does not run here but on {peer}", record.id.short());
            Refusal::new(RefusalKind::NotAllowed, text).hint(format!("only the owner of {peer} can change its limits"))
        }
        _ => refusal,
    }
}

pub(super) async fn list(session: &mut Session, request: &Request) -> Answer {
    let rows = listed(session, request).await;
    session.rows(request.id, rows).await
}

async fn listed(session: &Session, request: &Request) -> Result<Vec<JobRecord>, Refusal> {
    let wanted: ListJobs = params(request)?;
    let outlets = &session.shared.parts.outlets;
    let uid = session.caller.jobs_of();
    if wanted.hosted {
        // Who uses this machine is its owner's business; others see that somebody does (`status`).
        if uid.is_some() {
            return Err(Refusal::new(RefusalKind::NotAllowed, "hosted jobs are shown to the machine's administrators"));
        }
        return session.ask(&outlets.hosted, HostedJobs).await;
    }
    let mut open = session.ask(&outlets.open_jobs, OpenJobs).await?;
    open.retain(|r| uid.is_none_or(|uid| r.uid == uid));
    let query = HistoryQuery { role: Some(crate::model::Role::Sent), limit: Some(LISTED), peer: None };
    let past = session.ask(&outlets.records, QueryRecords { query, uid }).await??;
    Ok(newest_first(open, past, wanted.all))
}

/// One list of the jobs that are open and those in history (newest first), by the order of history; a clock that was wrong
/// for a while says nothing of who came last. An open one that history is too long for is older than what is listed of it.
fn newest_first(mut open: Vec<JobRecord>, past: Vec<JobRecord>, all: bool) -> Vec<JobRecord> {
    // Of the ended ones, those with results that wait are always of interest.
    let waits = |r: &JobRecord| r.delivery == crate::model::Delivery::Waiting;
    let mut rows = Vec::with_capacity(open.len() + past.len());
    for record in past {
        match open.iter().position(|r| r.id == record.id) {
            Some(at) => rows.push(open.swap_remove(at)),
            None if record.is_terminal() && (all || waits(&record)) => rows.push(record),
            None => {}
        }
    }
    open.sort_by_key(|r| std::cmp::Reverse(r.created_ms));
    rows.append(&mut open);
    rows
}

pub(super) async fn history(session: &mut Session, request: &Request) -> Answer {
    let rows = match params::<HistoryQuery>(request) {
        Ok(query) => {
            let uid = session.caller.jobs_of();
            session.ask(&session.shared.parts.outlets.records, QueryRecords { query, uid }).await
        }
        Err(refusal) => Err(refusal),
    };
    session.rows(request.id, rows.and_then(|rows| rows)).await
}

pub(super) async fn stats(session: &mut Session, request: &Request) -> Answer {
    let rows = match params::<HistoryQuery>(request) {
        Ok(query) => {
            let uid = session.caller.jobs_of();
            session.ask(&session.shared.parts.outlets.stats, QueryStats { query, uid }).await
        }
        Err(refusal) => Err(refusal),
    };
    session.rows(request.id, rows.and_then(|rows| rows)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, JobId, JobSpec, Outcome, Role};

    #[test]
    fn jobs_are_listed_as_they_were_written_down_whatever_the_clock_said() {
        let job = |n: u8, created_ms| {
            JobRecord::new(JobId([n; 16]), Role::Sent, JobSpec::default(), Digest([0; 32]), created_ms)
        };
        let ended = |n, created_ms| {
            let outcome = Outcome::Exited { code: 0 };
            JobRecord { state: outcome.state(), outcome: Some(outcome), ..job(n, created_ms) }
        };
        // 1 and 2 came before all that is listed of history; 4 was sent while the clock was ahead.
        let open = || vec![job(1, 1), job(2, 2), job(5, 5)];
        let past = || vec![ended(6, 6), job(5, 5), ended(4, 4_000_000), ended(3, 3)];
        let order = |rows: Vec<JobRecord>| rows.iter().map(|r| r.id.0[0]).collect::<Vec<_>>();
        assert_eq!(order(newest_first(open(), past(), true)), [6, 5, 4, 3, 2, 1]);
        assert_eq!(order(newest_first(open(), past(), false)), [5, 2, 1]);
    }
}
