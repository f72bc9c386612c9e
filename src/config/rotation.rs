//! The group's secret after somebody was put out: it takes the place of the one in the config file.
//!
//! `group.json` in the state directory holds the secret in force, which value of the config it replaces (whoever writes
//! another one there means it), the secrets of before and to whom the new one is still owed. It is written before
//! anybody is told, so that a homied which is killed in the middle goes on where it was.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::file;
use super::settings::Settings;
use crate::model::PeerId;
use crate::secret::Secret;

const FORMAT: u32 = 1;
/// Secrets of before that are remembered: as many members may be put out while one friend's laptop sleeps.
const MOST_PREVIOUS: usize = 8;
/// Keys that were put out and are remembered while there are secrets of before.
const MOST_KICKED: usize = 256;

/// A member to whom the secret in force is still owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Its key's hash.
    pub id: PeerId,
    /// Its name.
    pub name: String,
    /// `HOST:PORT` where it was last; none if nobody knows.
    pub address: Option<String>,
}

/// What is in force instead of the config's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The group it is for.
    pub group: String,
    /// The config's value that it replaces.
    pub supersedes: Secret,
    /// The secret in force.
    pub secret: Secret,
    /// Those of before, the newest first.
    pub previous: Vec<Secret>,
    /// Keys that must not get it.
    pub kicked: Vec<PeerId>,
    /// Who has not got it yet.
    pub owed: Vec<Owed>,
}

/// What another member says is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Its secret.
    pub secret: Secret,
    /// Keys that must not get it.
    pub kicked: Vec<PeerId>,
}

/// What becomes of two secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ours stays.
    Ours,
    /// Theirs is taken.
    Theirs,
    /// Two members were put out at the same time by two others, and each of the secrets may be known to one of them:
    /// a third is needed that neither gets.
    Fresh(Vec<PeerId>),
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rotation({} before, kicked {:?}, owed {:?})", self.previous.len(), self.kicked, self.owed)
    }
}

/// The file's shape.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    group: String,
    supersedes: String,
    secret: String,
    previous: Vec<String>,
    kicked: Vec<PeerId>,
    owed: Vec<Owed>,
}

impl Rotation {
    /// What a member begins with whose config is in force.
    pub fn none(group: &str, secret: &Secret) -> Self {
        Self {
            group: group.to_owned(),
            supersedes: secret.clone(),
            secret: secret.clone(),
            previous: Vec::new(),
            kicked: Vec::new(),
            owed: Vec::new(),
        }
    }

    /// The next one: another secret, and who must not get it.
    #[must_use]
    pub fn next(&self, secret: Secret, kicked: Vec<PeerId>, owed: Vec<Owed>) -> Self {
        let mut previous = vec![self.secret.clone()];
        previous.extend(self.previous.iter().filter(|p| **p != self.secret && **p != secret).cloned());
        previous.truncate(MOST_PREVIOUS);
        let mut kicked = kicked;
        kicked.sort_unstable();
        kicked.dedup();
        kicked.truncate(MOST_KICKED);
        let owed = owed.into_iter().filter(|o| !kicked.contains(&o.id)).collect();
        Self { group: self.group.clone(), supersedes: self.supersedes.clone(), secret, previous, kicked, owed }
    }

    /// Which secret counts when a member says that another is in force. `over` is the secret by which the two know each
    /// other.
    pub fn judge(&self, news: &News, over: &Secret, own: PeerId) -> Verdict {
        let known = news.secret == self.secret || self.previous.contains(&news.secret);
        if known || news.kicked.contains(&own) || news.secret.is_empty() {
            return Verdict::Ours;
        }
        if *over == self.secret {
            // Made by somebody who had what we have.
            return Verdict::Theirs;
        }
        let all_of = |a: &[PeerId], b: &[PeerId]| b.iter().all(|id| a.contains(id));
        match (all_of(&self.kicked, &news.kicked), all_of(&news.kicked, &self.kicked)) {
            // The same people were put out twice; both sides must choose the same one.
            (true, true) if news.secret.reveal() > self.secret.reveal() => Verdict::Theirs,
            (true, _) => Verdict::Ours,
            (false, true) => Verdict::Theirs,
            (false, false) => Verdict::Fresh([&self.kicked[..], &news.kicked].concat()),
        }
    }

    /// Whether it is about these settings: the config still says what it replaced.
    fn fits(&self, settings: &Settings) -> bool {
        settings.group == self.group && settings.group_secret == self.supersedes && !settings.group_secret.is_empty()
    }

    /// Reads the one in the state directory; none if there is no file. Blocks.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn load(state: &Path) -> Result<Option<Self>, ConfigError> {
        let path = path_in(state);
        let fail = |problem: String| ConfigError::File { path: path.clone(), problem };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(format!("cannot be read: {e}"))),
        };
        let document: Document = serde_json::from_slice(&text)
            .map_err(|e| fail(format!("is not what homied wrote ({e}); without it the secret of the config holds")))?;
        if document.version != FORMAT {
            return Err(fail(format!("has version {}, which this release does not know", document.version)));
        }
        Ok(Some(Self {
            group: document.group,
            supersedes: Secret::new(document.supersedes),
            secret: Secret::new(document.secret),
            previous: document.previous.into_iter().map(Secret::new).collect(),
            kicked: document.kicked,
            owed: document.owed,
        }))
    }

    /// Puts it into the state directory, on disk when this returns. Blocks.
    ///
    /// # Errors
    /// It cannot be written; then what was there before still is.
    pub fn save(&self, state: &Path) -> Result<(), ConfigError> {
        let text = |secret: &Secret| secret.reveal().to_owned();
        let document = Document {
            version: FORMAT,
            group: self.group.clone(),
            supersedes: text(&self.supersedes),
            secret: text(&self.secret),
            previous: self.previous.iter().map(text).collect(),
            kicked: self.kicked.clone(),
            owed: self.owed.clone(),
        };
        // Strings, numbers and lists always have a JSON form.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        file::write(&path_in(state), &(text + "\n"))
    }
}

fn path_in(state: &Path) -> PathBuf {
    state.join("group.json")
}

/// Puts the secret in force into settings that were read from file, environment and flags. Where it came from, if it was
/// another.
pub(super) fn apply(state: &Path, settings: &mut Settings) -> Result<Option<String>, ConfigError> {
    let Some(rotation) = Rotation::load(state)?.filter(|r| r.fits(settings)) else { return Ok(None) };
    settings.group_secret = rotation.secret;
    settings.previous_secrets = rotation.previous;
    Ok(Some(path_in(state).display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: PeerId = PeerId([9; 32]);

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    fn after_kick(secret: &str, kicked: &[u8]) -> Rotation {
        let kicked = kicked.iter().map(|n| id(*n)).collect();
        Rotation::none("homie", &Secret::new("old")).next(Secret::new(secret), kicked, Vec::new())
    }

    fn news(of: &Rotation) -> News {
        News { secret: of.secret.clone(), kicked: of.kicked.clone() }
    }

    #[test]
    fn what_is_written_is_read_back_and_only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(Rotation::load(dir.path()).expect("none yet"), None);
        let owed = Owed { id: id(2), name: "bob".into(), address: Some("10.0.0.2:5556".into()) };
        let kicked_stays_out = Owed { id: id(1), name: "eve".into(), address: None };
        let rotation = Rotation::none("lab", &Secret::new("old")).next(
            Secret::new("new"),
            vec![id(1)],
            vec![owed.clone(), kicked_stays_out],
        );
        assert_eq!(rotation.owed, [owed]);
        rotation.save(dir.path()).expect("writable");
        assert_eq!(Rotation::load(dir.path()).expect("readable"), Some(rotation.clone()));
        let mode = std::fs::metadata(path_in(dir.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{rotation:?}").contains("new"));
        std::fs::write(path_in(dir.path()), "{").expect("writable");
        let broken = Rotation::load(dir.path()).expect_err("broken").to_string();
        assert!(broken.contains("group.json") && broken.contains("the config holds"), "{broken}");
    }

    #[test]
    fn it_holds_until_somebody_writes_another_secret_into_the_config() {
        let dir = tempfile::tempdir().expect("tempdir");
        after_kick("new", &[1]).save(dir.path()).expect("writable");
        let settings = |group: &str, secret: &str| {
            let mut s = Settings::defaults("raj");
            (s.group, s.group_secret) = (group.into(), Secret::new(secret));
            s
        };
        for (group, secret, holds) in [("homie", "old", "new"), ("homie", "mine", "mine"), ("lab", "old", "old")] {
            let mut settings = settings(group, secret);
            let origin = apply(dir.path(), &mut settings).expect("readable");
            assert_eq!((settings.group_secret.reveal(), origin.is_some()), (holds, holds == "new"));
        }
    }

    #[test]
    fn a_successor_is_taken_and_a_predecessor_is_not() {
        let (old, new) = (Rotation::none("homie", &Secret::new("old")), after_kick("new", &[1]));
        assert_eq!(old.judge(&news(&new), &old.secret, OWN), Verdict::Theirs);
        assert_eq!(new.judge(&news(&old), &old.secret, OWN), Verdict::Ours);
        assert_eq!(new.judge(&news(&new), &new.secret, OWN), Verdict::Ours, "it is ours already");
        let mine = after_kick("new", &[9]);
        assert_eq!(old.judge(&news(&mine), &old.secret, OWN), Verdict::Ours, "nobody puts us out by telling us");
    }

    proptest! {
        /// Two members put people out at once. After one exchange and, if need be, one fresh secret, both have the same,
        /// and nobody who was put out by either had a chance to get it.
        #[test]
        fn two_at_once_come_to_the_same_end(
            a in proptest::collection::vec(1u8..5, 1..4), b in proptest::collection::vec(1u8..5, 1..4),
            (one, two) in ("[a-m]{4}", "[n-z]{4}"),
        ) {
            let (a, b) = (after_kick(&one, &a), after_kick(&two, &b));
            let old = Secret::new("old");
            let (of_a, of_b) = (a.judge(&news(&b), &old, OWN), b.judge(&news(&a), &old, OWN));
            let kicked_by_both = |r: &Rotation| a.kicked.iter().chain(&b.kicked).all(|id| r.kicked.contains(id));
            match (of_a, of_b) {
                (Verdict::Ours, Verdict::Theirs) => prop_assert!(kicked_by_both(&a)),
                (Verdict::Theirs, Verdict::Ours) => prop_assert!(kicked_by_both(&b)),
                (Verdict::Fresh(all), Verdict::Fresh(same)) => {
                    let (x, y) = (a.next(Secret::new("x"), all, vec![]), b.next(Secret::new("y"), same, vec![]));
                    prop_assert!(kicked_by_both(&x) && x.kicked == y.kicked);
                    prop_assert_eq!(x.judge(&news(&y), &old, OWN), Verdict::Theirs);
                    prop_assert_eq!(y.judge(&news(&x), &old, OWN), Verdict::Ours);
                }
                other => prop_assert!(false, "they disagree: {other:?}"),
            }
        }
    }
}
