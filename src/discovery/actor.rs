//! The mailbox: owns the tasks and passes words on to them.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::beacon::Beacon;
use super::ear::Ear;
use super::error::SilenceError;
use super::messages::{BeatSoon, DiscoveryError, StopDiscovery};
use super::voice::Voice;
use super::{herald, listen, socket};
use crate::link::messages::Greet;
use crate::mailbox::{Door, MAILBOX, Outlet};
use crate::model::{BootId, Facts, PeerId};
use crate::registry::messages::PeerHeard;
use crate::secret::GroupKeys;
use crate::wire::heartbeat::KeyId;

/// How often a port that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the goodbye may take; it is a few datagrams.
const GOODBYE: Duration = Duration::from_secs(1);
/// Beats that may wait for the registry: one of each machine of a large group.
const NEWS: usize = 1024;

/// What discovery is made of.
#[derive(Debug)]
pub struct DiscoveryParts {
    /// The group's keys; without them this machine stays alone.
    pub keys: Option<GroupKeys>,
    /// This machine's key hash.
    pub id: PeerId,
    /// This run.
    pub boot: BootId,
    /// Its name.
    pub name: String,
    /// UDP port of heartbeats, here and everywhere in the group.
    pub discovery_port: u16,
    /// Where its worker listens.
    pub worker_port: u16,
    /// Whether to beat, or only to listen.
    pub broadcast: bool,
    /// Its load.
    pub facts: watch::Receiver<Facts>,
    /// Who is told what was heard.
    pub registry: Outlet<PeerHeard>,
    /// Who is asked to make sure of a new peer.
    pub link: Outlet<Greet>,
}

/// Says that we are there and hears who else is.
#[derive(Debug)]
pub struct DiscoveryActor {
    soon: Arc<Notify>,
    trouble: watch::Receiver<Option<String>>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

/// Starts discovery, inside the System. It always starts; whether it works is what [`DiscoveryError`] tells.
pub fn start(parts: DiscoveryParts) -> Door<DiscoveryActor> {
    let soon = Arc::new(Notify::new());
    let (stop, stopped) = oneshot::channel();
    let (trouble, trouble_seen) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(run(parts, Arc::clone(&soon), trouble, stopped));
    DiscoveryActor { soon, trouble: trouble_seen, stop: Some(stop), tasks }.start()
}

/// Opens the port and runs voice, ear and herald on it until `stop`.
async fn run(
    parts: DiscoveryParts,
    soon: Arc<Notify>,
    trouble: watch::Sender<Option<String>>,
    mut stop: oneshot::Receiver<()>,
) {
    let Some(keys) = parts.keys else {
        trouble.send_replace(Some(SilenceError::NoGroup.to_string()));
        let _ = stop.await;
        return;
    };
    let port = parts.discovery_port;
    let socket = loop {
        match socket::open(port) {
            Ok(socket) => break Arc::new(socket),
            Err(source) => {
                let why = SilenceError::Port { port, source }.to_string();
                tracing::warn!("{why}; trying again every {} s", RETRY.as_secs());
                trouble.send_replace(Some(why));
            }
        }
        tokio::select! {
            _ = &mut stop => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    };
    trouble.send_replace(None);

    let key = KeyId(keys.beat_key_id());
    let ear = Ear::new(parts.id, key, Instant::now().into_std());
    let (news, heard) = mpsc::channel(NEWS);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen::listen(Arc::clone(&socket), keys.clone(), ear, news));
    tasks.spawn(herald::tell(heard, Arc::clone(&soon), parts.registry, parts.link));
    if !parts.broadcast {
        trouble.send_replace(Some(SilenceError::SwitchedOff.to_string()));
        let _ = stop.await;
        return;
    }
    let beacon =
        Beacon { peer: parts.id, boot: parts.boot, name: parts.name, worker_port: parts.worker_port, key, seq: 0 };
    Voice { socket, port, keys, beacon, facts: parts.facts, soon, trouble }.run(stop).await;
}

impl Actor for DiscoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<BeatSoon> for DiscoveryActor {
    type Result = ();

    fn handle(&mut self, _: BeatSoon, _: &mut Self::Context) {
        self.soon.notify_one();
    }
}

impl Handler<DiscoveryError> for DiscoveryActor {
    type Result = Option<String>;

    fn handle(&mut self, _: DiscoveryError, _: &mut Self::Context) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

impl Handler<StopDiscovery> for DiscoveryActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopDiscovery, _: &mut Self::Context) -> Self::Result {
        if let Some(stop) = self.stop.take() {
            // The task is gone already if nobody hears it; then there is nobody to say goodbye to.
            let _ = stop.send(());
        }
        let mut tasks = std::mem::take(&mut self.tasks);
        Box::pin(async move {
            let ended = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(GOODBYE, ended).await.is_err() {
                tracing::debug!("the goodbye took too long");
            }
        })
    }
}
