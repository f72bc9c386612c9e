//! What `homie doctor` asks and hears.

use serde::{Deserialize, Serialize};

use crate::model::EngineKind;

/// What to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DoctorParams {
    /// Also run the escape probes in every engine: seconds, and for administrators only.
    pub sandbox: bool,
}

/// One row of the answer. Each comes when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
pub enum DoctorRow {
    /// Something that works or does not.
    Check(Check),
    /// An attempt to get out of a jail.
    Probe(ProbeRow),
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but gives less than it could.
    Less,
    /// Does not work.
    Bad,
}

/// Something that works or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is spoken of: `native engine`, `discovery`...
    pub subject: String,
    /// How good it is.
    pub level: Level,
    /// One line.
    pub text: String,
}

/// What came of one attempt in one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// The engine whose jail it was.
    pub engine: EngineKind,
    /// What it goes after: `host files`, `network`...
    pub group: String,
    /// Its name.
    pub name: String,
    /// What somebody could do with it.
    pub why: String,
    /// What came of it.
    pub result: ProbeResult,
    /// What happened, in one line.
    pub note: String,
    /// What the client has to judge: some attempts end at its rules, not at the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeResult {
    /// It reached its canary without a jail, and not from inside.
    Held,
    /// It reached its canary from inside.
    Reached,
    /// Without a jail it does not reach it either: this kernel has no such thing, or this user no such right.
    Untried,
    /// The probe itself failed, so nothing is known.
    Broken,
}

/// What a job left for the client to deal with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A new file among the results.
    NewFile(String),
    /// A result under the name of a file that was sent.
    SentFile(String),
    /// Bytes of its output.
    Output(Vec<u8>),
}
