//! What is known of environments, and what follows from it: which one a job gets, what may be built for whom, what
//! has to go when the quota is full. Pure; [`super::keeper`] carries it out.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::builder::{Giver, fits};
use crate::model::{
    AllowBuilds, BuildFailure, BuildOffer, Digest, EngineKind, EnvBuilt, EnvOffer, EnvState, EnvView, FailedBuild,
    Lock, PeerId, PeerView, Recipe, Via, WantedEnv,
};

/// At most so many environments are announced, the last used first: with 200 bytes each they take a tenth of a frame.
const ANNOUNCED: usize = 32;

/// One environment on disk: its identity and the engine that runs it.
pub(in crate::sandbox) type Key = (Digest, EngineKind);

/// A recipe with a name: `recipes/NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// As it was read.
    pub(super) recipe: Recipe,
    /// What it was resolved to here.
    pub(super) lock: Option<Lock>,
    /// It was read from a script or requirements for one job, and goes away when nobody uses it.
    pub(super) auto: bool,
    /// When it was last asked for, milliseconds since 1970.
    pub(super) used_ms: u64,
    /// How its last build came to nothing.
    pub(super) failure: Option<BuildFailure>,
}

/// What stands ready: `built/DIGEST-ENGINE/built.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// What it is.
    pub(super) built: EnvBuilt,
    /// What it was called when it was made.
    pub(super) name: String,
    /// Whose lock it was built from; `None` when versions were chosen here or a friend's build was fetched. Only its
    /// giver is taken at its word that a lock is what a recipe means.
    #[serde(default)]
    pub(super) giver: Option<PeerId>,
    /// When a job last used it, milliseconds since 1970.
    pub(super) used_ms: u64,
}

/// Everything known.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) stored: HashMap<Key, Stored>,
    /// How many use each one now; those stay.
    pub(super) held: HashMap<Key, usize>,
    /// What can be built here.
    pub(super) builders: Vec<BuildOffer>,
}

/// How an environment that is not here can be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Make {
    /// From its lock.
    Build(Lock),
    /// From its recipe, after versions were chosen.
    Resolve(Recipe),
}

impl Books {
    pub(super) fn builder(&self, engine: EngineKind) -> Option<&BuildOffer> {
        self.builders.iter().find(|b| b.engine == engine)
    }

    /// The wish that a name of this machine stands for.
    pub(super) fn wish(&self, name: &str) -> Option<WantedEnv> {
        self.entries.get(name).map(|e| WantedEnv::new(&e.recipe, e.lock.as_ref()))
    }

    /// What is here for a wish (or, without one, for a name).
    pub(super) fn find(
        &self,
        name: &str,
        wish: Option<&WantedEnv>,
        engine: EngineKind,
        from: Option<PeerId>,
    ) -> Option<Key> {
        let own;
        let wish = match wish {
            Some(wish) => Some(wish),
            None => {
                own = self.wish(name);
                own.as_ref()
            }
        };
        let Some(wish) = wish else {
            let named = self.stored.values().filter(|s| s.name == name && s.built.engine == engine);
            return named.max_by_key(|s| s.used_ms).map(|s| (s.built.digest, engine));
        };
        if let Some(lock) = &wish.lock
            && self.builder(engine).is_none_or(|b| fits(&lock.target, &b.target))
        {
            let key = (lock.digest(), engine);
            return self.stored.contains_key(&key).then_some(key);
        }
        let vouched = |s: &Stored| s.giver.is_none() || s.giver == from;
        let same = self
            .stored
            .values()
            .filter(|s| s.built.engine == engine && s.built.lock.recipe == wish.recipe_digest && vouched(s));
        same.max_by_key(|s| s.used_ms).map(|s| (s.built.digest, engine))
    }

    /// How the wish can be made here for a friend (or the owner).
    ///
    /// # Errors
    /// Why it cannot, or may not.
    pub(super) fn make(
        &self,
        name: &str,
        wish: &WantedEnv,
        engine: EngineKind,
        allow: AllowBuilds,
    ) -> Result<Make, BuildFailure> {
        let cannot = |text: String| BuildFailure::new(FailedBuild::Cannot, text);
        if allow == AllowBuilds::None {
            return Err(BuildFailure::new(
                FailedBuild::NotAllowed,
                format!("environment {name} is not here, and its owner has nothing built for friends"),
            )
            .hint("its owner can set allow_builds, or build it with `homie env build`"));
        }
        let Some(builder) = self.builder(engine) else {
            let text =
                format!("environment {name} is not here, and nothing can be built with the {} engine", engine.as_str());
            return Err(cannot(text).hint("`homie env list` shows who has it"));
        };
        if let Some(why) = builder.lacks(wish) {
            return Err(cannot(format!("environment {name} is not here, and {why}"))
                .hint("make it on a machine with Docker; python and requirements alone are built here, too"));
        }
        let make = match (&wish.lock, &wish.recipe) {
            (Some(lock), _) if fits(&lock.target, &builder.target) => Make::Build(lock.clone()),
            (_, Some(recipe)) => Make::Resolve(recipe.clone()),
            (Some(lock), None) => {
                let kind = |t: &crate::model::Target| {
                    format!("{} with Python {}", t.arch, t.python.as_deref().unwrap_or("of its own"))
                };
                return Err(cannot(format!(
                    "environment {name} was made for {}, this machine is {}",
                    kind(&lock.target),
                    kind(&builder.target)
                )));
            }
            (None, None) => {
                return Err(cannot(format!("environment {name} is not here and its recipe is too long to travel")));
            }
        };
        if let Make::Resolve(recipe) = &make
            && let Some(python) = &builder.target.python
            && !recipe.takes_python(python)
        {
            let wanted = recipe.python.as_deref().unwrap_or_default();
            return Err(cannot(format!("environment {name} wants Python {wanted}, this machine has {python}")));
        }
        let needed = match &make {
            Make::Build(lock) => needed_by_lock(lock),
            Make::Resolve(recipe) => needed_by_recipe(recipe),
        };
        if needed > allow {
            return Err(BuildFailure::new(
                FailedBuild::NotAllowed,
                format!(
                    "environment {name} needs more than wheels (system packages, an image, a Dockerfile or source packages), \
                     and its owner allows friends only {}",
                    allow.as_str()
                ),
            )
            .hint("its owner can set allow_builds: all"));
        }
        Ok(make)
    }

    /// What has to go so that all that is kept takes at most `quota` bytes: the longest unused first, never one in use
    /// and never `keep`.
    pub(super) fn victims(&self, quota: u64, keep: Option<&Key>) -> Vec<Key> {
        let mut total: u64 = self.stored.values().map(|s| s.built.bytes).sum();
        let mut idle: Vec<(&Key, &Stored)> =
            self.stored.iter().filter(|(key, _)| Some(*key) != keep && !self.held.contains_key(*key)).collect();
        idle.sort_by_key(|(key, s)| (s.used_ms, key.0));
        let mut victims = Vec::new();
        for (key, stored) in idle {
            if total <= quota {
                break;
            }
            total -= stored.built.bytes;
            victims.push(*key);
        }
        victims
    }

    /// What peers are told.
    pub(super) fn offers(&self) -> Vec<EnvOffer> {
        let mut all: Vec<&Stored> = self.stored.values().collect();
        all.sort_by_key(|s| (std::cmp::Reverse(s.used_ms), s.built.digest));
        let offer = |s: &Stored| EnvOffer {
            name: s.name.clone(),
            digest: s.built.digest,
            recipe: s.built.lock.recipe,
            engine: s.built.engine,
            python: s.built.python.clone(),
            bytes: s.built.bytes,
        };
        all.into_iter().take(ANNOUNCED).map(offer).collect()
    }

    /// The rows of `homie env list` for this machine: every name, and what friends brought without one.
    pub(super) fn views(&self, state: impl Fn(&Digest) -> Option<EnvState>) -> Vec<EnvView> {
        let mut rows: Vec<EnvView> = self.entries.keys().filter_map(|name| self.view(name, &state)).collect();
        for stored in self.stored.values() {
            if !rows.iter().any(|row| row.recipe == stored.built.lock.recipe) {
                rows.push(view_of(
                    stored.name.clone(),
                    stored.built.lock.recipe,
                    kind_of_lock(&stored.built.lock),
                    &[stored],
                ));
            }
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name).then(a.recipe.cmp(&b.recipe)));
        rows
    }

    /// One row.
    pub(super) fn view(&self, name: &str, state: &impl Fn(&Digest) -> Option<EnvState>) -> Option<EnvView> {
        let entry = self.entries.get(name)?;
        let recipe = entry.recipe.digest();
        let keys: Vec<Key> = [EngineKind::Docker, EngineKind::Native]
            .into_iter()
            .filter_map(|e| self.find(name, None, e, None))
            .collect();
        let ready: Vec<&Stored> = keys.iter().filter_map(|key| self.stored.get(key)).collect();
        let mut view = view_of(name.to_owned(), recipe, kind_of(&entry.recipe), &ready);
        view.digest = view.digest.or_else(|| entry.lock.as_ref().map(Lock::digest));
        if ready.is_empty() {
            view.state = entry.failure.clone().map_or(EnvState::Known, |failure| EnvState::Failed { failure });
        }
        if let Some(building) = state(&recipe) {
            view.state = building;
        }
        Some(view)
    }
}

fn view_of(name: String, recipe: Digest, kind: &str, ready: &[&Stored]) -> EnvView {
    EnvView {
        name,
        recipe,
        digest: ready.first().map(|s| s.built.digest),
        kind: kind.to_owned(),
        state: EnvState::Ready,
        engines: ready.iter().map(|s| s.built.engine).collect(),
        python: ready.iter().find_map(|s| s.built.python.clone()),
        bytes: ready.iter().map(|s| s.built.bytes).sum(),
        used_ms: ready.iter().map(|s| s.used_ms).max(),
    }
}

fn kind_of(recipe: &Recipe) -> &'static str {
    match recipe {
        Recipe { image: Some(_), .. } => "image",
        Recipe { dockerfile: Some(_), .. } => "dockerfile",
        _ => "python",
    }
}

fn kind_of_lock(lock: &Lock) -> &'static str {
    match lock {
        Lock { dockerfile: Some(_), .. } => "dockerfile",
        Lock { image: Some(_), .. } => "image",
        _ => "python",
    }
}

fn needed_by_recipe(recipe: &Recipe) -> AllowBuilds {
    let plain = recipe.apt.is_empty() && recipe.image.is_none() && recipe.dockerfile.is_none();
    // Whether a source package is among them shows when versions are chosen; the builder holds to the policy there.
    if plain { AllowBuilds::Wheels } else { AllowBuilds::All }
}

fn needed_by_lock(lock: &Lock) -> AllowBuilds {
    let source = lock.packages.iter().any(|p| p.source);
    let plain = lock.apt.is_empty() && lock.image.is_none() && lock.dockerfile.is_none();
    if plain && !source { AllowBuilds::Wheels } else { AllowBuilds::All }
}

/// The machines that say they have it, those that have it for this engine, with a link and the nearest first, and the
/// digest they have. A directory made for another engine will do; what it turns out to be is seen when it comes.
pub(super) fn who_has(
    peers: &[PeerView],
    name: &str,
    wish: Option<&WantedEnv>,
    engine: EngineKind,
) -> Option<(Digest, Vec<Giver>)> {
    let image = |lock: &Lock| lock.image.is_some() || lock.dockerfile.is_some() || !lock.apt.is_empty();
    let of_recipe = |recipe: &Recipe| needed_by_recipe(recipe) == AllowBuilds::All;
    let only_own = match wish {
        Some(WantedEnv { lock: Some(lock), .. }) => image(lock),
        Some(WantedEnv { recipe: Some(recipe), .. }) => of_recipe(recipe),
        _ => true,
    };
    let matches = |offer: &EnvOffer| {
        (offer.engine == engine || !only_own)
            && match wish {
                Some(WantedEnv { lock: Some(lock), .. }) => offer.digest == lock.digest(),
                Some(wish) => offer.recipe == wish.recipe_digest,
                None => offer.name == name,
            }
    };
    let mut having: Vec<((bool, bool, u64), Giver, Digest)> = Vec::new();
    for peer in peers.iter().filter(|p| p.via != Via::Own && p.status != crate::model::PeerStatus::Offline) {
        let offers = peer.facts.envs.iter().filter(|o| matches(o));
        having.extend(offers.map(|o| {
            let giver = Giver { peer: peer.id, engine: o.engine };
            ((o.engine != engine, !peer.linked, peer.heard_ms_ago), giver, o.digest)
        }));
    }
    having.sort_by_key(|(order, ..)| *order);
    let digest = having.first()?.2;
    Some((digest, having.into_iter().filter(|h| h.2 == digest).map(|h| h.1).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LockedPackage, Target};
    use proptest::prelude::*;

    const NATIVE: EngineKind = EngineKind::Native;

    fn target(python: &str) -> Target {
        Target { arch: "x86_64".into(), python: Some(python.into()), system: None }
    }

    fn recipe(requirement: &str) -> Recipe {
        Recipe { name: "ml".into(), requirements: vec![requirement.into()], ..Recipe::default() }
    }

    fn lock(recipe: &Recipe, python: &str) -> Lock {
        Lock {
            recipe: recipe.digest(),
            target: target(python),
            packages: vec![],
            apt: vec![],
            image: None,
            dockerfile: None,
        }
    }

    fn stored(lock: Lock, bytes: u64, used_ms: u64) -> Stored {
        let built = EnvBuilt { digest: lock.digest(), engine: NATIVE, bytes, image: None, python: None, lock };
        Stored { built, name: "ml".into(), giver: None, used_ms }
    }

    fn books(all: Vec<Stored>) -> Books {
        let builder = BuildOffer { engine: NATIVE, target: target("3.11"), allow: AllowBuilds::Wheels, steps: false };
        Books {
            stored: all.into_iter().map(|s| ((s.built.digest, s.built.engine), s)).collect(),
            builders: vec![builder],
            ..Books::default()
        }
    }

    #[test]
    fn a_lock_for_this_kind_of_machine_wants_exactly_itself_and_others_any_of_the_recipe() {
        let numpy = recipe("numpy");
        let mut newer = lock(&numpy, "3.11");
        newer.packages.push(LockedPackage {
            name: "numpy".into(),
            version: "2".into(),
            sha256: String::new(),
            source: false,
        });
        let here = lock(&numpy, "3.11");
        let books = books(vec![stored(here.clone(), 1, 1)]);
        let find =
            |lock: Option<&Lock>| books.find("any", Some(&WantedEnv::new(&numpy, lock)), NATIVE, None).map(|k| k.0);
        assert_eq!(find(Some(&here)), Some(here.digest()));
        assert_eq!(find(Some(&newer)), None);
        assert_eq!(find(Some(&lock(&numpy, "3.12"))), Some(here.digest()));
        assert_eq!(find(None), Some(here.digest()));
        assert_eq!(books.find("any", Some(&WantedEnv::new(&recipe("scipy"), None)), NATIVE, None), None);
        assert_eq!(books.find("any", Some(&WantedEnv::new(&numpy, None)), EngineKind::Docker, None), None);
        assert_eq!(books.find("ml", None, NATIVE, None).map(|k| k.0), Some(here.digest()));
        assert_eq!(books.find("other", None, NATIVE, None), None);
    }

    #[test]
    fn builds_keep_to_what_the_owner_allows_and_the_machine_can() {
        let books = books(vec![]);
        let wheels = recipe("numpy");
        let system = Recipe { apt: vec!["libgomp1".into()], ..recipe("numpy") };
        let old = Recipe { python: Some("3.9".into()), ..recipe("numpy") };
        let mut source = lock(&wheels, "3.11");
        source.packages.push(LockedPackage {
            name: "x".into(),
            version: "1".into(),
            sha256: String::new(),
            source: true,
        });
        let make = |recipe: &Recipe, lock: Option<&Lock>, allow| {
            books.make("ml", &WantedEnv::new(recipe, lock), NATIVE, allow).map_err(|f| f.kind)
        };
        use {AllowBuilds as A, FailedBuild as F};
        assert_eq!(make(&wheels, None, A::Wheels), Ok(Make::Resolve(wheels.clone())));
        assert_eq!(make(&wheels, None, A::None), Err(F::NotAllowed));
        assert_eq!(make(&system, None, A::Wheels), Err(F::NotAllowed));
        assert_eq!(make(&system, None, A::All), Ok(Make::Resolve(system.clone())));
        assert_eq!(make(&old, None, A::All), Err(F::Cannot));
        assert_eq!(make(&wheels, Some(&source), A::Wheels), Err(F::NotAllowed));
        assert_eq!(make(&wheels, Some(&source), A::All), Ok(Make::Build(source.clone())));
        assert_eq!(make(&wheels, Some(&lock(&wheels, "3.12")), A::Wheels), Ok(Make::Resolve(wheels.clone())));
        let only_lock = WantedEnv { recipe_digest: wheels.digest(), recipe: None, lock: Some(lock(&wheels, "3.12")) };
        assert_eq!(books.make("ml", &only_lock, NATIVE, A::All).map_err(|f| f.kind), Err(F::Cannot));
        let image = Recipe { name: "ml".into(), dockerfile: Some("FROM x\n".into()), ..Recipe::default() };
        assert_eq!(make(&image, None, A::All), Err(F::Cannot));
        let docker = books.make("ml", &WantedEnv::new(&wheels, None), EngineKind::Docker, A::All);
        assert_eq!(docker.map_err(|f| f.kind), Err(F::Cannot));
    }

    proptest! {
        #[test]
        fn the_longest_unused_go_first_and_never_one_in_use(
            sizes in proptest::collection::vec((1u64..100, 0u64..50, any::<bool>()), 0..12), quota in 0u64..600,
        ) {
            let mut books = books(sizes.iter().enumerate().map(|(n, (bytes, used, _))| {
                stored(lock(&recipe(&format!("p{n}")), "3.11"), *bytes, *used)
            }).collect());
            for (n, _) in sizes.iter().enumerate().filter(|(_, s)| s.2) {
                books.held.insert((lock(&recipe(&format!("p{n}")), "3.11").digest(), NATIVE), 1);
            }
            let victims = books.victims(quota, None);
            prop_assert!(victims.iter().all(|v| !books.held.contains_key(v)));
            let left: u64 = books.stored.iter().filter(|(k, _)| !victims.contains(k)).map(|(_, s)| s.built.bytes).sum();
            let idle_left = books.stored.keys().filter(|k| !victims.contains(k) && !books.held.contains_key(*k));
            prop_assert!(left <= quota || idle_left.clone().count() == 0);
            let newest_gone = victims.iter().map(|v| books.stored[v].used_ms).max().unwrap_or(0);
            prop_assert!(idle_left.clone().all(|k| books.stored[k].used_ms >= newest_gone));
        }
    }
}
