//! Making environments on this machine: the [`Builder`] that homied uses.
//!
//! A build is run as jobs are: in the jail of the engine that will use what comes out, under a supervisor, with limits of
//! disk, time and memory. Its only road out is the [`proxy`](super::proxy). `python` makes directories of Python packages
//! with a small driver that runs inside; `image` makes images for Docker; `fetch` gets what a friend has.

// A failed build carries its last lines; one is made in minutes, not in a loop.
#![allow(clippy::result_large_err)]

mod carry;
mod failure;
mod fetch;
mod files;
mod image;
mod index;
mod jail;
mod lines;
mod python;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub(in crate::sandbox) use self::carry::IMAGE;
pub use self::carry::is_image;
use self::python::Place;
use super::builder::{BuildOrder, Builder, FetchOrder, ProgressSink, ResolveOrder, Work, fits};
use crate::blobs::BlobStore;
use crate::link::messages::FetchEnv;
use crate::mailbox::Outlet;
use crate::model::{
    AllowBuilds, BuildFailure, BuildOffer, EngineKind, EnvBuilt, FailedBuild, Limits, Lock, Recipe, Target,
};
use crate::sandbox::Lookout;

/// How long a build may take: PyTorch over a slow line, or a large package from source.
const BUILD_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// What a builder needs of its machine.
#[derive(Debug, Clone)]
pub struct HostBuilderParts {
    /// homied's own program.
    pub exe: PathBuf,
    /// This machine's peer id: what containers and control groups of builds are labelled with.
    pub node: String,
    /// Where Docker answers, if not at the usual places.
    pub docker_host: Option<String>,
    /// A directory for files of packages, kept by their hashes.
    pub cache: PathBuf,
    /// Processors, memory and processes of a build.
    pub limits: Limits,
    /// The store that files from friends go through.
    pub blobs: BlobStore,
    /// The link, once it stands: it starts after this room.
    pub link: Arc<OnceLock<Outlet<FetchEnv>>>,
    /// Looks at the directories of builds.
    pub lookout: Lookout,
}

type Host = HostBuilderParts;

/// Builds with the engines of this machine.
#[derive(Debug)]
pub struct HostBuilder {
    host: Host,
    /// What is known of images, by id.
    known: Mutex<HashMap<String, Place>>,
    /// Held while the engine is asked what `base` has, for which there is one directory: whoever comes meanwhile finds it
    /// known.
    asking: tokio::sync::Mutex<()>,
}

fn internal(e: &impl Display) -> BuildFailure {
    BuildFailure::new(FailedBuild::Internal, e.to_string())
}

fn not_allowed() -> BuildFailure {
    BuildFailure::new(FailedBuild::NotAllowed, "the owner of this machine does not allow builds for friends")
        .hint("its owner can set allow_builds to wheels or all")
}

impl HostBuilder {
    /// A builder for this machine.
    ///
    /// # Errors
    /// The cache cannot be made.
    pub fn new(host: HostBuilderParts) -> std::io::Result<Self> {
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
            .create(&host.cache)?;
        Ok(Self { host, known: Mutex::default(), asking: tokio::sync::Mutex::default() })
    }

    /// Where Python packages for `engine` are put together, the machine's first choice first.
    async fn places(&self, engine: EngineKind, dir: &Path) -> Result<Vec<Place>, BuildFailure> {
        match engine {
            EngineKind::Native => {
                let system = image::system(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
                let place = |python| Place { engine, image: None, python, system: system.clone() };
                Ok(python::interpreters().await.into_iter().map(place).collect())
            }
            EngineKind::Docker => {
                let base = image::base(&self.host).await?;
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&base).cloned();
                let place = match known {
                    Some(place) => place,
                    None => image::about(&self.host, &base, dir).await?,
                };
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(base, place.clone());
                Ok(vec![place])
            }
        }
    }

    async fn do_resolve(&self, order: &ResolveOrder, progress: &ProgressSink) -> Result<Lock, BuildFailure> {
        let recipe = &order.recipe;
        recipe.check().map_err(|e| BuildFailure::new(FailedBuild::Unresolvable, e.to_string()))?;
        if order.policy.allow == AllowBuilds::None {
            return Err(not_allowed());
        }
        let mut lock = Lock {
            recipe: recipe.digest(),
            target: Target { arch: std::env::consts::ARCH.to_owned(), python: None, system: None },
            packages: vec![],
            apt: recipe.apt.clone(),
            image: None,
            dockerfile: recipe.dockerfile.clone(),
        };
        lock.apt.sort();
        if recipe.image.is_some() || recipe.dockerfile.is_some() {
            image::check(order.engine, order.policy.allow)?;
            lock.image = match &recipe.image {
                Some(image) => Some(image::resolve(&self.host, image, progress).await?),
                None => None,
            };
            return Ok(lock);
        }
        if !recipe.apt.is_empty() {
            match order.engine {
                EngineKind::Native => image::installed_here(&recipe.apt).await?,
                EngineKind::Docker => image::check(order.engine, order.policy.allow)?,
            }
        }
        let places = self.places(order.engine, &order.dir).await?;
        let place = pick(&places, recipe)?;
        lock.packages = python::resolve(&self.host, order, place, progress).await?;
        lock.target = place.target(!recipe.apt.is_empty());
        Ok(lock)
    }

    async fn do_build(&self, order: &BuildOrder, progress: &ProgressSink) -> Result<EnvBuilt, BuildFailure> {
        let (lock, allow) = (&order.lock, order.policy.allow);
        if allow == AllowBuilds::None {
            return Err(not_allowed());
        }
        if lock.digest() != order.digest {
            return Err(BuildFailure::new(FailedBuild::Integrity, "the lock is not the one that was announced"));
        }
        if allow != AllowBuilds::All && lock.packages.iter().any(|p| p.source) {
            return Err(BuildFailure::new(FailedBuild::NotAllowed, "only ready-made wheels may be used here"));
        }
        if lock.image.is_some() || lock.dockerfile.is_some() {
            image::check(order.engine, allow)?;
            return image::build(&self.host, order, None, progress).await;
        }
        let places = self.places(order.engine, &order.dir).await?;
        let wanted = |place: &&Place| fits(&lock.target, &place.target(true));
        let mut place = places.iter().find(wanted).cloned().ok_or_else(|| {
            let python = lock.target.python.as_deref().unwrap_or("any");
            BuildFailure::new(
                FailedBuild::Cannot,
                format!("this machine has no Python {python} for {}", lock.target.arch),
            )
        })?;
        if lock.apt.is_empty() || order.engine == EngineKind::Native {
            if !lock.apt.is_empty() {
                image::installed_here(&lock.apt).await?;
            }
            return python::build(&self.host, order, &place, progress).await;
        }
        image::check(order.engine, allow)?;
        let with_apt = image::build(&self.host, order, Some(&place), progress).await?;
        if lock.packages.is_empty() {
            return Ok(with_apt);
        }
        place.image.clone_from(&with_apt.image);
        let tree = python::build(&self.host, order, &place, progress).await?;
        Ok(EnvBuilt { bytes: with_apt.bytes + tree.bytes, image: with_apt.image, ..tree })
    }
}

/// The first place whose Python the recipe takes.
fn pick<'a>(places: &'a [Place], recipe: &Recipe) -> Result<&'a Place, BuildFailure> {
    if places.is_empty() {
        return Err(BuildFailure::new(FailedBuild::Cannot, "there is no Python 3.8 or newer with venv for jobs here")
            .hint("install python3 (on Debian also python3-venv), or let Docker run the job"));
    }
    places.iter().find(|p| recipe.takes_python(&p.python.version)).ok_or_else(|| {
        let have: Vec<&str> = places.iter().map(|p| p.python.version.as_str()).collect();
        let wanted = recipe.python.as_deref().unwrap_or("3");
        BuildFailure::new(FailedBuild::Cannot, format!("the recipe wants Python {wanted}; here is {}", have.join(", ")))
    })
}

/// Where the tools stood when it failed is part of what is told.
fn told<T>(result: Result<T, BuildFailure>, progress: &ProgressSink) -> Result<T, BuildFailure> {
    result.map_err(|failure| BuildFailure { at: Box::new(progress.borrow().clone()), ..failure })
}

impl Builder for HostBuilder {
    fn offers<'a>(&'a self, engines: &'a [EngineKind]) -> Work<'a, Vec<BuildOffer>> {
        Box::pin(async move {
            let mut offers = Vec::new();
            if engines.contains(&EngineKind::Native) {
                offers.extend(python::interpreters().await.into_iter().map(|python| {
                    let place = Place { engine: EngineKind::Native, image: None, python, system: None };
                    let (engine, target) = (EngineKind::Native, place.target(false));
                    BuildOffer { engine, target, allow: AllowBuilds::None, steps: false }
                }));
            }
            // What base has is asked in a container: an owner who chose the other engine shall find none.
            if engines.contains(&EngineKind::Docker)
                && let Ok(base) = image::base(&self.host).await
            {
                let _turn = self.asking.lock().await;
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&base).cloned();
                let place = match known {
                    Some(place) => Some(place),
                    None => image::about_somewhere(&self.host, &base).await,
                };
                if let Some(place) = place {
                    let target = place.target(true);
                    self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(base, place);
                    // One that does not answer now is found out by the build itself.
                    let steps = image::keeps_steps_in(&self.host).await.unwrap_or(true);
                    offers.push(BuildOffer { engine: EngineKind::Docker, target, allow: AllowBuilds::None, steps });
                }
            }
            offers
        })
    }

    fn resolve<'a>(
        &'a self,
        order: &'a ResolveOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<Lock, BuildFailure>> {
        Box::pin(async move { told(self.do_resolve(order, progress).await, progress) })
    }

    fn build<'a>(
        &'a self,
        order: &'a BuildOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<EnvBuilt, BuildFailure>> {
        Box::pin(async move { told(self.do_build(order, progress).await, progress) })
    }

    fn fetch<'a>(
        &'a self,
        order: &'a FetchOrder,
        progress: &'a ProgressSink,
    ) -> Work<'a, Result<EnvBuilt, BuildFailure>> {
        Box::pin(async move {
            let fetched = async {
                let link = self.host.link.get();
                let link =
                    link.ok_or_else(|| BuildFailure::new(FailedBuild::Network, "this machine is not linked yet"))?;
                // Not needed for an image, which has its own Python.
                let places = self.places(order.engine, &order.dir).await;
                fetch::fetch(&self.host, link, order, &places, progress).await
            };
            told(fetched.await, progress)
        })
    }

    fn pack<'a>(&'a self, built: &'a EnvBuilt, dir: &'a Path) -> Work<'a, Result<(), BuildFailure>> {
        Box::pin(image::pack(&self.host, built, dir))
    }

    fn present<'a>(&'a self, built: &'a EnvBuilt) -> Work<'a, bool> {
        Box::pin(async move {
            match &built.image {
                Some(image) => image::present(&self.host, image).await,
                None => true,
            }
        })
    }

    fn remove<'a>(&'a self, built: &'a EnvBuilt) -> Work<'a, Result<(), String>> {
        Box::pin(async move {
            match &built.image {
                Some(_) => image::remove(&self.host, built).await,
                None => Ok(()),
            }
        })
    }
}
