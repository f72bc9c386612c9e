//! What is written to and read from the database. Everything here blocks; the actor has a thread for it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::error::HistoryError;
use super::schema;
use crate::model::{Digest, JobId, JobRecord, Role};
use crate::wire::ipc::{HistoryQuery, PeerStats, Placed};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Most rows of one answer: they are held in memory, about 2 KiB each.
const MOST_ROWS: u32 = 10_000;

/// How many placed files are remembered for all users together; the oldest are forgotten. A forgotten one is only
/// treated as the user's own: the next result of that name lands beside it.
const MOST_PLACED: i64 = 1_000_000;

/// The open database.
pub(super) struct Store {
    db: Connection,
    path: PathBuf,
}

type Outcome<T> = Result<T, HistoryError>;

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Sent => "sent",
        Role::Hosted => "hosted",
    }
}

/// SQLite's integers are signed; what does not fit is no amount that occurs, and is cut.
fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn amount(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

impl Store {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self { db: schema::open(path)?, path: path.to_owned() })
    }

    fn fail(&self) -> impl Fn(rusqlite::Error) -> HistoryError + '_ {
        |e| HistoryError::sqlite(&self.path, &e)
    }

    /// Opens a group of writes; [`Store::commit`] makes them durable together.
    pub(super) fn begin(&self) -> Outcome<()> {
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(self.fail())
    }

    /// Makes the group durable. On failure nothing of it is kept.
    pub(super) fn commit(&self) -> Outcome<()> {
        self.db.execute_batch("COMMIT").map_err(|e| {
            let e = HistoryError::sqlite(&self.path, &e);
            if self.in_group()
                && let Err(second) = self.db.execute_batch("ROLLBACK")
            {
                tracing::error!("{}: rollback failed: {second}", self.path.display());
            }
            e
        })
    }

    /// Whether a group is open. A full disk may end one behind our back.
    pub(super) fn in_group(&self) -> bool {
        !self.db.is_autocommit()
    }

    /// Writes a record. A terminal one is not undone by a late word about the same assignment.
    pub(super) fn put(&self, r: &JobRecord) -> Outcome<()> {
        let json = serde_json::to_string(r).map_err(|e| self.odd(format!("record of {}: {e}", r.id)))?;
        let sql = "
            INSERT INTO jobs (id, role, uid, epoch, peer_id, peer_name, state, terminal, created_ms, ended_ms,
                              exit_code, wall_ms, cpu_ms, bytes, record)
            VALUES (:id, :role, :uid, :epoch, :peer_id, :peer_name, :state, :terminal, :created_ms, :ended_ms,
                    :exit_code, :wall_ms, :cpu_ms, :bytes, :record)
            ON CONFLICT (id, role) DO UPDATE SET
                uid = excluded.uid, epoch = excluded.epoch, peer_id = excluded.peer_id,
                peer_name = excluded.peer_name, state = excluded.state, terminal = excluded.terminal,
                created_ms = excluded.created_ms, ended_ms = excluded.ended_ms, exit_code = excluded.exit_code,
                wall_ms = excluded.wall_ms, cpu_ms = excluded.cpu_ms, bytes = excluded.bytes,
                record = excluded.record
            WHERE NOT (jobs.terminal = 1 AND excluded.terminal = 0 AND jobs.epoch = excluded.epoch)";
        self.db
            .prepare_cached(sql)
            .and_then(|mut s| {
                s.execute(named_params! {
                    ":id": r.id.to_string(),
                    ":role": role_text(r.role),
                    ":uid": r.uid,
                    ":epoch": r.epoch.0,
                    ":peer_id": r.peer.map(|p| p.to_string()),
                    ":peer_name": r.peer_name,
                    ":state": r.state.as_str(),
                    ":terminal": r.is_terminal(),
                    ":created_ms": int(r.created_ms),
                    ":ended_ms": r.ended_ms.map(int),
                    ":exit_code": r.outcome.as_ref().map(|o| o.exit_code()),
                    ":wall_ms": int(r.usage.wall_ms),
                    ":cpu_ms": int(r.usage.cpu_ms),
                    ":bytes": int(r.input_totals.bytes.saturating_add(r.result_totals.bytes)),
                    ":record": json,
                })
            })
            .map_err(self.fail())?;
        Ok(())
    }

    pub(super) fn get(&self, job: JobId, role: Role) -> Outcome<Option<JobRecord>> {
        let sql = "SELECT record FROM jobs WHERE id = ?1 AND role = ?2";
        let json: Option<String> = self
            .db
            .prepare_cached(sql)
            .and_then(|mut s| s.query_row(params![job.to_string(), role_text(role)], |r| r.get(0)).optional())
            .map_err(self.fail())?;
        json.map(|j| self.read(&j)).transpose()
    }

    /// The job that `typed` means: `last`, or the only one whose id starts so.
    pub(super) fn find(&self, typed: &str, uid: Option<u32>) -> Result<JobRecord, Refusal> {
        let unknown = |what: String| {
            Refusal::new(RefusalKind::UnknownJob, what)
                .hint("`homie jobs --all` lists them; the first few digits of an id are enough")
        };
        let typed = typed.trim().to_ascii_lowercase();
        if typed == "last" {
            // As they were written down, here and in lists: a job sent while the clock was ahead is not the last for years.
            let sql = "SELECT record FROM jobs WHERE role = 'sent' AND (?1 IS NULL OR uid = ?1)
                       ORDER BY rowid DESC LIMIT 1";
            let found = self.records(sql, params![uid])?;
            return found.into_iter().next().ok_or_else(|| unknown("there is no job yet".to_owned()));
        }
        let hex = !typed.is_empty() && typed.len() <= 32 && typed.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex {
            let shown = crate::model::visible_controls(typed.chars().take(40).collect::<String>().as_bytes());
            return Err(unknown(format!("{shown:?} is not a job id")));
        }
        // 'g' follows the last hex digit, so this is the range of ids with that prefix. Sent before hosted: a job
        // that ran on this machine itself has both.
        let sql = "SELECT record FROM jobs
                   WHERE id >= ?1 AND id < ?1 || 'g' AND (?2 IS NULL OR (role = 'sent' AND uid = ?2))
                   ORDER BY id, role DESC LIMIT 8";
        let mut found = self.records(sql, params![typed, uid])?;
        found.dedup_by_key(|r| r.id);
        match found.len() {
            0 => Err(unknown(format!("no job {typed}"))),
            1 => Ok(found.remove(0)),
            _ => {
                // Enough digits to tell any two apart, since ids may share their first eight.
                let ids: Vec<String> = found.iter().map(|r| r.id.to_string()[..12].to_owned()).collect();
                Err(Refusal::new(
                    RefusalKind::BadRequest,
                    format!("{typed} fits {} jobs: {}", ids.len(), ids.join(", ")),
                )
                .hint("type more digits"))
            }
        }
    }

    pub(super) fn open_jobs(&self, role: Role) -> Outcome<Vec<JobRecord>> {
        let sql = "SELECT record FROM jobs WHERE terminal = 0 AND role = ?1 ORDER BY created_ms, rowid";
        self.records(sql, params![role_text(role)])
    }

    pub(super) fn query(&self, q: &HistoryQuery, uid: Option<u32>) -> Outcome<Vec<JobRecord>> {
        let sql = "SELECT record FROM jobs
                   WHERE (?1 IS NULL OR role = ?1) AND (?2 IS NULL OR (role = 'sent' AND uid = ?2))
                     AND (?3 IS NULL OR peer_name = ?3 COLLATE NOCASE OR peer_id = ?3)
                   ORDER BY rowid DESC LIMIT ?4";
        let limit = q.limit.unwrap_or(MOST_ROWS).min(MOST_ROWS);
        self.records(sql, params![q.role.map(role_text), uid, q.peer, limit])
    }

    /// Sums over jobs that ended and had a peer; the busiest peer first.
    pub(super) fn stats(&self, q: &HistoryQuery, uid: Option<u32>) -> Outcome<Vec<PeerStats>> {
        // total() instead of sum(): it cannot overflow into an error.
        let sql = "SELECT peer_name, role, count(*), count(*) FILTER (WHERE state = 'succeeded'),
                          CAST(total(wall_ms) AS INTEGER), CAST(total(cpu_ms) AS INTEGER),
                          CAST(total(bytes) AS INTEGER), max(ended_ms)
                   FROM jobs
                   WHERE terminal = 1 AND peer_name IS NOT NULL
                     AND (?1 IS NULL OR role = ?1) AND (?2 IS NULL OR (role = 'sent' AND uid = ?2))
                     AND (?3 IS NULL OR peer_name = ?3 COLLATE NOCASE OR peer_id = ?3)
                   GROUP BY peer_name, role ORDER BY count(*) DESC, peer_name, role LIMIT ?4";
        let limit = q.limit.unwrap_or(MOST_ROWS).min(MOST_ROWS);
        let row = |r: &Row<'_>| {
            Ok(PeerStats {
                peer: r.get(0)?,
                role: if r.get::<_, String>(1)? == "sent" { Role::Sent } else { Role::Hosted },
                jobs: amount(r, 2)?,
                succeeded: amount(r, 3)?,
                wall_ms: amount(r, 4)?,
                cpu_ms: amount(r, 5)?,
                bytes: amount(r, 6)?,
                last_ms: r.get::<_, Option<i64>>(7)?.and_then(|ms| u64::try_from(ms).ok()),
            })
        };
        self.db
            .prepare_cached(sql)
            .and_then(|mut s| s.query_map(params![q.role.map(role_text), uid, q.peer, limit], row)?.collect())
            .map_err(self.fail())
    }

    pub(super) fn remember_placed(&self, uid: u32, placed: &[Placed]) -> Outcome<()> {
        let write = || {
            let mut put =
                self.db.prepare_cached("INSERT OR REPLACE INTO placed (uid, path, hash) VALUES (?1, ?2, ?3)")?;
            for p in placed {
                put.execute(params![uid, p.path, p.hash.to_string()])?;
            }
            let sql = "DELETE FROM placed WHERE seq <= (SELECT max(seq) FROM placed) - ?1";
            self.db.prepare_cached(sql)?.execute([MOST_PLACED])
        };
        write().map(|_| ()).map_err(self.fail())
    }

    pub(super) fn find_placed(&self, uid: u32, paths: &[String]) -> Outcome<Vec<Placed>> {
        let mut found = Vec::new();
        let mut get =
            self.db.prepare_cached("SELECT hash FROM placed WHERE uid = ?1 AND path = ?2").map_err(self.fail())?;
        for path in paths {
            let hash: Option<String> =
                get.query_row(params![uid, path], |r| r.get(0)).optional().map_err(self.fail())?;
            if let Some(hash) = hash.and_then(|h| h.parse::<Digest>().ok()) {
                found.push(Placed { path: path.clone(), hash });
            }
        }
        Ok(found)
    }

    /// Moves the log into the database file, so that a copy of this one file is whole.
    pub(super) fn flush(&self) -> Outcome<()> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(self.fail())
    }

    fn records(&self, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<JobRecord>> {
        let texts: Vec<String> = self
            .db
            .prepare_cached(sql)
            .and_then(|mut s| s.query_map(params, |r| r.get(0))?.collect())
            .map_err(self.fail())?;
        // One record that cannot be read must not hide the others.
        let readable = |json: &String| self.read(json).inspect_err(|e| tracing::warn!("{e}")).ok();
        Ok(texts.iter().filter_map(readable).collect())
    }

    fn read(&self, json: &str) -> Outcome<JobRecord> {
        serde_json::from_str(json).map_err(|e| self.odd(format!("a record cannot be read: {e}")))
    }

    fn odd(&self, why: String) -> HistoryError {
        HistoryError::Record { path: self.path.clone(), why }
    }
}
