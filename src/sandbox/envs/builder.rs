//! What makes environments: the [`Builder`] trait and the plain data that crosses it.
//!
//! The keeper of the books gives a builder an empty directory of its own and a policy; the builder makes the
//! environment there (or in its engine) and says what came out. It keeps no state between calls.
//!
//! For an environment that is a directory, `DIR/tree` is what a job sees read-only at
//! [`INSIDE_ENV`](crate::sandbox::engine::INSIDE_ENV). DIR is renamed when the build is done, so nothing in the
//! tree may name it. A future that is dropped stops its work: no process, container or half image stays.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{
    AllowBuilds, BuildFailure, BuildOffer, BuildProgress, Digest, EngineKind, EnvBuilt, Lock, PeerId, Recipe, Target,
};

/// The name of the directory that a job sees, inside the one an environment is kept in.
pub const TREE: &str = "tree";

/// What a build may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPolicy {
    /// What may run. An owner's own build has `All`.
    pub allow: AllowBuilds,
    /// Hosts that files may come from (`pypi.org`, `*.debian.org`), in addition to those that this machine's own
    /// settings of pip name. Addresses that are loopback, private or link-local are refused unless the host itself is
    /// named here or in those settings.
    pub hosts: Vec<String>,
    /// Most bytes the environment may take on disk.
    pub max_bytes: u64,
}

/// Choose versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveOrder {
    /// Of this.
    pub recipe: Recipe,
    /// With this engine.
    pub engine: EngineKind,
    /// A directory that is empty and goes away afterwards.
    pub dir: PathBuf,
    /// What may be done.
    pub policy: BuildPolicy,
}

/// Build what was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOrder {
    /// Its identity.
    pub digest: Digest,
    /// What is wanted.
    pub lock: Lock,
    /// With this engine.
    pub engine: EngineKind,
    /// A directory that is empty and becomes the environment's own.
    pub dir: PathBuf,
    /// What may be done.
    pub policy: BuildPolicy,
}

/// Who has an environment, and for which engine: a directory is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Giver {
    /// Who.
    pub peer: PeerId,
    /// The engine it was made for there.
    pub engine: EngineKind,
}

/// Fetch what a peer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchOrder {
    /// What.
    pub digest: Digest,
    /// For this engine.
    pub engine: EngineKind,
    /// From one of these, the best first.
    pub givers: Vec<Giver>,
    /// A directory that becomes the environment's own. What an earlier try of the same digest left in it may be used.
    pub dir: PathBuf,
    /// Most bytes it may take on disk.
    pub max_bytes: u64,
}

/// Where progress goes. Each send replaces the whole state.
pub type ProgressSink = watch::Sender<BuildProgress>;

/// A piece of work in progress.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A thing that makes environments.
pub trait Builder: fmt::Debug + Send + Sync {
    /// What can be built on this machine now with these engines; `allow` is filled in by the asker. Takes a few seconds at most.
    fn offers<'a>(&'a self, engines: &'a [EngineKind]) -> Work<'a, Vec<BuildOffer>>;

    /// Chooses the versions and files of a recipe for one engine's [`Target`].
    ///
    /// # Errors
    /// See [`crate::model::FailedBuild`].
    fn resolve<'a>(
        &'a self,
        order: &'a ResolveOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<Lock, BuildFailure>>;

    /// Builds a lock. The same digest built a second time, or after a kill in the middle, is fine.
    ///
    /// # Errors
    /// See [`crate::model::FailedBuild`].
    fn build<'a>(
        &'a self,
        order: &'a BuildOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<EnvBuilt, BuildFailure>>;

    /// Fetches an environment from a peer that has it, and checks every byte of it.
    ///
    /// # Errors
    /// See [`crate::model::FailedBuild`]; `Network` when no peer could give it.
    fn fetch<'a>(
        &'a self,
        order: &'a FetchOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<EnvBuilt, BuildFailure>>;

    /// Puts what an engine holds of a built environment into `dir`, an empty directory, as files that a friend's `fetch`
    /// understands: the same bytes each time.
    ///
    /// # Errors
    /// The engine does not give it, or the disk is full.
    fn pack<'a>(&'a self, built: &'a EnvBuilt, dir: &'a Path) -> Work<'a, Result<(), BuildFailure>>;

    /// Whether what an engine holds of a built environment (an image) is still there. Directories are not its affair.
    fn present<'a>(&'a self, built: &'a EnvBuilt) -> Work<'a, bool>;

    /// Removes what an engine holds of it. Nothing left is fine.
    fn remove<'a>(&'a self, built: &'a EnvBuilt) -> Work<'a, Result<(), String>>;
}

/// Whether a lock made for `lock` can be built or run on `here`.
pub fn fits(lock: &Target, here: &Target) -> bool {
    lock.runs_on(here)
}
