//! The directory of an environment: what may be in it, and how it travels.
//!
//! A tree holds plain files, directories, and links that stay inside it or name the machine's own Python. It travels as a
//! manifest of its plain files, as everything does; the links are a file among them, [`LINKS`], and are made again, after
//! the same checks, where it arrives. Owners, times and other mode bits than `x` do not travel and are not kept.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::model::{CleanPath, FileEntry, Manifest};
use crate::sandbox::engine::INSIDE_ENV;
use crate::transfer::describe;

/// The directory in a tree in which it says what it is.
const OWN: &str = ".homie";
/// Where the links of a tree are written down, inside it.
pub const LINKS: &str = ".homie/links.json";
/// Bytes of that file. An environment has a handful of links; Node's have thousands.
const MAX_LINKS_FILE: u64 = 8 << 20;
/// Files, directories and links of a tree: PyTorch with everything has some 30,000.
const MAX_ENTRIES: usize = 500_000;
/// Directories above a file, as in a manifest.
const MAX_DEPTH: usize = 64;
/// Threads that hash.
const HASHERS: usize = 4;

/// Why a tree is refused.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds what no environment may hold.
    #[error("{path:?} in the environment is {why}")]
    Hostile {
        /// Where, below the tree.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is larger than environments may be.
    #[error("the environment is larger than the {0} bytes that it may take")]
    TooBig(u64),
    /// It is no tree of ours.
    #[error("the environment cannot be read: {0}")]
    Shape(String),
}

impl TreeError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

fn hostile(path: &str, why: &'static str) -> TreeError {
    TreeError::Hostile { path: path.chars().take(200).collect(), why }
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Links {
    /// From path to target.
    links: BTreeMap<CleanPath, String>,
}

/// Whether a link at `path` may lead to `target`: to a place in the tree, or to a Python of the machine.
fn leads_well(path: &CleanPath, target: &str) -> bool {
    /// As many as Linux follows in a row; longer paths are mistakes.
    const LONGEST: usize = 1024;
    if target.is_empty() || target.len() > LONGEST || target.chars().any(char::is_control) {
        return false;
    }
    let (mut depth, rest) = match target.strip_prefix('/') {
        Some(_) => match target.strip_prefix(INSIDE_ENV).and_then(|t| t.strip_prefix('/')) {
            Some(rest) => (0, rest),
            None => return is_python(target),
        },
        None => (path.components().count() - 1, target),
    };
    for name in rest.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

/// `/usr/bin/python3.11` and its like.
fn is_python(target: &str) -> bool {
    let name = target.strip_prefix("/usr/bin/").or_else(|| target.strip_prefix("/usr/local/bin/"));
    let version = name.and_then(|n| n.strip_prefix("python3"));
    version.is_some_and(|v| {
        v.is_empty() || v.strip_prefix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
    })
}

/// What a look at a tree found.
#[derive(Debug, Default)]
struct Seen {
    files: Vec<(CleanPath, u64, bool)>,
    links: BTreeMap<CleanPath, String>,
    entries: usize,
    bytes: u64,
}

/// Checks a tree that nobody writes to any more, takes away what does not belong (other owners, odd modes), writes its
/// links down, and gives its size. To be called before it is used by anybody. Blocks.
///
/// # Errors
/// It holds something that may not be there, or is too large.
pub fn settle(tree: &Path, max_bytes: u64) -> Result<u64, TreeError> {
    let links = tree.join(LINKS);
    clear(tree, &links)?;
    let mut seen = Seen::default();
    walk(tree, "", 0, max_bytes, true, &mut seen)?;
    let list = serde_json::to_vec(&Links { links: seen.links }).map_err(|e| TreeError::Shape(e.to_string()))?;
    fs::write(&links, &list).map_err(TreeError::io("write", &links))?;
    let bytes = seen.bytes + list.len() as u64;
    if bytes > max_bytes { Err(TreeError::TooBig(max_bytes)) } else { Ok(bytes) }
}

/// Writes what a tree says of itself, before it is settled.
///
/// # Errors
/// Something else stands in the place, or the disk refuses.
pub fn write_own(tree: &Path, name: &str, text: &[u8]) -> Result<(), TreeError> {
    let path = tree.join(name);
    clear(tree, &path)?;
    fs::write(&path, text).map_err(TreeError::io("write", &path))
}

/// Makes room for a file of ours in a tree that came out of a jail: a link in its place, or on the way to it, would lead
/// us wherever the jail wanted.
fn clear(tree: &Path, path: &Path) -> Result<(), TreeError> {
    let own = tree.join(OWN);
    match fs::symlink_metadata(&own) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(hostile(OWN, "no directory")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().mode(0o755).create(&own).map_err(TreeError::io("make", &own))?;
        }
        Err(e) => return Err(TreeError::io("look at", &own)(e)),
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(TreeError::io("replace", path)(e)),
        _ => Ok(()),
    }
}

fn walk(dir: &Path, prefix: &str, depth: usize, max: u64, tidy: bool, seen: &mut Seen) -> Result<(), TreeError> {
    if depth > MAX_DEPTH {
        return Err(hostile(prefix, "too deep"));
    }
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let tidy_up = |path: &Path, mode: Option<u32>| -> Result<(), TreeError> {
        if tidy && nix::unistd::geteuid().is_root() {
            lchown(path, Some(own.0), Some(own.1)).map_err(TreeError::io("take over", path))?;
        }
        match mode.filter(|_| tidy) {
            Some(mode) => {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(TreeError::io("settle", path))
            }
            None => Ok(()),
        }
    };
    tidy_up(dir, Some(0o755))?;
    for entry in fs::read_dir(dir).map_err(TreeError::io("list", dir))? {
        let path = entry.map_err(TreeError::io("list", dir))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| hostile(prefix, "named in no encoding"))?;
        let shown = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let clean = CleanPath::new(shown.clone()).map_err(|_| hostile(&shown, "badly named"))?;
        seen.entries += 1;
        if seen.entries > MAX_ENTRIES {
            return Err(hostile(&shown, "one entry too many"));
        }
        let meta = fs::symlink_metadata(&path).map_err(TreeError::io("look at", &path))?;
        let kind = meta.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(TreeError::io("read", &path))?;
            let target = target.to_str().ok_or_else(|| hostile(&shown, "a link in no encoding"))?.to_owned();
            if !leads_well(&clean, &target) {
                return Err(hostile(&shown, "a link out of it"));
            }
            tidy_up(&path, None)?;
            seen.links.insert(clean, target);
        } else if kind.is_dir() {
            walk(&path, &shown, depth + 1, max, tidy, seen)?;
        } else if kind.is_file() {
            let exec = meta.permissions().mode() & 0o100 != 0;
            if tidy && meta.nlink() > 1 {
                // Another name of it may lie where somebody can write.
                let own = path.with_file_name(format!("{name}.homie-copy"));
                fs::copy(&path, &own).and_then(|_| fs::rename(&own, &path)).map_err(TreeError::io("copy", &path))?;
            }
            tidy_up(&path, Some(if exec { 0o755 } else { 0o644 }))?;
            seen.bytes = seen.bytes.saturating_add(meta.len());
            if seen.bytes > max {
                return Err(TreeError::TooBig(max));
            }
            seen.files.push((clean, meta.len(), exec));
        } else {
            return Err(hostile(&shown, "neither file, directory nor link"));
        }
    }
    Ok(())
}

/// The manifest of a settled tree. Blocks for as long as reading all of it takes.
///
/// # Errors
/// It cannot be read.
pub fn scan(tree: &Path) -> Result<Manifest, TreeError> {
    let mut seen = Seen::default();
    walk(tree, "", 0, u64::MAX, false, &mut seen)?;
    let next = AtomicUsize::new(0);
    let hash = || -> Result<Vec<FileEntry>, TreeError> {
        let mut mine = Vec::new();
        while let Some((path, size, exec)) = seen.files.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push(entry(tree, path, *size, *exec)?);
        }
        Ok(mine)
    };
    let mut files = Vec::with_capacity(seen.files.len());
    std::thread::scope(|scope| {
        let hashers: Vec<_> = (0..HASHERS).map(|_| scope.spawn(hash)).collect();
        for hasher in hashers {
            match hasher.join() {
                Ok(done) => files.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, TreeError>(())
    })?;
    Manifest::new(files).map_err(|e| TreeError::Shape(e.to_string()))
}

fn entry(tree: &Path, path: &CleanPath, size: u64, exec: bool) -> Result<FileEntry, TreeError> {
    let full = tree.join(path.as_str());
    let file = fs::File::open(&full).map_err(TreeError::io("open", &full))?;
    let described = describe(file).map_err(TreeError::io("read", &full))?;
    if described.size != size {
        return Err(TreeError::Shape(format!("{path} changed while it was read")));
    }
    Ok(described.entry(path.clone(), exec))
}

/// Makes the links that a tree's own list names. The files are there, as plain files in plain directories; a link is
/// made only where nothing is, and never on the way to anything else.
///
/// # Errors
/// The list is missing or hostile.
pub fn link(tree: &Path, manifest: &Manifest) -> Result<(), TreeError> {
    let path = tree.join(LINKS);
    let size = fs::symlink_metadata(&path).map_err(TreeError::io("look at", &path))?;
    if !size.is_file() || size.len() > MAX_LINKS_FILE {
        return Err(TreeError::Shape("its list of links is no plain file of a usual size".into()));
    }
    let text = fs::read(&path).map_err(TreeError::io("read", &path))?;
    let Links { links } = serde_json::from_slice(&text).map_err(|e| TreeError::Shape(e.to_string()))?;
    let files: HashSet<&str> = manifest.files().iter().map(|f| f.path.as_str()).collect();
    let places: HashSet<&str> = links.keys().map(CleanPath::as_str).collect();
    let ways = |path: &str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
    for file in &files {
        if ways(file).iter().any(|at| places.contains(&file[..*at])) {
            return Err(hostile(file, "behind a link"));
        }
    }
    for (path, target) in &links {
        let text = path.as_str();
        if files.contains(text)
            || ways(text).iter().any(|at| places.contains(&text[..*at]) || files.contains(&text[..*at]))
        {
            return Err(hostile(text, "in the way of something else"));
        }
        if !leads_well(path, target) {
            return Err(hostile(text, "a link out of it"));
        }
        let full = tree.join(text);
        if let Some(dir) = full.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(TreeError::io("make", dir))?;
        }
        symlink(target, &full).map_err(TreeError::io("link", &full))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CHUNK_BYTES;
    use proptest::prelude::*;

    fn path(text: &str) -> CleanPath {
        CleanPath::new(text).expect("clean")
    }

    #[test]
    fn links_stay_inside_or_name_python() {
        for (at, to) in [
            ("bin/python", "python3.11"),
            ("bin/python3.11", "/usr/bin/python3.11"),
            ("bin/python3", "/usr/local/bin/python3"),
            ("lib64", "lib"),
            ("a/b/c", "../../x"),
            ("a", "/env/bin/x"),
            ("a", "./b/../c"),
        ] {
            assert!(leads_well(&path(at), to), "{at} -> {to}");
        }
        for (at, to) in [
            ("a", ".."),
            ("a", "../x"),
            ("a/b", "../../x"),
            ("a/b", "x/../../../y"),
            ("a", "/etc/passwd"),
            ("a", "/usr/bin/bash"),
            ("a", "/usr/bin/python3/../bash"),
            ("a", "/usr/bin/python3.11-evil"),
            ("a", "/usr/bin/python3."),
            ("a", "/usr/bin/python"),
            ("a", "/env/../etc"),
            ("a", "/envy/x"),
            ("a", "/env"),
            ("a", ""),
            ("a", "x\ny"),
            ("a", "/"),
        ] {
            assert!(!leads_well(&path(at), to), "{at} -> {to}");
        }
    }

    fn sample(tree: &Path) {
        fs::create_dir_all(tree.join("bin")).expect("made");
        fs::create_dir_all(tree.join("lib/deep")).expect("made");
        fs::write(tree.join("bin/tool"), b"#!/env/bin/python\n").expect("written");
        fs::set_permissions(tree.join("bin/tool"), fs::Permissions::from_mode(0o4777)).expect("set");
        fs::write(tree.join("lib/deep/x.py"), vec![7; (CHUNK_BYTES + 5) as usize]).expect("written");
        symlink("/usr/bin/python3", tree.join("bin/python")).expect("linked");
        symlink("lib", tree.join("lib64")).expect("linked");
    }

    #[test]
    fn a_tree_travels_with_its_links_and_without_its_odd_bits() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        sample(&from);
        let bytes = settle(&from, 1 << 30).expect("settled");
        assert!(bytes > CHUNK_BYTES);
        let mode = fs::metadata(from.join("bin/tool")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "no set-uid bit stays");
        let manifest = scan(&from).expect("scanned");
        assert_eq!(manifest.files().len(), 3);
        for file in manifest.files() {
            let target = to.join(file.path.as_str());
            fs::create_dir_all(target.parent().expect("below")).expect("made");
            fs::copy(from.join(file.path.as_str()), target).expect("copied");
        }
        link(&to, &manifest).expect("linked");
        assert_eq!(fs::read_link(to.join("bin/python")).expect("a link"), Path::new("/usr/bin/python3"));
        assert_eq!(settle(&to, 1 << 30).expect("settled"), bytes);
        assert_eq!(scan(&to).expect("scanned").digest(), manifest.digest());
    }

    #[test]
    fn what_is_no_file_and_what_leads_out_is_refused() {
        type Spoil = (&'static str, fn(&Path));
        let spoil: [Spoil; 6] = [
            ("a link out of it", |t| symlink("/etc/passwd", t.join("x")).expect("linked")),
            ("a link out of it", |t| symlink("../../x", t.join("lib/x")).expect("linked")),
            ("neither", |t| nix::unistd::mkfifo(&t.join("x"), nix::sys::stat::Mode::S_IRWXU).expect("made")),
            ("neither", |t| drop(std::os::unix::net::UnixListener::bind(t.join("x")).expect("bound"))),
            ("badly named", |t| fs::write(t.join("a\nb"), b"").expect("written")),
            ("too deep", |t| fs::create_dir_all(t.join("d/".repeat(70))).expect("made")),
        ];
        for (why, spoil) in spoil {
            let dir = tempfile::tempdir().expect("tempdir");
            sample(dir.path());
            spoil(dir.path());
            let refused = settle(dir.path(), 1 << 30).expect_err(why).to_string();
            assert!(
                refused.contains(why) || (why == "too deep" && refused.contains("badly named")),
                "{why}: {refused}"
            );
        }
        let dir = tempfile::tempdir().expect("tempdir");
        sample(dir.path());
        assert!(matches!(settle(dir.path(), 1000), Err(TreeError::TooBig(1000))));
    }

    #[test]
    fn what_a_jail_put_in_our_place_is_not_followed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        for target in [&outside, &tree.join("lib")] {
            let _ = (fs::remove_dir_all(&tree), fs::remove_dir_all(&outside));
            sample(&tree);
            fs::create_dir(&outside).expect("made");
            fs::write(outside.join("links.json"), b"mine").expect("written");
            symlink(target, tree.join(OWN)).expect("linked");
            assert!(settle(&tree, 1 << 30).is_err() && write_own(&tree, LINKS, b"x").is_err());
            assert_eq!(fs::read(outside.join("links.json")).expect("untouched"), b"mine");
        }
        let _ = fs::remove_dir_all(&tree);
        sample(&tree);
        fs::create_dir(tree.join(OWN)).expect("made");
        symlink(outside.join("links.json"), tree.join(LINKS)).expect("linked");
        fs::hard_link(tree.join("lib/deep/x.py"), tree.join("lib/y.py")).expect("linked");
        settle(&tree, 1 << 30).expect("our place is taken back");
        assert_eq!(fs::read(outside.join("links.json")).expect("untouched"), b"mine");
        assert_eq!(fs::metadata(tree.join("lib/y.py")).expect("there").nlink(), 1);
    }

    #[test]
    fn hostile_lists_of_links_make_nothing_outside() {
        for list in [
            r#"{"links":{"x":"/etc/passwd"}}"#,
            r#"{"links":{"x":"../outside"}}"#,
            r#"{"links":{"../x":"y"}}"#,
            r#"{"links":{"/x":"y"}}"#,
            r#"{"links":{"bin":"lib"}}"#,
            r#"{"links":{"bin/tool":"other"}}"#,
            r#"{"links":{"bin/tool/x":"other"}}"#,
            r#"{"links":{"a":"lib","a/b":"c"}}"#,
            r#"{"links":{"x":"y"},"more":1}"#,
            r#"{"links":["x"]}"#,
            "",
        ] {
            let dir = tempfile::tempdir().expect("tempdir");
            let tree = dir.path().join("tree");
            fs::create_dir_all(tree.join("bin")).expect("made");
            fs::create_dir_all(tree.join(".homie")).expect("made");
            fs::write(tree.join("bin/tool"), b"x").expect("written");
            fs::write(tree.join(LINKS), list).expect("written");
            let manifest = scan(&tree).expect("scanned");
            assert!(link(&tree, &manifest).is_err(), "{list}");
            let around: Vec<_> = fs::read_dir(dir.path()).expect("listed").flatten().map(|e| e.file_name()).collect();
            assert_eq!(around, ["tree"], "{list}");
            assert_eq!(fs::read(tree.join("bin/tool")).expect("untouched"), b"x");
        }
    }

    proptest! {
        /// Resolved by hand, step by step, a good link never leaves the tree.
        #[test]
        fn a_good_relative_link_never_leaves(at in "[a-c](/[a-c]){0,3}", to in "(\\.\\.|\\.|[a-c])(/(\\.\\.|\\.|[a-c]|)){0,6}") {
            let at = path(&at);
            let mut place: Vec<&str> = at.components().collect();
            place.pop();
            let mut left = false;
            for step in to.split('/') {
                match step {
                    "" | "." => {}
                    ".." => left |= place.pop().is_none(),
                    name => place.push(name),
                }
            }
            prop_assert_eq!(leads_well(&at, &to), !left);
        }
    }
}
