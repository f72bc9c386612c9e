use std::fs;

use super::*;
use crate::ctl::sample::run_args;

fn dir_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("tempdir");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }
    dir
}

fn paths(selection: &Selection) -> Vec<&str> {
    selection.files.keys().map(CleanPath::as_str).collect()
}

#[test]
fn a_job_is_its_script_its_arguments_and_its_files() {
    let dir = dir_with(&[("train.py", b"x"), ("d.csv", b"1,2"), ("sub/e.csv", b""), ("tool", b"\x7fELFxx")]);
    let run = |line: &[&str]| select(&run_args(line), dir.path(), None).expect("collected");

    let inputs = run(&["-f", "d.csv", "-f", "sub", "train.py", "--epochs", "10", "--peer", "bob", "--", "--gpu"]);
    assert_eq!(inputs.command, ["python3", "train.py", "--epochs", "10", "--gpu"]);
    assert_eq!(paths(&inputs), ["d.csv", "sub/e.csv", "train.py"]);
    assert_eq!(inputs.name, "train.py");
    assert_eq!(inputs.totals(), Totals { files: 3, bytes: 4 });

    let inputs = run(&["-c", "print(1)", "a", "b"]);
    assert_eq!(inputs.command, ["python3", "-c", "print(1)", "a", "b"]);
    assert!(inputs.files.is_empty());

    // A program that lost its mode on the way is still started as one.
    let inputs = run(&["tool"]);
    assert_eq!(inputs.command, ["./tool"]);
    assert!(inputs.read(None, dir.path()).expect("read").manifest.files()[0].exec);

    // A script of another directory is sent by its base name.
    let other = dir_with(&[("far/away.sh", b"echo")]);
    let script = other.path().join("far/away.sh");
    let inputs = run(&[script.to_str().expect("UTF-8"), "x"]);
    assert_eq!(inputs.command, ["sh", "away.sh", "x"]);
    assert_eq!(paths(&inputs), ["away.sh"]);
}

#[test]
fn without_a_script_the_error_says_what_to_type() {
    let dir = dir_with(&[]);
    assert_eq!(select(&run_args(&[]), dir.path(), None).expect_err("no script").exit_code(), 2);
    let long = "x".repeat(MAX_CODE + 1);
    assert_eq!(select(&run_args(&["-c", &long]), dir.path(), None).expect_err("too long").exit_code(), 2);
}

#[test]
fn only_a_large_send_is_shown_and_its_largest_files_come_first() {
    let selection = |sizes: &[(&str, u64)]| Selection {
        name: String::new(),
        command: Vec::new(),
        left: Vec::new(),
        files: sizes
            .iter()
            .map(|(name, size)| {
                let picked = Picked { origin: Origin::Memory(Bytes::new()), size: *size, exec: false, stamp: None };
                (CleanPath::new(*name).expect("clean"), picked)
            })
            .collect(),
    };
    assert_eq!(selection(&[("a", 99 << 20)]).preview(), None);
    let names = ["a", "b", "c", "d", "e", "f"];
    let sizes: Vec<_> = names.iter().zip(1u64..).map(|(n, i)| (*n, i * (20 << 20))).collect();
    let text = selection(&sizes).preview().expect("large");
    assert!(text.starts_with("420.0 MB in 6 file(s); the largest:\n    120.0 MB  f\n    100.0 MB  e\n"), "{text}");
    assert_eq!(text.lines().count(), 6);
}

#[test]
fn ten_thousand_files_are_found_and_read() {
    let dir = dir_with(&[("train.py", b"x")]);
    for d in 0..100 {
        let sub = dir.path().join(format!("data/{d}"));
        fs::create_dir_all(&sub).expect("mkdir");
        (0..100).for_each(|f| fs::write(sub.join(format!("{f}.txt")), format!("{d} {f}")).expect("write"));
    }
    let selection = select(&run_args(&["-f", "data", "train.py"]), dir.path(), None).expect("selected");
    assert_eq!(selection.totals().files, 10_001);
    let inputs = selection.read(None, dir.path()).expect("read");
    let entry = inputs.manifest.get(&CleanPath::new("data/42/7.txt").expect("clean")).expect("listed");
    assert_eq!(entry.hash, Digest::of(b"42 7"));
}
