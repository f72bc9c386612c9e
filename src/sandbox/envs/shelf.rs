//! Where environments lie on disk. Blocks.
//!
//! ```text
//! envs/recipes/NAME.json          a recipe with a name
//! envs/built/DIGEST-ENGINE/       built.json, used (its time is that of the last use), and what the builder made
//! envs/tmp/build-N                being built; swept at the next start
//! envs/tmp/fetch-DIGEST-ENGINE    being fetched; a later try goes on with it
//! envs/tmp/gone-N                 on its way out
//! ```
//! An environment appears in `built` by one rename, after everything of it is on disk.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::books::{Entry, Key, Stored};
use super::builder::TREE;
use crate::model::check_env_name;
use crate::sandbox::SandboxError;
use crate::sandbox::follow::end_unfollowed;
use crate::sandbox::supervisor::{SUPERVISOR, SupervisorNote, boot_id, read_json, start_ticks, try_lock, write_json};

const BUILT_NOTE: &str = "built.json";
const USED: &str = "used";
/// A fetch that was not tried again for so long will not be.
const STALE_FETCH: Duration = Duration::from_secs(86_400);

/// How long the supervisor of an old build may take to end it in order.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Ends what builds of an earlier homied still run: their road out is gone and nobody waits for what they make.
pub(in crate::sandbox) async fn end_builds(root: &Path) {
    let jails = listed(&root.join("tmp")).into_iter().flat_map(|dir| listed(&dir));
    for jail in jails.filter(|jail| jail.join(SUPERVISOR).is_file()) {
        let held = || matches!(try_lock(&jail), Ok(None));
        let note = read_json::<SupervisorNote>(&jail.join(SUPERVISOR));
        let alive = |note: &SupervisorNote| note.boot == boot_id() && start_ticks(note.pid) == Some(note.start_ticks);
        let Ok(note) = note else { continue };
        if !held() || !alive(&note) {
            continue;
        }
        tracing::info!(jail = %jail.display(), "ending a build that an earlier homied began");
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(note.pid), nix::sys::signal::Signal::SIGTERM);
        let ended = async {
            while held() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(END_LIMIT, ended).await.is_err() {
            end_unfollowed(&jail, &mut None).await;
        }
    }
}

/// The directories.
#[derive(Debug)]
pub(super) struct Shelf {
    root: PathBuf,
    next: AtomicU64,
}

/// What a start finds.
pub(super) type Found = (BTreeMap<String, Entry>, HashMap<Key, Stored>);

impl Shelf {
    /// Opens `root`, sweeps away what an earlier homied left half made, and reads the rest.
    pub(super) fn open(root: PathBuf) -> Result<(Self, Found), SandboxError> {
        for dir in ["recipes", "built", "tmp"].map(|name| root.join(name)) {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(SandboxError::io("make", &dir))?;
        }
        // Jails bind what lies here, and they are made elsewhere.
        let root = root.canonicalize().map_err(SandboxError::io("find", &root))?;
        let shelf = Self { root, next: AtomicU64::new(0) };
        shelf.sweep();
        let found = (shelf.recipes(), shelf.built());
        Ok((shelf, found))
    }

    fn sweep(&self) {
        for path in listed(&self.root.join("tmp")) {
            let fetch = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("fetch-"));
            let young = fs::metadata(&path).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
            if !(fetch && young.is_some_and(|age| age < STALE_FETCH)) {
                remove(&path);
            }
        }
    }

    fn recipes(&self) -> BTreeMap<String, Entry> {
        let mut found = BTreeMap::new();
        for path in listed(&self.root.join("recipes")) {
            if path.extension().is_none_or(|e| e != "json") {
                remove(&path);
                continue;
            }
            match read_json::<Entry>(&path) {
                Ok(entry) => drop(found.insert(entry.recipe.name.clone(), entry)),
                Err(error) => tracing::warn!(%error, "a recipe cannot be read"),
            }
        }
        found
    }

    fn built(&self) -> HashMap<Key, Stored> {
        let mut found = HashMap::new();
        for path in listed(&self.root.join("built")) {
            match read_json::<Stored>(&path.join(BUILT_NOTE)) {
                Ok(mut stored) => {
                    let used = fs::metadata(path.join(USED)).and_then(|m| m.modified()).ok();
                    stored.used_ms = used.map_or(stored.used_ms, millis);
                    found.insert((stored.built.digest, stored.built.engine), stored);
                }
                Err(error) => {
                    tracing::warn!(%error, "an environment cannot be read and is removed");
                    self.discard(&path);
                }
            }
        }
        found
    }

    pub(super) fn save(&self, entry: &Entry) -> Result<(), SandboxError> {
        let path = self.recipe_path(&entry.recipe.name)?;
        write_json(&path, entry).map_err(SandboxError::io("write", &path))
    }

    pub(super) fn forget(&self, name: &str) -> Result<(), SandboxError> {
        let path = self.recipe_path(name)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(SandboxError::io("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Names are checked where they are read; once more here, because a path is made of it.
    fn recipe_path(&self, name: &str) -> Result<PathBuf, SandboxError> {
        let problem = |e| SandboxError::io("use the name of", Path::new(name))(io::Error::other(e));
        check_env_name(name).map_err(problem)?;
        Ok(self.root.join("recipes").join(format!("{name}.json")))
    }

    /// An empty directory to build in.
    pub(super) fn new_dir(&self) -> Result<PathBuf, SandboxError> {
        let dir = self.temporary("build");
        fs::DirBuilder::new().mode(0o700).create(&dir).map_err(SandboxError::io("make", &dir))?;
        Ok(dir)
    }

    /// The directory to fetch into, with what an earlier try left.
    pub(super) fn fetch_dir(&self, key: Key) -> Result<PathBuf, SandboxError> {
        let dir = self.root.join("tmp").join(format!("fetch-{}", dir_name(key)));
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&dir);
        made.map_err(SandboxError::io("make", &dir))?;
        Ok(dir)
    }

    /// Puts `dir` in its place, once all of it is on disk.
    pub(super) fn shelve(&self, dir: &Path, stored: &Stored) -> Result<(), SandboxError> {
        let note = dir.join(BUILT_NOTE);
        write_json(&note, stored).map_err(SandboxError::io("write", &note))?;
        let place = self.place((stored.built.digest, stored.built.engine));
        // One call for thousands of files.
        let file = fs::File::open(dir).map_err(SandboxError::io("open", dir))?;
        nix::unistd::syncfs(&file).map_err(|e| SandboxError::io("sync", dir)(e.into()))?;
        if place.exists() {
            self.discard(&place);
        }
        fs::rename(dir, &place).map_err(SandboxError::io("move", dir))?;
        let above = self.root.join("built");
        fs::File::open(&above).and_then(|d| d.sync_all()).map_err(SandboxError::io("sync", &above))
    }

    /// Where an environment lies.
    pub(super) fn place(&self, key: Key) -> PathBuf {
        self.root.join("built").join(dir_name(key))
    }

    /// The directory that a job sees, if the environment has one.
    pub(super) fn tree(&self, key: Key) -> Option<PathBuf> {
        Some(self.place(key).join(TREE)).filter(|tree| tree.is_dir())
    }

    /// Notes a use, for the order in which environments go.
    pub(super) fn touch(&self, key: Key) {
        let path = self.place(key).join(USED);
        if let Err(error) = fs::write(&path, b"") {
            tracing::debug!(%error, path = %path.display(), "a use of an environment is not noted");
        }
    }

    /// Takes something out of its place at once, and then removes it.
    pub(super) fn discard(&self, path: &Path) {
        let gone = self.temporary("gone");
        match fs::rename(path, &gone) {
            Ok(()) => remove(&gone),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, path = %path.display(), "an environment stays on disk"),
        }
    }

    fn temporary(&self, what: &str) -> PathBuf {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{what}-{}-{n}", std::process::id()))
    }
}

fn dir_name((digest, engine): Key) -> String {
    format!("{digest}-{}", engine.as_str())
}

fn listed(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Removes a file or a tree; directories of an environment may be read-only.
fn remove(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => crate::sandbox::workspace::remove(path).map_err(|e| e.to_string()),
        Ok(_) => fs::remove_file(path).map_err(|e| e.to_string()),
        Err(_) => Ok(()),
    };
    if let Err(error) = removed {
        tracing::warn!(error, path = %path.display(), "something old stays on disk");
    }
}
