use std::ffi::OsStr;
use std::os::unix::fs::symlink;

use super::*;

/// A directory with a few files: `work/` is where the user stands.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let root = fs::canonicalize(dir.path()).expect("real path");
    for (path, text) in [
        ("work/train.py", "import data"),
        ("work/d.csv", "1,2"),
        ("work/data/a b.csv", "1"),
        ("work/data/ü.csv", ""),
        ("work/data/deep/c.csv", "333"),
        ("work/data/.hidden", "h"),
        ("work/.git/config", "x"),
        ("work/node_modules/m.js", "x"),
        ("work/.gitignore", "*.log\nbuilt/\n"),
        ("work/.homieignore", "secret.txt\n"),
        ("work/x.log", "x"),
        ("work/built/x", "x"),
        ("work/secret.txt", "x"),
        ("other/lib.py", "x"),
        ("other/deep/x.py", "x"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }
    (dir, root)
}

fn picker(root: &Path) -> Picker {
    Picker::new(root.join("work"), Some(root.join("home")))
}

fn names(picker: &Picker) -> Vec<&str> {
    picker.files.keys().map(CleanPath::as_str).collect()
}

#[test]
fn paths_are_relative_to_the_present_directory_and_else_by_base_name() {
    let (_dir, root) = tree();
    let absolute = root.join("work/data/deep/c.csv");
    for (value, want) in [
        ("d.csv", "d.csv"),
        ("./data/../d.csv", "d.csv"),
        ("data/a b.csv", "data/a b.csv"),
        ("data/ü.csv", "data/ü.csv"),
        ("../other/lib.py", "lib.py"),
        (absolute.to_str().expect("UTF-8"), "data/deep/c.csv"),
    ] {
        let mut p = picker(&root);
        p.named(Path::new(value)).expect(value);
        assert_eq!(names(&p), [want], "{value}");
    }
}

#[test]
fn a_named_directory_is_sent_whole_and_a_project_without_what_it_ignores() {
    let (_dir, root) = tree();
    let mut p = picker(&root);
    p.named(Path::new("data")).expect("data");
    assert_eq!(names(&p), ["data/.hidden", "data/a b.csv", "data/deep/c.csv", "data/ü.csv"]);
    let mut p = picker(&root);
    p.named(Path::new("../other")).expect("other");
    assert_eq!(names(&p), ["other/deep/x.py", "other/lib.py"]);
    let mut p = picker(&root);
    p.named(Path::new("built")).expect("named although git ignores it");
    assert_eq!(names(&p), ["built/x"]);
    let mut p = picker(&root);
    p.project(Path::new(".")).expect("project");
    assert_eq!(
        names(&p),
        [
            ".gitignore",
            ".homieignore",
            "d.csv",
            "data/.hidden",
            "data/a b.csv",
            "data/deep/c.csv",
            "data/ü.csv",
            "train.py"
        ]
    );
}

#[test]
fn globs_match_as_a_shell_has_them() {
    let (_dir, root) = tree();
    for (glob, want) in [
        ("*.csv", &["d.csv"][..]),
        ("./*.csv", &["d.csv"]),
        ("data/*.csv", &["data/a b.csv", "data/ü.csv"]),
        ("data/**/*.csv", &["data/a b.csv", "data/deep/c.csv", "data/ü.csv"]),
        ("d*", &["d.csv", "data/.hidden", "data/a b.csv", "data/deep/c.csv", "data/ü.csv"]),
        ("data/.h*", &["data/.hidden"]),
    ] {
        let mut p = picker(&root);
        p.named(Path::new(glob)).expect(glob);
        assert_eq!(names(&p), want, "{glob}");
    }
    assert_eq!(picker(&root).named(Path::new("*.nothing")).expect_err("nothing").exit_code(), 2);
}

#[test]
fn no_link_leads_out() {
    let (_dir, root) = tree();
    let work = root.join("work");
    symlink("../../other/lib.py", work.join("data/out.py")).expect("link");
    symlink("a b.csv", work.join("data/in.csv")).expect("link");
    symlink("/etc", work.join("data/etc")).expect("link");
    symlink("nowhere", work.join("data/dead")).expect("link");
    let mut p = picker(&root);
    p.named(Path::new("data")).expect("data");
    assert!(names(&p).contains(&"data/in.csv"), "{p:?}");
    assert!(!names(&p).iter().any(|n| n.contains("out.py") || n.contains("etc") || n.contains("dead")), "{p:?}");
    assert_eq!(p.left.len(), 3, "{:?}", p.left);
    // Named by the user it is an error, also through a linked directory.
    for value in ["data/out.py", "data/etc/passwd"] {
        let error = picker(&root).named(Path::new(value)).expect_err(value);
        assert!(error.to_string().contains("leads to"), "{error}");
    }
}

#[test]
fn what_cannot_be_sent_is_one_clear_error() {
    let (_dir, root) = tree();
    let work = root.join("work");
    fs::write(work.join(OsStr::from_bytes(b"bad\xff.csv")), "x").expect("write");
    nix::unistd::mkfifo(&work.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    let message = |result: Result<(), CtlError>| {
        let error = result.expect_err("refused");
        assert!(matches!(error.exit_code(), 2 | 125));
        error.to_string() + error.hint().unwrap_or_default()
    };
    assert!(
        message(picker(&root).named(Path::new(OsStr::from_bytes(b"bad\xff.csv"))))
            .contains("bad\\xff.csv is not UTF-8")
    );
    assert!(message(picker(&root).project(Path::new("."))).contains("not UTF-8"));
    assert!(message(picker(&root).named(Path::new("pipe"))).contains("not a plain file"));
    assert!(message(picker(&root).named(Path::new("dd.csv"))).contains("did you mean d.csv?"));
    assert!(message(picker(&root).script(Path::new("trian.py")).map(drop)).contains("did you mean train.py?"));
    assert!(message(picker(&root).script(Path::new("data")).map(drop)).contains("is a directory"));
    assert!(message(picker(&root).project(Path::new("d.csv"))).contains("not a directory"));
}

#[test]
fn nobodys_home_is_sent_by_accident() {
    let (_dir, root) = tree();
    let home = |dir: &Path| Picker::new(root.join("work"), Some(root.join("work"))).project(dir).expect_err("refused");
    for dir in [Path::new("."), Path::new(".."), Path::new("/")] {
        assert!(home(dir).to_string().contains("home directory"), "{dir:?}");
    }
}

#[test]
fn one_name_is_one_file() {
    let (_dir, root) = tree();
    let mut p = picker(&root);
    for value in ["d.csv", "../work/d.csv", "../other/lib.py"] {
        p.named(Path::new(value)).expect("the same file twice is one file");
    }
    fs::write(root.join("lib.py"), "another").expect("write");
    assert!(p.named(Path::new("../lib.py")).expect_err("clash").to_string().contains("both be sent as lib.py"));
}
