//! One client: greeting, then requests one after the other.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use interprocess::local_socket::tokio::{Stream, prelude::*};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::codec::Framed;

use super::actor::IpcActor;
use super::methods;
use super::outlets::IpcParts;
use super::rights::{self, Caller};
use crate::config::Loaded;
use crate::mailbox::{AskError, Door, Outlet, Word, ask_outlet};
use crate::model::Digest;
use crate::wire::frame::{Frame, FrameCodec, FrameError};
use crate::wire::ipc::{Greeting, Reply, Request};
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::version;

/// For questions to rooms of this process.
pub(super) const ROOM: Duration = Duration::from_secs(30);
/// A client that does not greet in this time is not one of ours.
const GREETING: Duration = Duration::from_secs(5);

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: IpcParts,
    loaded: RwLock<Arc<Loaded>>,
}

impl Shared {
    pub(super) fn new(parts: IpcParts) -> Self {
        let loaded = RwLock::new(Arc::new(parts.loaded.clone()));
        Self { parts, loaded }
    }

    /// The configuration that holds.
    pub(super) fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn loaded_is(&self, loaded: Arc<Loaded>) {
        self.parts.settings.send_replace(loaded.settings.clone());
        *self.loaded.write().unwrap_or_else(std::sync::PoisonError::into_inner) = loaded;
    }
}

/// One client's connection.
pub(super) struct Session {
    pub(super) wire: Framed<Stream, FrameCodec>,
    pub(super) shared: Arc<Shared>,
    pub(super) actor: Door<IpcActor>,
    pub(super) caller: Caller,
    /// Pins of what was put on this connection, and what of it has become a job, which has a pin of its own.
    pub(super) pins: Vec<(String, Option<Digest>)>,
    pub(super) submitted: HashSet<Digest>,
}

/// Why a session ends before its client closes it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the client did not greet in time")]
    Silent,
    #[error(transparent)]
    Version(#[from] version::VersionMismatch),
    #[error("the kernel does not say who the client is: {0}")]
    Unknown(std::io::Error),
    /// The connection was a transfer that failed; both sides know.
    #[error("transfer: {0}")]
    Transfer(String),
}

/// Serves one client to its end.
pub(super) async fn run(stream: Stream, shared: Arc<Shared>, actor: Door<IpcActor>) {
    let caller = match caller(&stream, &shared) {
        Ok(caller) => caller,
        Err(error) => return tracing::warn!(%error, "client turned away"),
    };
    let mut session = Session {
        wire: Framed::new(stream, FrameCodec::bulk()),
        shared,
        actor,
        caller,
        pins: Vec::new(),
        submitted: HashSet::new(),
    };
    if let Err(error) = session.serve().await {
        tracing::debug!(%error, uid = caller.uid, "session ended early");
    }
    session.let_go();
}

fn caller(stream: &Stream, shared: &Shared) -> Result<Caller, SessionError> {
    let creds = stream.peer_creds().map_err(SessionError::Unknown)?;
    let uid = creds.euid().ok_or_else(|| SessionError::Unknown(std::io::Error::other("no credentials")))?;
    let own = nix::unistd::geteuid().as_raw();
    let named = || {
        let name = nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|u| u.name);
        name.is_some_and(|n| shared.loaded().settings.admins.contains(&n))
    };
    Ok(Caller { uid, admin: uid == 0 || uid == own || named() })
}

impl Session {
    async fn serve(&mut self) -> Result<(), SessionError> {
        let ours = Greeting { protocol: version::IPC.to_vec(), version: version::RELEASE.into() };
        self.wire.send(Frame::json(&ours)?).await?;
        let theirs: Greeting = match tokio::time::timeout(GREETING, self.wire.next()).await {
            Err(_) => return Err(SessionError::Silent),
            Ok(None) => return Ok(()),
            Ok(Some(frame)) => frame?.parse()?,
        };
        version::negotiate(version::IPC, &theirs.protocol, &theirs.version)?;
        while let Some(frame) = self.wire.next().await {
            let request: Request = frame?.parse()?;
            let id = request.id;
            let outcome = match rights::check(self.caller, &request.method) {
                Ok(()) => methods::dispatch(self, request).await?,
                Err(refusal) => Err(refusal),
            };
            self.reply(id, outcome).await?;
        }
        Ok(())
    }

    async fn reply(&mut self, id: u64, outcome: Result<Value, Refusal>) -> Result<(), SessionError> {
        let frame = match outcome {
            Ok(ok) => Frame::json(&Reply::Ok { id, ok }),
            Err(error) => Frame::json(&Reply::Error { id, error }),
        };
        let frame = match frame {
            // One answer that outgrows a frame is a fault of ours, not of the connection.
            Err(FrameError::TooLong { len, .. }) => Frame::json(&Reply::Error {
                id,
                error: Refusal::internal(format!("the answer of {len} bytes does not fit into a frame")),
            })?,
            frame => frame?,
        };
        self.wire.send(frame).await?;
        Ok(())
    }

    /// Sends one event of request `id`.
    pub(super) async fn event<T: Serialize>(&mut self, id: u64, event: &T) -> Result<(), SessionError> {
        let event = serde_json::to_value(event).map_err(|e| FrameError::Malformed(e.to_string()))?;
        self.wire.feed(Frame::json(&Reply::Event { id, event })?).await?;
        Ok(())
    }

    /// Sends a list, one event a row.
    pub(super) async fn rows<T: Serialize>(
        &mut self,
        id: u64,
        rows: Result<Vec<T>, Refusal>,
    ) -> Result<Result<Value, Refusal>, SessionError> {
        let rows = match rows {
            Ok(rows) => rows,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for row in &rows {
            self.event(id, row).await?;
        }
        Ok(Ok(serde_json::json!({ "rows": rows.len() })))
    }

    /// Asks another room.
    pub(super) async fn ask<M>(&self, to: &Outlet<M>, message: M) -> Result<M::Result, Refusal>
    where
        M: Word + Send + 'static,
        M::Result: Send,
    {
        answer(ask_outlet(to, message, ROOM).await)
    }

    /// What was put stays for a minute, so that a client may submit on another connection. What became a job here does
    /// not: the job keeps it, and lets go of it when it is done, so that the next one has room.
    fn let_go(&mut self) {
        const GRACE: Duration = Duration::from_secs(60);
        let blobs = self.shared.parts.blobs.clone();
        let in_job = |inputs: &Option<Digest>| inputs.is_some_and(|inputs| self.submitted.contains(&inputs));
        let (taken, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pins).into_iter().partition(|(_, inputs)| in_job(inputs));
        for (pins, wait) in [(taken, Duration::ZERO), (waiting, GRACE)] {
            if pins.is_empty() {
                continue;
            }
            let blobs = blobs.clone();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let unpin = move || pins.iter().try_for_each(|(pin, _)| blobs.unpin(pin));
                if let Ok(Err(error)) = tokio::task::spawn_blocking(unpin).await {
                    tracing::warn!(%error, "cannot let go of what a client put");
                }
            });
        }
    }
}

/// An answer that did not come, as the client hears it.
pub(super) fn answer<T>(answer: Result<T, AskError>) -> Result<T, Refusal> {
    answer.map_err(|e| match e {
        AskError::Stopped(_) => Refusal::new(RefusalKind::ShuttingDown, "homied is shutting down"),
        AskError::TimedOut(room) => Refusal::internal(format!("{room} did not answer in 30 s")),
    })
}

/// The parameters of a request.
pub(super) fn params<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    serde_json::from_value(request.params.clone()).map_err(|e| {
        Refusal::new(RefusalKind::BadRequest, format!("{}: parameters of the wrong shape: {e}", request.method))
    })
}
