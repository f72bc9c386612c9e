//! What an earlier homied left: which jobs go on, and where on their road. Blocks.

use std::fs;
use std::path::{Path, PathBuf};

use super::admission::Grant;
use super::engine::parse_job_name;
use super::envs::{EnvHeld, Key};
use super::follow::Orders;
use super::hosted::{self, ENV, GRANT};
use super::life::{Entry, engine_of};
use super::results::Results;
use super::supervisor::{EXIT, LAUNCH, LIMITED, LIMITS, LimitedNote, LimitsOrder, OUTPUT, read_json};
use super::{spare, warm};
use crate::model::{HostedState, HostedStatus, JobRecord, Limits};
use crate::pipe::LogState;

/// A job to go on with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) record: JobRecord,
    pub(super) grant: Grant,
    pub(super) dir: PathBuf,
    pub(super) status: HostedStatus,
    pub(super) log: LogState,
    pub(super) orders: Orders,
    pub(super) entry: Entry,
    /// The environment it runs in, unless that is `base`.
    pub(super) env: Option<Key>,
    /// The same, held.
    pub(super) held: Option<EnvHeld>,
}

/// Looks into the directory of a job that history calls open.
pub(super) fn look(jobs_dir: &Path, record: JobRecord) -> Found {
    let dir = jobs_dir.join(super::engine::job_name(record.id, record.epoch));
    let grant: Option<Grant> = read_json(&dir.join(GRANT)).ok();
    let grant = grant.unwrap_or_else(|| Grant {
        engine: engine_of(&record),
        env: "base".into(),
        limits: Limits::default(),
        gpus: vec![],
    });
    let output = fs::metadata(dir.join(OUTPUT)).map_or(0, |m| m.len());
    let mut orders = Orders::default();
    let mut status = HostedStatus { output_bytes: output, ..hosted::accepted_status(&record) };
    let mut log = LogState { len: output, done: false };
    // What the owner changed holds on; an order that was not answered is given again.
    orders.limits = read_json::<LimitsOrder>(&dir.join(LIMITS)).ok();
    if let Ok(LimitedNote { limits, .. }) = read_json(&dir.join(LIMITED)) {
        status.limits = Some(limits);
    }
    let entry = if record.outcome.is_some() {
        // A job that ended before it began has no list of results.
        status = hosted::done_status(&record, &Results::load(&dir).unwrap_or_default());
        log = LogState { len: record.output_bytes, done: true };
        Entry::Done
    } else if dir.join(EXIT).exists() || dir.join(LAUNCH).exists() {
        status.state = HostedState::Running;
        Entry::Supervise
    } else if hosted::work_dir(&dir).exists() {
        // Its inputs were complete and the order to start had come: work/ is made after it.
        orders.start = true;
        status.state = HostedState::Preparing;
        Entry::Prepare
    } else {
        Entry::Accepted
    };
    let env = read_json(&dir.join(ENV)).ok();
    Found { record, grant, dir, status, log, orders, entry, env, held: None }
}

/// Directories of jobs that are in no open record, and what a killed probe left.
pub(super) fn orphans(jobs_dir: &Path, known: &[PathBuf]) -> Vec<PathBuf> {
    let entries = fs::read_dir(jobs_dir).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let ahead = ["probe-", warm::PREFIX, spare::PREFIX];
        parse_job_name(name).is_some() || ahead.iter().any(|prefix| name.starts_with(prefix))
    };
    entries.map(|e| e.path()).filter(|p| ours(p) && !known.contains(p)).collect()
}
