//! How a job ended, and the exit code that `homie run` gives for it.

use serde::{Deserialize, Serialize};

use super::job::JobState;

/// What Homie itself, not the job's program, failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailKind {
    /// No peer could take the job.
    NoPeer,
    /// The inputs could not be brought to the worker.
    Inputs,
    /// Its environment could not be had.
    Environment,
    /// The program could not be started (not found, not executable, wrong format).
    Spawn,
    /// The engine went away or refused.
    Engine,
    /// More output than the cap.
    OutputLimit,
    /// More disk than the cap, or the worker's disk is full.
    DiskLimit,
    /// Killed by the kernel for its memory limit.
    OutOfMemory,
    /// The results could not be brought home.
    Results,
    /// Anything else; the message tells.
    Internal,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// The program returned.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the program.
    Signaled {
        /// The signal's number on Linux.
        signal: i32,
    },
    /// It reached its time limit and was killed.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled {
        /// Who: `you`, the name of the machine whose owner did, or what brought it about.
        by: String,
    },
    /// Homie failed.
    Failed {
        /// At what.
        reason: FailKind,
        /// What was wrong and what to do.
        message: String,
    },
    /// Every attempt was lost with its worker.
    Lost {
        /// Which worker and since when.
        message: String,
    },
}

impl Outcome {
    /// The terminal state this outcome puts a job in.
    pub fn state(&self) -> JobState {
        match self {
            Self::Exited { code: 0 } => JobState::Succeeded,
            Self::Exited { .. } | Self::Signaled { .. } | Self::Failed { .. } => JobState::Failed,
            Self::TimedOut => JobState::TimedOut,
            Self::Cancelled { .. } => JobState::Cancelled,
            Self::Lost { .. } => JobState::Lost,
        }
    }

    /// The exit code of `homie run`: the script's own, 128+signal, 124 timed out, 130 cancelled, 69 no peer,
    /// 125 anything else that Homie failed at.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exited { code } => *code,
            Self::Signaled { signal } => 128 + signal,
            Self::TimedOut => 124,
            Self::Cancelled { .. } => 130,
            Self::Failed { reason: FailKind::NoPeer, .. } => 69,
            Self::Failed { .. } | Self::Lost { .. } => 125,
        }
    }

    /// A failure of Homie's own.
    pub fn failed(reason: FailKind, message: impl Into<String>) -> Self {
        Self::Failed { reason, message: message.into() }
    }
}
