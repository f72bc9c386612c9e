//! Environments.

use std::collections::BTreeMap;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Answer, value};
use crate::ipc::session::{Session, SessionError, params};
use crate::model::{BuildFailure, BuildProgress, Digest, EnvEvent, EnvView, FailedBuild};
use crate::sandbox::messages::{BuildEnv, CreateEnv, EnvBuilding, ListEnvs, RemoveEnv, ShowEnv};
use crate::wire::env::{EnvCreate, EnvLine, EnvRef};
use crate::wire::frame::Frame;
use crate::wire::ipc::Request;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Most files of a recipe: it names two.
const MOST_FILES: usize = 16;
/// Most bytes of one: a lock of a large project with all hashes has a fifth of it.
const MOST_BYTES: u64 = 4 << 20;

pub(super) async fn list(session: &mut Session, request: &Request) -> Answer {
    let rows = session.ask(&session.shared.parts.outlets.envs, ListEnvs).await;
    session.rows(request.id, rows).await
}

pub(super) async fn show(session: &mut Session, request: &Request) -> Answer {
    let rows = lines(session, request).await;
    session.rows(request.id, rows).await
}

async fn lines(session: &Session, request: &Request) -> Result<Vec<EnvLine>, Refusal> {
    let EnvRef { name } = params(request)?;
    let text = session.ask(&session.shared.parts.outlets.show_env, ShowEnv { name }).await??;
    let lock = text.locked.strip_prefix(&text.recipe).unwrap_or_default();
    let recipe = text.recipe.lines().map(|line| EnvLine::Recipe(line.to_owned()));
    let lock = lock.lines().map(|line| EnvLine::Lock(line.to_owned()));
    Ok(std::iter::once(EnvLine::View(Box::new(text.view))).chain(recipe).chain(lock).collect())
}

pub(super) async fn create(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let order: EnvCreate = params(request)?;
    if order.replace && !session.caller.admin {
        let text = "only the administrators of this machine may replace an environment";
        return Err(Refusal::new(RefusalKind::NotAllowed, text).hint("give yours another name"));
    }
    let files = texts(session, order.files).await?;
    value(&session.ask(&session.shared.parts.outlets.create_env, CreateEnv { order, files }).await??)
}

/// The texts of the files that were put.
async fn texts(session: &Session, files: Digest) -> Result<BTreeMap<String, String>, Refusal> {
    let blobs = session.shared.parts.blobs.clone();
    let read = tokio::task::spawn_blocking(move || {
        let bad = |text: String| Refusal::new(RefusalKind::BadRequest, text);
        let manifest = blobs.manifest(&files).map_err(|e| e.refusal())?;
        let manifest = manifest.ok_or_else(|| bad("the recipe's files were not put before it was named".into()))?;
        if manifest.files().len() > MOST_FILES {
            return Err(bad(format!("a recipe has at most {MOST_FILES} files")));
        }
        let mut texts = BTreeMap::new();
        for file in manifest.files() {
            if file.size > MOST_BYTES {
                return Err(bad(format!("{} is no recipe: it has {} bytes", file.path, file.size)));
            }
            let mut bytes = Vec::new();
            for (digest, len) in file.chunks() {
                bytes.extend(blobs.get(&digest, len).map_err(|e| e.refusal())?);
            }
            let text = String::from_utf8(bytes).map_err(|_| bad(format!("{} is not UTF-8", file.path)))?;
            texts.insert(file.path.as_str().to_owned(), text);
        }
        Ok(texts)
    });
    read.await.map_err(|_| Refusal::internal("homied is shutting down"))?
}

pub(super) async fn build(session: &mut Session, request: &Request) -> Answer {
    let order = match params(request) {
        Ok(order) => order,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let begun = session.ask(&session.shared.parts.outlets.build_env, BuildEnv { order }).await;
    let EnvBuilding { mut progress, mut end } = match begun.and_then(|begun| begun) {
        Ok(building) => building,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended,
            Ok(()) = progress.changed() => told(session, request.id, &mut progress).await?,
        }
    };
    let last = match ended {
        Ok(Ok(view)) => ready(view),
        Ok(Err(failure)) => EnvEvent::Failed { failure },
        Err(_) => EnvEvent::Failed { failure: BuildFailure::new(FailedBuild::Cancelled, "homied is shutting down") },
    };
    session.event(request.id, &last).await?;
    Ok(Ok(json!({})))
}

fn ready(view: EnvView) -> EnvEvent {
    EnvEvent::Ready { view: Box::new(view) }
}

/// Sends where the build stands. A client that has gone is noticed here, and its build stops.
async fn told(
    session: &mut Session,
    id: u64,
    progress: &mut watch::Receiver<BuildProgress>,
) -> Result<(), SessionError> {
    /// Between two reports, so that a talkative tool does not flood the screen.
    const PACE: std::time::Duration = std::time::Duration::from_millis(100);
    let now = progress.borrow_and_update().clone();
    session.event(id, &EnvEvent::Progress { progress: now }).await?;
    SinkExt::<Frame>::flush(&mut session.wire).await?;
    tokio::time::sleep(PACE).await;
    Ok(())
}

pub(super) async fn remove(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let EnvRef { name } = params(request)?;
    session.ask(&session.shared.parts.outlets.remove_env, RemoveEnv { name }).await??;
    Ok(json!({}))
}
