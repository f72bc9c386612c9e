//! Why the history cannot be kept.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::wire::refusal::{Refusal, RefusalKind};

/// Why the history cannot be kept. Each says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be opened, made or written.
    #[error("{path}: cannot be written: {why}", path = path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// The system's or SQLite's words.
        why: String,
    },
    /// It is no SQLite database, a damaged one, or another program's.
    #[error("{path}: {why}", path = path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A later homied wrote it.
    #[error("{path}: was written by a later homied (schema {found}, this one knows {known})", path = path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// This build has an SQLite that may corrupt databases in WAL mode.
    #[error("this homied was built with SQLite {0}, which may corrupt its database; 3.51.3 or later is needed")]
    OldSqlite(&'static str),
    /// The disk is full.
    #[error("{path}: the disk is full", path = path.display())]
    Full {
        /// Which file.
        path: PathBuf,
    },
    /// A record does not fit what was expected of it.
    #[error("{path}: {why}", path = path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl HistoryError {
    /// What SQLite's `error` about the database at `path` means.
    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, why: "is damaged".to_owned() },
            Some(ErrorCode::NotADatabase) => Self::Corrupt { path, why: "is not a database".to_owned() },
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked,
            ) => Self::Unwritable { path, why },
            _ => Self::Record { path, why },
        }
    }

    /// What to do about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::Unwritable { path, .. } => {
                let dir = path.parent().unwrap_or(path);
                format!("make {} writable for homied's user, or end the other program that holds it", dir.display())
            }
            Self::Corrupt { path, .. } => {
                let path = path.display();
                format!("move it away (mv {path} {path}.bad) and start homied again; it begins a new history")
            }
            Self::Newer { .. } => "install that homied again, or move the file away".to_owned(),
            Self::OldSqlite(_) => "build homied with its bundled SQLite".to_owned(),
            Self::Full { path } => {
                format!("make room on the disk of {}", path.parent().unwrap_or(path).display())
            }
            Self::Record { .. } => "this is a fault of Homie's; please report it".to_owned(),
        }
    }
}

impl From<HistoryError> for Refusal {
    fn from(e: HistoryError) -> Self {
        let kind = match e {
            HistoryError::Full { .. } => RefusalKind::DiskFull,
            _ => RefusalKind::Internal,
        };
        Refusal::new(kind, e.to_string()).hint(e.next_step())
    }
}
