//! Brings environments about and keeps them: what [`super::books`] decides is carried out here, on the
//! [`super::shelf`] and through the [`Builder`]. A handle that tasks share; nothing waits while the books are open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::books::{Books, Entry, Key, Make, Stored, who_has};
use super::builder::{BuildOrder, BuildPolicy, Builder, FetchOrder, ProgressSink, ResolveOrder};
use super::held::{EnvHeld, Packed, Scratch};
use super::shelf::Shelf;
use crate::clock::wall_ms;
use crate::config::Settings;
use crate::mailbox::{Outlet, ask_outlet, tell_outlet};
use crate::model::{
    AllowBuilds, BuildFailure, BuildOffer, BuildProgress, BuildStep, Digest, EngineKind, EnvBuilt, EnvOffer, EnvState,
    FailedBuild, Lock, PeerId, PeerView, WantedEnv,
};
use crate::monitor::messages::SetEnvs;
use crate::registry::messages::ListPeers;
use crate::sandbox::SandboxError;
use crate::sandbox::engines::preferred;
use crate::sandbox::life::blocking;

/// The registry answers in microseconds.
const REGISTRY_LIMIT: Duration = Duration::from_secs(10);
/// A build may compile for an hour; one that takes longer hangs.
const BUILD_LIMIT: Duration = Duration::from_secs(2 * 3600);
/// Recipes that were read for one job and not used for so long go away by themselves.
const AUTO_KEPT_MS: u64 = 30 * 86_400_000;

/// See the module.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Keeper(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shelf: Shelf,
    pub(super) builder: Arc<dyn Builder>,
    settings: watch::Receiver<Settings>,
    told: Outlet<SetEnvs>,
    peers: Outlet<ListPeers>,
    books: Mutex<Books>,
    makings: Mutex<HashMap<(Digest, EngineKind), Arc<Making>>>,
    /// Images that were packed for friends.
    pub(super) packed: tokio::sync::Mutex<HashMap<Key, Weak<Packed>>>,
}

/// One recipe being made with one engine. Whoever wants the same waits for the turn and then finds it made.
#[derive(Debug, Default)]
struct Making {
    turn: tokio::sync::Mutex<()>,
    progress: ProgressSink,
}

/// What a job or an owner asks for.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Ask {
    pub(in crate::sandbox) name: String,
    /// What it is made of; without it only what has that name here will do.
    pub(in crate::sandbox) wish: Option<WantedEnv>,
    pub(in crate::sandbox) engine: EngineKind,
    /// For which friend; `None` is this machine's owner, whom nothing is forbidden.
    pub(in crate::sandbox) from: Option<PeerId>,
    /// Make it although a friend has it.
    pub(in crate::sandbox) again: bool,
}

impl Inner {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_of(&self, recipe: &Digest) -> Option<EnvState> {
        let makings = self.makings.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = makings.iter().find(|((digest, _), m)| digest == recipe && m.turn.try_lock().is_err());
        busy.map(|(_, m)| EnvState::Building { progress: m.progress.borrow().clone() })
    }
}

fn internal(e: &SandboxError) -> BuildFailure {
    let kind = match e.outcome() {
        crate::model::Outcome::Failed { reason: crate::model::FailKind::DiskLimit, .. } => FailedBuild::DiskFull,
        _ => FailedBuild::Internal,
    };
    BuildFailure::new(kind, e.to_string())
}

impl Keeper {
    /// Opens what lies below `root`. Blocks.
    pub(in crate::sandbox) fn open(
        root: PathBuf,
        builder: Arc<dyn Builder>,
        settings: watch::Receiver<Settings>,
        told: Outlet<SetEnvs>,
        peers: Outlet<ListPeers>,
    ) -> Result<Self, SandboxError> {
        let (shelf, (entries, stored)) = Shelf::open(root)?;
        let books = Mutex::new(Books { entries, stored, ..Books::default() });
        let (makings, packed) = (Mutex::default(), tokio::sync::Mutex::default());
        let keeper = Self(Arc::new(Inner { shelf, builder, settings, told, peers, books, makings, packed }));
        keeper.forget_old_recipes(wall_ms());
        keeper.tell();
        Ok(keeper)
    }

    fn forget_old_recipes(&self, now: u64) {
        let old: Vec<String> = {
            let books = self.0.books();
            let old = |e: &Entry| e.auto && now.saturating_sub(e.used_ms) > AUTO_KEPT_MS;
            books.entries.iter().filter(|(_, e)| old(e)).map(|(name, _)| name.clone()).collect()
        };
        for name in old {
            match self.0.shelf.forget(&name) {
                Ok(()) => drop(self.0.books().entries.remove(&name)),
                Err(error) => tracing::warn!(%error, "an old recipe stays"),
            }
        }
    }

    /// What is announced: environments, and what can be built.
    pub(in crate::sandbox) fn offers(&self) -> (Vec<EnvOffer>, Vec<BuildOffer>) {
        let allow = self.0.settings.borrow().allow_builds;
        let books = self.0.books();
        let builds = books.builders.iter().map(|b| BuildOffer { allow, ..b.clone() }).collect();
        (books.offers(), builds)
    }

    pub(super) fn tell(&self) {
        let (envs, builds) = self.offers();
        tell_outlet(&self.0.told, SetEnvs { envs, builds });
    }

    /// Looks what can be built, and whether what engines hold is still there.
    pub(in crate::sandbox) async fn refresh(&self) {
        self.look().await;
        let in_engines: Vec<EnvBuilt> =
            self.0.books().stored.values().map(|s| &s.built).filter(|b| b.image.is_some()).cloned().collect();
        for built in in_engines {
            if !self.0.builder.present(&built).await {
                tracing::info!(digest = %built.digest, "the image of an environment was removed from its engine");
                self.drop_key((built.digest, built.engine)).await;
            }
        }
        self.make_room(None).await;
        self.tell();
    }

    async fn look(&self) {
        let engines = preferred(self.0.settings.borrow().engine);
        let builders = self.0.builder.offers(&engines).await;
        self.0.books().builders = builders;
    }

    /// With which engine to make something here: `wanted`, else the preferred one. The engines are looked at regularly;
    /// for whoever asks right after the start, or after an engine was installed, they are looked at now.
    ///
    /// # Errors
    /// None was asked for and none is there. One that was asked for and cannot build may still be given what a friend has.
    pub(super) async fn engine(&self, wanted: Option<EngineKind>) -> Result<EngineKind, BuildFailure> {
        let ready = || {
            let books = self.0.books();
            books.builders.iter().map(|b| b.engine).find(|engine| wanted.is_none_or(|wanted| wanted == *engine))
        };
        if let Some(engine) = ready() {
            return Ok(engine);
        }
        self.look().await;
        ready().or(wanted).ok_or_else(|| {
            let hint = "`homie status` tells why; a Docker needs `homie env build base` first";
            BuildFailure::new(FailedBuild::Cannot, "nothing can be built here: no engine is ready for it").hint(hint)
        })
    }

    pub(super) fn allowed(&self, ask: &Ask) -> AllowBuilds {
        if ask.from.is_none() { AllowBuilds::All } else { self.0.settings.borrow().allow_builds }
    }

    /// What a name of this machine stands for, for a job that is sent out.
    pub(in crate::sandbox) async fn wish(&self, name: &str) -> Option<WantedEnv> {
        let (wish, entry) = {
            let mut books = self.0.books();
            let wish = books.wish(name)?;
            let entry = books.entries.get_mut(name)?;
            entry.used_ms = wall_ms();
            (wish, entry.clone())
        };
        self.save(entry).await.map_err(|error| tracing::warn!(%error, "a use of a recipe is not noted")).ok();
        Some(wish)
    }

    pub(super) async fn save(&self, entry: Entry) -> Result<(), SandboxError> {
        let inner = self.0.clone();
        blocking(move || inner.shelf.save(&entry)).await
    }

    /// Holds what is here under that digest, for whoever is served it or runs it.
    pub(in crate::sandbox) fn take(&self, key: Key) -> Option<EnvHeld> {
        let now = wall_ms();
        let built = {
            let mut books = self.0.books();
            let stored = books.stored.get_mut(&key)?;
            stored.used_ms = now;
            let built = stored.built.clone();
            *books.held.entry(key).or_default() += 1;
            built
        };
        let dir = self.0.shelf.place(key);
        let tree = self.0.shelf.tree(key);
        Some(EnvHeld::new(built, dir, tree, self.0.clone(), key))
    }

    /// Has the environment here: at once, or fetched from a friend, or built.
    ///
    /// # Errors
    /// Why it cannot be had, with the step and its last lines. A future that is dropped stops its work.
    pub(in crate::sandbox) async fn ensure(&self, ask: &Ask, progress: &ProgressSink) -> Result<EnvHeld, BuildFailure> {
        if !ask.again
            && let Some(ready) = self.ready(ask).await
        {
            return Ok(ready);
        }
        let wish = ask.wish.clone().or_else(|| self.0.books().wish(&ask.name));
        let id = wish.as_ref().map_or_else(|| Digest::of(ask.name.as_bytes()), |w| w.recipe_digest);
        let making = {
            let mut makings = self.0.makings.lock().unwrap_or_else(PoisonError::into_inner);
            makings.retain(|_, m| Arc::strong_count(m) > 1);
            makings.entry((id, ask.engine)).or_default().clone()
        };
        let mut news = making.progress.subscribe();
        let turn = {
            let mut turn = pin!(making.turn.lock());
            loop {
                tokio::select! {
                    turn = &mut turn => break turn,
                    Ok(()) = news.changed() => drop(progress.send_replace(news.borrow_and_update().clone())),
                }
            }
        };
        if !ask.again
            && let Some(ready) = self.ready(ask).await
        {
            return Ok(ready);
        }
        making.progress.send_replace(BuildProgress::default());
        let made = {
            let mut bring = pin!(tokio::time::timeout(BUILD_LIMIT, self.bring(ask, wish, &making.progress)));
            loop {
                tokio::select! {
                    made = &mut bring => break made,
                    Ok(()) = news.changed() => drop(progress.send_replace(news.borrow_and_update().clone())),
                }
            }
        };
        let made =
            made.unwrap_or_else(|_| Err(BuildFailure::new(FailedBuild::TimedOut, "it took longer than two hours")));
        let last = making.progress.borrow().clone();
        drop(turn);
        match made {
            Ok(ready) => Ok(ready),
            Err(mut failure) => {
                if *failure.at == BuildProgress::default() {
                    *failure.at = last;
                }
                if ask.from.is_none() {
                    self.note_end(id, None, Some(failure.clone())).await;
                }
                Err(failure)
            }
        }
    }

    /// What is here already. An image that was removed behind our back is not.
    async fn ready(&self, ask: &Ask) -> Option<EnvHeld> {
        let key = self.0.books().find(&ask.name, ask.wish.as_ref(), ask.engine, ask.from)?;
        let ready = self.take(key)?;
        if ready.built.image.is_some() && !self.0.builder.present(&ready.built).await {
            drop(ready);
            self.drop_key(key).await;
            return None;
        }
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.shelf.touch(key)).await.ok();
        Some(ready)
    }

    async fn bring(
        &self,
        ask: &Ask,
        wish: Option<WantedEnv>,
        progress: &ProgressSink,
    ) -> Result<EnvHeld, BuildFailure> {
        let mut missed = None;
        if !ask.again {
            match self.fetch(ask, wish.as_ref(), progress).await {
                Ok(Some(ready)) => return Ok(ready),
                Ok(None) => {}
                Err(failure) if failure.kind == FailedBuild::DiskFull => return Err(failure),
                Err(failure) => {
                    tracing::info!(env = ask.name, error = %failure, "a friend's environment could not be fetched");
                    missed = Some(failure);
                }
            }
        }
        let made = match wish {
            None => Err(nameless(&ask.name)),
            Some(wish) => self.build(ask, &wish, progress).await,
        };
        // Why it was not fetched matters where it cannot be built either.
        made.map_err(|mut failure| {
            if let Some(missed) = missed {
                failure.message = format!("{} (it could not be fetched: {})", failure.message, missed.message);
            }
            failure
        })
    }

    pub(super) async fn peers(&self) -> Vec<PeerView> {
        ask_outlet(&self.0.peers, ListPeers { offline: false }, REGISTRY_LIMIT).await.unwrap_or_default()
    }

    async fn fetch(
        &self,
        ask: &Ask,
        wish: Option<&WantedEnv>,
        progress: &ProgressSink,
    ) -> Result<Option<EnvHeld>, BuildFailure> {
        let Some((digest, givers)) = who_has(&self.peers().await, &ask.name, wish, ask.engine) else { return Ok(None) };
        let key = (digest, ask.engine);
        let dir = self.0.shelf.fetch_dir(key).map_err(|e| internal(&e))?;
        progress.send_replace(BuildProgress { step: 1, steps: 2, what: BuildStep::Fetch, ..BuildProgress::default() });
        let max_bytes = self.0.settings.borrow().env_bytes;
        let order = FetchOrder { digest, engine: ask.engine, givers, dir: dir.clone(), max_bytes };
        let built = self.0.builder.fetch(&order, progress).await?;
        if (built.digest, built.engine) != key || built.lock.digest() != digest {
            // Nothing of it is of use for a later try.
            drop(Scratch(self.0.clone(), dir));
            return Err(BuildFailure::new(
                FailedBuild::Integrity,
                "a friend sent another environment than was asked for",
            ));
        }
        self.keep(dir, built, &ask.name, None).await.map(Some)
    }

    async fn build(&self, ask: &Ask, wish: &WantedEnv, progress: &ProgressSink) -> Result<EnvHeld, BuildFailure> {
        let allow = self.allowed(ask);
        let make = self.0.books().make(&ask.name, wish, ask.engine, allow)?;
        let policy = {
            let settings = self.0.settings.borrow();
            BuildPolicy { allow, hosts: settings.build_hosts.clone(), max_bytes: settings.env_bytes }
        };
        let mut giver = None;
        let lock = match make {
            Make::Build(lock) => {
                giver = ask.from;
                lock
            }
            Make::Resolve(recipe) => {
                let scratch = self.scratch().await?;
                let order = ResolveOrder { recipe, engine: ask.engine, dir: scratch.1.clone(), policy: policy.clone() };
                self.0.builder.resolve(&order, progress).await?
            }
        };
        let (digest, engine) = (lock.digest(), ask.engine);
        if ask.from.is_none() {
            self.note_end(wish.recipe_digest, Some(lock.clone()), None).await;
        }
        if !ask.again
            && let Some(ready) = self.take((digest, engine))
        {
            return Ok(ready);
        }
        let scratch = self.scratch().await?;
        let order = BuildOrder { digest, lock, engine, dir: scratch.1.clone(), policy };
        let built = self.0.builder.build(&order, progress).await?;
        self.keep(scratch.1.clone(), built, &ask.name, giver).await
    }

    async fn scratch(&self) -> Result<Scratch, BuildFailure> {
        let inner = self.0.clone();
        let dir = blocking(move || inner.shelf.new_dir()).await.map_err(|e| internal(&e))?;
        Ok(Scratch(self.0.clone(), dir))
    }

    /// Puts what was made into its place and makes room for it.
    async fn keep(
        &self,
        dir: PathBuf,
        built: EnvBuilt,
        name: &str,
        giver: Option<PeerId>,
    ) -> Result<EnvHeld, BuildFailure> {
        let key = (built.digest, built.engine);
        let stored = Stored { built, name: name.to_owned(), giver, used_ms: wall_ms() };
        let (inner, on_disk) = (self.0.clone(), stored.clone());
        blocking(move || inner.shelf.shelve(&dir, &on_disk)).await.map_err(|e| internal(&e))?;
        let ready = {
            self.0.books().stored.insert(key, stored);
            self.take(key)
        };
        self.make_room(Some(key)).await;
        self.tell();
        ready.ok_or_else(|| BuildFailure::new(FailedBuild::Internal, "it was removed while it was finished"))
    }

    async fn make_room(&self, keep: Option<Key>) {
        let quota = self.0.settings.borrow().env_bytes;
        let victims = self.0.books().victims(quota, keep.as_ref());
        for key in victims {
            tracing::info!(digest = %key.0, engine = key.1.as_str(), "an environment goes, because the quota is full");
            self.drop_key(key).await;
        }
    }

    /// Removes one, unless somebody has begun to use it.
    pub(super) async fn drop_key(&self, key: Key) -> bool {
        let built = {
            let mut books = self.0.books();
            if books.held.contains_key(&key) {
                return false;
            }
            books.stored.remove(&key).map(|s| s.built)
        };
        if let Some(built) = built
            && let Err(error) = self.0.builder.remove(&built).await
        {
            tracing::warn!(error, digest = %built.digest, "an engine keeps an environment");
        }
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.shelf.discard(&inner.shelf.place(key))).await.ok();
        true
    }

    /// Writes down to what the recipe was resolved, or why it was not.
    async fn note_end(&self, recipe: Digest, lock: Option<Lock>, failure: Option<BuildFailure>) {
        let changed: Vec<Entry> = {
            let mut books = self.0.books();
            let ours = books.entries.values_mut().filter(|e| e.recipe.digest() == recipe);
            ours.map(|entry| {
                entry.failure.clone_from(&failure);
                if lock.is_some() {
                    entry.lock.clone_from(&lock);
                }
                entry.clone()
            })
            .collect()
        };
        for entry in changed {
            if let Err(error) = self.save(entry).await {
                tracing::warn!(%error, "the end of a build is not written down");
            }
        }
    }
}

pub(super) fn nameless(name: &str) -> BuildFailure {
    BuildFailure::new(
        FailedBuild::Cannot,
        format!("environment {name} is not here, and nothing says what it is made of"),
    )
    .hint("the submitter names its recipe: `homie run --env ./homie.env.yaml`")
}
