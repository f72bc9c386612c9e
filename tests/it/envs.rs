//! Environments on the road: what a job names, its worker has made, and runs without a network. The packages come from
//! the real index, as this machine reaches it.

use std::time::Duration;

use super::world::{World, examples};

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
