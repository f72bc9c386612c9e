//! Environments from friends: the files of a directory, checked as if an enemy had sent them.
//!
//! What makes it the right one is its lock, whose digest was asked for and which travels inside. That the files are what
//! the lock's packages hold is the sender's word, as a build's result is the builder's; they are only ever seen read-only
//! inside a jail.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::python::{Place, tree_failure};
use super::{BUILD_LIMIT, internal};
use crate::blobs::BlobStore;
use crate::link::messages::{FetchEnv, env_pin};
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{BuildFailure, BuildStep, Digest, EnvBuilt, FailedBuild, Lock};
use crate::sandbox::envs::builder::{FetchOrder, ProgressSink, TREE, fits};
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

/// What a tree says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Card {
    /// What it was made from.
    pub(super) lock: Lock,
    /// Its Python, exactly.
    pub(super) python: Option<String>,
}

/// Fetches the environment of `order` from the first peer that gives it.
pub(super) async fn fetch(
    blobs: &BlobStore,
    link: &Outlet<FetchEnv>,
    order: &FetchOrder,
    places: &[Place],
    progress: &ProgressSink,
) -> Result<EnvBuilt, BuildFailure> {
    let mut last = BuildFailure::new(FailedBuild::Network, "no friend that has it answers");
    for peer in &order.peers {
        progress.send_modify(|p| {
            (p.what, p.detail, p.done, p.total) = (BuildStep::Fetch, peer.short().to_string(), 0, 0);
        });
        let came = match bring(link, order, *peer, progress).await {
            Ok(manifest) => put(blobs, order, manifest, places).await,
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
    let (store, pin) = (blobs.clone(), env_pin(order.digest, order.engine));
    let _ = blocking(move || Ok(store.unpin(&pin)?)).await;
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
    peer: crate::model::PeerId,
    progress: &ProgressSink,
) -> Result<Digest, Refusal> {
    let (tell, seen) = watch::channel((0, 0));
    let ask = FetchEnv { peer, digest: order.digest, engine: order.engine, max_bytes: order.max_bytes, progress: tell };
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

/// Makes a tree of what came, and checks it.
async fn put(
    blobs: &BlobStore,
    order: &FetchOrder,
    manifest: Digest,
    places: &[Place],
) -> Result<EnvBuilt, BuildFailure> {
    let (store, order, places) = (blobs.clone(), order.clone(), places.to_vec());
    let made = blocking(move || {
        let new = order.dir.join(NEW);
        workspace::remove(&new)?;
        let made = place(&store, &order, &manifest, &new, &places);
        if made.is_err() {
            workspace::remove(&new)?;
        }
        store.unpin(&env_pin(order.digest, order.engine))?;
        Ok(made)
    });
    made.await.map_err(|e| internal(&e))?
}

fn place(
    store: &BlobStore,
    order: &FetchOrder,
    manifest: &Digest,
    new: &Path,
    places: &[Place],
) -> Result<EnvBuilt, BuildFailure> {
    let bad = |text: String| BuildFailure::new(FailedBuild::Integrity, text);
    let manifest = store.manifest(manifest).map_err(|e| internal(&e))?;
    let manifest = manifest.ok_or_else(|| internal(&"the list of files is gone from the store"))?;
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    workspace::materialise(new, &manifest, store, uid, gid).map_err(|e| internal(&e))?;
    tree::link(new, &manifest).map_err(|e| tree_failure(&e))?;
    let bytes = tree::settle(new, order.max_bytes).map_err(|e| tree_failure(&e))?;
    let Card { lock, python } = read_card(new).map_err(bad)?;
    if lock.digest() != order.digest {
        return Err(bad("a friend sent another environment than was asked for".to_owned()));
    }
    if !places.iter().any(|place| fits(&lock.target, &place.target(true))) {
        return Err(BuildFailure::new(FailedBuild::Cannot, "it was made for another Python than this machine has"));
    }
    std::fs::rename(new, order.dir.join(TREE)).map_err(|e| internal(&e))?;
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
