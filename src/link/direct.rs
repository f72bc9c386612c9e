//! Peers by address (pure): which of them must be dialled now, and how each stands.

use std::time::{Duration, Instant};

use crate::model::{PeerId, parse_address};
use crate::wire::refusal::{Refusal, RefusalKind};

/// First wait after a failed dial; short, because most failures are a machine that is just starting.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait: a machine that was off for the night is back within half a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Addresses one daemon keeps up.
const MAX_DIRECT: usize = 256;

/// Completes and checks an address that a user gave.
pub(super) fn address_of(text: &str) -> Result<String, Refusal> {
    parse_address(text).map_err(|why| {
        let shown = text.chars().take(120).collect::<String>();
        Refusal::new(RefusalKind::BadRequest, format!("{shown:?} is not an address: {why}"))
            .hint("write HOST or HOST:PORT, for example 100.64.0.7:5556 or raj-laptop:5556")
    })
}

/// One address that is kept up.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// `HOST:PORT`.
    pub(super) address: String,
    /// The user's label.
    pub(super) label: Option<String>,
    /// Who answered there last.
    pub(super) peer: Option<PeerId>,
    /// Why the last dial failed.
    pub(super) error: Option<String>,
    /// What to do about it.
    pub(super) hint: Option<String>,
    dialling: bool,
    next: Instant,
    wait: Duration,
}

/// All addresses that are kept up.
#[derive(Debug, Default)]
pub(super) struct DirectPeers {
    entries: Vec<Entry>,
}

impl DirectPeers {
    /// Adds an address (already parsed), to be dialled at once; the same one again only gets the new label.
    pub(super) fn add(&mut self, address: String, label: Option<String>, now: Instant) -> Result<&Entry, Refusal> {
        let at = match self.entries.iter().position(|e| e.address == address) {
            Some(at) => {
                self.entries[at].label = label.or(self.entries[at].label.take());
                at
            }
            None if self.entries.len() >= MAX_DIRECT => {
                return Err(Refusal::new(RefusalKind::Limits, format!("{MAX_DIRECT} direct peers is the most")));
            }
            None => {
                let entry = Entry {
                    address,
                    label,
                    peer: None,
                    error: None,
                    hint: None,
                    dialling: false,
                    next: now,
                    wait: FIRST_WAIT,
                };
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        Ok(&self.entries[at])
    }

    /// Forgets an address, by itself or by its label.
    pub(super) fn remove(&mut self, which: &str) -> Result<Entry, Refusal> {
        let parsed = parse_address(which).ok();
        let fits = |e: &Entry| Some(&e.address) == parsed.as_ref() || e.label.as_deref() == Some(which.trim());
        match self.entries.iter().position(fits) {
            Some(at) => Ok(self.entries.remove(at)),
            None => Err(Refusal::new(
                RefusalKind::UnknownPeer,
                format!("no direct peer {:?}", which.chars().take(120).collect::<String>()),
            )
            .hint("homie list-direct shows them")),
        }
    }

    /// All of them, in the order they were added.
    pub(super) fn list(&self) -> &[Entry] {
        &self.entries
    }

    /// The addresses at which this peer answered last.
    pub(super) fn addresses_of(&self, peer: PeerId) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |e| e.peer == Some(peer)).map(|e| e.address.as_str())
    }

    /// Whether the link to this peer is one that must stay.
    pub(super) fn keeps(&self, peer: PeerId) -> bool {
        self.addresses_of(peer).next().is_some()
    }

    /// The addresses to dial now; each counts as being dialled until [`Self::dialled`].
    pub(super) fn due(&mut self, now: Instant, linked: impl Fn(PeerId) -> bool) -> Vec<String> {
        let due = self.entries.iter_mut().filter(|e| !e.dialling && e.next <= now && !e.peer.is_some_and(&linked));
        due.map(|e| {
            e.dialling = true;
            e.address.clone()
        })
        .collect()
    }

    /// When [`Self::due`] next has something, as far as that is known now.
    pub(super) fn next_due(&self, linked: impl Fn(PeerId) -> bool) -> Option<Instant> {
        self.entries.iter().filter(|e| !e.dialling && !e.peer.is_some_and(&linked)).map(|e| e.next).min()
    }

    /// A dial has ended. `jitter` (any random byte) spreads the next tries, so that a group whose switch was
    /// restarted does not dial as one.
    pub(super) fn dialled(&mut self, address: &str, result: Result<PeerId, Refusal>, now: Instant, jitter: u8) {
        let Some(entry) = self.entries.iter_mut().find(|e| e.address == address) else { return };
        entry.dialling = false;
        match result {
            Ok(peer) => {
                entry.peer = Some(peer);
                (entry.error, entry.hint) = (None, None);
                entry.wait = FIRST_WAIT;
                entry.next = now + spread(FIRST_WAIT, jitter);
            }
            Err(refusal) => {
                (entry.error, entry.hint) = (Some(refusal.message), refusal.hint);
                entry.next = now + spread(entry.wait, jitter);
                entry.wait = (entry.wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    /// We are somebody else from here on, so every address is worth a try at once.
    pub(super) fn try_all_again(&mut self, now: Instant) {
        for entry in &mut self.entries {
            entry.wait = FIRST_WAIT;
            entry.next = now;
        }
    }

    /// One of the two sides does not accept the other: this is for the user to mend, so there is no hurry.
    pub(super) fn refused(&mut self, peer: PeerId, why: &Refusal, now: Instant) {
        for entry in self.entries.iter_mut().filter(|e| e.peer == Some(peer)) {
            (entry.error, entry.hint) = (Some(why.message.clone()), why.hint.clone());
            entry.wait = LONGEST_WAIT;
            entry.next = now + LONGEST_WAIT;
        }
    }
}

/// Between one and one and a half times `wait`.
fn spread(wait: Duration, jitter: u8) -> Duration {
    wait + wait * u32::from(jitter) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_with_what_to_write() {
        assert_eq!(address_of(" Raj ").as_deref(), Ok("raj:5556"));
        for text in ["bücher.example", "raj]:5556"] {
            let refusal = address_of(text).expect_err(text);
            assert_eq!(refusal.kind, RefusalKind::BadRequest);
            assert!(refusal.message.contains(text), "{refusal}");
            assert!(refusal.hint.is_some_and(|hint| hint.contains("HOST:PORT")));
        }
    }

    #[test]
    fn a_dead_address_is_dialled_ever_less_often_and_a_living_one_stays() {
        let mut now = Instant::now();
        let refused = |why| Refusal::new(RefusalKind::Unreachable, why).hint("look there");
        let mut peers = DirectPeers::default();
        peers.add("raj:1".into(), None, now).expect("room");
        let mut waits = Vec::new();
        for _ in 0..10 {
            let asked = now;
            while peers.due(now, |_| false).is_empty() {
                now += Duration::from_millis(100);
            }
            waits.push(now - asked);
            assert!(peers.due(now, |_| false).is_empty(), "never twice at once");
            peers.dialled("raj:1", Err(refused("nobody is there")), now, 255);
        }
        assert!(waits.windows(2).all(|w| w[1] >= w[0]), "{waits:?}");
        assert!(waits.iter().all(|w| *w <= LONGEST_WAIT * 3 / 2), "{waits:?}");
        now += LONGEST_WAIT * 2;
        assert_eq!(peers.due(now, |_| false), ["raj:1"]);
        let raj = PeerId([7; 32]);
        peers.dialled("raj:1", Ok(raj), now, 0);
        assert!(peers.keeps(raj));
        now += LONGEST_WAIT;
        assert!(peers.due(now, |p| p == raj).is_empty(), "linked");
        assert_eq!(peers.due(now, |_| false), ["raj:1"], "down again");
        peers.dialled("raj:1", Ok(raj), now, 0);
        peers.refused(raj, &refused("the name is taken"), now);
        assert!(peers.due(now + LONGEST_WAIT / 2, |_| false).is_empty(), "no hurry");
        let told = |peers: &DirectPeers| (peers.list()[0].error.clone(), peers.list()[0].hint.clone());
        assert_eq!(told(&peers), (Some("the name is taken".into()), Some("look there".into())));
        peers.dialled("raj:1", Ok(raj), now, 0);
        assert_eq!(told(&peers), (None, None));
    }

    #[test]
    fn entries_are_found_by_address_and_by_label() {
        let now = Instant::now();
        let mut peers = DirectPeers::default();
        peers.add("raj:5556".into(), Some("raj".into()), now).expect("room");
        peers.add("raj:5556".into(), None, now).expect("room");
        peers.add("mike:1".into(), None, now).expect("room");
        assert_eq!(peers.list().len(), 2);
        assert_eq!(peers.list()[0].label.as_deref(), Some("raj"));
        assert!(peers.remove("nobody").is_err());
        assert_eq!(peers.remove("raj").expect("by label").address, "raj:5556");
        assert_eq!(peers.remove("mike:1").expect("by address").address, "mike:1");
        assert!(peers.list().is_empty());
    }
}
