//! Environments of Python packages: a directory, made by the driver in the jail of the engine that will run it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::fetch::{Card, write_card};
use super::files::{self, fetched, lock_lines};
use super::index::Index;
use super::jail::{DRIVER_FILE, Errand, Jail, give};
use super::lines::{Lines, STEPS, begin};
use super::{BUILD_LIMIT, Host, internal};
use crate::model::{
    AllowBuilds, BuildFailure, BuildStep, EngineKind, EnvBuilt, FailedBuild, Lock, LockedPackage, Target,
};
use crate::sandbox::engine::{INSIDE_ENV, INSIDE_PATH, INSIDE_WORK};
use crate::sandbox::envs::builder::{BuildOrder, BuildPolicy, ProgressSink, ResolveOrder, TREE};
use crate::sandbox::envs::proxy::{Allowed, Egress, Rules, own_networks, system_resolver};
use crate::sandbox::envs::tree;
use crate::sandbox::life::blocking;

/// Name of the certificates inside.
const BUNDLE: &str = "ca.pem";
/// A bundle of all public authorities has 220 KB.
const MAX_BUNDLE: u64 = 8 << 20;
/// How long a Python of this machine may take to say its version.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// What a build moves over the network at most, in the sizes of what it may make: downloads are packed, and a resolver
/// tries several versions.
const TRAFFIC: u64 = 4;

/// A Python that jobs of an engine find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// What is executed, as the jail sees it.
    pub(super) program: String,
    /// `3.11.2`
    pub(super) version: String,
}

impl Interpreter {
    /// `3.11`
    pub(super) fn minor(&self) -> String {
        self.version.split('.').take(2).collect::<Vec<_>>().join(".")
    }
}

/// The Pythons of this machine that the native engine shows to jobs, `python3` first, each minor version once.
pub(super) async fn interpreters() -> Vec<Interpreter> {
    /// 3.8 is the oldest whose venv the driver knows.
    const MINORS: std::ops::RangeInclusive<u32> = 8..=20;
    let mut found: Vec<Interpreter> = Vec::new();
    let names = std::iter::once("python3".to_owned()).chain(MINORS.map(|n| format!("python3.{n}")));
    for name in names {
        let Some(path) = INSIDE_PATH.split(':').map(|d| Path::new(d).join(&name)).find(|p| p.is_file()) else {
            continue;
        };
        let Some(mut there) = ask(&path).await else { continue };
        // The link in the tree should name the version, so that another default later changes nothing.
        let exact = path.with_file_name(format!("python{}", there.minor()));
        if exact.is_file() {
            there.program = exact.to_string_lossy().into_owned();
        }
        if !found.iter().any(|f| f.minor() == there.minor()) {
            found.push(there);
        }
    }
    found
}

async fn ask(path: &Path) -> Option<Interpreter> {
    let mut command = Command::new(path);
    command.args(["-I", "-S", "-c", "import sys, venv; print('%d.%d.%d' % sys.version_info[:3])"]);
    command.env_clear().stdin(std::process::Stdio::null()).kill_on_drop(true);
    let said = tokio::time::timeout(ASK_LIMIT, command.output()).await.ok()?.ok()?;
    let version = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    let sound = said.status.success() && version.starts_with("3.") && version.split('.').count() == 3;
    sound.then(|| Interpreter { program: path.to_string_lossy().into_owned(), version })
}

/// Chooses versions: pip downloads what it would install, and what came is the lock.
pub(super) async fn resolve(
    host: &Host,
    order: &ResolveOrder,
    place: &Place,
    progress: &ProgressSink,
) -> Result<Vec<LockedPackage>, BuildFailure> {
    if order.recipe.requirements.is_empty() {
        return Ok(vec![]);
    }
    progress.send_replace(begin(1, BuildStep::Resolve));
    let jail = place.jail(&order.dir);
    let index = index()?;
    let mut requirements = order.recipe.requirements.join("\n");
    requirements.push('\n');
    jail.prepare(with_bundle(&index, vec![("requirements.txt", requirements.into_bytes())])).await?;
    let wheels = order.policy.allow != AllowBuilds::All;
    let errand = errand(place, &index, &order.policy, "resolve", &[wheels.then_some("--wheels")])?;
    let mut lines = Lines::default();
    jail.run(host, errand, &mut lines, progress).await?;
    let (from, cache) = (jail.work().join("files"), host.cache.clone());
    let packages = blocking(move || {
        let found = fetched(&from).map_err(crate::sandbox::SandboxError::io("read", &from))?;
        files::keep(&cache, &found);
        Ok(found.into_iter().map(|f| f.package).collect::<Vec<_>>())
    });
    let packages = packages.await.map_err(|e| internal(&e))?;
    if wheels && packages.iter().any(|p| p.source) {
        return Err(BuildFailure::new(FailedBuild::NotAllowed, "only ready-made wheels may be used here"));
    }
    Ok(packages)
}

/// Builds the tree of `order` and moves it to its place.
pub(super) async fn build(
    host: &Host,
    order: &BuildOrder,
    place: &Place,
    progress: &ProgressSink,
) -> Result<EnvBuilt, BuildFailure> {
    progress.send_modify(|p| *p = begin(STEPS.max(p.steps), BuildStep::Download));
    let jail = place.jail(&order.dir);
    let index = index()?;
    let lock = lock_lines(&order.lock.packages).into_bytes();
    jail.prepare(with_bundle(&index, vec![("lock.txt", lock)])).await?;
    let sources = order.lock.packages.iter().any(|p| p.source);
    let offline = !sources && serve(host, &jail, &order.lock).await?;
    let wheels = (order.policy.allow != AllowBuilds::All).then_some("--wheels");
    let errand = errand(place, &index, &order.policy, "build", &[wheels, offline.then_some("--offline")])?;
    let mut lines = Lines::default();
    jail.run(host, errand, &mut lines, progress).await?;
    let (work, dir, cache, most) = (jail.work(), order.dir.clone(), host.cache.clone(), order.policy.max_bytes);
    let card = Card { lock: order.lock.clone(), python: Some(place.python.version.clone()) };
    let kept = blocking(move || {
        // What was not cached yet is now; what cannot be is fetched again next time.
        if let Ok(found) = fetched(&work.join("files")) {
            files::keep(&cache, &found);
        }
        Ok(finish(&work.join("env"), &dir, most, &card))
    });
    let bytes = kept.await.map_err(|e| internal(&e))??;
    Ok(EnvBuilt {
        digest: order.digest,
        engine: order.engine,
        bytes,
        image: None,
        python: Some(place.python.version.clone()),
        lock: order.lock.clone(),
    })
}

/// Checks what the jail made and puts it where it belongs; the rest of the build goes away. Blocks.
fn finish(made: &Path, dir: &Path, most: u64, card: &Card) -> Result<u64, BuildFailure> {
    write_card(made, card)?;
    let bytes = tree::settle(made, most).map_err(|e| tree_failure(&e))?;
    let to = dir.join(TREE);
    std::fs::rename(made, &to).map_err(|e| internal(&format!("cannot move {}: {e}", made.display())))?;
    crate::sandbox::workspace::remove(&dir.join(JAIL)).map_err(|e| internal(&e))?;
    Ok(bytes)
}

/// What a tree that is refused means to a build.
pub(super) fn tree_failure(error: &tree::TreeError) -> BuildFailure {
    let kind = match error {
        tree::TreeError::TooBig(_) => FailedBuild::DiskFull,
        tree::TreeError::Hostile { .. } | tree::TreeError::Shape(_) => FailedBuild::Integrity,
        tree::TreeError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => FailedBuild::DiskFull,
        tree::TreeError::Io { .. } => FailedBuild::Internal,
    };
    BuildFailure::new(kind, error.to_string())
}

/// The directory of a build's jail, inside that of the environment.
pub(super) const JAIL: &str = "build";

/// Where Python packages are put together.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// With which engine.
    pub(super) engine: EngineKind,
    /// In which image.
    pub(super) image: Option<String>,
    /// With which Python.
    pub(super) python: Interpreter,
    /// What distribution packages are from there.
    pub(super) system: Option<String>,
}

impl Place {
    /// The jail below `dir`.
    pub(super) fn jail(&self, dir: &Path) -> Jail {
        Jail { dir: dir.join(JAIL), engine: self.engine, image: self.image.clone() }
    }

    /// Whether the Python that a tree links to is there: a machine may have it in another directory. Blocks.
    pub(super) fn runs(&self, tree: &Path) -> bool {
        let mut at = tree.join("bin/python3");
        // From one name of Python to the next, as far as `tree::settle` lets them lead.
        for _ in 0..4 {
            let Ok(to) = std::fs::read_link(&at) else { break };
            at = match to.is_absolute() {
                true => match to.strip_prefix(INSIDE_ENV) {
                    Ok(inside) => tree.join(inside),
                    Err(_) => {
                        let own = Path::new(&self.python.program);
                        let same_dir = to.parent() == own.parent();
                        return match self.engine {
                            EngineKind::Native => to.is_file(),
                            EngineKind::Docker => same_dir,
                        };
                    }
                },
                false => at.with_file_name(to),
            };
        }
        // No Python of the machine is named, so none is needed.
        true
    }

    /// What a lock made here is for.
    pub(super) fn target(&self, with_system: bool) -> Target {
        Target {
            arch: std::env::consts::ARCH.to_owned(),
            python: Some(self.python.minor()),
            system: self.system.clone().filter(|_| with_system),
        }
    }
}

fn index() -> Result<Index, BuildFailure> {
    Index::of_this_process().map_err(|e| BuildFailure::new(FailedBuild::Network, e))
}

/// Copies what the cache has into the jail.
async fn serve(host: &Host, jail: &Jail, lock: &Lock) -> Result<bool, BuildFailure> {
    let (cache, files, packages) = (host.cache.clone(), jail.work().join("files"), lock.packages.clone());
    let served = blocking(move || {
        let failed = crate::sandbox::SandboxError::io("prepare", &files);
        let all = std::fs::create_dir_all(&files).and_then(|()| {
            let all = files::serve(&cache, &packages, &files);
            give(&files)?;
            Ok(all)
        });
        all.map_err(failed)
    });
    served.await.map_err(|e| internal(&e))
}

fn with_bundle(index: &Index, mut files: Vec<(&'static str, Vec<u8>)>) -> Vec<(&'static str, Vec<u8>)> {
    let small = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| m.len() <= MAX_BUNDLE);
    files.extend(index.bundle.as_ref().filter(|b| small(b)).and_then(|b| Some((BUNDLE, std::fs::read(b).ok()?))));
    files
}

fn errand(
    place: &Place,
    index: &Index,
    policy: &BuildPolicy,
    word: &str,
    flags: &[Option<&str>],
) -> Result<Errand, BuildFailure> {
    let mut command =
        vec![place.python.program.clone(), "-I".into(), format!("{INSIDE_WORK}/{DRIVER_FILE}"), word.into()];
    command.extend(flags.iter().flatten().map(|f| (*f).to_owned()));
    Ok(Errand {
        command,
        vars: vars(index),
        limits: (policy.max_bytes.saturating_mul(2).max(1 << 20), BUILD_LIMIT.as_secs()),
        egress: Some(egress(index, policy)?),
    })
}

/// Variables for the tools inside.
pub(super) fn vars(index: &Index) -> BTreeMap<String, String> {
    let mut vars = index.vars.clone();
    // No file of the image or machine has a say; what its owner set there was read outside.
    vars.insert("PIP_CONFIG_FILE".into(), "/dev/null".into());
    if index.bundle.is_some() {
        for name in ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"] {
            vars.insert(name.into(), format!("{INSIDE_WORK}/{BUNDLE}"));
        }
    }
    vars
}

/// The road of a build.
pub(super) fn egress(index: &Index, policy: &BuildPolicy) -> Result<Egress, BuildFailure> {
    let named: Result<Vec<Allowed>, String> = policy.hosts.iter().map(|h| Allowed::parse(h)).collect();
    let named = named.map_err(|e| BuildFailure::new(FailedBuild::Network, format!("build_hosts: {e}")))?;
    Ok(Egress {
        rules: Rules::new(named).and(index.hosts.iter().cloned()),
        upstream: index.upstream.clone(),
        own: own_networks().map_err(|e| internal(&e))?,
        max_bytes: policy.max_bytes.saturating_mul(TRAFFIC),
        resolve: system_resolver(),
    })
}
