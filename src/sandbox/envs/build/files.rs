//! The files that pip chose: what they are, by name and by hash, and a cache of them.
//!
//! Nothing the jail says about a file is believed: names are parsed and hashes made here. The cache is kept by hash, so a
//! build can add to it only what it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

use crate::model::LockedPackage;

/// What the cache may take: a few large environments; the rest is fetched again.
const CACHE_BYTES: u64 = 4 << 30;
/// Files of one environment; more is no environment.
const MAX_FILES: usize = 10_000;

/// A file in a directory of pip's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Where.
    pub(super) path: PathBuf,
    /// What.
    pub(super) package: LockedPackage,
}

/// Everything in `dir`, hashed.
///
/// # Errors
/// It cannot be read, or holds what pip does not put there.
pub(super) fn fetched(dir: &Path) -> io::Result<Vec<Fetched>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let (package, version, source) =
            parse(&name).ok_or_else(|| io::Error::other(format!("{name:?} is no package file")))?;
        let sha256 = sha256(&mut open(&path)?, None)?;
        all.push(Fetched { path, package: LockedPackage { name: package, version, sha256, source } });
        if all.len() > MAX_FILES {
            return Err(io::Error::other("there are more than 10000 files"));
        }
    }
    all.sort_by(|a, b| a.package.cmp(&b.package));
    Ok(all)
}

/// A plain file; a link or device that the jail left is not opened.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no plain file")) }
}

/// The SHA-256 of what `from` gives, in hex; what was read goes on into `into`, if that is wanted.
pub(super) fn sha256(from: &mut dyn Read, mut into: Option<&mut File>) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = from.read(&mut piece)?;
        if n == 0 {
            return Ok(HEXLOWER.encode(context.finish().as_ref()));
        }
        context.update(&piece[..n]);
        if let Some(into) = into.as_deref_mut() {
            io::Write::write_all(into, &piece[..n])?;
        }
    }
}

/// (normalised name, version, whether it is source code) of a file as indexes name them: wheels by the binary
/// distribution format, sources as `name-version.tar.gz` or `.zip`.
fn parse(file: &str) -> Option<(String, String, bool)> {
    let (name, version, source) = if let Some(stem) = file.strip_suffix(".whl") {
        let mut parts = stem.split('-');
        (parts.next()?, parts.next()?, false)
    } else {
        let stem = [".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().find_map(|e| file.strip_suffix(e))?;
        let (name, version) = stem.rsplit_once('-')?;
        (name, version, true)
    };
    let plain = |text: &str, more: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
            && !text.starts_with(['-', '.'])
    };
    if !plain(name, "-_.") || !plain(version, ".!+_") {
        return None;
    }
    // PEP 503: runs of these are one hyphen.
    let mut normal = String::new();
    for c in name.to_ascii_lowercase().chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c),
        }
    }
    Some((normal, version.replace('_', "+"), source))
}

/// What pip installs from, with hashes.
pub(super) fn lock_lines(packages: &[LockedPackage]) -> String {
    packages.iter().map(|p| format!("{}=={} --hash=sha256:{}\n", p.name, p.version, p.sha256)).collect()
}

/// Moves files into the cache and lets go of the oldest. What fails costs a download later.
pub(super) fn keep(cache: &Path, files: &[Fetched]) {
    for file in files {
        let dir = cache.join(&file.package.sha256);
        if dir.exists() {
            continue;
        }
        let Some(name) = file.path.file_name() else { continue };
        let _ =
            copy_checked(&file.path, &cache.join(format!("{}.new", file.package.sha256)), name, &file.package.sha256)
                .and_then(|made| fs::rename(made, &dir));
    }
    prune(cache, CACHE_BYTES);
}

fn copy_checked(from: &Path, dir: &Path, name: &std::ffi::OsStr, wanted: &str) -> io::Result<PathBuf> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o644).open(dir.join(name))?;
    let found = sha256(&mut open(from)?, Some(&mut to))?;
    if found == wanted {
        return Ok(dir.to_path_buf());
    }
    let _ = fs::remove_dir_all(dir);
    Err(io::Error::other("it is not what its hash says"))
}

/// Copies what the cache has of `packages` into `into`; true when that is all of them.
pub(super) fn serve(cache: &Path, packages: &[LockedPackage], into: &Path) -> bool {
    let copy = |package: &LockedPackage| -> Option<()> {
        let dir = cache.join(&package.sha256);
        let entry = fs::read_dir(&dir).ok()?.next()?.ok()?;
        let to = into.join(entry.file_name());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&to).ok()?;
        let found = sha256(&mut open(&entry.path()).ok()?, Some(&mut file)).ok()?;
        if found != package.sha256 {
            let _ = (fs::remove_file(&to), fs::remove_dir_all(&dir));
            return None;
        }
        // Used again: among the last to go.
        let _ = File::open(&dir).and_then(|d| d.set_modified(SystemTime::now()));
        Some(())
    };
    // Every one that is there is copied, also after the first that is not.
    packages.iter().filter_map(copy).count() == packages.len()
}

/// Removes the longest unused until the rest fits.
fn prune(cache: &Path, most: u64) {
    let mut all: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let bytes =
            fs::read_dir(entry.path()).into_iter().flatten().flatten().filter_map(|f| Some(f.metadata().ok()?.len()));
        let when = entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        all.push((when, bytes.sum(), entry.path()));
    }
    let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
    all.sort();
    for (_, bytes, path) in all {
        if total <= most {
            return;
        }
        if fs::remove_dir_all(&path).is_ok() {
            total -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_understood() {
        for (file, want) in [
            (
                "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
                Some(("scikit-learn", "1.9.1", false)),
            ),
            ("Zope.Interface-6.0-1-py3-none-any.whl", Some(("zope-interface", "6.0", false))),
            ("torch-2.1.0+cpu-cp311-cp311-linux_x86_64.whl", Some(("torch", "2.1.0+cpu", false))),
            ("python-dateutil-2.9.0.post0.tar.gz", Some(("python-dateutil", "2.9.0.post0", true))),
            ("x-1!2.0.zip", Some(("x", "1!2.0", true))),
            ("x.txt", None),
            ("-1.0-py3-none-any.whl", None),
            ("x-1.0 --index-url=http:evil-py3.whl", None),
            ("x-1\n-py3-none-any.whl", None),
        ] {
            let want = want.map(|(n, v, s)| (n.to_owned(), v.to_owned(), s));
            assert_eq!(parse(file), want, "{file}");
        }
    }

    #[test]
    fn the_cache_gives_back_only_what_it_was_given() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (from, cache, to) = (dir.path().join("from"), dir.path().join("cache"), dir.path().join("to"));
        for d in [&from, &cache, &to] {
            fs::create_dir(d).expect("made");
        }
        fs::write(from.join("six-1.0-py3-none-any.whl"), b"six").expect("written");
        let files = fetched(&from).expect("read");
        // SHA-256 of "six", by sha256sum.
        assert_eq!(files[0].package.sha256, "44778d82365e4af681c40d5f0eef5cf6f5899d3f0ac335050a7ed6779cf3f674");
        keep(&cache, &files);
        let packages: Vec<_> = files.iter().map(|f| f.package.clone()).collect();
        assert!(serve(&cache, &packages, &to));
        assert_eq!(fs::read(to.join("six-1.0-py3-none-any.whl")).expect("read"), b"six");
        // Rotten on disk: noticed, dropped, and said not to be there.
        fs::write(cache.join(&packages[0].sha256).join("six-1.0-py3-none-any.whl"), b"sax").expect("written");
        fs::remove_file(to.join("six-1.0-py3-none-any.whl")).expect("removed");
        assert!(!serve(&cache, &packages, &to));
        assert!(!to.join("six-1.0-py3-none-any.whl").exists() && !cache.join(&packages[0].sha256).exists());
    }

    #[test]
    fn a_link_is_no_package() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("six-1.0-py3-none-any.whl")).expect("linked");
        assert!(fetched(dir.path()).is_err());
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().expect("tempdir");
        for (n, age) in [("a", 30), ("b", 10), ("c", 20)] {
            let d = dir.path().join(n);
            fs::create_dir(&d).expect("made");
            fs::write(d.join("x"), [0; 100]).expect("written");
            let when = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(&d).expect("open").set_modified(when).expect("set");
        }
        prune(dir.path(), 150);
        assert!(dir.path().join("b").exists() && !dir.path().join("a").exists() && !dir.path().join("c").exists());
    }
}
