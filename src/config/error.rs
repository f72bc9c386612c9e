//! Why the configuration cannot be used. No message ever carries a secret.

use std::path::PathBuf;

use crate::wire::refusal::{Refusal, RefusalKind};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read, or not be written.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is not YAML, or not a list of keys and values.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A value cannot be used.
    #[error("{origin}: {key}: {problem}")]
    Value {
        /// Where it was given: `/path:LINE`, `HOMIE_NAME`, `--name`.
        origin: String,
        /// Which key.
        key: &'static str,
        /// What is wrong and what to write.
        problem: String,
    },
    /// `homie add`, `remove` or `config` asked for a change that cannot be made.
    #[error("{0}")]
    Edit(String),
}

impl From<ConfigError> for Refusal {
    fn from(e: ConfigError) -> Self {
        let hint = match &e {
            ConfigError::File { path, .. } => {
                Some(format!("make {} a file that homied's user can read and write", path.display()))
            }
            ConfigError::Syntax { .. } | ConfigError::Value { .. } => {
                Some("mend the line; `homie config` shows every value and where it comes from".to_owned())
            }
            ConfigError::Edit(_) => None,
        };
        let kind = match e {
            ConfigError::Edit(_) => RefusalKind::BadRequest,
            _ => RefusalKind::Config,
        };
        Self { kind, message: e.to_string(), hint }
    }
}
