//! What is sent, what comes home, and what is never overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::world::World;

/// Every plain file under `dir`: relative path and content.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).expect("a directory").flatten() {
            if entry.file_type().expect("a type").is_dir() {
                todo.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).expect("inside").to_string_lossy().into_owned();
                found.insert(name, fs::read(entry.path()).expect("a file"));
            }
        }
    }
    found
}

/// Bytes that no compressor shortens and no two of which repeat soon.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64: plain, and the same everywhere.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn files_with_difficult_names_and_sizes_travel_both_ways_byte_for_byte() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let mut sent = BTreeMap::new();
    for (at, name) in [
        "plain.bin",
        "with space.txt",
        "naïve-文件-🏠.txt",
        "it's \"quoted\".txt",
        "-dash",
        "a/b/c/deep.bin",
        "semi;colon$HOME`x`.txt",
        "back\\slash.txt",
        "star*?.txt",
    ]
    .iter()
    .enumerate()
    {
        // Around the border of a chunk (1 MiB), and nothing at all.
        let len = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000, 17, 4096, 65_537][at];
        let bytes = noise(len, at as u64 + 1);
        alice.write(&format!("in/{name}"), &bytes);
        sent.insert((*name).to_owned(), bytes);
    }
    alice.run_text(&["--peer", "bob", "-f", "in"], "cp -r in out && echo copied").code(0).says("[bob] copied");
    let home = tree(&alice.home.join("out"));
    assert_eq!(home.keys().collect::<Vec<_>>(), sent.keys().collect::<Vec<_>>());
    for (name, bytes) in &sent {
        assert!(home[name] == *bytes, "{name} came home changed");
    }
}

#[test]
fn the_executable_bit_travels_and_a_binary_runs() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    fs::copy("/bin/echo", alice.home.join("say")).expect("a program");
    alice.homie(&["run", "--peer", "bob", "say", "binary says hello"]).code(0).says("[bob] binary says hello");
    alice.run_text(&["--peer", "bob"], "printf '#!/bin/sh\\n' > made.sh; chmod +x made.sh; echo > made.txt").code(0);
    let mode = |name: &str| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(alice.home.join(name)).expect("came home").permissions())
    };
    assert_eq!((mode("made.sh") & 0o100, mode("made.txt") & 0o111), (0o100, 0));
}

#[test]
fn two_gigabytes_travel_both_ways() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let len: u64 = 2 << 30;
    // A sparse file with something at its ends and its middle: the length and the places are what is asked here, and
    // the test shall not need 6 GB of disk.
    let path = alice.write("big.bin", b"first");
    let mut file = fs::File::options().write(true).read(true).open(&path).expect("own file");
    file.set_len(len).expect("room");
    for (at, mark) in [(len / 2 - 3, b"middle"), (len - 6, b"at end")] {
        file.seek(SeekFrom::Start(at)).expect("inside");
        file.write_all(mark).expect("room");
    }
    let script = "stat -c %s big.bin; tail -c 6 big.bin; echo; mv big.bin moved.bin";
    let run = alice.start_text(&["--peer", "bob", "--yes", "-f", "big.bin"], script);
    run.finish_within(super::process::PATIENCE * 4).code(0).says(&format!("[bob] {len}")).says("[bob] at end");
    let mut home = fs::File::open(alice.home.join("moved.bin")).expect("came home");
    assert_eq!(home.metadata().expect("open").len(), len);
    let mut read = |at: u64, wanted: &[u8]| {
        let mut bytes = vec![0; wanted.len()];
        home.seek(SeekFrom::Start(at)).expect("inside");
        home.read_exact(&mut bytes).expect("inside");
        assert_eq!(bytes, wanted, "at {at}");
    };
    read(0, b"first\0");
    read(len / 2 - 3, b"middle");
    read(len - 6, b"at end");
    read(len / 4, &[0; 4096]);
}

#[test]
fn ten_thousand_files_travel_both_ways() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    for i in 0..10_000 {
        alice.write(&format!("many/{}/{i}.txt", i % 100), format!("file {i}\n"));
    }
    let script = "find many -type f | wc -l; cp -r many copy; rm copy/0/0.txt";
    alice.run_text(&["--peer", "bob", "--yes", "-f", "many"], script).code(0).says("[bob] 10000");
    let home = tree(&alice.home.join("copy"));
    assert_eq!(home.len(), 9_999);
    assert!(home.iter().all(|(name, bytes)| {
        let number = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".txt");
        bytes == format!("file {number}\n").as_bytes()
    }));
}

#[test]
fn inputs_are_never_replaced_unless_named_and_strangers_files_never() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.write("data.txt", "original\n");
    alice.write("mine.txt", "written by hand\n");
    let script = "echo changed > data.txt; echo theirs > mine.txt; echo new > new.txt; mkdir .cache; echo x > .cache/x; echo y > .hidden";
    let done = alice.run_text(&["--peer", "bob", "-f", "data.txt"], script).code(0).says("mine.txt");
    assert_eq!(alice.read("data.txt"), b"original\n");
    assert_eq!(alice.read("mine.txt"), b"written by hand\n");
    assert_eq!(alice.read("new.txt"), b"new\n");
    // The client has a directory of its own in there.
    assert!(!alice.home.join(".hidden").exists() && !alice.home.join(".cache/x").exists());
    let beside: Vec<String> =
        tree(&alice.home).into_keys().filter(|name| name.starts_with("mine.txt.homie-")).collect();
    assert_eq!(beside.len(), 1, "{beside:?}\n{}", done.err());
    assert_eq!(alice.read(&beside[0]), b"theirs\n");

    // What an earlier job put there may be replaced by the next; a named input too.
    alice.run_text(&["--peer", "bob"], "echo newer > new.txt").code(0);
    assert_eq!(alice.read("new.txt"), b"newer\n");
    alice.run_text(&["--peer", "bob", "-f", "data.txt", "--output", "data.txt"], "echo changed > data.txt").code(0);
    assert_eq!(alice.read("data.txt"), b"changed\n");
}

#[test]
fn links_pipes_and_sockets_of_a_job_stay_where_they_are() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let script = "ln -s /etc/passwd link.txt; ln -s / root; mkfifo pipe; echo fine > fine.txt; ln fine.txt hard.txt";
    alice.run_text(&["--peer", "bob"], script).code(0).says("link.txt");
    // A hard link within the job's own directory is two files.
    for name in ["fine.txt", "hard.txt"] {
        assert_eq!(alice.read(name), b"fine\n");
        let meta = std::fs::symlink_metadata(alice.home.join(name)).expect("came home");
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&meta), 1, "{name} is a file of its own");
    }
    for name in ["link.txt", "root", "pipe"] {
        assert!(alice.home.join(name).symlink_metadata().is_err(), "{name} came home");
    }
}

#[test]
fn a_link_among_the_inputs_that_leads_out_is_refused_or_followed_never_sent() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.write("tree/inside.txt", "inside\n");
    std::os::unix::fs::symlink("/etc/hostname", alice.home.join("tree/out")).expect("own directory");
    let done = alice.run_text(&["--peer", "bob", "-f", "tree"], "test ! -L tree/out && ls tree");
    assert!(matches!(done.code, Some(0 | 2)), "{}\n{}", done.out(), done.err());
}

#[test]
fn output_dir_moves_the_results_and_dir_sends_a_tree() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    alice.write("project/.gitignore", "skipped.txt\n");
    alice.write("project/skipped.txt", "no\n");
    alice.write("project/kept/a.txt", "yes\n");
    alice.write("project/.git/config", "no\n");
    alice.write("project/go.sh", "#!/bin/sh\nfind . -type f | sort\nls > list.txt\n");
    let mut command = alice.command(super::world::binary("homie-ctl"));
    command.current_dir(alice.home.join("project"));
    command.args(["run", "--peer", "bob", "--dir", "--output-dir", "../results", "go.sh"]);
    let done = super::process::Running::start(command, b"").finish().code(0).says("kept/a.txt");
    assert!(!done.out().contains("skipped.txt") && !done.out().contains(".git/"), "{}", done.out());
    assert!(alice.home.join("results/list.txt").exists());
    assert!(!alice.home.join("project/list.txt").exists());
}
