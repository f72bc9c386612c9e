//! The group's secret after somebody was put out: it takes the place of the one in the config file.
//!
//! `group.json` in the state directory holds the secret in force, as its maker signed it, which values of the config it
//! replaces (whoever writes another one there means it), the secrets of before and to whom the new one is still owed. It is
//! written before anybody is told, so that a homied which is killed in the middle goes on where it was.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::file;
use super::settings::Settings;
use crate::model::PeerId;
use crate::secret::Secret;
use crate::wire::rekey::{MOST_KICKED, MOST_MEMBERS, Rekey, replaced};

const FORMAT: u32 = 1;
/// Secrets of before that are remembered: as many members may be put out while one friend's laptop sleeps.
const MOST_PREVIOUS: usize = 8;
/// Secrets in force that the config may have been given since, by `homie join`.
const MOST_SINCE: usize = 64;

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
    /// Those that were in force since, the newest first: `homie join` may have written one into the config.
    since: Vec<Secret>,
    /// The secret in force.
    pub secret: Secret,
    /// Those of before, the newest first.
    pub previous: Vec<Secret>,
    /// Keys that must not get it, less those that were let in again.
    pub kicked: Vec<PeerId>,
    /// Who has not got it yet.
    pub owed: Vec<Owed>,
    /// The secret in force as its maker signed it; none while it is the config's.
    pub word: Option<Word>,
}

/// What a member has signed, its signature checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// What is passed on.
    pub said: Rekey,
    /// Who made it.
    pub maker: PeerId,
}

impl Word {
    /// Which of two that were made at the same time counts, this one being ours. Every machine must come to the same, and
    /// both makers are members to one another, so neither has an interest in it.
    fn or(&self, theirs: &Self) -> Verdict {
        let all_of = |a: &Self, b: &Self| b.said.kicked.iter().all(|id| a.said.kicked.contains(id));
        let order = |word: &Self| (word.maker, replaced(&word.said.secret).0);
        match (all_of(self, theirs), all_of(theirs, self)) {
            // The same were put out.
            (true, true) if order(theirs) < order(self) => Verdict::Theirs,
            (true, _) => Verdict::Ours,
            (false, true) => Verdict::Theirs,
            (false, false) => Verdict::Fresh,
        }
    }
}

/// What becomes of two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Theirs is ours, or was in force here before.
    Known,
    /// Ours stays.
    Ours,
    /// Theirs is taken.
    Theirs,
    /// Two members were put out at the same time by two others, and each of the secrets may be known to one of them: a
    /// third is needed that neither gets.
    Fresh,
    /// Neither maker is a member to the other. Somebody was put out, and told an absent member to put out whoever did
    /// that; or two have put out one another. Nobody can tell which, so everybody stays where it was.
    Apart,
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
    #[serde(default)]
    since: Vec<String>,
    secret: String,
    previous: Vec<String>,
    kicked: Vec<PeerId>,
    owed: Vec<Owed>,
    #[serde(default)]
    word: Option<Word>,
}

impl Rotation {
    /// What a member begins with whose config is in force.
    pub fn none(group: &str, secret: &Secret) -> Self {
        Self {
            group: group.to_owned(),
            supersedes: secret.clone(),
            since: Vec::new(),
            secret: secret.clone(),
            previous: Vec::new(),
            kicked: Vec::new(),
            owed: Vec::new(),
            word: None,
        }
    }

    /// What there is to sign for another secret: who must not get it, and who may.
    pub fn draft(&self, secret: String, kicked: &[PeerId], members: &[PeerId]) -> Rekey {
        let kicked = newest(kicked);
        let may = members.iter().filter(|id| !kicked.contains(id)).copied();
        let replaces = std::iter::once(&self.secret).chain(&self.previous).map(|old| replaced(old.reveal())).collect();
        let members = may.take(MOST_MEMBERS).collect();
        Rekey { secret, kicked, members, replaces, key: String::new(), signature: String::new() }
    }

    /// The same for a third secret that takes the place of ours and of theirs: whoever either put out stays out, and only
    /// whom both makers knew may hear of it. Gives what it follows on, too.
    pub fn draft_for_both(&self, theirs: &Word, secret: String) -> (Self, Rekey) {
        let mut both = self.clone();
        both.previous.insert(0, Secret::new(theirs.said.secret.clone()));
        // Ours last: of too many the newest are kept.
        let kicked = [&theirs.said.kicked[..], &self.kicked].concat();
        let members: Vec<PeerId> =
            self.members().iter().filter(|id| theirs.said.members.contains(id)).copied().collect();
        let draft = both.draft(secret, &kicked, &members);
        (both, draft)
    }

    /// What is in force after `word`, and is owed to `owed`.
    #[must_use]
    pub fn next(&self, word: Word, owed: Vec<Owed>) -> Self {
        let secret = Secret::new(word.said.secret.clone());
        let mut previous = vec![self.secret.clone()];
        previous.extend(self.previous.iter().filter(|p| **p != self.secret && **p != secret).cloned());
        previous.truncate(MOST_PREVIOUS);
        let mut since: Vec<Secret> = [&self.secret].into_iter().chain(&self.since).cloned().collect();
        since.retain(|old| *old != self.supersedes);
        since.truncate(MOST_SINCE);
        let kicked = newest(&word.said.kicked);
        let owed = owed.into_iter().filter(|o| !kicked.contains(&o.id)).collect();
        let (group, supersedes) = (self.group.clone(), self.supersedes.clone());
        Self { group, supersedes, since, secret, previous, kicked, owed, word: Some(word) }
    }

    /// Keys that may hear of the secret in force from whoever has it.
    pub fn members(&self) -> &[PeerId] {
        self.word.as_ref().map_or(&[], |word| &word.said.members)
    }

    /// Which secret counts when a member says that another is in force. `over` is the secret by which the two know each
    /// other.
    pub fn judge(&self, news: &Word, over: &Secret, own: PeerId) -> Verdict {
        let said = &news.said;
        if said.secret == self.secret.reveal() || self.previous.iter().any(|p| said.secret == p.reveal()) {
            return Verdict::Known;
        }
        if said.kicked.contains(&own) || said.secret.is_empty() {
            return Verdict::Ours;
        }
        if *over == self.secret || said.replaces.contains(&replaced(self.secret.reveal())) {
            // Made by somebody who had what we have.
            return Verdict::Theirs;
        }
        let Some(word) = &self.word else { return Verdict::Apart };
        let ours = said.members.contains(&word.maker);
        let theirs = word.said.members.contains(&news.maker) && !self.kicked.contains(&news.maker);
        match (ours, theirs) {
            (true, true) => word.or(news),
            (true, false) => Verdict::Ours,
            (false, true) => Verdict::Theirs,
            (false, false) => Verdict::Apart,
        }
    }

    /// Whether it is about these settings: the config still says what it replaced, or what was in force since.
    fn fits(&self, settings: &Settings) -> bool {
        let configured = &settings.group_secret;
        let replaced = [&self.supersedes, &self.secret].into_iter().chain(&self.since).any(|old| old == configured);
        settings.group == self.group && replaced && !configured.is_empty()
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
            since: document.since.into_iter().map(Secret::new).collect(),
            secret: Secret::new(document.secret),
            previous: document.previous.into_iter().map(Secret::new).collect(),
            kicked: document.kicked,
            // One of a release that did not sign can be told to nobody.
            owed: if document.word.is_some() { document.owed } else { Vec::new() },
            word: document.word,
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
            since: self.since.iter().map(text).collect(),
            secret: text(&self.secret),
            previous: self.previous.iter().map(text).collect(),
            kicked: self.kicked.clone(),
            owed: self.owed.clone(),
            word: self.word.clone(),
        };
        // Strings, numbers and lists always have a JSON form.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        file::write(&path_in(state), &(text + "\n"))
    }
}

/// Nobody twice; of too many those that were put out last.
fn newest(kicked: &[PeerId]) -> Vec<PeerId> {
    let mut seen = std::collections::HashSet::new();
    let mut newest: Vec<PeerId> = kicked.iter().rev().filter(|id| seen.insert(**id)).copied().collect();
    newest.truncate(MOST_KICKED);
    newest.reverse();
    newest
}

fn path_in(state: &Path) -> PathBuf {
    state.join("group.json")
}

/// Puts the secret in force into settings that were read from file, environment and flags. Where it came from, if it was
/// another.
pub(super) fn apply(state: &Path, settings: &mut Settings) -> Result<Option<String>, ConfigError> {
    let Some(rotation) = Rotation::load(state)?.filter(|r| r.fits(settings)) else { return Ok(None) };
    settings.previous_secrets = rotation.previous;
    if settings.group_secret == rotation.secret {
        return Ok(None);
    }
    settings.group_secret = rotation.secret;
    Ok(Some(path_in(state).display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    /// What `maker` says who knows the machines `members`, itself among them.
    fn word(of: &Rotation, maker: u8, secret: &str, kicked: &[u8], members: &[u8]) -> Word {
        let ids = |of: &[u8]| of.iter().map(|n| id(*n)).collect::<Vec<_>>();
        Word { said: of.draft(secret.into(), &ids(kicked), &ids(members)), maker: id(maker) }
    }

    const ALL: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9];

    fn old() -> Rotation {
        Rotation::none("homie", &Secret::new("old"))
    }

    fn after_kick(secret: &str, kicked: &[u8]) -> Rotation {
        let none = old();
        none.next(word(&none, 9, secret, kicked, ALL), Vec::new())
    }

    fn news(of: &Rotation) -> Word {
        of.word.clone().expect("somebody was put out")
    }

    #[test]
    fn what_is_written_is_read_back_and_only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(Rotation::load(dir.path()).expect("none yet"), None);
        let owed = Owed { id: id(2), name: "bob".into(), address: Some("10.0.0.2:5556".into()) };
        let kicked_stays_out = Owed { id: id(1), name: "eve".into(), address: None };
        let none = Rotation::none("lab", &Secret::new("old"));
        let rotation = none.next(word(&none, 9, "new", &[1], ALL), vec![owed.clone(), kicked_stays_out]);
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
    fn a_secret_that_join_wrote_into_the_config_is_replaced_like_the_one_before() {
        let dir = tempfile::tempdir().expect("tempdir");
        // alice's config says "old"; "one" came, then she joined anew by an invitation, which wrote "one" there.
        let one = after_kick("one", &[1]);
        one.save(dir.path()).expect("writable");
        let in_force = |dir: &Path| {
            let mut settings = Settings::defaults("alice");
            settings.group_secret = Secret::new("one");
            let _ = apply(dir, &mut settings).expect("readable");
            settings.group_secret.reveal().to_owned()
        };
        assert_eq!(in_force(dir.path()), "one");
        let two = one.next(word(&one, 3, "two", &[2], ALL), Vec::new());
        two.save(dir.path()).expect("writable");
        assert_eq!(in_force(dir.path()), "two");
    }

    #[test]
    fn a_successor_is_taken_and_a_predecessor_is_not() {
        let (old, new) = (old(), after_kick("new", &[1]));
        let newer = new.next(word(&new, 3, "newer", &[2], ALL), Vec::new());
        let judge = |of: &Rotation, that: &Rotation, over| of.judge(&news(that), over, id(5));
        assert_eq!(judge(&old, &new, &old.secret), Verdict::Theirs);
        assert_eq!(judge(&new, &newer, &old.secret), Verdict::Theirs, "whoever made it had ours");
        assert_eq!(judge(&newer, &new, &old.secret), Verdict::Known);
        assert_eq!(judge(&new, &new, &new.secret), Verdict::Known);
        let mine = after_kick("new", &[5]);
        assert_eq!(judge(&old, &mine, &old.secret), Verdict::Ours, "nobody puts us out by telling us");
    }

    #[test]
    fn of_too_many_who_were_put_out_the_last_are_remembered() {
        let kicked: Vec<PeerId> = (0..=MOST_KICKED)
            .rev()
            .map(|n| PeerId([(n % 251) as u8, (n / 251) as u8].repeat(16).try_into().expect("32")))
            .collect();
        let draft = old().draft("new".into(), &[&kicked[..], &kicked[1..2]].concat(), &[]);
        assert_eq!((draft.kicked.len(), draft.kicked.last()), (MOST_KICKED, Some(&kicked[1])));
        assert!(!draft.kicked.contains(&kicked[0]), "the oldest");
    }

    proptest! {
        /// Several members put people out at once, and meet each other in any order. They come to one secret, which nobody
        /// who was put out by any of them had a chance to get.
        #[test]
        fn many_at_once_come_to_the_same_end(
            out in proptest::collection::vec(proptest::collection::vec(20u8..24, 1..4), 2..9), seed: u64,
        ) {
            let (none, over) = (old(), Secret::new("old"));
            let everybody: Vec<u8> = (1..=9).chain(20..24).collect();
            let kick = |(i, kicked): (usize, &Vec<u8>)| {
                none.next(word(&none, i as u8 + 1, &format!("secret {}", i * 7 % 9), kicked, &everybody), vec![])
            };
            let mut all: Vec<Rotation> = out.iter().enumerate().map(kick).collect();
            let (mut thirds, mut random) = (0, seed | 1);
            for _ in 0..50 * all.len() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (one, other) = ((random >> 33) as usize % all.len(), (random >> 43) as usize % all.len());
                let theirs = news(&all[other]);
                let ours = &all[one];
                match ours.judge(&theirs, &over, id(one as u8 + 1)) {
                    Verdict::Known | Verdict::Ours => {}
                    Verdict::Theirs => all[one] = ours.next(theirs, vec![]),
                    Verdict::Fresh => {
                        thirds += 1;
                        let (both, said) = ours.draft_for_both(&theirs, format!("third {thirds}"));
                        all[one] = both.next(Word { said, maker: id(one as u8 + 1) }, vec![]);
                    }
                    Verdict::Apart => return Err(TestCaseError::fail("they are members to each other")),
                }
            }
            prop_assert!(all.iter().all(|of| of.secret == all[0].secret), "after {thirds} thirds");
            for id in out.iter().flatten().map(|n| id(*n)) {
                prop_assert!(all[0].kicked.contains(&id) && !all[0].members().contains(&id));
            }
        }

        /// alice puts mallory out while bob is away. mallory, who knows the secret of before, tells bob whatever pleases, under
        /// the old key or another one. What alice goes by afterwards is hers, whichever of the two meets the other first.
        #[test]
        fn who_was_put_out_decides_nothing(
            secret in "[ -~]{0,6}", kicked in proptest::collection::vec(1u8..10, 0..4),
            members in proptest::collection::vec(1u8..10, 0..9), maker in prop_oneof![Just(4u8), Just(8)],
        ) {
            prop_assume!(secret != "new");
            const ALICE: u8 = 1;
            const BOB: u8 = 2;
            const MALLORY: u8 = 4;
            let (none, over) = (old(), Secret::new("old"));
            // alice has never met mallory's other key, 8.
            let alice = none.next(word(&none, ALICE, "new", &[MALLORY], &[ALICE, BOB, 3, MALLORY, 5]), vec![]);
            let forged = word(&none, maker, &secret, &kicked, &members);
            let bob = match none.judge(&forged, &over, id(BOB)) {
                Verdict::Theirs => none.next(forged, vec![]),
                _ => none,
            };
            let of_bob = bob.judge(&news(&alice), &over, id(BOB));
            let of_alice = bob.word.as_ref().map(|word| alice.judge(word, &over, id(ALICE)));
            prop_assert!(matches!(of_alice, None | Some(Verdict::Ours | Verdict::Apart)), "{of_alice:?}");
            // bob comes back, unless mallory has told him not to believe alice; then only an invitation helps.
            let misled = bob.word.as_ref().is_some_and(|word| !word.said.members.contains(&id(ALICE)));
            prop_assert_eq!(of_bob, if misled { Verdict::Apart } else { Verdict::Theirs });
        }
    }
}
