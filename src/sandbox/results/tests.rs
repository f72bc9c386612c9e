use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::model::{CHUNK_BYTES, CleanPath, Digest};
use crate::transfer::{ChunkSource, chunks};

/// Later than any file: nothing counts as touched.
const LATER: i128 = i128::MAX;
/// Earlier than any file: everything counts as touched.
const BEFORE: i128 = 0;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("tempdir"))
    }
    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }
    fn put(&self, path: &str, bytes: &[u8]) -> &Self {
        fs::create_dir_all(self.at(path).parent().expect("has one")).expect("made");
        fs::write(self.at(path), bytes).expect("written");
        self
    }
    fn collect(&self, inputs: &Manifest, started: i128) -> Results {
        collect(self.0.path(), inputs, started, 1 << 30).expect("readable")
    }
}

fn names(results: &Results) -> Vec<&str> {
    results.manifest.files().iter().map(|f| f.path.as_str()).collect()
}

fn entry(path: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        path: CleanPath::new(path).expect("clean"),
        size: bytes.len() as u64,
        exec: false,
        hash: Digest::of(bytes),
        chunks: vec![],
        lengths: vec![],
    }
}

#[test]
fn new_and_changed_files_come_home_and_untouched_inputs_stay() {
    let tree = Tree::new();
    tree.put("in/same", b"same").put("in/changed", b"new!").put("rewritten", b"equal").put("out/ü", b"x");
    let inputs =
        Manifest::new(vec![entry("in/same", b"same"), entry("in/changed", b"old!"), entry("rewritten", b"equal")])
            .expect("valid");
    assert_eq!(names(&tree.collect(&inputs, BEFORE)), ["in/changed", "out/ü"]);
    // With every change time before the start nothing is read, so an equal size is taken for an equal file.
    assert_eq!(names(&tree.collect(&inputs, LATER)), ["out/ü"]);
    fs::set_permissions(tree.at("rewritten"), fs::Permissions::from_mode(0o755)).expect("chmod");
    assert_eq!(names(&tree.collect(&inputs, LATER)), ["out/ü", "rewritten"]);
}

#[test]
fn directories_that_changed_places_are_noticed() {
    let tree = Tree::new();
    tree.put("a/x", b"1111").put("b/x", b"2222").put("mark", b"");
    let inputs = Manifest::new(vec![entry("a/x", b"1111"), entry("b/x", b"2222"), entry("mark", b"")]).expect("valid");
    let started = change_time(&tree.at("mark")).expect("there");
    // Change times have the kernel's tick of some milliseconds: wait until one is over.
    while {
        tree.put("tick", b"");
        change_time(&tree.at("tick")).expect("there") <= started
    } {}
    fs::remove_file(tree.at("tick")).expect("removed");
    for (from, to) in [("a", "c"), ("b", "a"), ("c", "b")] {
        fs::rename(tree.at(from), tree.at(to)).expect("renamed");
    }
    assert_eq!(names(&tree.collect(&inputs, started + 1)), ["a/x", "b/x"]);
}

#[test]
fn nothing_but_plain_files_is_a_result() {
    let tree = Tree::new();
    tree.put("plain", b"1").put("one", b"2");
    symlink("/etc/shadow", tree.at("shadow")).expect("linked");
    symlink("/", tree.at("root")).expect("linked");
    symlink("plain", tree.at("inside")).expect("linked");
    let elsewhere = tempfile::tempdir_in(tree.0.path().parent().expect("has one")).expect("tempdir");
    fs::write(elsewhere.path().join("secret"), b"the host's").expect("written");
    fs::hard_link(elsewhere.path().join("secret"), tree.at("stolen")).expect("linked");
    fs::hard_link(elsewhere.path().join("secret"), tree.at("again")).expect("linked");
    nix::unistd::mkfifo(&tree.at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    let socket = std::os::unix::net::UnixListener::bind(tree.at("socket")).expect("bound");
    tree.put("bad\nname", b"3");
    use std::os::unix::ffi::OsStrExt;
    fs::write(tree.0.path().join(std::ffi::OsStr::from_bytes(b"\xff")), b"4").expect("written");

    let results = tree.collect(&Manifest::default(), BEFORE);
    assert_eq!(names(&results), ["one", "plain"]);
    let why = |name: &str| {
        let line = results.skipped.iter().find(|l| l.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {:?}", results.skipped)).clone()
    };
    assert!(why("shadow").ends_with("symbolic link"));
    assert!(why("root").ends_with("symbolic link"));
    assert!(why("inside").ends_with("symbolic link"));
    for name in ["stolen", "again"] {
        assert!(why(name).contains("hard link") && why(name).ends_with("(2 of 3 are here)"), "{}", why(name));
    }
    assert!(why("fifo").ends_with("named pipe"));
    assert!(why("socket").ends_with("socket"));
    assert!(why("bad\\x0aname").contains("control character"));
    assert!(why("\u{fffd}").contains("not UTF-8"));
    drop(socket);
}

#[tokio::test]
async fn a_file_whose_every_name_is_the_job_s_comes_home_under_each() {
    let tree = Tree::new();
    tree.put("one", b"1").put("in", b"input").put("d/x", b"2");
    fs::hard_link(tree.at("one"), tree.at("d/two")).expect("linked");
    fs::hard_link(tree.at("in"), tree.at("copy")).expect("linked");
    // One of its names cannot come home, the other can.
    fs::hard_link(tree.at("d/x"), tree.at("bad\nname")).expect("linked");
    let inputs = Manifest::new(vec![entry("in", b"input")]).expect("valid");
    let results = tree.collect(&inputs, BEFORE);
    assert_eq!(names(&results), ["copy", "d/two", "d/x", "one"]);
    assert_eq!(results.skipped.len(), 1, "{:?}", results.skipped);
    let beside = tempfile::tempdir().expect("tempdir");
    results.save(beside.path()).expect("saved");
    let results = Results::load(beside.path()).expect("read");
    let mut source = ResultsSource::new(tree.0.path().to_path_buf(), results.names.clone());
    for at in chunks(&results.manifest) {
        let bytes = source.read(&results.manifest, at).await.expect("readable");
        assert_eq!(Digest::of(&bytes), at.digest);
    }
    // A name more than were met: somebody else's hand.
    fs::hard_link(tree.at("one"), beside.path().join("three")).expect("linked");
    let mut source = ResultsSource::new(tree.0.path().to_path_buf(), results.names.clone());
    let one = chunks(&results.manifest).find(|at| results.manifest.files()[at.file].path.as_str() == "one");
    assert!(source.read(&results.manifest, one.expect("listed")).await.is_err());
    // Twice the bytes count twice.
    let small = collect(tree.0.path(), &Manifest::default(), BEFORE, 1).expect("readable");
    assert!(small.manifest.total_bytes() <= 1, "{small:?}");
}

#[test]
fn depth_and_size_have_an_end() {
    let tree = Tree::new();
    tree.put(&format!("{}deep", "d/".repeat(63)), b"just").put(&format!("{}too", "e/".repeat(64)), b"deep");
    let sparse = fs::File::create(tree.at("sparse")).expect("made");
    sparse.set_len(10 << 40).expect("sparse");
    let results = tree.collect(&Manifest::default(), BEFORE);
    assert_eq!(results.manifest.files().len(), 1);
    assert!(
        results.skipped.iter().any(|l| l.starts_with("e/") && l.contains("deeper than 64")),
        "{:?}",
        results.skipped
    );
    assert!(results.skipped.iter().any(|l| l.starts_with("sparse: 10.0 TB would exceed")), "{:?}", results.skipped);
}

#[test]
fn a_flood_of_links_is_summed_up() {
    let tree = Tree::new();
    for i in 0..1005 {
        symlink("x", tree.at(&format!("{i}{}", "\u{1}".repeat(100)))).expect("linked");
    }
    let results = tree.collect(&Manifest::default(), BEFORE);
    let listed = results.skipped.len() - 1;
    assert_eq!(results.skipped.last(), Some(&format!("and {} more", 1005 - listed)));
    // All of it travels in one frame with the rest of the job's state.
    let bytes = serde_json::to_vec(&results.skipped).expect("json").len();
    assert!(listed > 10 && bytes < crate::wire::frame::MAX_JSON / 2, "{listed} lines, {bytes} bytes");
}

#[tokio::test]
async fn results_are_saved_read_back_and_served_in_place() {
    let tree = Tree::new();
    let big: Vec<u8> = (0..2 * CHUNK_BYTES + 5).map(|i| (i % 241) as u8).collect();
    tree.put("d/big", &big).put("small", b"s").put("empty", b"");
    let results = tree.collect(&Manifest::default(), BEFORE);
    let beside = tempfile::tempdir().expect("tempdir");
    results.save(beside.path()).expect("saved");
    assert_eq!(Results::load(beside.path()).expect("read"), results);

    let mut source = ResultsSource::new(tree.0.path().to_path_buf(), HashMap::new());
    for at in chunks(&results.manifest) {
        let bytes = source.read(&results.manifest, at).await.expect("readable");
        assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (at.len, at.digest));
    }
    // A file that was exchanged for a link after the walk is not followed.
    fs::remove_file(tree.at("small")).expect("removed");
    symlink("/etc/hostname", tree.at("small")).expect("linked");
    let mut source = ResultsSource::new(tree.0.path().to_path_buf(), HashMap::new());
    let at = chunks(&results.manifest).find(|at| results.manifest.files()[at.file].path.as_str() == "small");
    assert!(source.read(&results.manifest, at.expect("listed")).await.is_err());
}
