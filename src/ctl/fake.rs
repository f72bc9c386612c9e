//! A homied of one job, for tests: it speaks the real protocol and the real transfers over a real socket.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::Framed;

use super::context::Context;
use super::render::Style;
use crate::model::{CleanPath, Digest, FileEntry, JobEvent, JobId, JobRecord, JobState, Manifest, Outcome, Role};
use crate::transfer::{self, ChunkAt, ChunkSink, ChunkSource, chunks};
use crate::wire::frame::{Frame, FrameCodec};
use crate::wire::ipc::{
    Delivered, FilesPut, Follow, Greeting, Placed, PlacedQuery, READY, Reply, Request, SentFile, Submit, method,
};
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::version;

/// What the fake knows and what it was told.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) record: Option<JobRecord>,
    /// Results by path.
    pub(super) results: Vec<(String, Vec<u8>)>,
    /// What was sent with the job.
    pub(super) sent: Vec<SentFile>,
    /// What earlier jobs placed.
    pub(super) placed: HashMap<String, Digest>,
    pub(super) delivered: Vec<Placed>,
    pub(super) delivered_last: bool,
    /// The contents that `files.put` brought.
    pub(super) uploads: Vec<(String, Vec<u8>)>,
    pub(super) submits: Vec<Submit>,
    pub(super) cancelled: bool,
    /// The output log.
    pub(super) log: Vec<u8>,
    /// Events of a follow, before its log.
    pub(super) events: Vec<JobEvent>,
    /// Breaks follows off after so many bytes of log, one after the other.
    pub(super) breaks: Vec<usize>,
    /// How often something was sent by `files.put`.
    pub(super) transfers: u32,
    /// The versions that it speaks, if not those of this build.
    pub(super) protocol: Option<Vec<u32>>,
    /// Refuses `files.put`.
    pub(super) refuse_files: Option<Refusal>,
}

/// A running fake; it ends with this value.
pub(super) struct FakeHomied {
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeHomied {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Wire = Framed<UnixStream, FrameCodec>;

impl FakeHomied {
    pub(super) fn start(state: State) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let listener = UnixListener::bind(dir.path().join("homied.sock")).expect("bind");
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { drop(serve(Framed::new(stream, FrameCodec::bulk()), &state).await) });
            }
        });
        Self { dir, state, task }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// A context that talks to this fake, with output as in a pipe.
    pub(super) fn context(&self) -> Context {
        let plain = Style { tty: false, color: false, unicode: true, width: 80 };
        let socket = Some(self.dir.path().join("homied.sock"));
        Context { json: false, quiet: true, out: plain, err: plain, socket, cache: None }
    }
}

/// A job that ended well.
pub(super) fn record(id: JobId) -> JobRecord {
    let spec = crate::model::JobSpec { name: "train.py".into(), ..Default::default() };
    JobRecord {
        state: JobState::Succeeded,
        outcome: Some(Outcome::Exited { code: 0 }),
        epoch: crate::model::Epoch(1),
        peer_name: Some("raj".into()),
        engine: Some("native".into()),
        started_ms: Some(1_700_000_001_000),
        ended_ms: Some(1_700_000_002_100),
        usage: crate::model::Usage { wall_ms: 1100, ..Default::default() },
        ..JobRecord::new(id, Role::Sent, spec, Digest([0; 32]), 1_700_000_000_000)
    }
}

async fn serve(mut wire: Wire, state: &Mutex<State>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let lock = || state.lock().expect("not poisoned");
    let protocol = lock().protocol.clone().unwrap_or_else(|| version::IPC.to_vec());
    let ours = Greeting { protocol, version: version::RELEASE.into() };
    wire.send(Frame::json(&ours)?).await?;
    wire.next().await.ok_or("closed")??.parse::<Greeting>()?;
    while let Some(frame) = wire.next().await {
        let request: Request = frame?.parse()?;
        let id = request.id;
        let event = |event| Frame::json(&Reply::Event { id, event });
        let ok = |ok| Frame::json(&Reply::Ok { id, ok });
        match request.method.as_str() {
            method::JOB_INPUTS => {
                let rows = lock().sent.clone();
                for row in rows {
                    wire.feed(event(serde_json::to_value(row)?)?).await?;
                }
                wire.send(ok(serde_json::Value::Null)?).await?;
            }
            method::RESULTS_PLACED => {
                let query: PlacedQuery = params(&request)?;
                let rows: Vec<Placed> = {
                    let state = lock();
                    let known = |path| state.placed.get(&path).map(|hash| Placed { path, hash: *hash });
                    query.paths.into_iter().filter_map(known).collect()
                };
                for row in rows {
                    wire.feed(event(serde_json::to_value(row)?)?).await?;
                }
                wire.send(ok(serde_json::Value::Null)?).await?;
            }
            method::RESULTS_DELIVERED => {
                let told: Delivered = params(&request)?;
                {
                    let mut state = lock();
                    state.placed.extend(told.placed.iter().map(|p| (p.path.clone(), p.hash)));
                    state.delivered.extend(told.placed);
                    state.delivered_last |= told.last;
                }
                wire.send(ok(serde_json::json!({}))?).await?;
            }
            method::RESULTS_GET => {
                wire.send(event(READY.into())?).await?;
                let mut files = lock().results.clone();
                files.sort();
                let manifest = manifest_of(&files);
                transfer::send(&mut wire, &manifest, &mut Memory(files), |_, _| ()).await?;
                wire.send(ok(serde_json::json!({}))?).await?;
            }
            method::FILES_PUT => {
                let refused = lock().refuse_files.clone();
                if let Some(error) = refused {
                    wire.send(Frame::json(&Reply::Error { id, error })?).await?;
                    continue;
                }
                wire.send(event(READY.into())?).await?;
                let mut sink = Memory(Vec::new());
                let (manifest, sent_bytes) = transfer::receive(&mut wire, None, &mut sink, |_, _| ()).await?;
                {
                    let mut state = lock();
                    state.uploads = sink.0;
                    state.transfers += 1;
                }
                let put = FilesPut { inputs: manifest.digest(), sent_bytes };
                wire.send(ok(serde_json::to_value(put)?)?).await?;
            }
            method::JOB_SUBMIT => {
                let submit: Submit = params(&request)?;
                let answer = {
                    let mut state = lock();
                    let template = state.record.clone().unwrap_or_else(|| record(submit.id));
                    let made = JobRecord { id: submit.id, spec: submit.spec.clone(), ..template };
                    state.record = Some(made.clone());
                    state.submits.push(submit);
                    made
                };
                wire.send(ok(serde_json::to_value(answer)?)?).await?;
            }
            method::JOB_CANCEL => {
                lock().cancelled = true;
                let record = lock().record.clone();
                wire.send(ok(serde_json::to_value(record)?)?).await?;
            }
            method::JOB_GET => {
                let record = lock().record.clone();
                wire.send(ok(serde_json::to_value(record)?)?).await?;
            }
            method::JOB_FOLLOW => {
                let follow: Follow = params(&request)?;
                let (record, events, log, stop) = {
                    let mut state = lock();
                    let stop = (!state.breaks.is_empty()).then(|| state.breaks.remove(0));
                    (state.record.clone().expect("a job"), state.events.clone(), state.log.clone(), stop)
                };
                for e in events {
                    wire.feed(event(serde_json::to_value(e)?)?).await?;
                }
                let from = if follow.epoch.is_none_or(|e| e == record.epoch) { follow.from as usize } else { 0 };
                let end = stop.unwrap_or(log.len());
                for piece in log[from..end.max(from)].chunks(1000) {
                    wire.feed(Frame::Raw { stream: record.epoch.0, data: Bytes::copy_from_slice(piece) }).await?;
                }
                wire.flush().await?;
                if stop.is_some() {
                    return Ok(());
                }
                wire.send(ok(serde_json::to_value(record)?)?).await?;
            }
            other => {
                let error = Refusal::new(RefusalKind::BadRequest, format!("unknown method {other}"));
                wire.send(Frame::json(&Reply::Error { id, error })?).await?;
            }
        }
    }
    Ok(())
}

fn params<T: DeserializeOwned>(request: &Request) -> Result<T, serde_json::Error> {
    serde_json::from_value(request.params.clone())
}

/// The manifest of these files, which must be sorted.
pub(super) fn manifest_of(files: &[(String, Vec<u8>)]) -> Manifest {
    let entry = |(path, text): &(String, Vec<u8>)| FileEntry {
        path: CleanPath::new(path.as_str()).expect("clean"),
        size: text.len() as u64,
        exec: path.ends_with(".sh"),
        hash: Digest::of(text),
        lengths: vec![],
        chunks: if text.len() > 1 << 20 { text.chunks(1 << 20).map(Digest::of).collect() } else { Vec::new() },
    };
    Manifest::new(files.iter().map(entry).collect()).expect("valid")
}

/// Files in memory.
struct Memory(Vec<(String, Vec<u8>)>);

impl ChunkSource for Memory {
    async fn read(&mut self, _: &Manifest, at: ChunkAt) -> io::Result<Bytes> {
        let start = at.offset as usize;
        Ok(Bytes::copy_from_slice(&self.0[at.file].1[start..start + at.len as usize]))
    }
}

impl ChunkSink for Memory {
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        self.0 = manifest.files().iter().map(|f| (f.path.to_string(), Vec::new())).collect();
        Ok(vec![true; chunks(manifest).count()])
    }
    async fn write(&mut self, _: &Manifest, at: ChunkAt, bytes: Bytes) -> Result<(), Refusal> {
        self.0[at.file].1.extend_from_slice(&bytes);
        Ok(())
    }
    async fn finish(&mut self, _: &Manifest) -> Result<(), Refusal> {
        Ok(())
    }
}
