//! ipc's mailbox: the accept loop and the one place where the config file is changed.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseActFuture, WrapFuture};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::listener::Socket;
use super::messages::{AddDirectPeer, CloseSocket, ReloadConfig, RemoveDirectPeer, ShowConfig};
use super::outlets::IpcParts;
use super::session::{self, Shared};
use crate::config::{self, ConfigError, Loaded};
use crate::link::messages::{AddDirect, RemoveDirect};
use crate::mailbox::{Door, MAILBOX, ask_outlet};
use crate::wire::ipc::{ConfigRow, DirectPeer};
use crate::wire::refusal::Refusal;

/// Clients at once. Each costs a task and a file descriptor; the usual limit of descriptors is 1024.
const MAX_CLIENTS: usize = 256;

/// Owns the local socket. See [`super`].
#[derive(Debug)]
pub struct IpcActor {
    shared: Arc<Shared>,
    socket: Option<Socket>,
    /// One change of the file at a time, also while an answer is awaited.
    file: Arc<Mutex<()>>,
    closing: Arc<Notify>,
}

/// Starts answering on `socket`.
pub fn start(parts: IpcParts, socket: Socket) -> Door<IpcActor> {
    let actor = IpcActor {
        shared: Arc::new(Shared::new(parts)),
        socket: Some(socket),
        file: Arc::default(),
        closing: Arc::default(),
    };
    actor.start()
}

impl Actor for IpcActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(socket) = self.socket.take() {
            tokio::spawn(accept(socket, self.shared.clone(), ctx.address(), self.closing.clone()));
        }
    }
}

async fn accept(socket: Socket, shared: Arc<Shared>, actor: Door<IpcActor>, closing: Arc<Notify>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = closing.notified() => return,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            client = socket.accept(), if sessions.len() < MAX_CLIENTS => match client {
                Ok(stream) => {
                    sessions.spawn(session::run(stream, shared.clone(), actor.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, socket = %socket.path().display(), "cannot accept a client");
                    // Out of descriptors: give the sessions a moment to end instead of spinning.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl IpcActor {
    /// Changes the file off this thread, reads it again and tells the rooms.
    fn change<T, E>(&self, edit: E) -> impl Future<Output = Result<(T, Arc<Loaded>), Refusal>> + use<T, E>
    where
        T: Send + 'static,
        E: FnOnce(&crate::paths::Places) -> Result<T, ConfigError> + Send + 'static,
    {
        let (shared, file) = (self.shared.clone(), self.file.clone());
        let work = tokio::task::spawn_blocking({
            let shared = shared.clone();
            move || {
                let _one_at_a_time = file.blocking_lock();
                let edited = edit(&shared.parts.places)?;
                let flags = &shared.parts.flags;
                let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
                let loaded = config::load(&shared.parts.places, &config::host_name(), env, flags)?;
                Ok::<_, ConfigError>((edited, loaded))
            }
        });
        async move {
            let (edited, loaded) = work.await.map_err(|_| Refusal::internal("homied is shutting down"))??;
            let loaded = Arc::new(loaded);
            shared.loaded_is(loaded.clone());
            Ok((edited, loaded))
        }
    }
}

impl Handler<ShowConfig> for IpcActor {
    type Result = MessageResult<ShowConfig>;

    fn handle(&mut self, _: ShowConfig, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.shared.loaded().rows.clone())
    }
}

impl Handler<ReloadConfig> for IpcActor {
    type Result = ResponseActFuture<Self, Result<Vec<ConfigRow>, Refusal>>;

    fn handle(&mut self, _: ReloadConfig, _: &mut Self::Context) -> Self::Result {
        let (shared, before) = (self.shared.clone(), self.shared.loaded());
        let changing = self.change(|_| Ok(()));
        let work = async move {
            let ((), loaded) = changing.await?;
            let (old, new) = (&before.settings.direct, &loaded.settings.direct);
            for (address, _) in old.iter().filter(|peer| !new.contains(peer)) {
                let gone = RemoveDirect { which: address.clone() };
                let _ = ask_outlet(&shared.parts.outlets.remove_direct, gone, session::ROOM).await;
            }
            for (address, name) in new.iter().filter(|peer| !old.contains(peer)) {
                let come = AddDirect { address: address.clone(), name: name.clone() };
                if let Ok(Err(refusal)) = ask_outlet(&shared.parts.outlets.add_direct, come, session::ROOM).await {
                    tracing::warn!(%address, %refusal, "cannot add a direct peer of the config");
                }
            }
            Ok(loaded.rows.clone())
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<AddDirectPeer> for IpcActor {
    type Result = ResponseActFuture<Self, Result<DirectPeer, Refusal>>;

    fn handle(&mut self, message: AddDirectPeer, _: &mut Self::Context) -> Self::Result {
        let shared = self.shared.clone();
        let peer = message.peer;
        let changing = self.change(move |places| config::add_direct(places, &peer.address, peer.name.as_deref()));
        let work = async move {
            let ((address, name), _) = changing.await?;
            let add = AddDirect { address, name };
            session::answer(ask_outlet(&shared.parts.outlets.add_direct, add, session::ROOM).await)?
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<RemoveDirectPeer> for IpcActor {
    type Result = ResponseActFuture<Self, Result<DirectPeer, Refusal>>;

    fn handle(&mut self, message: RemoveDirectPeer, _: &mut Self::Context) -> Self::Result {
        let shared = self.shared.clone();
        let which = message.peer.which;
        let changing = self.change(move |places| config::remove_direct(places, &which));
        let work = async move {
            let ((address, _), _) = changing.await?;
            let remove = RemoveDirect { which: address };
            session::answer(ask_outlet(&shared.parts.outlets.remove_direct, remove, session::ROOM).await)?
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<CloseSocket> for IpcActor {
    type Result = ();

    fn handle(&mut self, _: CloseSocket, _: &mut Self::Context) {
        self.closing.notify_one();
    }
}
