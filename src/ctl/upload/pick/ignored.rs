//! What the ignore files of a tree keep at home, as git has it: the pattern nearest to a file decides, within a file the
//! last, and what is in a directory that stays at home stays there too. `.homieignore` has the same syntax and outranks
//! every `.gitignore`, so that a job can be sent less, or more, than a repository keeps.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix_ignore::glob::pattern::Case;
use gix_ignore::search::{Ignore, pattern_matching_relative_path};

/// The patterns of one file.
type Patterns = gix_ignore::glob::search::pattern::List<Ignore>;

/// The project's own list of what stays at home, in .gitignore's syntax.
pub(super) const IGNORE_FILE: &str = ".homieignore";

/// What one directory says about everything below it.
#[derive(Debug, Default)]
struct Level {
    homie: Option<Patterns>,
    /// `.git/info/exclude`, then `.gitignore`: the later outranks the earlier.
    git: Vec<Patterns>,
    /// A repository begins here: what `.gitignore` files above say does not reach into it.
    repository: bool,
}

/// The ignore files from the top of the file system down to where a walk is now.
#[derive(Debug)]
pub(super) struct Ignored {
    git: bool,
    /// Levels above the tree that is walked.
    above: usize,
    levels: Vec<Level>,
}

impl Ignored {
    /// The rules for the tree at `root`, an absolute path, before a step into it. With `git` and from above the tree
    /// the files of git and of the directories above count; without it only `.homieignore` files inside do.
    ///
    /// # Errors
    /// An ignore file cannot be read.
    pub(super) fn above(root: &Path, git: bool) -> io::Result<Self> {
        let mut ignored = Self { git, above: 0, levels: Vec::new() };
        if git {
            let mut above: Vec<&Path> = root.ancestors().skip(1).collect();
            above.reverse();
            for dir in above {
                ignored.levels.push(level(dir, true)?);
            }
        }
        ignored.above = ignored.levels.len();
        Ok(ignored)
    }

    /// Steps into `dir`, which lies `depth` directories below the root (0 is the root itself), out of wherever the walk
    /// was before.
    ///
    /// # Errors
    /// An ignore file cannot be read.
    pub(super) fn enter(&mut self, dir: &Path, depth: usize) -> io::Result<()> {
        self.levels.truncate(self.above + depth);
        self.levels.push(level(dir, self.git)?);
        Ok(())
    }

    /// Whether `path`, which lies `depth` below the root, stays at home. The walk must have entered the directory it is
    /// in.
    pub(super) fn holds(&self, path: &Path, depth: usize, is_dir: bool) -> bool {
        let levels = &self.levels[..self.levels.len().min(self.above + depth)];
        // Most trees have none.
        if levels.iter().all(|level| level.homie.is_none() && level.git.is_empty()) {
            return false;
        }
        let name = path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        let base = name.iter().rposition(|b| *b == b'/').map(|at| at + 1);
        // Some(true): stays; Some(false): a `!pattern` lets it go; None: nothing said.
        let says = |list: &Patterns| {
            let found = pattern_matching_relative_path(list, name.into(), base, Some(is_dir), Case::Sensitive);
            found.map(|found| !found.pattern.is_negative())
        };
        if let Some(stays) = levels.iter().rev().find_map(|level| level.homie.as_ref().and_then(says)) {
            return stays;
        }
        for level in levels.iter().rev() {
            if let Some(stays) = level.git.iter().rev().find_map(says) {
                return stays;
            }
            if level.repository {
                break;
            }
        }
        false
    }
}

fn level(dir: &Path, git: bool) -> io::Result<Level> {
    let mut level = Level { homie: patterns(&dir.join(IGNORE_FILE), dir)?, ..Level::default() };
    if git {
        let dot_git = dir.join(".git");
        level.repository = dot_git.exists();
        if level.repository {
            level.git.extend(patterns(&git_dir(&dot_git).join("info/exclude"), dir)?);
        }
        // Git itself follows no link here, so that a repository cannot make it read other files.
        let file = dir.join(".gitignore");
        if !file.is_symlink() {
            level.git.extend(patterns(&file, dir)?);
        }
    }
    Ok(level)
}

/// Where a repository keeps `info/exclude`: a work tree of its own has a file in the place of `.git`, which names its
/// directory, which names the common one (gitrepository-layout(5)).
fn git_dir(dot_git: &Path) -> PathBuf {
    let line = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned());
    let from = dot_git.parent().unwrap_or(dot_git);
    let named = line(dot_git).and_then(|text| text.strip_prefix("gitdir: ").map(|dir| from.join(dir)));
    let own = named.unwrap_or_else(|| dot_git.to_owned());
    line(&own.join("commondir")).map_or_else(|| own.clone(), |common| own.join(common))
}

/// The patterns in `file` for what is below `dir`; none if there is no such plain file.
///
/// # Errors
/// It is there and cannot be read. To send what it may keep at home would be worse than to stop.
fn patterns(file: &Path, dir: &Path) -> io::Result<Option<Patterns>> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", super::shown(file)));
    match fs::metadata(file) {
        Ok(meta) if meta.is_file() => {}
        // A directory or a pipe of that name holds no patterns.
        Ok(_) => return Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(named(e)),
    }
    let text = fs::read(file).map_err(named)?;
    // The patterns of a list hold below the parent of its source, and paths are counted from the top.
    Patterns::from_bytes(&text, dir.join(".gitignore"), Some(Path::new("/")), Ignore::default())
        .map(Some)
        .map_err(named)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::ffi::OsStringExt as _;
    use std::process::Command;

    use super::super::Picker;
    use super::*;
    use proptest::prelude::*;

    /// A directory with these files.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = fs::canonicalize(dir.path()).expect("real path");
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        }
        (dir, root)
    }

    /// What `--dir=dir` sends, less the ignore files themselves.
    fn sent(dir: &Path) -> Vec<String> {
        let mut picker = Picker::new(dir.to_owned(), None);
        picker.project(Path::new(".")).expect("readable");
        picker.files.keys().map(|name| name.as_str().to_owned()).filter(|name| !name.ends_with("ignore")).collect()
    }

    #[test]
    fn the_nearest_file_decides_and_homies_own_list_outranks_gits() {
        let (_dir, root) = tree(&[
            (".gitignore", "*.log\n/only-here\nout/\n!keep.log\n# a comment\nspaces\\ \n"),
            (".homieignore", "big/\n!model.log\n"),
            ("a.log", ""),
            ("keep.log", ""),
            ("model.log", ""),
            ("only-here", ""),
            ("sub/only-here", ""),
            ("sub/.gitignore", "!b.log\n"),
            ("sub/b.log", ""),
            ("sub/.homieignore", "secret\n"),
            ("sub/secret", ""),
            ("secret", ""),
            ("spaces ", ""),
            // Nothing in a directory that stays at home can be taken out of it again.
            ("out/.gitignore", "!*\n"),
            ("out/x", ""),
            ("big/x", ""),
        ]);
        assert_eq!(sent(&root), ["keep.log", "model.log", "secret", "sub/b.log", "sub/only-here"]);
    }

    #[test]
    fn files_above_count_up_to_the_repository_and_its_own_list_too() {
        let (_dir, root) = tree(&[
            (".gitignore", "*.txt\n"),
            (".homieignore", "*.bin\n"),
            ("repo/.git/HEAD", ""),
            ("repo/.git/info/exclude", "*.tmp\n/part/deep\n"),
            ("repo/.gitignore", "/part/*.csv\n"),
            ("repo/part/a.txt", ""),
            ("repo/part/a.tmp", ""),
            ("repo/part/a.csv", ""),
            ("repo/part/a.bin", ""),
            ("repo/part/deep/x", ""),
            ("repo/part/sub/a.csv", ""),
            ("plain/a.txt", ""),
            ("plain/a.csv", ""),
            // A repository inside another has its own rules.
            ("repo/part/other/.git/HEAD", ""),
            ("repo/part/other/a.tmp", ""),
            // A work tree of its own: `.git` is a file.
            ("linked/.git", "gitdir: ../repo/.git/worktrees/linked\n"),
            ("repo/.git/worktrees/linked/commondir", "../..\n"),
            ("linked/a.tmp", ""),
            ("linked/a.txt", ""),
        ]);
        assert_eq!(sent(&root.join("repo/part")), ["a.txt", "other/a.tmp", "sub/a.csv"]);
        assert_eq!(sent(&root.join("plain")), ["a.csv"]);
        assert_eq!(sent(&root.join("linked")), ["a.txt"]);
    }

    #[test]
    fn what_is_no_list_is_passed_over_and_what_cannot_be_read_stops() {
        let (_dir, root) = tree(&[(".gitignore/x", ""), ("a", ""), ("sub/b", "")]);
        nix::unistd::mkfifo(&root.join("sub/.homieignore"), nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        let mut picker = Picker::new(root.clone(), None);
        picker.project(Path::new(".")).expect("no list");
        assert_eq!(picker.files.keys().map(|k| k.as_str()).collect::<Vec<_>>(), [".gitignore/x", "a", "sub/b"]);
        fs::remove_file(root.join("sub/.homieignore")).expect("rm");
        std::os::unix::fs::symlink(".homieignore", root.join("sub/.homieignore")).expect("a link to itself");
        let error = Picker::new(root, None).project(Path::new(".")).expect_err("unreadable").to_string();
        assert!(error.contains("sub/.homieignore"), "{error}");
    }

    /// What git would add in the repository at `root`, or `None` where there is no git.
    fn as_git_has_it(root: &Path) -> Option<Vec<String>> {
        let git = |args: &[&str]| {
            let done = Command::new("git")
                .args(["-c", "core.excludesFile=/dev/null"])
                .args(args)
                .current_dir(root)
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("HOME", root)
                .output()
                .ok()?;
            done.status.success().then_some(done.stdout)
        };
        git(&["init", "-q"])?;
        let listed = git(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let mut names: Vec<String> = listed
            .split(|b| *b == 0)
            .filter(|name| !name.is_empty())
            .map(|name| std::ffi::OsString::from_vec(name.to_owned()).into_string().expect("UTF-8"))
            .filter(|name| !name.ends_with("ignore"))
            .collect();
        names.sort();
        Some(names)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn git_agrees(
            names in proptest::collection::btree_set("([ab]{1,2}/){0,3}[abc]{1,2}(\\.x)?", 1..24),
            lists in proptest::collection::btree_map(
                "([ab]{1,2}/){0,2}",
                proptest::collection::vec("!?/?(([ab]{1,2}|\\*|\\*\\*|[ab?*]{2}|\\[ab\\]|\\[!a\\])/){0,2}([abc*?]{1,3}|\\*\\.x|\\\\[a#!]|\\*\\*)/?[ ]?", 1..5),
                1..4,
            ),
        ) {
            // After a plain beginning git takes `**` for the beginning of a pattern, which its manual does not say: with
            // `b**` it passes over `b` and matches the rest, slashes too.
            let glued = |line: &String| {
                line.match_indices("**").any(|(at, _)| line[..at].ends_with(|before| !"/!*".contains(before)))
            };
            let plain = |lines: Vec<String>| lines.into_iter().filter(|line| !glued(line)).collect::<Vec<_>>().join("\n");
            let mut files: BTreeMap<String, String> = names.into_iter().map(|name| (name, String::new())).collect();
            files.extend(lists.into_iter().map(|(dir, lines)| (format!("{dir}.gitignore"), plain(lines))));
            let dir = tempfile::tempdir().expect("tempdir");
            let root = fs::canonicalize(dir.path()).expect("real path");
            for (name, text) in &files {
                let path = root.join(name);
                // A file may stand where a directory is wanted.
                let _ = path.parent().map(fs::create_dir_all).transpose().is_ok_and(|_| fs::write(&path, text).is_ok());
            }
            if let Some(want) = as_git_has_it(&root) {
                prop_assert_eq!(sent(&root), want, "{:?}", files);
            }
        }
    }
}
