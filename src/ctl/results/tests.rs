use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::ctl::fake::{FakeHomied, State, manifest_of, record};

const JOB: JobId = JobId([0xab; 16]);

fn homied(files: &[(&str, &str)]) -> FakeHomied {
    let mut results: Vec<_> = files.iter().map(|(p, t)| ((*p).to_owned(), t.as_bytes().to_vec())).collect();
    results.sort();
    let mut record = record(JOB);
    record.results = Some(manifest_of(&results).digest());
    FakeHomied::start(State { record: Some(record), results, ..State::default() })
}

async fn fetch(homied: &FakeHomied, dest: &Path, outputs: &[&str]) -> Result<Home, CtlError> {
    let ctx = homied.context();
    let record = homied.state().record.clone().expect("a job");
    let outputs: Vec<String> = outputs.iter().map(|o| (*o).to_owned()).collect();
    bring_home(&ctx, &record, dest, &outputs, &Progress::new(&ctx)).await
}

fn read(dir: &Path, path: &str) -> String {
    fs::read_to_string(dir.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).expect("dir").map(|e| e.expect("entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn results_come_home_and_homied_is_told() {
    let big = "x".repeat(3 << 20);
    let homied = homied(&[("model.pt", &big), ("out/deep/r s.json", "{}"), ("empty", ""), ("run.sh", "echo")]);
    let tmp = tempfile::tempdir().expect("tempdir");
    // A directory that does not exist yet is made.
    let dest = tmp.path().join("new/dest");
    let home = fetch(&homied, &dest, &[]).await.expect("home");
    assert_eq!(home.files, ["empty", "model.pt", "out/deep/r s.json", "run.sh"]);
    assert!(home.warnings.is_empty(), "{:?}", home.warnings);
    assert_eq!(
        (read(&dest, "model.pt"), read(&dest, "out/deep/r s.json"), read(&dest, "empty")),
        (big, "{}".into(), String::new())
    );
    let mode = |p: &str| fs::metadata(dest.join(p)).expect("there").permissions().mode() & 0o111;
    assert!(mode("run.sh") != 0 && mode("model.pt") == 0);
    assert_eq!(names(&dest), ["empty", "model.pt", "out", "run.sh"]);
    let state = homied.state();
    assert!(state.delivered_last);
    assert_eq!(state.delivered.len(), 4);
    assert!(
        state.delivered.iter().any(|p| Path::new(&p.path) == fs::canonicalize(&dest).expect("real").join("model.pt"))
    );
}

#[tokio::test]
async fn only_copies_of_ours_are_replaced() {
    let tmp = tempfile::tempdir().expect("tempdir");
    let dest = tmp.path();
    fs::write(dest.join("mine"), "user's").expect("write");
    fs::write(dest.join("d.csv"), "sent").expect("write");
    let homied = homied(&[("mine", "job's"), ("d.csv", "changed by the job"), ("ours", "1")]);
    let sent = SentFile { path: CleanPath::new("d.csv").expect("clean"), hash: Digest::of(b"sent") };
    homied.state().sent.push(sent);

    let home = fetch(&homied, dest, &[]).await.expect("home");
    assert_eq!(home.files, ["d.csv.homie-abababab", "mine.homie-abababab", "ours"]);
    assert_eq!(home.warnings.len(), 2, "{:?}", home.warnings);
    assert_eq!([read(dest, "mine"), read(dest, "d.csv"), read(dest, "ours")], ["user's", "sent", "1"]);
    assert_eq!(read(dest, "d.csv.homie-abababab"), "changed by the job");

    // The next run replaces what the first put there, but not once the user has changed it; --output may replace the
    // input as long as it is what was sent.
    let next = |text: &str| {
        let results: Vec<_> =
            [("d.csv", text), ("ours", text)].map(|(p, t)| (p.to_owned(), t.as_bytes().to_vec())).into();
        let mut state = homied.state();
        state.record.as_mut().expect("job").results = Some(manifest_of(&results).digest());
        state.results = results;
    };
    next("2");
    let home = fetch(&homied, dest, &["*.csv"]).await.expect("home");
    assert_eq!(home.files, ["d.csv", "ours"]);
    assert_eq!([read(dest, "ours"), read(dest, "d.csv")], ["2", "2"]);
    fs::write(dest.join("ours"), "edited").expect("write");
    next("3");
    let home = fetch(&homied, dest, &[]).await.expect("home");
    assert_eq!(home.files, ["d.csv.homie-abababab.2", "ours.homie-abababab"]);
    assert_eq!([read(dest, "ours"), read(dest, "d.csv")], ["edited", "2"]);
    // Asking again changes nothing.
    let home = fetch(&homied, dest, &[]).await.expect("home");
    assert_eq!(home.files, ["d.csv.homie-abababab.2", "ours.homie-abababab"]);
}

#[tokio::test]
async fn hidden_results_need_to_be_named() {
    let tmp = tempfile::tempdir().expect("tempdir");
    let homied = homied(&[(".bashrc", "evil"), ("a/.git/hooks/pre-commit", "evil"), (".cache/x", "1"), ("ok", "1")]);
    let home = fetch(&homied, tmp.path(), &[".cache"]).await.expect("home");
    assert_eq!(home.files, [".cache/x", "ok"]);
    assert_eq!(home.warnings.len(), 2, "{:?}", home.warnings);
    assert_eq!(names(tmp.path()), [".cache", "ok"]);
}

#[tokio::test]
async fn links_in_the_destination_are_not_walked_through() {
    let tmp = tempfile::tempdir().expect("tempdir");
    let (dest, outside) = (tmp.path().join("dest"), tmp.path().join("outside"));
    fs::create_dir_all(&outside).expect("mkdir");
    fs::create_dir_all(dest.join("dir")).expect("mkdir");
    symlink("../outside", dest.join("out")).expect("link");
    symlink("../outside/target", dest.join("file")).expect("link");
    let homied = homied(&[("out/r", "1"), ("file", "2"), ("dir", "3")]);
    let home = fetch(&homied, &dest, &[]).await.expect("home");
    assert_eq!(home.files, ["dir.homie-abababab", "file.homie-abababab", "out.homie-abababab/r"]);
    assert_eq!(home.warnings.len(), 3, "{:?}", home.warnings);
    assert!(names(&outside).is_empty());
}

#[tokio::test]
async fn a_staging_directory_that_is_not_ours_is_not_used() {
    let tmp = tempfile::tempdir().expect("tempdir");
    let (dest, outside): (PathBuf, PathBuf) = (tmp.path().join("dest"), tmp.path().join("outside"));
    fs::create_dir_all(&dest).expect("mkdir");
    fs::create_dir_all(&outside).expect("mkdir");
    symlink("../outside", dest.join(".homie-abababab.partial")).expect("link");
    let homied = homied(&[("r", "1")]);
    fetch(&homied, &dest, &[]).await.expect_err("refused");
    assert!(names(&outside).is_empty());
    assert!(!homied.state().delivered_last);

    // What a killed client left is taken over, and two clients do not work in one directory.
    fs::remove_file(dest.join(".homie-abababab.partial")).expect("rm");
    fs::create_dir_all(dest.join(".homie-abababab.partial/r/old")).expect("mkdir");
    let held = Staging::open(&dest, JOB).expect("taken over");
    assert!(fetch(&homied, &dest, &[]).await.expect_err("busy").to_string().contains("another homie"));
    drop(held);
    fetch(&homied, &dest, &[]).await.expect("home");
    assert_eq!(names(&dest), ["r"]);
}

#[tokio::test]
async fn a_broken_transfer_leaves_nothing_behind_and_the_results_wait() {
    let tmp = tempfile::tempdir().expect("tempdir");
    let homied = homied(&[("r", "1")]);
    homied.state().record.as_mut().expect("job").results = Some(Digest([9; 32]));
    let error = fetch(&homied, tmp.path(), &[]).await.expect_err("another list than announced");
    assert_eq!(error.kind(), "integrity");
    assert!(names(tmp.path()).is_empty());
    assert!(!homied.state().delivered_last);
}

#[test]
fn long_lists_are_told_in_pages_that_fit_a_frame() {
    let paths: Vec<String> = (0..10_000).map(|i| format!("/home/me/{i:0200}")).collect();
    let pages = pages(paths.clone(), String::len);
    assert!(pages.iter().all(|p| p.iter().map(String::len).sum::<usize>() <= PAGE_BYTES));
    assert_eq!(pages.concat(), paths);
    let long = vec!["x".repeat(PAGE_BYTES * 2)];
    assert_eq!(super::pages(long.clone(), String::len), [long]);
}
