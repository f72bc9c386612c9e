//! The task that says that this machine is there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::beacon::{Beacon, Rhythm};
use super::error::SilenceError;
use super::interfaces::LOOPBACK;
use super::network::{Datagrams, Network};
use crate::config::Listen;
use crate::model::Facts;
use crate::net::is_inside;
use crate::networks::Networks;
use crate::secret::GroupKeys;

/// What the voice needs.
pub(super) struct Voice<N: Network> {
    pub(super) network: Arc<N>,
    pub(super) socket: Arc<N::Socket>,
    pub(super) port: u16,
    /// On which networks to beat.
    pub(super) listen: Listen,
    pub(super) keys: GroupKeys,
    pub(super) beacon: Beacon,
    pub(super) facts: watch::Receiver<Facts>,
    /// The addresses of this machine.
    pub(super) networks: Networks,
    /// Somebody is new.
    pub(super) soon: Arc<Notify>,
    /// Why nobody hears us; `None` while somebody may.
    pub(super) trouble: watch::Sender<Option<String>>,
}

impl<N: Network> Voice<N> {
    /// Beats until `stop`, then says goodbye.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut rhythm = Rhythm::new(Instant::now().into_std());
        let mut own = self.networks.now();
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = self.soon.notified() => rhythm.bring_forward(Instant::now().into_std()),
                now = self.networks.changed() => if now != own {
                    own = now;
                    rhythm.bring_forward(Instant::now().into_std());
                },
                () = tokio::time::sleep_until(rhythm.next().into()) => {
                    self.beat(false).await;
                    rhythm.beaten(Instant::now().into_std(), self.beacon.chance());
                }
            }
        }
        self.beat(true).await;
    }

    /// One beat on every interface.
    async fn beat(&mut self, goodbye: bool) {
        let outcome = self.send(goodbye).await;
        let trouble = outcome.err().map(|e| e.to_string());
        self.trouble.send_if_modified(|before| {
            let news = *before != trouble;
            if let (true, Some(trouble)) = (news, &trouble) {
                tracing::warn!("nobody on the network hears this machine: {trouble}");
            }
            *before = trouble;
            news
        });
    }

    async fn send(&mut self, goodbye: bool) -> Result<(), SilenceError> {
        let facts = self.facts.borrow().clone();
        let addresses = self.network.broadcast_addresses().map_err(SilenceError::Interfaces)?;
        let mut outcome = Err(SilenceError::NoNetwork);
        // A network that strangers share hears nothing of this machine.
        let heard = |to: &Ipv4Addr| self.listen == Listen::All || is_inside((*to).into());
        for address in addresses.into_iter().filter(heard) {
            let datagram = self.beacon.datagram(&facts, goodbye, |signed| self.keys.beat_mac(signed));
            let to = SocketAddr::from((address, self.port));
            match self.socket.send_to(&datagram, to).await {
                // Loopback always works and tells nothing of the network.
                Ok(_) if address == LOOPBACK => {}
                Ok(_) => outcome = Ok(()),
                Err(source) => {
                    tracing::debug!(%to, error = %source, "heartbeat not sent");
                    if outcome.is_err() && address != LOOPBACK {
                        outcome = Err(SilenceError::Send { to, source });
                    }
                }
            }
        }
        outcome
    }
}
