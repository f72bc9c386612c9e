//! Environments from friends: the files of a directory or the parts of an image, checked as if an enemy had sent them.
//!
//! What makes it the right one is its lock, whose digest was asked for and which travels inside. That the files are what
//! the lock's packages hold is the sender's word, as a build's result is the builder's; they are only ever seen read-only
//! inside a jail.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::python::{Place, tree_failure};
use super::{BUILD_LIMIT, Host, carry, image, internal};
use crate::blobs::BlobStore;
use crate::link::messages::{FetchEnv, env_pin};
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{BuildFailure, BuildStep, Digest, EngineKind, EnvBuilt, FailedBuild, Lock, Manifest};
use crate::sandbox::envs::builder::{FetchOrder, Giver, ProgressSink, TREE, fits};
use crate::sandbox::envs::tree;
use crate::sandbox::life::blocking;
use crate::sandbox::workspace;
use crate::wire::refusal::{Refusal, RefusalKind};

/// What a tree says of itself, inside it.
pub(super) const CARD: &str = ".homie/env.json";
/// Bytes of that: a lock of 2,000 packages has 300 KB.
const MAX_CARD: u64 = 4 << 20;
/// How often the bytes that came are told.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// Where a tree grows until it was checked.
const NEW: &str = "tree.new";

/// What an environment says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Card {
    /// What it was made from.
    pub(super) lock: Lock,
    /// Its Python, exactly.
    pub(super) python: Option<String>,
}

/// Fetches the environment of `order` from the first peer that gives it. `places` are those that a directory could be for.
pub(super) async fn fetch(
    host: &Host,
    link: &Outlet<FetchEnv>,
    order: &FetchOrder,
    places: &Result<Vec<Place>, BuildFailure>,
    progress: &ProgressSink,
) -> Result<EnvBuilt, BuildFailure> {
    let mut last = BuildFailure::new(FailedBuild::Network, "no friend that has it answers");
    for giver in &order.givers {
        let peer = giver.peer;
        progress.send_modify(|p| {
            (p.what, p.detail, p.done, p.total) = (BuildStep::Fetch, peer.short().to_string(), 0, 0);
        });
        let came = match bring(link, order, *giver, progress).await {
            Ok(manifest) => {
                let put = put(host, order, *giver, manifest, places).await;
                let (store, pin) = (host.blobs.clone(), env_pin(order.digest, giver.engine));
                let _ = blocking(move || Ok(store.unpin(&pin)?)).await;
                put
            }
            Err(refusal) => Err(refused(&refusal)),
        };
        match came {
            Ok(built) => return Ok(built),
            Err(failure) => {
                tracing::info!(peer = ?peer, digest = %order.digest, %failure, "an environment could not be fetched");
                last = failure;
            }
        }
    }
    // What came stays in the store until its room is needed, so that a later try goes on from there.
    let (store, order) = (host.blobs.clone(), order.clone());
    let unpin = move || order.givers.iter().try_for_each(|g| Ok(store.unpin(&env_pin(order.digest, g.engine))?));
    let _ = blocking(unpin).await;
    Err(last)
}

fn refused(refusal: &Refusal) -> BuildFailure {
    let kind = match refusal.kind {
        RefusalKind::DiskFull => FailedBuild::DiskFull,
        RefusalKind::Integrity | RefusalKind::BadRequest => FailedBuild::Integrity,
        _ => FailedBuild::Network,
    };
    BuildFailure { hint: refusal.hint.clone(), ..BuildFailure::new(kind, refusal.message.clone()) }
}

async fn bring(
    link: &Outlet<FetchEnv>,
    order: &FetchOrder,
    giver: Giver,
    progress: &ProgressSink,
) -> Result<Digest, Refusal> {
    let (tell, seen) = watch::channel((0, 0));
    let ask = FetchEnv {
        peer: giver.peer,
        digest: order.digest,
        engine: giver.engine,
        images: order.engine == EngineKind::Docker && giver.engine == EngineKind::Docker,
        max_bytes: order.max_bytes,
        progress: tell,
    };
    let mut came = std::pin::pin!(ask_outlet(link, ask, BUILD_LIMIT));
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            came = &mut came => return came.map_err(|e| Refusal::internal(e.to_string()))?,
            _ = tick.tick() => {
                let (done, total) = *seen.borrow();
                progress.send_if_modified(|p| {
                    let news = (p.done, p.total) != (done, total);
                    (p.done, p.total) = (done, total);
                    news
                });
            }
        }
    }
}

/// Makes an environment of what came, and checks it.
async fn put(
    host: &Host,
    order: &FetchOrder,
    giver: Giver,
    manifest: Digest,
    places: &Result<Vec<Place>, BuildFailure>,
) -> Result<EnvBuilt, BuildFailure> {
    let (store, ordered) = (host.blobs.clone(), order.clone());
    let looked = blocking(move || Ok(look(&store, &ordered, &manifest)));
    let (manifest, image) = looked.await.map_err(|e| internal(&e))??;
    let Some((parts, card)) = image else {
        let places = places.clone()?;
        let built = put_tree(host, order, manifest, Some(places)).await?;
        let foreign = giver.engine != order.engine;
        // Made from sources, or to go with packages of a distribution, it is for the system it was made on.
        return match foreign && (!built.lock.apt.is_empty() || built.lock.packages.iter().any(|p| p.source)) {
            false => Ok(built),
            true => {
                drop_tree(order).await;
                let (there, here) = (giver.engine.as_str(), order.engine.as_str());
                let text = format!("it was compiled for the {there} engine there, and this is for the {here} engine");
                Err(BuildFailure::new(FailedBuild::Cannot, text))
            }
        };
    };
    let facts = image::load(host, order, &parts).await?;
    let tree = match carry::rest(&manifest) {
        None => Ok(0),
        Some(tree) => put_tree(host, order, tree, None).await.map(|tree| tree.bytes),
    };
    let built = tree.map(|bytes| EnvBuilt {
        digest: order.digest,
        engine: order.engine,
        bytes: facts.bytes + bytes,
        image: Some(facts.id),
        python: card.python,
        lock: card.lock,
    });
    if let Err(failure) = &built {
        tracing::debug!(%failure, "the image of an environment goes again, because its directory is no good");
        image::forget(host, &order.digest).await;
    }
    built
}

async fn drop_tree(order: &FetchOrder) {
    let dir = order.dir.join(TREE);
    let _ = blocking(move || workspace::remove(&dir)).await;
}

/// What came: its list, and the image in it with what the environment says of itself.
type Came = (Manifest, Option<(carry::Parts, Card)>);

fn look(store: &BlobStore, order: &FetchOrder, manifest: &Digest) -> Result<Came, BuildFailure> {
    let bad = |text: String| BuildFailure::new(FailedBuild::Integrity, text);
    let manifest = store.manifest(manifest).map_err(|e| internal(&e))?;
    let manifest = manifest.ok_or_else(|| internal(&"the list of files is gone from the store"))?;
    if !carry::is_image(&manifest) {
        return Ok((manifest, None));
    }
    if order.engine != EngineKind::Docker {
        return Err(BuildFailure::new(FailedBuild::Cannot, "it is an image, and the native engine runs none"));
    }
    let card = carry::small_file(store, &manifest, CARD, MAX_CARD).map_err(bad)?;
    let card: Card =
        serde_json::from_slice(&card).map_err(|e| bad(format!("what it says of itself cannot be read: {e}")))?;
    card.is(order)?;
    let parts = carry::Parts::of(store, &manifest).map_err(|e| bad(format!("the image is refused: {e}")))?;
    Ok((manifest, Some((parts, card))))
}

impl Card {
    /// Whether it is what was asked for.
    fn is(&self, order: &FetchOrder) -> Result<(), BuildFailure> {
        match self.lock.digest() == order.digest {
            true => Ok(()),
            false => {
                Err(BuildFailure::new(FailedBuild::Integrity, "a friend sent another environment than was asked for"))
            }
        }
    }
}

/// Makes a tree of what came, and checks it. Without `places` it goes with an image of its own.
async fn put_tree(
    host: &Host,
    order: &FetchOrder,
    manifest: Manifest,
    places: Option<Vec<Place>>,
) -> Result<EnvBuilt, BuildFailure> {
    let (store, order) = (host.blobs.clone(), order.clone());
    let made = blocking(move || {
        let new = order.dir.join(NEW);
        workspace::remove(&new)?;
        let made = place(&store, &order, &manifest, &new, places.as_deref());
        if made.is_err() {
            workspace::remove(&new)?;
        }
        Ok(made)
    });
    made.await.map_err(|e| internal(&e))?
}

fn place(
    store: &BlobStore,
    order: &FetchOrder,
    manifest: &Manifest,
    new: &Path,
    places: Option<&[Place]>,
) -> Result<EnvBuilt, BuildFailure> {
    let bad = |text: String| BuildFailure::new(FailedBuild::Integrity, text);
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    workspace::materialise(new, manifest, store, uid, gid).map_err(|e| internal(&e))?;
    tree::link(new, manifest).map_err(|e| tree_failure(&e))?;
    let bytes = tree::settle(new, order.max_bytes).map_err(|e| tree_failure(&e))?;
    let card = read_card(new).map_err(bad)?;
    card.is(order)?;
    let Card { lock, python } = card;
    let runs = |place: &Place| fits(&lock.target, &place.target(true)) && place.runs(new);
    if places.is_some_and(|places| !places.iter().any(runs)) {
        return Err(BuildFailure::new(FailedBuild::Cannot, "it was made for another Python than this machine has"));
    }
    let tree = order.dir.join(TREE);
    workspace::remove(&tree).map_err(|e| internal(&e))?;
    std::fs::rename(new, tree).map_err(|e| internal(&e))?;
    Ok(EnvBuilt { digest: order.digest, engine: order.engine, bytes, image: None, python, lock })
}

/// Reads what a settled tree says of itself.
pub(super) fn read_card(tree: &Path) -> Result<Card, String> {
    let path = tree.join(CARD);
    let meta = std::fs::symlink_metadata(&path).map_err(|e| format!("it does not say what it is: {e}"))?;
    if !meta.is_file() || meta.len() > MAX_CARD {
        return Err("what it says of itself is no plain file of a usual size".to_owned());
    }
    let text = std::fs::read(&path).map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| format!("what it says of itself cannot be read: {e}"))
}

/// Writes into a tree what it is.
pub(super) fn write_card(tree: &Path, card: &Card) -> Result<(), BuildFailure> {
    let text = serde_json::to_vec(card).map_err(|e| internal(&e))?;
    tree::write_own(tree, CARD, &text).map_err(|e| tree_failure(&e))
}
