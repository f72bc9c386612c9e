//! The names of environments: what they stand for, new ones, and those that go.

use super::books::{Entry, Key, Stored};
use super::keeper::Keeper;
use crate::clock::wall_ms;
use crate::model::{Digest, EnvDetail, EnvView, Lock, Recipe};
use crate::sandbox::SandboxError;
use crate::sandbox::life::blocking;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Most recipes that are kept, so that a loop in a script does not fill the disk with them.
const MOST_RECIPES: usize = 1_000;

fn refusal(e: &SandboxError) -> Refusal {
    Refusal::internal(e.to_string())
}

impl Keeper {
    /// The rows of this machine.
    pub(in crate::sandbox) fn list(&self) -> Vec<EnvView> {
        self.0.books().views(|recipe| self.0.state_of(recipe))
    }

    /// One row.
    fn view(&self, name: &str) -> Option<EnvView> {
        self.0.books().view(name, &|recipe: &Digest| self.0.state_of(recipe))
    }

    /// Everything about a name.
    pub(in crate::sandbox) fn show(&self, name: &str) -> Result<EnvDetail, Refusal> {
        let view = self.view(name).ok_or_else(|| self.unknown(name))?;
        let books = self.0.books();
        let entry = books.entries.get(name).ok_or_else(|| nobody(name))?;
        Ok(EnvDetail { view, recipe: entry.recipe.clone(), lock: entry.lock.clone() })
    }

    fn unknown(&self, name: &str) -> Refusal {
        let names: Vec<String> = self.0.books().entries.keys().cloned().collect();
        let near = names
            .iter()
            .map(|n| (strsim::jaro_winkler(n, name), n))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        nobody(name).hint(match near {
            Some((_, near)) => format!("did you mean {near}?"),
            None => "`homie env list` shows them, `homie env create` makes one".to_owned(),
        })
    }

    /// Notes a recipe under its name. An `auto` one steps aside where its name means something else.
    pub(in crate::sandbox) async fn create(
        &self,
        mut recipe: Recipe,
        lock: Option<Lock>,
        auto: bool,
        replace: bool,
    ) -> Result<EnvView, Refusal> {
        let digest = recipe.digest();
        let entry = {
            let books = self.0.books();
            let other = |name: &str| books.entries.get(name).is_some_and(|e| e.recipe.digest() != digest);
            if auto && other(&recipe.name) {
                let stem: String = recipe.name.chars().take(50).collect();
                recipe.name = format!("{stem}-{}", &digest.to_string()[..8]);
            } else if other(&recipe.name) && !replace {
                let text = format!("environment {} exists, with another recipe", recipe.name);
                return Err(Refusal::new(RefusalKind::BadRequest, text)
                    .hint("`--replace` puts the new one in its place, another name keeps both"));
            }
            let before = books.entries.get(&recipe.name).filter(|e| e.recipe.digest() == digest);
            if before.is_none() && books.entries.len() >= MOST_RECIPES {
                let text = format!("{MOST_RECIPES} environments have names here");
                return Err(Refusal::new(RefusalKind::DiskFull, text).hint("remove some with `homie env rm`"));
            }
            Entry {
                lock: lock.or_else(|| before.and_then(|e| e.lock.clone())),
                auto: auto && before.is_none_or(|e| e.auto),
                used_ms: wall_ms(),
                failure: before.and_then(|e| e.failure.clone()),
                recipe,
            }
        };
        let name = entry.recipe.name.clone();
        self.save(entry.clone()).await.map_err(|e| refusal(&e))?;
        self.0.books().entries.insert(name.clone(), entry);
        self.view(&name).ok_or_else(|| nobody(&name))
    }

    /// Removes a name and what was built for it.
    pub(in crate::sandbox) async fn remove(&self, name: &str) -> Result<(), Refusal> {
        let (known, keys) = {
            let books = self.0.books();
            let entry = books.entries.get(name);
            let recipe = entry.map(|e| e.recipe.digest());
            let shared = |r: &Digest| books.entries.values().filter(|e| e.recipe.digest() == *r).count() > 1;
            let gone = |s: &Stored| match &recipe {
                Some(recipe) => s.built.lock.recipe == *recipe && !shared(recipe),
                None => s.name == name,
            };
            let keys: Vec<Key> = books.stored.iter().filter(|(_, s)| gone(s)).map(|(key, _)| *key).collect();
            if let Some(key) = keys.iter().find(|key| books.held.contains_key(*key)) {
                let text = format!("environment {name} is in use with the {} engine", key.1.as_str());
                return Err(Refusal::new(RefusalKind::Busy, text).hint("wait for its jobs, or cancel them"));
            }
            (entry.is_some(), keys)
        };
        if !known && keys.is_empty() {
            return Err(self.unknown(name));
        }
        if known {
            let (inner, which) = (self.0.clone(), name.to_owned());
            blocking(move || inner.shelf.forget(&which)).await.map_err(|e| refusal(&e))?;
            self.0.books().entries.remove(name);
        }
        for key in keys {
            self.drop_key(key).await;
        }
        self.tell();
        Ok(())
    }
}

fn nobody(name: &str) -> Refusal {
    Refusal::new(RefusalKind::NoEnvironment, format!("no environment is called {name}"))
}
