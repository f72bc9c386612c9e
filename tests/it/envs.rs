//! Environments on the road: what a job names, its worker has made, and runs without a network. The packages come from
//! the real index, as this machine reaches it.

use std::path::Path;
use std::time::Duration;

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World, examples};
use crate::need_root;

/// Fetching 60 MB and unpacking them on two busy cores.
const BUILD: Duration = Duration::from_secs(600);

#[test]
fn the_sklearn_example_trains_on_a_friend_in_the_environment_it_names() {
    let world = World::outward(&["alice", "bob"]);
    let alice = world.host("alice");
    for file in ["train_sklearn.py", "homie.env.yaml"] {
        let text = std::fs::read(examples().join("ml-training").join(file)).expect("the example");
        alice.write(file, text);
    }
    // bob has nothing of it: he reads what the recipe says, chooses versions, builds, and says so on the way.
    let run = ["run", "--peer", "bob", "--env", "./homie.env.yaml", "train_sklearn.py", "--epochs", "20"];
    alice.homie_start(&run).finish_within(BUILD).code(0).says("[bob] scikit-learn ").says("building env ml-demo");
    let results: serde_json::Value = serde_json::from_slice(&alice.read("results.json")).expect("JSON");
    assert!(results["accuracy"].as_f64().is_some_and(|a| a > 0.8), "{results}");

    // From now on the name is enough, and nothing is built.
    let again = alice.homie(&["run", "--peer", "bob", "--env", "ml-demo", "train_sklearn.py", "--epochs", "1"]).code(0);
    assert!(!again.err().contains("building env"), "{}", again.err());
    let listed = alice.homie(&["env", "list", "--json"]).code(0).json();
    let rows = listed["envs"].as_array().cloned().unwrap_or_default();
    let at_bob = |row: &&serde_json::Value| row["env"] == "ml-demo" && row["machine"] == "bob";
    assert!(rows.iter().find(at_bob).is_some_and(|row| row["state"] == "ready"), "{listed}");

    // The jail it runs in has no way out.
    let probe = "import socket, sys\ntry:\n    socket.create_connection(('pypi.org', 443), 3)\nexcept OSError:\n    sys.exit(7)\n";
    alice.homie(&["run", "--peer", "bob", "--env", "ml-demo", "-c", probe]).code(7);
}

#[test]
fn bad_recipes_are_refused_with_their_line_and_unknown_names_with_a_next_step() {
    let world = World::outward(&["alice"]);
    let alice = world.host("alice");
    alice.write("bad.yaml", "version: 1\nname: x\npyton: 3\n");
    alice.homie(&["env", "import", "bad.yaml"]).code(125).says("bad.yaml:3: unknown field `pyton`");
    alice.write("reqs.txt", "numpy\n-r more.txt\n");
    alice.homie(&["env", "create", "x", "-r", "reqs.txt"]).code(125).says(":2: other files are not followed");
    alice.homie(&["env", "show", "nope"]).code(125).says("no environment is called nope").says("homie env create");

    alice.homie(&["env", "create", "tiny", "--pip", "six==1.16.0"]).code(0);
    alice.homie(&["env", "create", "tiny", "--pip", "six==1.17.0"]).code(125).says("--replace");
    alice.homie(&["env", "create", "tiny", "--pip", "six==1.17.0", "--replace"]).code(0);
    // What is exported reads back as the same.
    alice.homie(&["env", "export", "tiny", "-o", "homie.env.yaml"]).code(0);
    alice.homie(&["env", "import", "homie.env.yaml"]).code(0);
    alice.homie(&["env", "rm", "tiny"]).code(0);
    alice.homie(&["env", "show", "tiny"]).code(125);

    // A script that says what it needs is not given it unasked, but told how.
    alice.write("asks.py", "# /// script\n# dependencies = [\"six\"]\n# ///\nprint('ran')\n");
    alice.homie(&["run", "--local", "asks.py"]).code(0).says("ran").says("--env auto");
    alice.homie(&["run", "--local", "--env", "auto", "-c", "print()"]).code(2).says("PEP 723");
}

/// Enough that it takes seconds at the speed below.
const BYTES: usize = 48 << 20;
/// Megabits in a second.
const SPEED: u32 = 160;
/// What a broken transfer has to have brought: more than waits in memory.
const SOME: u64 = 8 << 20;
/// What goes over a link beside the content: headers, lists, heartbeats.
const BESIDE: u64 = 4 << 20;

/// The directories of what is built on a machine.
fn built(host: &Host) -> Vec<std::path::PathBuf> {
    let dirs = std::fs::read_dir(host.state.join("envs/built")).expect("listed");
    dirs.flatten().map(|e| e.path()).collect()
}

/// Changes what a machine has written down of something built. Its homied must not run.
fn rewrite(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("built.json");
    let mut note = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    change(&mut note);
    std::fs::write(&path, serde_json::to_vec(&note).expect("JSON")).expect("written");
}

#[test]
fn a_directory_whose_transfer_broke_is_gone_on_with_after_kills_on_both_sides() {
    need_root!();
    let mut world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    // Without packages nothing is fetched from anywhere.
    alice.homie(&["env", "create", "py", "--python", "3"]).code(0);
    alice.homie(&["env", "build", "py"]).code(0);
    let dirs = built(alice);
    let [dir] = &dirs[..] else { panic!("{dirs:?}") };
    // No two chunks are alike and nothing packs them: xorshift64.
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let big: Vec<u8> = std::iter::repeat_with(&mut next).take(BYTES / 8).flatten().collect();
    std::fs::write(dir.join("tree/big"), &big).expect("written");
    alice.homie(&["env", "export", "py", "-o", "py.yaml"]).code(0);
    alice.throttle(SPEED);
    world.host("bob").write("py.yaml", alice.read("py.yaml"));
    world.host("bob").homie(&["env", "import", "py.yaml"]).code(0);

    let known = |world: &World| {
        wait_until("bob knows that alice has it", PATIENCE, || {
            let rows = world.host("bob").homie(&["--json", "env", "list"]).json()["envs"].clone();
            rows.as_array().is_some_and(|rows| rows.iter().any(|r| r["env"] == "py" && r["machine"] == "alice"))
        });
    };
    let build = ["env", "build", "py", "--engine", "native"];
    for broken in ["bob", "alice"] {
        known(&world);
        let bob = world.host("bob");
        let before = bob.stored();
        let building = bob.homie_start(&build);
        wait_until("some of it came", PATIENCE, || world.host("bob").stored() >= before + SOME);
        assert!(built(world.host("bob")).is_empty(), "half an environment is in its place");
        world.host_mut(broken).crash();
        building.finish_within(PATIENCE * 2);
        world.host_mut(broken).start();
        // With alice gone bob may have built it himself, which is not what is looked at here.
        world.host("bob").homie(&["env", "rm", "py"]).code(0);
        world.host("bob").homie(&["env", "import", "py.yaml"]).code(0);
    }
    known(&world);
    let bob = world.host("bob");
    let (had, received) = (bob.stored(), bob.received());
    assert!(had >= 2 * SOME, "what came before was not kept: {had}");
    bob.homie_start(&build).finish_within(PATIENCE * 4).code(0).says("fetching");
    let (came, lacking) = (bob.received() - received, BYTES as u64 - had.min(BYTES as u64));
    assert!(came <= lacking + lacking / 10 + BESIDE, "{came} bytes came although only {lacking} were lacking");
    let dirs = built(bob);
    assert!(std::fs::read(dirs[0].join("tree/big")).expect("it came") == big, "it is not what alice has");
    bob.homie(&["run", "--local", "--env", "py", "-c", "import sys; print(sys.prefix)"]).code(0).says("/env");
}

/// Processes whose command line names a directory.
fn processes_in(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let line = |e: std::fs::DirEntry| std::fs::read(e.path().join("cmdline")).unwrap_or_default();
    let lines = std::fs::read_dir("/proc").expect("listed").flatten().map(line);
    lines.map(|l| String::from_utf8_lossy(&l).replace('\0', " ")).filter(|l| l.contains(&dir)).collect()
}

#[test]
fn a_homied_that_is_killed_in_the_middle_of_a_build_leaves_nothing_and_builds_anew() {
    let mut world = World::outward(&["alice"]);
    let alice = world.host("alice");
    alice.homie(&["env", "create", "py", "--python", "3"]).code(0);
    alice.homie(&["env", "build", "py"]).code(0);
    alice.homie(&["env", "create", "six", "--pip", "six==1.17.0"]).code(0);
    let tmp = alice.state.canonicalize().expect("there").join("envs/tmp");
    let building = alice.homie_start(&["env", "build", "six"]);
    wait_until("a jail of the build runs", PATIENCE, || !processes_in(&tmp).is_empty());
    world.host_mut("alice").crash();
    assert_ne!(building.finish().code, Some(0));
    world.host_mut("alice").start();
    let alice = world.host("alice");
    // The supervisor of a job outlives homied; that of a build has nobody to build for, and is gone when homied answers.
    assert_eq!(processes_in(&tmp), Vec::<String>::new());
    let empty = || std::fs::read_dir(&tmp).expect("listed").next().is_none();
    wait_until("nothing of the build lies about", PATIENCE, empty);
    assert_eq!(built(alice).len(), 1, "half an environment is in its place");
    let view = &alice.homie(&["--json", "env", "show", "six"]).code(0).json()["envs"][0];
    assert_eq!(view["state"], "not built", "{view}");
    alice.homie(&["env", "build", "six"]).code(0);
    alice.homie(&["run", "--local", "--env", "six", "-c", "import six; print(six.__version__)"]).code(0).says("1.17.0");
}

#[test]
fn the_longest_unused_environment_goes_when_the_quota_is_full_and_never_one_in_use() {
    let mut world = World::started(&["alice"]);
    let alice = world.host("alice");
    // Three recipes of the same nothing; what they take is written down below.
    for (name, python) in [("oldest", "3"), ("older", ">=3.5"), ("newest", ">=3.6")] {
        alice.homie(&["env", "create", name, "--python", python]).code(0);
        alice.homie(&["env", "build", name]).code(0);
    }
    for (name, python) in [("last", ">=3.7"), ("final", ">=3.8")] {
        alice.homie(&["env", "create", name, "--python", python]).code(0);
    }
    world.host_mut("alice").stop();
    let alice = world.host("alice");
    for dir in built(alice) {
        rewrite(&dir, |note| note["built"]["bytes"] = (100 << 20).into());
        // The order of use is that of these files' times.
        let name = |note: &serde_json::Value| note["name"].as_str().unwrap_or_default().to_owned();
        let note: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("built.json")).unwrap()).unwrap();
        let age = [("oldest", 3000), ("older", 2000), ("newest", 1000)].into_iter().find(|(n, _)| *n == name(&note));
        let used = std::fs::File::create(dir.join("used")).expect("own file");
        let when = std::time::SystemTime::now() - Duration::from_secs(age.expect("one of them").1);
        used.set_modified(when).expect("own file");
    }
    alice.configure("env_limit: 310m\n");
    world.host_mut("alice").start();
    let alice = world.host("alice");
    // The oldest comes into use, which makes it the newest.
    let sleep = "import time; print('in use', flush=True); time.sleep(600)";
    let using = alice.homie_start(&["run", "--local", "--env", "oldest", "-c", sleep]);
    using.wait_for("in use");
    let left = |limit: &str, build: &str| -> Vec<String> {
        alice.homie(&["config", "set", "env_limit", limit]).code(0);
        alice.homie(&["env", "build", build]).code(0);
        let rows = alice.homie(&["--json", "env", "list"]).code(0).json()["envs"].clone();
        let rows = rows.as_array().cloned().unwrap_or_default();
        let named = rows.iter().filter(|r| r["env"] != "base" && r["state"] == "ready");
        let mut left: Vec<String> = named.filter_map(|r| r["env"].as_str().map(str::to_owned)).collect();
        left.sort();
        assert_eq!(built(alice).len(), left.len(), "what went is off the disk");
        left
    };
    assert_eq!(left("250m", "last"), ["last", "newest", "oldest"], "the longest unused was to go");
    // With room for next to nothing all go but the one that was just made and the one in use.
    assert_eq!(left("50m", "final"), ["final", "oldest"]);
    using.signal(nix::sys::signal::Signal::SIGTERM);
}

#[test]
fn a_recipe_with_more_hashes_than_a_frame_holds_is_kept_shown_and_said_to_be_too_long_to_travel() {
    let world = World::started(&["alice", "bob"]);
    let alice = world.host("alice");
    let hashes: String = (0..60).map(|n| format!(" --hash=sha256:{n:064x}")).collect();
    let lines: String = (0..100).map(|n| format!("package{n}==1.0.{n}{hashes}\n")).collect();
    assert!(lines.len() > 6 * 65536);
    alice.write("requirements.txt", &lines);
    alice.homie(&["env", "create", "long", "-r", "requirements.txt"]).code(0);
    let shown = alice.homie(&["--json", "env", "show", "long"]).code(0).json();
    let text = shown["envs"][0]["recipe_text"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("package99==1.0.99") && text.len() > lines.len(), "{} bytes", text.len());
    alice.homie(&["env", "export", "long", "-o", "long.yaml"]).code(0);
    alice.homie(&["env", "import", "long.yaml", "--name", "again"]).code(0);
    let refused = alice.homie(&["run", "--peer", "bob", "--env", "long", "-c", "print()"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.err().contains("too long to travel"), "{}", refused.err());
}

#[test]
fn a_lock_beside_the_script_is_the_environment_it_runs_in() {
    let world = World::outward(&["alice"]);
    let alice = world.host("alice");
    alice.write("app.py", "import six; print('six', six.__version__)\n");
    // As uv writes it; another system's package is not asked for here.
    let lock = "version = 1\nrevision = 3\nrequires-python = \">=3.8\"\n\
        [[package]]\nname = \"app\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n\
        dependencies = [{ name = \"six\" }, { name = \"pywin32\", marker = \"sys_platform == 'win32'\" }]\n\
        [[package]]\nname = \"six\"\nversion = \"1.16.0\"\nsource = { registry = \"https://pypi.org/simple\" }\n\
        wheels = [{ url = \"https://x/six-1.16.0-py2.py3-none-any.whl\", hash = \"sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\" }]\n\
        [[package]]\nname = \"pywin32\"\nversion = \"311\"\nsource = { registry = \"https://pypi.org/simple\" }\n\
        wheels = [{ url = \"https://x/p.whl\", hash = \"sha256:3ce80b34b22b17ccbd937a6e78e7225d80c52f5ab9940fe0506a1a16f3dab503\" }]\n";
    alice.write("uv.lock", lock);
    alice.homie(&["run", "--local", "app.py"]).says("uv.lock names packages").says("--env auto");
    let run = alice.homie_start(&["run", "--local", "--env", "auto", "app.py"]).finish_within(BUILD).code(0);
    assert!(run.out().contains("six 1.16.0"), "{}", run.out());
    // Another file under that hash is refused.
    alice.write("uv.lock", lock.replace("8abb2f1d", "00000000"));
    let refused = alice.homie_start(&["run", "--local", "--env", "auto", "app.py"]).finish_within(BUILD);
    assert_ne!(refused.code, Some(0), "{}", refused.out());
}
