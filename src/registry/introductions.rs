//! Pure: who told us of whom, as far as a user wants to know it.

use std::collections::HashMap;

use crate::model::{PeerId, PeerView, Via};

/// Remembered, as many as the table has rows.
const MOST: usize = 4096;

/// By whom peers were introduced.
#[derive(Debug, Default)]
pub(super) struct Introducers(HashMap<PeerId, String>);

impl Introducers {
    /// A link to `peer` is up, and `by` told us of it.
    pub(super) fn note(&mut self, peer: PeerId, by: Option<String>) {
        match by {
            Some(by) if self.0.len() < MOST || self.0.contains_key(&peer) => _ = self.0.insert(peer, by),
            _ => _ = self.0.remove(&peer),
        }
    }

    /// A machine is in the group no more: its word counts for nothing.
    pub(super) fn forget(&mut self, peer: PeerId, names: &[String]) {
        self.0.remove(&peer);
        self.0.retain(|_, by| !names.contains(by));
    }

    /// Who introduced it. Nobody had to where it is heard by itself.
    pub(super) fn of(&self, view: &PeerView) -> Option<String> {
        self.0.get(&view.id).filter(|_| view.via == Via::Direct).cloned()
    }
}
