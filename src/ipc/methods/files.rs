//! Files: inputs in, results out. homied never opens a path of a user; bytes come and go on the socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::SinkExt;
use serde_json::{Value, json};

use super::jobs::find;
use super::{Answer, value};
use crate::blobs::{BlobError, StoreSink, StoreSource};
use crate::history::messages::{FindPlaced, GetRecord, PutRecord, RememberPlaced};
use crate::ipc::session::{Session, SessionError, params};
use crate::link::messages::results_pin;
use crate::model::{Delivery, Digest, FailKind, Manifest, Outcome, Role};
use crate::scheduler::messages::FetchAgain;
use crate::transfer;
use crate::wire::frame::Frame;
use crate::wire::ipc::{Delivered, FilesPut, JobRef, PlacedQuery, READY, Request, SentFile};
use crate::wire::refusal::{Refusal, RefusalKind};

async fn ready(session: &mut Session, id: u64) -> Result<(), SessionError> {
    session.event(id, &READY).await?;
    SinkExt::<Frame>::flush(&mut session.wire).await?;
    Ok(())
}

pub(super) async fn put(session: &mut Session, request: &Request) -> Answer {
    /// Tells the pins of one homied's sessions apart.
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    ready(session, request.id).await?;
    let owner = format!("put-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let mut sink = StoreSink::new(session.shared.parts.blobs.clone(), owner.clone());
    let begun = Instant::now();
    match transfer::receive(&mut session.wire, None, &mut sink, |_, _| ()).await {
        Ok((manifest, sent_bytes)) => {
            let (ms, of) = (begun.elapsed().as_millis(), manifest.total_bytes());
            tracing::info!(bytes = sent_bytes, of, ms, "files taken from a client");
            session.pins.push((owner, Some(manifest.digest())));
            Ok(value(&FilesPut { inputs: manifest.digest(), sent_bytes }))
        }
        Err(error) => {
            // What came of it stays for a client that tries again.
            session.pins.push((owner, None));
            Err(SessionError::Transfer(error.to_string()))
        }
    }
}

/// A manifest from the store, off this thread.
async fn stored(session: &Session, digest: Digest) -> Result<Option<Manifest>, Refusal> {
    let blobs = session.shared.parts.blobs.clone();
    let read = tokio::task::spawn_blocking(move || blobs.manifest(&digest)).await;
    read.map_err(|_| Refusal::internal("homied is shutting down"))?.map_err(|e: BlobError| e.refusal())
}

pub(super) async fn results(session: &mut Session, request: &Request) -> Answer {
    let manifest = match results_of(session, request).await {
        Ok(manifest) => manifest,
        Err(refusal) => return Ok(Err(refusal)),
    };
    ready(session, request.id).await?;
    let mut source = StoreSource::new(session.shared.parts.blobs.clone());
    match transfer::send(&mut session.wire, &manifest, &mut source, |_, _| ()).await {
        Ok(_) => Ok(Ok(json!({}))),
        Err(error) => Err(SessionError::Transfer(error.to_string())),
    }
}

async fn results_of(session: &Session, request: &Request) -> Result<Manifest, Refusal> {
    let which: JobRef = params(request)?;
    let record = find(session, &which.job).await?;
    let short = record.id.short();
    if !record.is_terminal() {
        let text = format!("job {short} has not ended ({})", record.state.as_str());
        return Err(
            Refusal::new(RefusalKind::BadRequest, text).hint(format!("`homie attach {short}` shows it and waits"))
        );
    }
    if matches!(record.outcome, Some(Outcome::Failed { reason: FailKind::Results, .. })) {
        session.ask(&session.shared.parts.outlets.fetch_again, FetchAgain { record }).await??;
        let text = format!("the results of job {short} stayed at its worker and are being fetched now");
        return Err(Refusal::new(RefusalKind::Busy, text).hint(format!("`homie attach {short}` waits for them")));
    }
    let Some(digest) = record.results else { return Ok(Manifest::default()) };
    match stored(session, digest).await? {
        Some(manifest) if record.delivery != Delivery::Expired => Ok(manifest),
        _ => Err(Refusal::new(RefusalKind::UnknownJob, format!("the results of job {short} are no longer kept"))
            .hint("run it again; results wait 7 days, or until the store needs their space")),
    }
}

pub(super) async fn inputs(session: &mut Session, request: &Request) -> Answer {
    let rows = sent_files(session, request).await;
    session.rows(request.id, rows).await
}

async fn sent_files(session: &Session, request: &Request) -> Result<Vec<SentFile>, Refusal> {
    let which: JobRef = params(request)?;
    let record = find(session, &which.job).await?;
    let manifest = stored(session, record.inputs).await?.unwrap_or_default();
    Ok(manifest.files().iter().map(|f| SentFile { path: f.path.clone(), hash: f.hash }).collect())
}

pub(super) async fn placed(session: &mut Session, request: &Request) -> Answer {
    let rows = match params::<PlacedQuery>(request) {
        Ok(query) => {
            let find = FindPlaced { uid: session.caller.uid, paths: query.paths };
            session.ask(&session.shared.parts.outlets.placed, find).await
        }
        Err(refusal) => Err(refusal),
    };
    session.rows(request.id, rows.and_then(|rows| rows)).await
}

pub(super) async fn delivered(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let delivered: Delivered = params(request)?;
    let outlets = &session.shared.parts.outlets;
    let get = GetRecord { job: delivered.job, role: Role::Sent };
    let record = session.ask(&outlets.get, get).await??;
    let owned = |uid: u32| session.caller.jobs_of().is_none_or(|own| own == uid);
    let Some(mut record) = record.filter(|r| owned(r.uid)) else {
        let text = format!("no job {}", delivered.job.short());
        return Err(Refusal::new(RefusalKind::UnknownJob, text));
    };
    let remember = RememberPlaced { uid: session.caller.uid, placed: delivered.placed };
    session.ask(&outlets.remember, remember).await??;
    if delivered.last && record.delivery == Delivery::Waiting {
        record.delivery = Delivery::Delivered;
        let pin = results_pin(record.id, record.epoch);
        session.ask(&outlets.put, PutRecord { record: Box::new(record) }).await??;
        // From now on they may make room for others; until then `homie results` gives them again.
        let blobs = session.shared.parts.blobs.clone();
        let _ = tokio::task::spawn_blocking(move || blobs.unpin(&pin)).await;
    }
    Ok(json!({}))
}
