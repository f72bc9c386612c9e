//! What the client says to homied about environments. Recipes travel as files (see [`super::ipc::method::FILES_PUT`]),
//! because a lock with all its hashes does not fit into a frame.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, EngineKind, EnvView};

/// `homie env create`, and `homie run --env FILE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvCreate {
    /// The manifest of the files that were put.
    pub files: Digest,
    /// Which of them is the recipe.
    pub main: String,
    /// What it is called if the file does not say.
    pub name: String,
    /// It is for one job, and may go away when nobody uses it.
    pub auto: bool,
    /// In the place of another recipe of that name.
    pub replace: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvCreated {
    /// The recipe names other files; put them too and ask again.
    Wants(Vec<String>),
    /// It is known now.
    Known(Box<EnvView>),
}

/// An environment by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvRef {
    /// Its name.
    pub name: String,
}

/// `homie env build`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvBuild {
    /// Its name.
    pub name: String,
    /// For this engine; `None` is the one a job would get.
    pub engine: Option<EngineKind>,
    /// Although it is there, with versions chosen anew.
    pub again: bool,
}

/// A row of `homie env show`: lists of a lock do not fit into one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvLine {
    /// How it stands; the first row.
    View(Box<EnvView>),
    /// A line of its recipe, as `homie.env.yaml` has it.
    Recipe(String),
    /// A line of its lock.
    Lock(String),
}
