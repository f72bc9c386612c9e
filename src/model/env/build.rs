//! How a build goes on and ends, and what is shown of environments.

use serde::{Deserialize, Serialize};

use super::recipe::{Lock, Recipe};
use crate::model::ids::Digest;
use crate::model::resources::EngineKind;

/// What a build or fetch does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildStep {
    /// Versions are chosen.
    #[default]
    Resolve,
    /// A friend sends what it built.
    Fetch,
    /// Files come from the index, the registry or the distribution.
    Download,
    /// Distribution packages or a Dockerfile's steps.
    System,
    /// Python packages are put in place.
    Install,
    /// The result is checked and moved into place.
    Finish,
}

impl BuildStep {
    /// For people: `step 3/5: installing …`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "choosing versions",
            Self::Fetch => "fetching from a friend",
            Self::Download => "downloading",
            Self::System => "installing system packages",
            Self::Install => "installing Python packages",
            Self::Finish => "finishing",
        }
    }
}

/// Where a build stands: whole state, so that a missed one is repaired by the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildProgress {
    /// The number of the step, from 1.
    pub step: u32,
    /// How many there are.
    pub steps: u32,
    /// What is done in it.
    pub what: BuildStep,
    /// More of it: the package or friend at hand.
    pub detail: String,
    /// Bytes done of this step, 0 when they cannot be counted.
    pub done: u64,
    /// Bytes of this step in all, 0 when unknown.
    pub total: u64,
    /// The last lines of the tools' own output, control characters made visible.
    pub lines: Vec<String>,
}

impl BuildProgress {
    /// Lines that are kept: enough to see why pip gave up.
    pub const LINES: usize = 20;
    /// Characters of a line that are kept.
    pub const LINE_CHARS: usize = 500;

    /// Takes note of one more line of output.
    pub fn push_line(&mut self, line: &[u8]) {
        let text: String = crate::model::visible_controls(line).chars().take(Self::LINE_CHARS).collect();
        if self.lines.len() >= Self::LINES {
            self.lines.remove(0);
        }
        self.lines.push(text);
    }

    /// `step 3/5: installing Python packages (numpy)`
    pub fn sentence(&self) -> String {
        let detail = if self.detail.is_empty() { String::new() } else { format!(" ({})", self.detail) };
        format!("step {}/{}: {}{detail}", self.step, self.steps, self.what.as_str())
    }
}

/// Why a build came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailedBuild {
    /// The owner does not allow that kind of build.
    NotAllowed,
    /// This machine cannot build it: other processor, other Python, no such tool.
    Cannot,
    /// No versions satisfy the recipe.
    Unresolvable,
    /// An index, registry or friend does not answer, or not with what was asked for.
    Network,
    /// A file is not what its hash says.
    Integrity,
    /// Disk or quota is full.
    DiskFull,
    /// A tool failed; its lines tell.
    Step,
    /// It took longer than builds may.
    TimedOut,
    /// Somebody stopped it.
    Cancelled,
    /// A fault of Homie's own.
    Internal,
}

/// A build that came to nothing: at which step, and the last lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct BuildFailure {
    /// Why, as a word.
    pub kind: FailedBuild,
    /// What was wrong, lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How far it came, with the last lines of output.
    // Boxed: a result carries it through every step, and nearly always it is not there.
    pub at: Box<BuildProgress>,
}

impl BuildFailure {
    /// One without a step, which is filled in by whoever knows it.
    pub fn new(kind: FailedBuild, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, at: Box::default() }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What stands on disk or in an engine for one lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvBuilt {
    /// The lock's digest.
    pub digest: Digest,
    /// Which engine can run it.
    pub engine: EngineKind,
    /// What it takes on disk.
    pub bytes: u64,
    /// The image that holds it, by id, for engines that have images; else it is a directory.
    pub image: Option<String>,
    /// Its Python, exactly (`3.11.2`).
    pub python: Option<String>,
    /// The lock itself.
    pub lock: Lock,
}

/// Where a named environment stands on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EnvState {
    /// The recipe is known, nothing is built.
    Known,
    /// It is being built or fetched.
    Building {
        /// How far.
        progress: BuildProgress,
    },
    /// It can be run.
    Ready,
    /// The last build came to nothing.
    Failed {
        /// Why.
        failure: BuildFailure,
    },
}

impl EnvState {
    /// The word in JSON and on screen.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Known => "not built",
            Self::Building { .. } => "building",
            Self::Ready => "ready",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A row of `homie env list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvView {
    /// Its name.
    pub name: String,
    /// The digest of its recipe.
    pub recipe: Digest,
    /// The digest of its lock, once resolved.
    pub digest: Option<Digest>,
    /// `python`, `image` or `dockerfile`.
    pub kind: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: EnvState,
    /// Engines that can run it here.
    pub engines: Vec<EngineKind>,
    /// Its Python, exactly.
    pub python: Option<String>,
    /// What it takes on disk.
    pub bytes: u64,
    /// When a job last used it, milliseconds since 1970.
    pub used_ms: Option<u64>,
}

/// What `homie env show` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvDetail {
    /// The row.
    pub view: EnvView,
    /// As its owner wrote it.
    pub recipe: Recipe,
    /// What it was resolved to.
    pub lock: Option<Lock>,
}

/// What a client that builds is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EnvEvent {
    /// It goes on.
    Progress {
        /// Whole state.
        progress: BuildProgress,
    },
    /// It came to nothing; the last event.
    Failed {
        /// Why.
        failure: BuildFailure,
    },
    /// It is ready; the last event.
    Ready {
        /// How it stands now.
        view: Box<EnvView>,
    },
}
