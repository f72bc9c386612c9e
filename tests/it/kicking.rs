//! Putting a machine out of the group.

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};

fn names(list: &serde_json::Value) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

fn kick(host: &Host, name: &str) -> serde_json::Value {
    host.homie(&["--json", "kick", name]).code(0).json()["kicked"].clone()
}

#[test]
fn whoever_is_put_out_reaches_nobody_and_the_others_go_on() {
    let mut world = World::started(&["alice", "bob", "carol"]);
    let (alice, bob, carol) = (world.host("alice"), world.host("bob"), world.host("carol"));
    let guest = bob.start_text(&["--peer", "carol"], "echo in; sleep 600");
    guest.wait_for("[carol] in");
    alice.homie(&["kick", "alice"]).says("this machine itself");
    alice.homie(&["kick", "nobody"]).says("no machine called nobody");

    let kicked = kick(alice, "bob");
    assert_eq!((names(&kicked["told"]), names(&kicked["absent"])), (vec!["carol".to_owned()], vec![]));
    // Its job is ended where it ran, its links are closed, and it sees nobody and is seen by nobody.
    wait_until("the job of who was put out has ended", PATIENCE, || {
        let jobs = carol.homie(&["--json", "jobs", "--hosted"]).json();
        // Its program is gone; what it left waits like other results, for nobody.
        jobs["jobs"].as_array().is_some_and(|rows| rows.iter().all(|job| job["outcome"].is_object()))
    });
    let outcome = carol.homie(&["--json", "jobs", "--hosted"]).json()["jobs"][0]["outcome"].clone();
    assert!(outcome.to_string().contains("the removal of its sender from the group"), "not by its sender: {outcome}");
    for host in [alice, carol] {
        host.wait_misses("bob");
    }
    bob.wait_misses("alice");
    bob.wait_misses("carol");
    bob.run_text(&["--remote"], "echo never").code(69);
    // The others are a group as before.
    alice.wait_sees("carol");
    carol.wait_sees("alice");
    alice.run_text(&["--peer", "carol"], "echo on").code(0).says("[carol] on");
    carol.run_text(&["--peer", "alice"], "echo on").code(0).says("[alice] on");
    drop(guest);

    // What they go by now outlives homied, and the old secret in everybody's config is worth nothing.
    for name in ["alice", "bob"] {
        world.host_mut(name).crash();
        world.host_mut(name).start();
    }
    let (alice, bob, carol) = (world.host("alice"), world.host("bob"), world.host("carol"));
    alice.wait_sees("carol");
    carol.run_text(&["--peer", "alice"], "echo still").code(0).says("[alice] still");
    bob.run_text(&["--remote"], "echo never").code(69);
    assert_eq!(alice.sees(), ["carol"]);

    // An invitation brings it back.
    let token = alice.homie(&["--json", "invite"]).code(0).json();
    let token = token["invite"]["token"].as_str().expect("a token").to_owned();
    bob.homie(&["join", &token]).code(0);
    alice.wait_sees("bob");
    carol.wait_sees("bob");
    bob.run_text(&["--peer", "carol"], "echo back").code(0).says("[carol] back");
}

#[test]
fn who_was_away_gets_the_new_secret_later_even_from_a_homied_that_was_killed() {
    let mut world = World::started(&["alice", "bob", "carol"]);
    world.host_mut("carol").crash();
    let kicked = kick(world.host("alice"), "bob");
    assert_eq!((names(&kicked["told"]), names(&kicked["absent"])), (vec![], vec!["carol".to_owned()]));
    world.host_mut("alice").crash();
    world.host_mut("carol").start();
    world.host_mut("alice").start();
    let (alice, carol) = (world.host("alice"), world.host("carol"));
    alice.wait_sees("carol");
    carol.wait_sees("alice");
    alice.run_text(&["--peer", "carol"], "echo healed").code(0).says("[carol] healed");
    alice.wait_misses("bob");
    carol.wait_misses("bob");
}

#[test]
fn a_homied_that_is_killed_between_writing_the_new_secret_down_and_telling_of_it_goes_on() {
    let mut world = World::started(&["alice", "bob", "carol"]);
    let alice = world.host("alice");
    let written = alice.state.join("group.json");
    assert!(!written.exists(), "nobody was put out yet");
    let kicking = alice.homie_start(&["kick", "bob"]);
    wait_until("it is written down", PATIENCE, || written.exists());
    world.host_mut("alice").crash();
    // Perhaps everybody was told in that moment; then this is the test above.
    kicking.finish();
    world.host_mut("alice").start();
    let (alice, bob, carol) = (world.host("alice"), world.host("bob"), world.host("carol"));
    alice.wait_sees("carol");
    carol.wait_sees("alice");
    for host in [alice, carol] {
        host.wait_misses("bob");
    }
    carol.run_text(&["--peer", "alice"], "echo on").code(0).says("[alice] on");
    bob.run_text(&["--remote"], "echo never").code(69);
}

#[test]
fn two_who_put_out_two_at_once_come_to_the_same_end() {
    let world = World::started(&["alice", "bob", "carol", "dave"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    let (one, two) = (alice.homie_start(&["kick", "carol"]), bob.homie_start(&["kick", "dave"]));
    one.finish().code(0);
    two.finish().code(0);
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        wait_until(&format!("{} sees only {other}", host.name), PATIENCE, || host.sees() == [other]);
    }
    // Each may still be listed from before, while the other takes up the secret that both come to.
    wait_until("a job of alice runs at bob", PATIENCE, || {
        alice.run_text(&["--peer", "bob"], "echo on").code == Some(0)
    });
    alice.run_text(&["--peer", "bob"], "echo on").code(0).says("[bob] on");
    for out in ["carol", "dave"] {
        let out = world.host(out);
        wait_until(&format!("{} sees neither", out.name), PATIENCE, || {
            !out.sees().iter().any(|name| name == "alice" || name == "bob")
        });
    }
}

#[test]
fn who_was_put_out_comes_not_back_under_another_key_through_a_member_that_was_away() {
    let mut world = World::started(&["alice", "bob", "carol"]);
    world.host_mut("bob").crash();
    kick(world.host("alice"), "carol");
    // bob shall hear of it only when he has met who comes now.
    world.host_mut("alice").crash();
    world.host_mut("carol").stop().code(0);
    let state = world.host("carol").state.clone();
    let config = std::fs::read_to_string(state.join("config.yaml")).expect("own file");
    assert!(config.contains("name: carol"), "{config}");
    std::fs::remove_dir_all(&state).expect("own directory");
    std::fs::create_dir(&state).expect("own directory");
    std::fs::write(state.join("config.yaml"), config.replace("name: carol", "name: dave")).expect("own directory");
    for name in ["carol", "bob"] {
        world.host_mut(name).start();
    }
    let (bob, dave) = (world.host("bob"), world.host("carol"));
    bob.wait_sees("dave");
    dave.wait_sees("bob");

    world.host_mut("alice").start();
    let (alice, bob, dave) = (world.host("alice"), world.host("bob"), world.host("carol"));
    alice.wait_sees("bob");
    bob.wait_misses("dave");
    dave.wait_misses("bob");
    alice.run_text(&["--peer", "bob"], "echo among us").code(0).says("[bob] among us");
    assert_eq!((alice.sees(), bob.sees()), (vec!["bob".to_owned()], vec!["alice".to_owned()]));
    dave.run_text(&["--remote"], "echo never").code(69);
    for host in [alice, bob] {
        let written = std::fs::read_to_string(host.state.join("group.json")).expect("somebody was put out");
        let secret = serde_json::from_str::<serde_json::Value>(&written).expect("JSON")["secret"].clone();
        assert!(
            !std::fs::read_to_string(dave.state.join("group.json"))
                .is_ok_and(|has| has.contains(secret.as_str().expect("text")))
        );
    }
}

#[test]
fn a_member_that_joined_anew_after_somebody_was_put_out_hears_of_the_next_one_too() {
    let world = World::started(&["alice", "bob", "carol", "dave"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    kick(alice, "carol");
    alice.wait_sees("bob");
    // It changes nothing but what bob's config says.
    let token = alice.homie(&["--json", "invite"]).code(0).json();
    bob.homie(&["join", token["invite"]["token"].as_str().expect("a token")]).code(0);
    alice.wait_sees("dave");
    kick(alice, "dave");
    bob.wait_misses("dave");
    wait_until("a job of alice runs at bob", PATIENCE, || {
        alice.run_text(&["--peer", "bob"], "echo on").code == Some(0)
    });
    bob.wait_sees("alice");
    bob.run_text(&["--peer", "alice"], "echo still").code(0).says("[alice] still");
}
