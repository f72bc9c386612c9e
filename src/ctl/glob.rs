//! Globs as a shell has them: `*`, `?` and `[a-z]` stay within one directory, `**` does not, `{a,b}` is either.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::ctl::exit::CtlError;

/// A glob that was read.
#[derive(Debug, Clone)]
pub struct Glob(String);

impl Glob {
    /// Reads a glob; `./` in front of it means nothing.
    ///
    /// # Errors
    /// It is none: a bracket or brace that is never closed.
    pub fn new(text: &str) -> Result<Self, CtlError> {
        let clean = text.trim_start_matches("./");
        // In front, fast-glob would take a `!` for "anything but"; no shell does.
        let pattern = if clean.starts_with('!') { format!("\\{clean}") } else { clean.to_owned() };
        match fast_glob::validate(&pattern) {
            Ok(()) => Ok(Self(pattern)),
            Err(e) => Err(CtlError::usage(format!("{text} is no glob: {e}"))),
        }
    }

    /// Whether it matches the whole of `path`.
    pub fn matches(&self, path: impl AsRef<Path>) -> bool {
        fast_glob::glob_match(&self.0, path.as_ref().as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_glob_is_read_as_it_is_meant_or_refused() {
        for (glob, yes, no) in [
            ("*.csv", "d.csv", "a/d.csv"),
            ("./a/?.csv", "a/d.csv", "a/dd.csv"),
            ("**/*.csv", "a/b/d.csv", "a/b/d.txt"),
            ("a/**", "a/b/c", "b/c"),
            ("{a,b}/x[0-9]", "b/x7", "c/x7"),
            ("!x", "!x", "y"),
            ("a\\*", "a*", "ab"),
        ] {
            let read = Glob::new(glob).expect(glob);
            assert!(read.matches(yes) && !read.matches(no), "{glob}");
        }
        for glob in ["a[", "{a,b", "a\\"] {
            assert_eq!(Glob::new(glob).expect_err(glob).exit_code(), 2);
        }
    }

    /// What bash finds in `dir`, or `None` without bash.
    fn as_bash_has_it(dir: &Path, glob: &str) -> Option<Vec<String>> {
        let script = "shopt -s globstar nullglob; IFS=; for f in $1; do [ ! -e \"$f\" ] || printf '%s\\n' \"$f\"; done";
        let done = Command::new("bash")
            .args(["--norc", "-c", script, "bash", glob])
            .env("LC_ALL", "C")
            .current_dir(dir)
            .output()
            .ok()?;
        let mut found: Vec<String> = String::from_utf8(done.stdout).ok()?.lines().map(str::to_owned).collect();
        found.sort();
        found.dedup();
        Some(found)
    }

    /// One part of a glob. Two stars are one to bash within a part.
    fn part() -> impl Strategy<Value = String> {
        "([ab?*]|\\[ab\\]|\\[!a\\]|\\[a-b\\]){1,3}".prop_filter("two stars", |part| !part.contains("**"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bash_agrees(
            names in proptest::collection::vec("[ab]{1,3}(/[ab]{1,2}){0,2}", 1..12),
            mut parts in proptest::collection::vec(prop_oneof![2 => part(), 1 => Just("**".to_owned())], 0..3),
            last in part(),
        ) {
            // Last, `a/**` is also `a` itself to bash, and to us only what is in it.
            parts.push(last);
            let dir = tempfile::tempdir().expect("tempdir");
            for name in names {
                // A file may stand where a directory is wanted.
                let path = dir.path().join(name);
                let _ = path.parent().map(fs::create_dir_all).transpose().is_ok_and(|_| fs::write(&path, "").is_ok());
            }
            let text = parts.join("/");
            if let Some(want) = as_bash_has_it(dir.path(), &text) {
                let glob = Glob::new(&text).expect("a glob");
                let mut got = Vec::new();
                let mut open = vec![std::path::PathBuf::new()];
                while let Some(at) = open.pop() {
                    for entry in fs::read_dir(dir.path().join(&at)).expect("readable").flatten() {
                        let path = at.join(entry.file_name());
                        if glob.matches(&path) {
                            got.push(path.to_string_lossy().into_owned());
                        }
                        if entry.file_type().expect("a type").is_dir() {
                            open.push(path);
                        }
                    }
                }
                got.sort();
                prop_assert_eq!(got, want, "{}", text);
            }
        }
    }
}
