//! What the room is made of.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dialer::Routes;
use super::direct::{DirectPeers, address_of};
use super::pace::Pace;
use super::room::{Me, NO_GROUP, Own, RegistryOutlets, Room, SandboxOutlets};
use super::roster::Roster;
use super::secure::Member;
use super::tickets::Tickets;
use super::tls::Tls;
use crate::blobs::BlobStore;
use crate::config::{Listen, ProxyChoice, ProxyRule};
use crate::identity::Identity;
use crate::model::{BootId, Facts};
use crate::networks::Networks;
use crate::secret::GroupKeys;

/// Everything the room needs to start.
#[derive(Debug)]
pub struct LinkParts {
    /// Our key.
    pub identity: Identity,
    /// The group's keys; `None` without a secret: then there is only the loopback.
    pub keys: Option<GroupKeys>,
    /// Our name.
    pub name: String,
    /// This run.
    pub boot: BootId,
    /// Where to listen; 0 picks a port.
    pub worker_port: u16,
    /// On which addresses.
    pub listen: Listen,
    /// Addresses to keep up: `HOST[:PORT]` and label.
    pub direct: Vec<(String, Option<String>)>,
    /// The state directory, where `group.json` lives.
    pub state: PathBuf,
    /// The addresses of this machine.
    pub networks: Networks,
    /// How named peers are dialled where no rule says otherwise.
    pub proxy: ProxyChoice,
    /// How certain peers are dialled.
    pub proxy_rules: Vec<ProxyRule>,
    /// The room that hosts jobs.
    pub sandbox: SandboxOutlets,
    /// The room that knows the peers.
    pub registry: RegistryOutlets,
    /// Bytes a second that transfers with other machines may take each way; 0: no limit.
    pub bandwidth: u64,
    /// Where inputs and results lie.
    pub blobs: BlobStore,
    /// Our own load.
    pub facts: watch::Receiver<Facts>,
}

/// What the actor begins with: the room that all tasks share, and the peers to keep up.
pub(super) fn assemble(parts: LinkParts, tls: &Tls, actor: Own) -> (Arc<Room>, DirectPeers) {
    let own = parts.identity.peer();
    let (name, boot) = (parts.name, parts.boot);
    let member = parts.keys.map(|keys| Member::new(tls.clone(), own, keys, name.clone(), boot));
    let room = Room {
        me: watch::Sender::new(Arc::new(Me { member, name, boot })),
        own,
        networks: parts.networks,
        routes: Routes::new(&parts.proxy, parts.proxy_rules, |name| std::env::var(name).ok()),
        sandbox: parts.sandbox,
        registry: parts.registry,
        blobs: parts.blobs,
        pace: Pace::of(parts.bandwidth),
        facts: parts.facts,
        actor,
        back: OnceLock::new(),
        listening: Mutex::new(Err(NO_GROUP.into())),
        places: Mutex::default(),
        wish: Mutex::new(parts.listen),
        tickets: Mutex::new(Tickets::default()),
        taking: Mutex::default(),
        invites: Mutex::default(),
        roster: Roster::new(parts.identity),
        state: parts.state,
        rotating: Mutex::default(),
        rotation_change: tokio::sync::Mutex::default(),
        reload: OnceLock::new(),
        tls: tls.clone(),
        inputs: Mutex::new(HashMap::new()),
        copies: Mutex::new(HashSet::new()),
        tasks: Mutex::new(JoinSet::new()),
        closing: watch::Sender::new(false),
    };
    let mut direct = DirectPeers::default();
    for (address, label) in parts.direct {
        let added = address_of(&address).and_then(|a| direct.add(a, label, Instant::now()).map(|_| ()));
        if let Err(refusal) = added {
            tracing::warn!(address, %refusal, "a direct peer of the configuration is left out");
        }
    }
    (Arc::new(room), direct)
}
