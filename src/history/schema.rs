//! The database: how it is opened, and its tables from the first release to this one.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::error::HistoryError;

/// "HOMI" in ASCII: tells our file from another program's.
const APPLICATION_ID: i64 = 0x484f_4d49;

/// SQLite 3.7.0 to 3.51.2 may corrupt a database in WAL mode when two connections reset the log at once
/// (sqlite.org/wal.html#walresetbug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// A backup or `sqlite3` may hold the file for a moment; the actor has a thread of its own and can wait.
const BUSY: Duration = Duration::from_secs(5);

/// Step n brings schema n to n + 1. A released step is never changed.
///
/// `record` is the whole record as JSON; the columns beside it are those that are searched or summed.
const STEPS: [&str; 1] = ["
    CREATE TABLE jobs (
        id         TEXT NOT NULL,
        role       TEXT NOT NULL CHECK (role IN ('sent', 'hosted')),
        uid        INTEGER NOT NULL,
        epoch      INTEGER NOT NULL,
        peer_id    TEXT,
        peer_name  TEXT,
        state      TEXT NOT NULL,
        terminal   INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        ended_ms   INTEGER,
        exit_code  INTEGER,
        wall_ms    INTEGER NOT NULL,
        cpu_ms     INTEGER NOT NULL,
        bytes      INTEGER NOT NULL,
        record     TEXT NOT NULL,
        PRIMARY KEY (id, role)
    ) STRICT;
    CREATE INDEX jobs_by_time ON jobs (created_ms);
    CREATE INDEX jobs_by_peer ON jobs (peer_name, created_ms);
    CREATE INDEX jobs_open ON jobs (role, created_ms) WHERE terminal = 0;

    CREATE TABLE placed (
        seq  INTEGER PRIMARY KEY,
        uid  INTEGER NOT NULL,
        path TEXT NOT NULL,
        hash TEXT NOT NULL,
        UNIQUE (uid, path)
    ) STRICT;
"];

/// Opens the database at `path`, makes it if there is none, checks it and brings it to the present schema.
pub(super) fn open(path: &Path) -> Result<Connection, HistoryError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(HistoryError::OldSqlite(rusqlite::version()));
    }
    // Made here, since SQLite would let the umask decide who may read what was run; its -wal and -shm files take over
    // the rights of the main file.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| HistoryError::Unwritable { path: path.to_owned(), why: e.to_string() })?;
    let fail = |e: rusqlite::Error| HistoryError::sqlite(path, &e);
    let mut db = Connection::open(path).map_err(fail)?;
    db.busy_timeout(BUSY).map_err(fail)?;
    check(&db, path)?;
    // FULL: with WAL, only then has a commit that was answered survived a power cut.
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .map_err(fail)?;
    migrate(&mut db, path)?;
    Ok(db)
}

fn check(db: &Connection, path: &Path) -> Result<(), HistoryError> {
    let fail = |e: rusqlite::Error| HistoryError::sqlite(path, &e);
    let number = |sql: &str| db.query_row(sql, [], |r| r.get::<_, i64>(0)).map_err(fail);
    let owner = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if owner != APPLICATION_ID && (owner != 0 || tables > 0) {
        return Err(HistoryError::Corrupt { path: path.to_owned(), why: "belongs to another program".to_owned() });
    }
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).map_err(fail)?;
    if verdict != "ok" {
        let why = format!("is damaged: {}", verdict.lines().next().unwrap_or_default());
        return Err(HistoryError::Corrupt { path: path.to_owned(), why });
    }
    Ok(())
}

/// Every missing step in one transaction: the schema is the old one or the present one, never in between.
fn migrate(db: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    let known = STEPS.len() as i64;
    let fail = |e: rusqlite::Error| HistoryError::sqlite(path, &e);
    let steps = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let found: i64 = steps.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(fail)?;
    if found > known {
        return Err(HistoryError::Newer { path: path.to_owned(), found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for step in &STEPS[done..] {
        steps.execute_batch(step).map_err(fail)?;
    }
    steps.pragma_update(None, "user_version", known).map_err(fail)?;
    steps.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    steps.commit().map_err(fail)
}
