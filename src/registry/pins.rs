//! Pure: names are labels pinned to keys. The first machine that proves a key under a name keeps the name until the
//! owner of this machine says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{PeerId, Roles};
use crate::wire::heartbeat::is_name;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Names one key may hold: a machine is renamed now and then, but must not collect the names of others.
const NAMES_PER_KEY: usize = 4;
/// Keys with a name: as many as the table has rows. A member can make keys by the thousand, and each pin is a write of the
/// whole file.
pub(super) const MAX_KEYS: usize = 4096;

const FORMAT: u32 = 1;

/// Which name stands for which key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pins {
    by_name: BTreeMap<String, Pin>,
    /// Of those keys that may not do everything.
    roles: BTreeMap<PeerId, Roles>,
    /// Keys that the owner has chosen for a name.
    chosen: BTreeSet<PeerId>,
    revision: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pin {
    key: PeerId,
    /// Order of pinning, so that the oldest name of a key is the one it loses.
    age: u64,
}

/// The file's shape.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    peers: Vec<Entry>,
}

/// A pin in the file; their order is the order of pinning.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    id: PeerId,
    #[serde(default, skip_serializing_if = "is_usual")]
    roles: Roles,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    chosen: bool,
}

fn is_usual(roles: &Roles) -> bool {
    *roles == Roles::default()
}

impl Pins {
    /// Pins `name` to `key` if it is free.
    ///
    /// # Errors
    /// The name is another key's, or is no name.
    pub(super) fn claim(&mut self, name: &str, key: PeerId) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(Refusal::new(RefusalKind::BadRequest, "a machine's name is empty, too long or has controls")
                .hint("give it a name of 1 to 63 bytes of printable text in its config"));
        }
        match self.by_name.get(name) {
            Some(pin) if pin.key == key => Ok(()),
            Some(pin) => Err(Refusal::new(
                RefusalKind::NotAllowed,
                format!("the name {name} belongs to the machine with key {}, this one has key {key}", pin.key),
            )
            .hint(format!(
                "if {name} was set up anew, `homie trust {name} --new-key` accepts its new key; otherwise rename one of the two"
            ))),
            None => {
                self.insert(name, key);
                Ok(())
            }
        }
    }

    fn insert(&mut self, name: &str, key: PeerId) {
        let mut held: Vec<(u64, String)> =
            self.by_name.iter().filter(|(_, p)| p.key == key).map(|(n, p)| (p.age, n.clone())).collect();
        held.sort_unstable();
        for (_, oldest) in held.iter().take((held.len() + 1).saturating_sub(NAMES_PER_KEY)) {
            self.by_name.remove(oldest);
        }
        self.revision += 1;
        self.by_name.insert(name.to_owned(), Pin { key, age: self.revision });
    }

    /// Lets go of the keys over [`MAX_KEYS`]: of those that came last, since whoever makes keys by the thousand must not free
    /// the names of friends who were here before and are asleep. Of none that the owner has decided about, and of none that
    /// `stays`.
    pub(super) fn make_room(&mut self, stays: impl Fn(PeerId) -> bool) {
        if self.by_name.len() <= MAX_KEYS {
            return;
        }
        let mut came: BTreeMap<PeerId, u64> = BTreeMap::new();
        for pin in self.by_name.values() {
            let first = came.entry(pin.key).or_insert(pin.age);
            *first = pin.age.min(*first);
        }
        let over = came.len().saturating_sub(MAX_KEYS);
        let decided = |key: &PeerId| self.roles.contains_key(key) || self.chosen.contains(key);
        let mut may_go: Vec<_> =
            came.into_iter().filter(|(key, _)| !decided(key) && !stays(*key)).map(|(key, came)| (came, key)).collect();
        may_go.sort_unstable();
        for (_, key) in may_go.into_iter().rev().take(over) {
            self.forget(key);
        }
    }

    /// The owner has chosen this key for its name.
    pub(super) fn choose(&mut self, key: PeerId) {
        self.revision += u64::from(self.chosen.insert(key));
    }

    /// Frees `name`. Returns whose it was.
    pub(super) fn free(&mut self, name: &str) -> Option<PeerId> {
        let pin = self.by_name.remove(name)?;
        self.revision += 1;
        Some(pin.key)
    }

    /// What a key may do here.
    pub(super) fn roles_of(&self, key: PeerId) -> Roles {
        self.roles.get(&key).copied().unwrap_or_default()
    }

    /// Lets the key that `name` stands for do this and nothing else here. Gives the key.
    pub(super) fn allow(&mut self, name: &str, roles: Roles) -> Option<PeerId> {
        let key = self.by_name.get(name)?.key;
        if self.roles_of(key) != roles {
            self.revision += 1;
            match is_usual(&roles) {
                true => _ = self.roles.remove(&key),
                false => _ = self.roles.insert(key, roles),
            }
        }
        Some(key)
    }

    /// Frees every name of a key.
    pub(super) fn forget(&mut self, key: PeerId) {
        let before = self.by_name.len();
        self.by_name.retain(|_, pin| pin.key != key);
        self.roles.remove(&key);
        self.chosen.remove(&key);
        self.revision += u64::from(before != self.by_name.len());
    }

    /// Whether a name is pinned to the key: it was proven here once.
    pub(super) fn knows(&self, key: PeerId) -> bool {
        self.by_name.values().any(|pin| pin.key == key)
    }

    /// Every name and its key, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, PeerId)> {
        self.by_name.iter().map(|(name, pin)| (name.as_str(), pin.key))
    }

    /// Grows with every change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The file's text.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut pins: Vec<_> = self.by_name.iter().collect();
        pins.sort_unstable_by_key(|(_, p)| p.age);
        let peers = pins
            .into_iter()
            .map(|(name, p)| Entry {
                name: name.clone(),
                id: p.key,
                roles: self.roles_of(p.key),
                chosen: self.chosen.contains(&p.key),
            })
            .collect();
        // Strings and numbers always have a JSON form.
        let mut text = serde_json::to_vec_pretty(&Document { version: FORMAT, peers }).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The pins in a file.
    ///
    /// # Errors
    /// The text has another shape, or is of a version this build does not know.
    pub(super) fn decode(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if document.version != FORMAT {
            return Err(format!("version {} is not known to this release", document.version));
        }
        let mut pins = Self::default();
        for entry in document.peers {
            pins.claim(&entry.name, entry.id).map_err(|e| e.to_string())?;
            pins.allow(&entry.name, entry.roles);
            if entry.chosen {
                pins.choose(entry.id);
            }
        }
        Ok(pins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    #[test]
    fn a_name_stays_with_the_key_that_proved_it_first() {
        let mut pins = Pins::default();
        assert_eq!(pins.claim("bob", A), Ok(()));
        let revision = pins.revision();
        assert_eq!(pins.claim("bob", A), Ok(()));
        assert_eq!(pins.revision(), revision, "nothing new");
        let refusal = pins.claim("bob", B).expect_err("pinned");
        assert_eq!(refusal.kind, RefusalKind::NotAllowed);
        assert!(refusal.hint.expect("a next step").contains("homie trust bob --new-key"));
        assert_eq!(pins.free("bob"), Some(A));
        assert_eq!(pins.claim("bob", B), Ok(()));
    }

    #[test]
    fn a_key_that_takes_name_after_name_loses_its_oldest() {
        let mut pins = Pins::default();
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(pins.claim(name, A), Ok(()));
        }
        assert_eq!(pins.claim("a", B), Ok(()), "the oldest is free again");
        assert!(pins.claim("b", B).is_err());
    }

    #[test]
    fn what_a_key_may_is_kept_with_it_and_goes_with_it() {
        let mut pins = Pins::default();
        pins.claim("bob", A).expect("free");
        let run = Roles { run: true, gpu: false };
        assert_eq!(
            (pins.roles_of(A), pins.allow("bob", run), pins.allow("eve", run)),
            (Roles::default(), Some(A), None)
        );
        let mut back = Pins::decode(&pins.encode()).expect("own text");
        assert_eq!((back.roles_of(A), back.roles_of(B)), (run, Roles::default()));
        back.forget(A);
        assert_eq!(back.roles_of(A), Roles::default());
        assert_eq!(back.all().count(), 0);
    }

    #[test]
    fn a_file_of_another_shape_is_an_error_not_an_empty_list() {
        for text in ["", "{", "[]", r#"{"version":9,"peers":[]}"#, r#"{"version":1,"peers":[{"name":"b"}]}"#] {
            assert!(Pins::decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(names in proptest::collection::vec(("[a-f]{1,2}", 0u8..4), 0..20)) {
            let mut pins = Pins::default();
            for (name, key) in &names {
                let _ = pins.claim(name, PeerId([*key; 32]));
            }
            let back = Pins::decode(&pins.encode()).expect("own text");
            prop_assert_eq!(back.encode(), pins.encode());
        }
    }
}
