//! Which files are sent, and under which names. Nothing is opened here but directories and ignore files.

mod ignored;
mod walk;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use walkdir::WalkDir;

use self::ignored::{IGNORE_FILE, Ignored};
use self::walk::{Found, joined, walk};
use super::known::Stamp;
use crate::ctl::exit::CtlError;
use crate::ctl::glob::Glob;
use crate::model::{CleanPath, visible_controls};

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// On disk.
    Disk(PathBuf),
    /// In memory: a script that came on standard input, or a small file that was just read.
    Memory(Bytes),
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked {
    /// Where it is read.
    pub(super) origin: Origin,
    /// Its size when it was found.
    pub(super) size: u64,
    /// Whether its owner may execute it.
    pub(super) exec: bool,
    /// What tells whether it was changed since it was last read; a file has one.
    pub(super) stamp: Option<Stamp>,
}

/// The files of a job, by the name they get there.
#[derive(Debug)]
pub(super) struct Picker {
    cwd: PathBuf,
    home: Option<PathBuf>,
    /// What is sent.
    pub(super) files: BTreeMap<CleanPath, Picked>,
    /// What was found but left here, and why.
    pub(super) left: Vec<String>,
}

impl Picker {
    /// Nothing picked yet. `cwd` is the directory that names are relative to.
    pub(super) fn new(cwd: PathBuf, home: Option<PathBuf>) -> Self {
        Self { cwd, home, files: BTreeMap::new(), left: Vec::new() }
    }

    /// The script: like a file of `-f`, but a directory is an error of its own. Gives its name in the job.
    pub(super) fn script(&mut self, path: &Path) -> Result<CleanPath, CtlError> {
        match fs::metadata(self.cwd.join(path)) {
            Ok(meta) if meta.is_dir() => Err(CtlError::usage_hint(
                format!("{} is a directory, not a script", shown(path)),
                format!("name the script in it, and send the rest along: homie run --dir={0} {0}/SCRIPT", shown(path)),
            )),
            Ok(_) => self.file(path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(missing(&self.cwd, path, "script")),
            Err(e) => Err(unreadable(path, e)),
        }
    }

    /// One value of `-f`: a file, a directory or a glob.
    pub(super) fn named(&mut self, value: &Path) -> Result<(), CtlError> {
        match fs::metadata(self.cwd.join(value)) {
            Ok(meta) if meta.is_dir() => self.tree(value, false),
            Ok(_) => self.file(value).map(drop),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match value.to_str() {
                Some(text) if text.contains(['*', '?', '[', '{']) => self.glob(value, text),
                _ => Err(missing(&self.cwd, value, "file")),
            },
            Err(e) => Err(unreadable(value, e)),
        }
    }

    /// `--dir`: a whole tree, less what its ignore files name.
    pub(super) fn project(&mut self, dir: &Path) -> Result<(), CtlError> {
        let full = fs::canonicalize(self.cwd.join(dir)).map_err(|e| unreadable(dir, e))?;
        if !full.is_dir() {
            return Err(CtlError::usage_hint(format!("{} is not a directory", shown(dir)), "send a file with -f"));
        }
        let home = self.home.as_ref().and_then(|home| fs::canonicalize(home).ok());
        if full == Path::new("/") || home.is_some_and(|home| home.starts_with(&full)) {
            return Err(CtlError::usage_hint(
                format!("--dir would send {}, which holds your whole home directory", full.display()),
                "change into the project's directory first, or name it: --dir=PROJECT",
            ));
        }
        self.tree(dir, true)
    }

    /// One plain file, named by the user.
    fn file(&mut self, path: &Path) -> Result<CleanPath, CtlError> {
        let full = self.cwd.join(path);
        let meta = fs::metadata(&full).map_err(|e| unreadable(path, e))?;
        if !meta.is_file() {
            return Err(CtlError::usage(format!("{} is not a plain file", shown(path))));
        }
        let (name, root) = self.name_of(path);
        if let Some(target) = escape(&full, &root) {
            return Err(CtlError::usage_hint(
                format!("{} leads to {}, out of {}", shown(path), target.display(), root.display()),
                "links are not followed to other places; name the file itself with -f",
            ));
        }
        let name = clean(&name)?;
        self.add(name.clone(), picked(full, &meta))?;
        Ok(name)
    }

    /// Every file below `dir`. With `ignore_rules`, .gitignore counts too: only then did nobody name the files.
    fn tree(&mut self, dir: &Path, ignore_rules: bool) -> Result<(), CtlError> {
        let full = self.cwd.join(dir);
        let root = fs::canonicalize(&full).map_err(|e| unreadable(dir, e))?;
        let (prefix, _) = self.name_of(dir);
        let no_walk = |e: io::Error| CtlError::io(format!("cannot walk {}", shown(dir)), e);
        let ignored = Ignored::above(&root, ignore_rules).map_err(no_walk)?;
        let take = |found: Found| -> Result<Taken, CtlError> {
            let [path, name] = [&root, &prefix].map(|above| joined(above, found.below.as_os_str()));
            if found.kind.is_symlink() {
                return match fs::metadata(&path) {
                    Ok(meta) if meta.is_file() && escape(&path, &root).is_none() => {
                        Ok(Taken::Picked(clean(&name)?, picked(path, &meta)))
                    }
                    Ok(meta) if meta.is_dir() => Ok(Taken::Left(format!("{}: link to a directory", shown(&name)))),
                    Ok(_) => Ok(Taken::Left(format!("{}: link that leads out of the directory", shown(&name)))),
                    Err(_) => Ok(Taken::Left(format!("{}: link to nothing", shown(&name)))),
                };
            }
            if !found.kind.is_file() {
                return Ok(Taken::Left(format!("{}: not a plain file", shown(&name))));
            }
            let meta = found.meta.map_err(|e| unreadable(&path, e))?;
            Ok(Taken::Picked(clean(&name)?, picked(path, &meta)))
        };
        let (mut files, mut left) = (BTreeMap::new(), Vec::new());
        for taken in walk(&root, ignored, take).map_err(no_walk)? {
            match taken? {
                Taken::Picked(name, picked) => drop(files.insert(name, picked)),
                Taken::Left(why) => left.push(why),
            }
        }
        left.sort_unstable();
        self.left.append(&mut left);
        // The fewer are looked for among the more.
        if self.files.len() < files.len() {
            std::mem::swap(&mut self.files, &mut files);
        }
        files.into_iter().try_for_each(|(name, picked)| self.add(name, picked))
    }

    /// Files and directories whose path matches; `*` stays within one directory, `**` does not.
    fn glob(&mut self, value: &Path, text: &str) -> Result<(), CtlError> {
        let matcher = Glob::new(text)?;
        // The walk begins at the part of the path that has no wildcards.
        let fixed: PathBuf = value
            .components()
            .filter(|c| *c != Component::CurDir)
            .take_while(|c| !c.as_os_str().as_bytes().iter().any(|b| b"*?[{".contains(b)))
            .collect();
        let depth = if text.contains("**") { usize::MAX } else { value.components().count() };
        let start = if fixed.as_os_str().is_empty() { self.cwd.clone() } else { self.cwd.join(&fixed) };
        let mut found = Vec::new();
        for entry in WalkDir::new(&start).max_depth(depth).sort_by_file_name().into_iter().flatten() {
            let below = entry.path().strip_prefix(&start).unwrap_or(entry.path());
            let path = fixed.join(below);
            // As a shell has it: a wildcard does not stand for a leading dot.
            let hidden = below.components().any(|c| c.as_os_str().as_bytes().starts_with(b"."));
            if (!hidden || text.contains("/.") || text.starts_with('.')) && matcher.matches(&path) {
                found.push(path);
            }
        }
        if found.is_empty() {
            return Err(CtlError::usage(format!("nothing matches {text}")));
        }
        for path in found {
            match fs::metadata(self.cwd.join(&path)) {
                Ok(meta) if meta.is_dir() => self.tree(&path, false)?,
                Ok(_) => drop(self.file(&path)?),
                Err(e) => return Err(unreadable(&path, e)),
            }
        }
        Ok(())
    }

    /// Text that is no file here, under a name that nothing else has.
    pub(super) fn text(&mut self, name: &str, text: Bytes) -> Result<CleanPath, CtlError> {
        let name = clean(Path::new(name))?;
        if self.files.contains_key(&name) {
            return Err(CtlError::usage(format!("{name} is the name of the script from standard input; rename yours")));
        }
        let picked = Picked { size: text.len() as u64, origin: Origin::Memory(text), exec: false, stamp: None };
        self.files.insert(name.clone(), picked);
        Ok(name)
    }

    fn add(&mut self, name: CleanPath, picked: Picked) -> Result<(), CtlError> {
        match self.files.entry(name) {
            Entry::Occupied(mut other) if same_file(other.get(), &picked) => {
                // A script is executable because it is one, however it was found once more.
                let exec = other.get().exec || picked.exec;
                other.insert(Picked { exec, ..picked });
            }
            Entry::Occupied(other) => {
                return Err(CtlError::usage_hint(
                    format!("two different files would both be sent as {}", other.key()),
                    "files outside the present directory are sent by their base names; send their directory instead",
                ));
            }
            Entry::Vacant(free) => drop(free.insert(picked)),
        }
        Ok(())
    }

    /// The name that `path` gets in the job, and the directory it may not lead out of. What is below the present
    /// directory keeps its path; anything else is sent by its base name.
    fn name_of(&self, path: &Path) -> (PathBuf, PathBuf) {
        let below = if path.is_absolute() { path.strip_prefix(&self.cwd).ok() } else { Some(path) };
        if let Some(name) = below.and_then(lexical) {
            return (name, self.cwd.clone());
        }
        let full = self.cwd.join(path);
        // `..` and `/a/..` have no base name of their own.
        let full = if full.file_name().is_some() { full } else { fs::canonicalize(&full).unwrap_or(full) };
        let root = full.parent().map_or_else(|| self.cwd.clone(), Path::to_owned);
        (full.file_name().map(PathBuf::from).unwrap_or_default(), root)
    }
}

/// What was found in a tree.
enum Taken {
    Picked(CleanPath, Picked),
    /// It stays here, and why.
    Left(String),
}

fn picked(source: PathBuf, meta: &Metadata) -> Picked {
    let exec = meta.permissions().mode() & 0o100 != 0;
    Picked { origin: Origin::Disk(source), size: meta.len(), exec, stamp: Some(Stamp::of(meta)) }
}

/// `path` without `.` and `..`, or `None` if it climbs out.
fn lexical(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Where `path` really is, if that is not below `root`.
fn escape(path: &Path, root: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let root = fs::canonicalize(root).ok()?;
    (!real.starts_with(root)).then_some(real)
}

/// Whether two finds are one file, reached by two ways.
fn same_file(a: &Picked, b: &Picked) -> bool {
    match (&a.origin, &b.origin) {
        (Origin::Disk(a), Origin::Disk(b)) => a == b || fs::canonicalize(a).ok() == fs::canonicalize(b).ok(),
        _ => false,
    }
}

fn clean(name: &Path) -> Result<CleanPath, CtlError> {
    let text = name.to_str().ok_or_else(|| {
        CtlError::usage_hint(
            format!("the name {} is not UTF-8", shown(name)),
            format!("rename it, or list it in {IGNORE_FILE}"),
        )
    })?;
    CleanPath::new(text)
        .map_err(|e| CtlError::usage_hint(e.to_string(), format!("rename it, or list it in {IGNORE_FILE}")))
}

/// A path made safe to print.
pub(super) fn shown(path: &Path) -> String {
    visible_controls(path.as_os_str().as_bytes())
}

fn unreadable(path: &Path, error: io::Error) -> CtlError {
    CtlError::io(format!("cannot read {}", shown(path)), error)
}

/// `path` does not exist; perhaps a neighbour with a similar name was meant.
fn missing(cwd: &Path, path: &Path, what: &str) -> CtlError {
    let message = format!("no such {what}: {}", shown(path));
    let wanted = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = cwd.join(path).parent().map(Path::to_owned).unwrap_or_default();
    let names = fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok());
    let best = names.map(|name| (strsim::jaro_winkler(&wanted, &name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        // Below this, names have little more than their extension in common.
        Some((likeness, name)) if likeness > 0.85 => {
            CtlError::usage_hint(message, format!("did you mean {}?", shown(&path.with_file_name(name))))
        }
        _ => CtlError::usage(message),
    }
}

#[cfg(test)]
mod tests;
