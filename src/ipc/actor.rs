//! ipc's mailbox: the accept loop and the one place where the config file is changed.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseActFuture, WrapFuture};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::listener::Socket;
use super::messages::{AddDirectPeer, CloseSocket, ReloadConfig, RemoveDirectPeer, ShowConfig};
use super::outlets::IpcParts;
use super::reload::Standing;
use super::session::{self, Shared};
use crate::config::{self, ConfigError, Loaded};
use crate::link::messages::{AddDirect, ForgetIntroduced, RemoveDirect};
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
    /// One change of the file at a time, until the rooms go by it.
    standing: Arc<Mutex<Standing>>,
    closing: Arc<Notify>,
}

/// Starts answering on `socket`.
pub fn start(parts: IpcParts, socket: Socket) -> Door<IpcActor> {
    let standing = Standing::new(parts.loaded.settings.clone(), parts.keys.clone());
    let actor = IpcActor {
        shared: Arc::new(Shared::new(parts)),
        socket: Some(socket),
        standing: Arc::new(Mutex::new(standing)),
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

/// What a change of the file brought.
struct Changed<T> {
    edited: T,
    loaded: Arc<Loaded>,
    /// Direct peers that are there no longer.
    gone: Vec<DirectPeer>,
}

impl IpcActor {
    /// Changes the file off this thread, reads it again and makes the rooms go by it.
    fn change<T, E>(&self, edit: E) -> impl Future<Output = Result<Changed<T>, Refusal>> + use<T, E>
    where
        T: Send + 'static,
        E: FnOnce(&crate::paths::Places) -> Result<T, ConfigError> + Send + 'static,
    {
        let (shared, standing) = (self.shared.clone(), self.standing.clone());
        async move {
            let mut standing = standing.lock().await;
            let work = tokio::task::spawn_blocking({
                let shared = shared.clone();
                move || {
                    let edited = edit(&shared.parts.places)?;
                    let flags = &shared.parts.flags;
                    let env =
                        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
                    let loaded = config::load(&shared.parts.places, &config::host_name(), env, flags)?;
                    Ok::<_, ConfigError>((edited, loaded))
                }
            });
            let (edited, mut loaded) = work.await.map_err(|_| Refusal::internal("homied is shutting down"))??;
            loaded.note_what_needs_a_restart(&shared.parts.loaded.settings);
            let loaded = Arc::new(loaded);
            shared.loaded_is(loaded.clone());
            let gone = standing.hand_out(&shared.parts.outlets, &loaded.settings).await?;
            Ok(Changed { edited, loaded, gone })
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
        let changing = self.change(|_| Ok(()));
        let work = async move { changing.await.map(|changed| changed.loaded.rows.clone()) };
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
            let (address, name) = changing.await?.edited;
            // Added already, unless it was there before; asked again it tells how it stands.
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
        let introduced = ForgetIntroduced { which: which.clone() };
        let changing = self.change(move |places| config::remove_direct(places, &which));
        let work = async move {
            let outlets = &shared.parts.outlets;
            let Changed { edited: (address, _), gone, .. } = match changing.await {
                Ok(changed) => changed,
                // Perhaps one that others told of, which is in no file of the owner's.
                Err(refusal) => {
                    let asked = ask_outlet(&outlets.forget_introduced, introduced, session::ROOM).await;
                    return session::answer(asked)?.unwrap_or(Err(refusal));
                }
            };
            if let Some(peer) = gone.into_iter().find(|peer| peer.address == address) {
                return Ok(peer);
            }
            let remove = RemoveDirect { which: address };
            session::answer(ask_outlet(&outlets.remove_direct, remove, session::ROOM).await)?
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
