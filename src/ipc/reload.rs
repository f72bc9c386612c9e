//! What changes in the other rooms when the config file was read again.

use crate::config::Settings;
use crate::discovery::messages::{StartDiscovery, StopDiscovery};
use crate::link::messages::{AddDirect, ChangeSelf, RemoveDirect};
use crate::mailbox::ask_outlet;
use crate::model::BootId;
use crate::monitor::messages::SetLimits;
use crate::registry::messages as registry;
use crate::secret::GroupKeys;
use crate::wire::ipc::DirectPeer;
use crate::wire::refusal::Refusal;

use super::outlets::Outlets;
use super::session::{ROOM, answer};

/// What the rooms go by now.
#[derive(Debug)]
pub(super) struct Standing {
    settings: Settings,
    keys: Option<GroupKeys>,
}

impl Standing {
    /// What they were started with.
    pub(super) fn new(settings: Settings, keys: Option<GroupKeys>) -> Self {
        Self { settings, keys }
    }

    /// Makes the rooms go by `new`. Everything is handed out, whatever goes wrong on the way; the first trouble is told.
    /// Gives the direct peers that are gone.
    pub(super) async fn hand_out(&mut self, outlets: &Outlets, new: &Settings) -> Result<Vec<DirectPeer>, Refusal> {
        let old = std::mem::replace(&mut self.settings, new.clone());
        let limits = if old.limits == new.limits && old.job_slots == new.job_slots {
            Ok(())
        } else {
            let word = SetLimits { limits: new.limits.clone(), slots: new.job_slots };
            answer(ask_outlet(&outlets.limits, word, ROOM).await)
        };
        let known = if others_see(&old) == others_see(new) { Ok(()) } else { self.introduce(outlets, &old, new).await };
        let gone = self.direct(outlets, &old, new).await;
        limits.and(known).map(|()| gone)
    }

    /// Leaves as who we were and comes back as who we are now. In this order: nobody who hears the hello meets rooms
    /// that do not know of it yet.
    async fn introduce(&mut self, outlets: &Outlets, old: &Settings, new: &Settings) -> Result<(), Refusal> {
        let same_secret = old.group_secret == new.group_secret;
        // After somebody was put out, it is the same group with another secret.
        let same_group = old.group == new.group && (same_secret || new.previous_secrets.contains(&old.group_secret));
        if !same_group || !same_secret {
            let (secret, group) = (new.group_secret.clone(), new.group.clone());
            self.keys = tokio::task::spawn_blocking(move || GroupKeys::of(&secret, &group))
                .await
                .map_err(|_| Refusal::internal("homied is shutting down"))?;
        }
        let boot = BootId::random().map_err(|e| Refusal::internal(format!("no random bytes: {e}")))?;
        let (keys, name, worker_port) = (self.keys.clone(), new.name.clone(), new.worker_port);
        let left = answer(ask_outlet(&outlets.stop_discovery, StopDiscovery, ROOM).await);
        let word = registry::ChangeSelf { name: name.clone(), boot, worker_port, same_group };
        let listed = answer(ask_outlet(&outlets.registry_self, word, ROOM).await);
        let listen = new.listen;
        let word = ChangeSelf { keys: keys.clone(), name: name.clone(), boot, worker_port, listen, same_group };
        let linked = answer(ask_outlet(&outlets.link_self, word, ROOM).await);
        let (discovery_port, broadcast) = (new.discovery_port, new.broadcast);
        let word = StartDiscovery { keys, boot, name, discovery_port, worker_port, broadcast, listen };
        let heard = answer(ask_outlet(&outlets.start_discovery, word, ROOM).await);
        tracing::info!(name = %new.name, group = %new.group, worker_port, discovery_port, "taken up by a reload");
        left.and(listed).and(linked).and(heard)
    }

    /// Direct peers come and go. One that cannot be added is the owner's to mend and keeps nothing else back.
    async fn direct(&self, outlets: &Outlets, old: &Settings, new: &Settings) -> Vec<DirectPeer> {
        let mut gone = Vec::new();
        for (address, _) in old.direct.iter().filter(|(at, _)| !new.direct.iter().any(|(kept, _)| kept == at)) {
            let go = RemoveDirect { which: address.clone() };
            if let Ok(Ok(peer)) = ask_outlet(&outlets.remove_direct, go, ROOM).await {
                gone.push(peer);
            }
        }
        for (address, name) in new.direct.iter().filter(|peer| !old.direct.contains(peer)) {
            let come = AddDirect { address: address.clone(), name: name.clone() };
            if let Ok(Err(refusal)) = ask_outlet(&outlets.add_direct, come, ROOM).await {
                tracing::warn!(%address, %refusal, "cannot add a direct peer of the config");
            }
        }
        gone
    }
}

/// By what others know this machine and hear it.
fn others_see(s: &Settings) -> impl PartialEq + '_ {
    (&s.name, &s.group, s.group_secret.reveal(), s.worker_port, s.discovery_port, s.broadcast, s.listen)
}
