//! Words the history understands.

use crate::mailbox::Word;
use crate::model::{JobId, JobRecord, Role};
use crate::wire::ipc::{HistoryQuery, PeerStats, Placed};
use crate::wire::refusal::Refusal;

/// Writes a record (insert or replace by id and role). Durable (synchronous=FULL, group commit) before the answer.
///
/// A terminal record is final: a later non-terminal one for the same id, role and epoch is ignored.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct PutRecord {
    /// The whole record.
    pub record: Box<JobRecord>,
}

/// One record.
#[derive(Debug, Word)]
#[rtype(result = "Result<Option<JobRecord>, Refusal>")]
pub struct GetRecord {
    /// Which job.
    pub job: JobId,
    /// Which side.
    pub role: Role,
}

/// The job whose id starts with `prefix`, or the latest for `last`; of `uid` only, unless `None` (root, admins).
#[derive(Debug, Word)]
#[rtype(result = "Result<JobRecord, Refusal>")]
pub struct FindJob {
    /// What the user typed.
    pub prefix: String,
    /// Whose.
    pub uid: Option<u32>,
}

/// Records that are not terminal: what a restarted homied has to go on with. With `hosted`, also ended ones whose
/// results were not acknowledged (state `collecting`).
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<JobRecord>, Refusal>")]
pub struct LoadOpen {
    /// Which side.
    pub role: Role,
}

/// Ended and open jobs, newest first.
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<JobRecord>, Refusal>")]
pub struct QueryRecords {
    /// Which.
    pub query: HistoryQuery,
    /// Whose (sent side); `None` for all.
    pub uid: Option<u32>,
}

/// Sums by peer and side.
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<PeerStats>, Refusal>")]
pub struct QueryStats {
    /// Which.
    pub query: HistoryQuery,
    /// Whose (sent side); `None` for all.
    pub uid: Option<u32>,
}

/// Remembers what jobs of this user put where.
#[derive(Debug, Word)]
#[rtype(result = "Result<(), Refusal>")]
pub struct RememberPlaced {
    /// Whose.
    pub uid: u32,
    /// What.
    pub placed: Vec<Placed>,
}

/// Which of these paths were put there by jobs of this user, and what was.
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<Placed>, Refusal>")]
pub struct FindPlaced {
    /// Whose.
    pub uid: u32,
    /// Absolute paths.
    pub paths: Vec<String>,
}

/// Writes everything down; the last message before the end.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct FlushHistory;
