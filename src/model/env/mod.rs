//! Environments: what a job finds installed around it.
//!
//! A [`Recipe`] is what people write and commit (`homie.env.yaml`). Resolving it for a [`Target`] gives a [`Lock`]:
//! exact versions and hashes. The digest of the lock is the environment's identity, so two friends who built the same
//! thing under two names know that it is the same thing.

/// Where builds may fetch from unless the owner says otherwise: the Python index and the archives of the distributions
/// that `base` is made from.
pub const DEFAULT_BUILD_HOSTS: [&str; 7] = [
    "pypi.org",
    "files.pythonhosted.org",
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
    "security.ubuntu.com",
    "ports.ubuntu.com",
];

mod build;
mod recipe;

pub use build::{
    BuildFailure, BuildProgress, BuildStep, EnvBuilt, EnvDetail, EnvEvent, EnvState, EnvView, FailedBuild,
};
pub use recipe::{
    AllowBuilds, BuildOffer, EnvOffer, Lock, LockedPackage, RECIPE_FILE, Recipe, RecipeProblem, Target, WantedEnv,
    check_env_name,
};
