//! Environments that are images: distribution packages on top of `base`, an image of a registry, a Dockerfile.
//!
//! The steps run in containers of the engine's own builder, as root: that is what installing packages takes. They have
//! the empty network of a container in our jail, in which nothing listens but the road to the egress proxy.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::carry::{self, IMAGE};
use super::fetch::{Card, write_card};
use super::index::Index;
use super::jail::{DRIVER_FILE, Errand, Jail};
use super::lines::{Lines, begin};
use super::python::{Interpreter, Place, egress, vars};
use super::{BUILD_LIMIT, Host, failure, internal};
use crate::model::{AllowBuilds, BuildFailure, BuildStep, Digest, EngineKind, EnvBuilt, FailedBuild};
use crate::sandbox::engine::docker::DockerEngine;
use crate::sandbox::engine::docker::images::{ImageFacts, ImageOrder, REPOSITORY};
use crate::sandbox::engine::{EngineError, INSIDE_WORK};
use crate::sandbox::envs::builder::{BuildOrder, FetchOrder, ProgressSink};

/// Where the road ends inside: the port that proxies usually have.
const ROAD_PORT: &str = "3128";
/// The directory of the road's container, beside that of the build.
const ROAD: &str = "road";
/// Disk of a jail that only speaks.
const SMALL: u64 = 64 << 20;
/// Bytes of a piece of a packed image, and how many may wait between the engine and the disk.
const PIECE: usize = 1 << 20;
const PIECES: usize = 8;
/// Seconds for one question to an image.
const ASK_S: u64 = 60;

fn engine(host: &Host) -> DockerEngine {
    DockerEngine::at(host.docker_host.as_deref())
}

fn failed(e: &EngineError) -> BuildFailure {
    let kind = match e {
        EngineError::NotReady(_) | EngineError::NoEnvironment(_) => FailedBuild::Cannot,
        EngineError::DiskFull(_) => FailedBuild::DiskFull,
        EngineError::Spawn(_) => FailedBuild::Step,
        EngineError::Failed(_) => FailedBuild::Internal,
    };
    BuildFailure::new(kind, e.to_string())
}

/// The image of `base`.
pub(super) async fn base(host: &Host) -> Result<String, BuildFailure> {
    engine(host).base().await.map_err(|e| failed(&e))?.ok_or_else(|| {
        BuildFailure::new(FailedBuild::Cannot, "environment base is not built on this machine's Docker yet")
            .hint("homie env build base")
    })
}

/// Whether an engine makes images for whoever asks.
pub(super) fn check(engine: EngineKind, allow: AllowBuilds) -> Result<(), BuildFailure> {
    match (engine, allow) {
        (EngineKind::Native, _) => {
            Err(BuildFailure::new(FailedBuild::Cannot, "images and Dockerfiles need Docker or Podman")
                .hint("run it on a machine with Docker, or write the recipe with python and requirements"))
        }
        (EngineKind::Docker, AllowBuilds::All) => Ok(()),
        (EngineKind::Docker, _) => Err(BuildFailure::new(
            FailedBuild::NotAllowed,
            "images, Dockerfiles and distribution packages are only built where allow_builds is all",
        )),
    }
}

/// Whether the packages are installed on this machine: the native engine shows jobs the machine's own.
pub(super) async fn installed_here(apt: &[String]) -> Result<(), BuildFailure> {
    let mut lacking = Vec::new();
    for package in apt {
        let (name, version) = package.split_once('=').map_or((package.as_str(), None), |(n, v)| (n, Some(v)));
        let mut ask = Command::new("dpkg-query");
        ask.args(["-W", "-f", "${db:Status-Status} ${Version}\n", name]).stdin(std::process::Stdio::null());
        let said = ask.output().await.map_err(|_| {
            BuildFailure::new(FailedBuild::Cannot, "distribution packages need a Debian or Ubuntu machine, or Docker")
        })?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let there = said.lines().filter_map(|l| l.strip_prefix("installed "));
        if !there.into_iter().any(|have| version.is_none_or(|v| v == have)) {
            lacking.push(package.as_str());
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking = lacking.join(" ");
    Err(BuildFailure::new(
        FailedBuild::Cannot,
        format!("this machine has not installed {lacking}, and has no container to install it in"),
    )
    .hint(format!("its owner can apt install {lacking}, or let Docker run the job")))
}

/// `debian-bookworm`, from the text of `/etc/os-release`.
pub(super) fn system(os_release: &str) -> Option<String> {
    let field = |name: &str| {
        let value = os_release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches(['"', '\'']).to_owned()).filter(|v| !v.is_empty())
    };
    Some(format!("{}-{}", field("ID")?, field("VERSION_CODENAME")?))
}

/// Asks an image about its Python, in a directory below `dir`.
pub(super) async fn about(host: &Host, image: &str, dir: &Path) -> Result<Place, BuildFailure> {
    let jail = Jail { dir: dir.join("about"), engine: EngineKind::Docker, image: Some(image.to_owned()) };
    jail.prepare(vec![]).await?;
    let command = ["python3", "-I", &format!("{INSIDE_WORK}/{DRIVER_FILE}"), "about"].map(str::to_owned).into();
    let errand = Errand { command, vars: HashMap::new().into_iter().collect(), limits: (SMALL, ASK_S), egress: None };
    let mut lines = Lines::default();
    let (quiet, _) = tokio::sync::watch::channel(begin(1, BuildStep::Resolve));
    let asked = jail.run(host, errand, &mut lines, &quiet).await;
    // Best effort: the directory is small and goes away with the one it lies in.
    let _ = crate::sandbox::workspace::remove(&jail.dir);
    asked?;
    let words: Vec<&str> = lines.marked().find(|l| l.starts_with("python ")).unwrap_or_default().split(' ').collect();
    let ["python", version, "system", system] = words[..] else {
        return Err(BuildFailure::new(FailedBuild::Cannot, "the image does not say which Python it has"));
    };
    let python = Interpreter { program: "/usr/bin/python3".to_owned(), version: version.to_owned() };
    let system = Some(system.to_owned()).filter(|s| s.len() > 1);
    Ok(Place { engine: EngineKind::Docker, image: Some(image.to_owned()), python, system })
}

/// The same where no directory of a build is at hand.
pub(super) async fn about_somewhere(host: &Host, image: &str) -> Option<Place> {
    let dir = host.cache.join(format!("ask-{}", std::process::id()));
    std::fs::create_dir_all(&dir).ok()?;
    let place = about(host, image, &dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    place.inspect_err(|e| tracing::debug!(error = %e, "environment base could not be asked about its Python")).ok()
}

/// Pins an image: by the digest of its registry, or by its id where it was made here.
pub(super) async fn resolve(host: &Host, name: &str, progress: &ProgressSink) -> Result<String, BuildFailure> {
    progress.send_replace(begin(1, BuildStep::Resolve));
    let engine = engine(host);
    let mut lines = Lines::default();
    if engine.image(name).await.map_err(|e| failed(&e))?.is_none() {
        engine.pull(name, |line| lines.line(line.as_bytes(), progress)).await.map_err(|e| pull_failed(name, &e))?;
    }
    let facts = engine.image(name).await.map_err(|e| failed(&e))?;
    let facts = facts.ok_or_else(|| internal(&format!("the engine pulled {name} but does not have it")))?;
    Ok(facts.reference.unwrap_or(facts.id))
}

fn pull_failed(name: &str, e: &EngineError) -> BuildFailure {
    BuildFailure::new(FailedBuild::Network, format!("image {name} cannot be had: {e}"))
        .hint("check its name; the engine pulls with its own proxy and login (docker login)")
}

/// The tag of an environment's image.
fn tag_of(digest: &Digest) -> String {
    digest.to_string()[..16].to_owned()
}

fn too_large(image: &ImageFacts, most: u64) -> Option<BuildFailure> {
    let bytes = |n| crate::model::format_bytes(n);
    (image.bytes > most).then(|| {
        let text = format!("the image has {}; environments may take {} here", bytes(image.bytes), bytes(most));
        BuildFailure::new(FailedBuild::DiskFull, text)
    })
}

/// Makes the image of `order`: pulled, or built on top of `place` or from a Dockerfile.
pub(super) async fn build(
    host: &Host,
    order: &BuildOrder,
    place: Option<&Place>,
    progress: &ProgressSink,
) -> Result<EnvBuilt, BuildFailure> {
    let (engine, tag, lock) = (engine(host), tag_of(&order.digest), &order.lock);
    let mut lines = Lines::default();
    if let Some(image) = &lock.image {
        progress.send_replace(begin(1, BuildStep::Download));
        if engine.image(image).await.map_err(|e| failed(&e))?.is_none() {
            engine
                .pull(image, |line| lines.line(line.as_bytes(), progress))
                .await
                .map_err(|e| pull_failed(image, &e))?;
        }
        engine.name_image(image, &tag).await.map_err(|e| failed(&e))?;
    } else {
        progress.send_replace(begin(1, BuildStep::System));
        let text = match (&lock.dockerfile, place.and_then(|p| p.image.as_ref())) {
            (Some(text), _) => text.clone(),
            (None, Some(base)) => apt_dockerfile(base, &lock.apt),
            (None, None) => return Err(internal(&"nothing to build an image from")),
        };
        steps(host, order, &engine, &tag, &text, &mut lines, progress).await?;
    }
    let name = format!("{REPOSITORY}:{tag}");
    let facts = engine.image(&name).await.map_err(|e| failed(&e))?;
    let facts = facts.ok_or_else(|| internal(&format!("the engine made {name} but does not have it")))?;
    if let Some(failure) = too_large(&facts, order.policy.max_bytes) {
        let _ = engine.forget_image(&tag).await;
        return Err(failure);
    }
    Ok(EnvBuilt {
        digest: order.digest,
        engine: EngineKind::Docker,
        bytes: facts.bytes,
        image: Some(facts.id),
        python: place.map(|p| p.python.version.clone()),
        lock: lock.clone(),
    })
}

/// Whether steps of images are built here (see [`DockerEngine::keeps_steps_in`]).
pub(super) async fn keeps_steps_in(host: &Host) -> Result<bool, BuildFailure> {
    engine(host).keeps_steps_in().await.map_err(|e| failed(&e))
}

/// Distribution packages on top of an image; `apt` has only names (see `Recipe::check`).
fn apt_dockerfile(base: &str, apt: &[String]) -> String {
    format!(
        "FROM {base}\nRUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {} \
         && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb\n",
        apt.join(" ")
    )
}

async fn steps(
    host: &Host,
    order: &BuildOrder,
    engine: &DockerEngine,
    tag: &str,
    dockerfile: &str,
    lines: &mut Lines,
    progress: &ProgressSink,
) -> Result<(), BuildFailure> {
    if !keeps_steps_in(host).await? {
        let why = "Podman's builder gives steps this machine's own network, so Dockerfiles and distribution packages are \
                   not built with it";
        return Err(BuildFailure::new(FailedBuild::Cannot, why)
            .hint("build it on a machine with Docker; python and requirements alone are built here, too"));
    }
    let index = Index::of_this_process().map_err(|e| BuildFailure::new(FailedBuild::Network, e))?;
    let jail = Jail { dir: order.dir.join(ROAD), engine: EngineKind::Docker, image: Some(base(host).await?) };
    jail.prepare(vec![]).await?;
    let command =
        ["python3", "-I", &format!("{INSIDE_WORK}/{DRIVER_FILE}"), "road", ROAD_PORT].map(str::to_owned).into();
    let errand = Errand {
        command,
        vars: vars(&index),
        limits: (SMALL, BUILD_LIMIT.as_secs()),
        egress: Some(egress(&index, &order.policy)?),
    };
    let road = jail.stand(host, errand, progress).await?;
    let proxy = format!("http://127.0.0.1:{ROAD_PORT}");
    // Known to the builder as variables of the steps that no image keeps.
    let vars = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map(|n| (n.to_owned(), proxy.clone())).into();
    let container = format!("homie-{}", road.name);
    let digest = order.digest.to_string();
    let image = ImageOrder {
        dockerfile,
        tag,
        digest: &digest,
        road: &container,
        vars,
        memory_bytes: host.limits.memory_bytes,
        cpu_millis: host.limits.cpu_millis,
    };
    let built = tokio::time::timeout(BUILD_LIMIT, async {
        engine.build_image(&image, |line| lines.line(line.as_bytes(), progress)).await
    });
    let built = built.await;
    lines.moved(road.moved(), progress);
    let refused = road.refused();
    drop(road);
    let _ = crate::sandbox::workspace::remove(&jail.dir);
    match built {
        Err(_) => Err(BuildFailure::new(FailedBuild::TimedOut, "the image took longer than builds may")),
        Ok(Err(EngineError::Spawn(why))) => {
            lines.line(why.as_bytes(), progress);
            Err(failure::tool(1, lines.all(), &refused))
        }
        Ok(other) => other.map_err(|e| failed(&e)),
    }
}

/// Packs the image of an environment into `dir`, with what it says of itself.
pub(super) async fn pack(host: &Host, built: &EnvBuilt, dir: &Path) -> Result<(), BuildFailure> {
    let image = built.image.as_ref().ok_or_else(|| internal(&"it is no image"))?;
    write_card(dir, &Card { lock: built.lock.clone(), python: built.python.clone() })?;
    let (pieces, packed) = mpsc::channel(PIECES);
    let to = dir.join(IMAGE);
    let apart = tokio::task::spawn_blocking(move || carry::take_apart(Pieces(packed, Bytes::new()), &to));
    let gave = engine(host).pack(image, pieces).await;
    let apart = apart.await.map_err(|e| internal(&e))?;
    gave.map_err(|e| failed(&e))?;
    apart.map_err(|e| {
        let kind = if e.kind() == io::ErrorKind::StorageFull { FailedBuild::DiskFull } else { FailedBuild::Internal };
        BuildFailure::new(kind, format!("the image cannot be packed: {e}"))
    })
}

/// Hands an image that came from a friend to the engine.
pub(super) async fn load(host: &Host, order: &FetchOrder, parts: &carry::Parts) -> Result<ImageFacts, BuildFailure> {
    let (engine, tag) = (engine(host), tag_of(&order.digest));
    let name = format!("{REPOSITORY}:{tag}");
    let (pieces, mut packed) = mpsc::channel(PIECES);
    let (store, parts_here, name_there) = (host.blobs.clone(), parts.clone(), name.clone());
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE, Sender(pieces.clone()));
        let written = parts_here.put_together(&store, &name_there, &mut out).and_then(|()| io::Write::flush(&mut out));
        if let Err(e) = written {
            // So that the engine does not take what came so far for all of it.
            let _ = pieces.blocking_send(Err(e));
        }
    });
    let took = engine.unpack(futures_util::stream::poll_fn(move |cx| packed.poll_recv(cx))).await;
    writing.await.map_err(|e| internal(&e))?;
    took.map_err(|e| failed(&e))?;
    let facts = engine.image(&name).await.map_err(|e| failed(&e))?;
    let facts = facts.ok_or_else(|| internal(&format!("the engine took {name} but does not have it")))?;
    let bad = if facts.layers != parts.layers() {
        Some(BuildFailure::new(FailedBuild::Integrity, "the engine has another image than the one it was given"))
    } else {
        too_large(&facts, order.max_bytes)
    };
    match bad {
        None => Ok(facts),
        Some(bad) => {
            let _ = engine.forget_image(&tag).await;
            Err(bad)
        }
    }
}

/// What an engine packs, as something to read.
struct Pieces(mpsc::Receiver<Bytes>, Bytes);

impl io::Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.1.is_empty() {
            match self.0.blocking_recv() {
                Some(piece) => self.1 = piece,
                None => return Ok(0),
            }
        }
        let n = into.len().min(self.1.len());
        into[..n].copy_from_slice(&self.1.split_to(n));
        Ok(n)
    }
}

/// What an engine takes in, as something to write.
struct Sender(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the image of an environment is still there.
pub(super) async fn present(host: &Host, image: &str) -> bool {
    // An engine that does not answer has lost nothing yet.
    engine(host).image(image).await.is_ok_and(|i| i.is_some())
}

/// Lets go of an environment's image.
pub(super) async fn remove(host: &Host, built: &EnvBuilt) -> Result<(), String> {
    engine(host).forget_image(&tag_of(&built.digest)).await.map_err(|e| e.to_string())
}

/// The same for one that came to nothing in the end.
pub(super) async fn forget(host: &Host, digest: &Digest) {
    if let Err(error) = engine(host).forget_image(&tag_of(digest)).await {
        tracing::warn!(%error, %digest, "an engine keeps the image of an environment");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_from_os_release() {
        assert_eq!(system("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(), Some("debian-bookworm"));
        assert_eq!(system("ID=\"ubuntu\"\nVERSION_CODENAME=noble").as_deref(), Some("ubuntu-noble"));
        assert_eq!(system("ID=arch\n"), None);
    }

    #[test]
    fn images_are_for_docker_and_for_owners() {
        assert_eq!(check(EngineKind::Native, AllowBuilds::All).map_err(|e| e.kind), Err(FailedBuild::Cannot));
        assert_eq!(check(EngineKind::Docker, AllowBuilds::Wheels).map_err(|e| e.kind), Err(FailedBuild::NotAllowed));
        assert!(check(EngineKind::Docker, AllowBuilds::All).is_ok());
    }

    #[tokio::test]
    async fn packages_of_this_machine_are_told_from_others() {
        if !Path::new("/usr/bin/dpkg-query").exists() {
            return;
        }
        assert_eq!(installed_here(&["libc6".to_owned()]).await, Ok(()));
        let lacking =
            installed_here(&["libc6".to_owned(), "no-such-package-here".to_owned()]).await.expect_err("lacking");
        assert!(lacking.message.contains("no-such-package-here") && !lacking.message.contains("libc6"), "{lacking}");
    }
}
