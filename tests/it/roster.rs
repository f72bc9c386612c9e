//! Members introduce members, where no broadcast goes.

use super::process::{PATIENCE, wait_until};
use super::world::{Host, World};
use crate::need_root;

/// Machines without broadcast, each of which has added the one before it.
fn chain(names: &[&str]) -> World {
    let mut world = World::new(names);
    for name in names {
        world.host(name).configure("broadcast: false\n");
    }
    world.start_all();
    for pair in names.windows(2) {
        let before = world.host(pair[0]).ip.clone();
        world.host(pair[1]).homie(&["add", &before]).code(0);
    }
    world
}

fn row(host: &Host, of: &str) -> serde_json::Value {
    let rows =
        host.homie(&["--json", "peers", "--all"]).code(0).json()["peers"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["name"] == of).unwrap_or_default()
}

#[test]
fn everybody_of_a_chain_sees_everybody_and_a_job_runs_from_end_to_end() {
    need_root!();
    let world = chain(&["alice", "bob", "carol", "dave"]);
    world.wait_acquainted();
    world.wait_ready();
    let (alice, dave) = (world.host("alice"), world.host("dave"));
    alice.run_text(&["--peer", "dave"], "echo from afar").code(0).says("[dave] from afar");
    // Who told whom: at least the one of the two that dialled knows. The neighbours were added and needed nobody.
    let (one, other) = (row(dave, "alice"), row(alice, "dave"));
    assert_eq!((&one["via"], &other["via"]), (&"direct".into(), &"direct".into()));
    let told = one["introduced_by"] == "carol" || other["introduced_by"] == "bob";
    assert!(told, "{one}\n{other}");
    assert_eq!(row(dave, "carol")["introduced_by"], serde_json::Value::Null);
}

#[test]
fn who_was_put_out_is_gone_everywhere_and_nobody_introduces_it_again() {
    need_root!();
    let world = chain(&["alice", "bob", "carol", "dave"]);
    world.wait_acquainted();
    let (alice, bob, carol, dave) = (world.host("alice"), world.host("bob"), world.host("carol"), world.host("dave"));
    alice.homie(&["kick", "carol"]).code(0);
    for host in [alice, bob, dave] {
        host.wait_misses("carol");
    }
    // Dave had added nobody else, and is found again all the same.
    for (host, others) in [(alice, ["bob", "dave"]), (bob, ["alice", "dave"]), (dave, ["alice", "bob"])] {
        others.iter().for_each(|other| host.wait_sees(other));
    }
    wait_until("carol is alone", PATIENCE, || carol.sees().is_empty());
    // Nor does anybody keep its card; the file follows within seconds.
    for host in [alice, bob, dave] {
        wait_until(&format!("{} keeps no card of carol", host.name), PATIENCE, || {
            seq_of(host, "carol") == 0 && ["alice", "bob", "dave"].iter().any(|other| seq_of(host, other) > 0)
        });
        assert!(!host.sees().contains(&"carol".to_owned()));
        let rows = host.homie(&["--json", "peers", "--all"]).code(0).json()["peers"].clone();
        let rows = rows.as_array().cloned().unwrap_or_default();
        assert!(rows.iter().all(|row| row["introduced_by"] != "carol"), "who is out has told nothing: {rows:?}");
    }
}

#[test]
fn what_was_learnt_survives_a_restart_and_a_broken_file_does_no_harm() {
    need_root!();
    let mut world = chain(&["alice", "bob", "carol"]);
    world.wait_acquainted();
    // Bob, who knew both, is gone for good; alice and carol come back.
    world.host_mut("bob").pull_plug();
    for name in ["alice", "carol"] {
        world.host_mut(name).stop().code(0);
    }
    for name in ["alice", "carol"] {
        world.host_mut(name).start();
    }
    world.host("alice").wait_sees("carol");
    world.host("carol").wait_sees("alice");
    world.host("carol").run_text(&["--peer", "alice"], "echo still").code(0).says("[alice] still");

    // Half a file: it is set aside, said so, and what it held is learnt from whoever is there.
    wait_until("carol has the card of alice's second start", PATIENCE, || seq_of(world.host("carol"), "alice") > 1);
    world.host_mut("alice").stop().code(0);
    let before = seq_of(world.host("carol"), "alice");
    let file = world.host("alice").state.join("roster.json");
    let text = std::fs::read(&file).expect("written down");
    std::fs::write(&file, &text[..text.len() / 2]).expect("own file");
    world.host_mut("alice").start();
    let alice = world.host("alice");
    wait_until("the broken file is set aside", PATIENCE, || file.with_extension("json.broken").exists());
    alice.wait_sees("carol");
    // Its number began anew, and carol showed it the one that it had: what alice says now is news again.
    wait_until("carol has a newer card of alice", PATIENCE, || seq_of(world.host("carol"), "alice") > before);
}

/// The number of the card that `host` keeps of `name`.
fn seq_of(host: &Host, name: &str) -> u64 {
    let kept = std::fs::read_to_string(host.state.join("roster.json")).unwrap_or_default();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap_or_default();
    let cards = kept["cards"].as_array().cloned().unwrap_or_default();
    let cards = cards.iter().map(|row| {
        let bytes = data_encoding::BASE64.decode(row["card"].as_str().expect("text").as_bytes()).expect("base64");
        homie::wire::roster::open(&bytes).expect("a card").card
    });
    cards.filter(|card| card.name == name).map(|card| card.seq).max().unwrap_or_default()
}

#[test]
fn who_cannot_be_reached_costs_few_dials_and_can_be_removed() {
    need_root!();
    let mut world = World::new(&["alice", "bob", "carol"]);
    for name in ["alice", "bob", "carol"] {
        world.host(name).configure("broadcast: false\n");
    }
    // Alice and carol are in two networks that only bob is in.
    world.part("alice");
    world.part("carol");
    world.start_all();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    alice.homie(&["add", &bob.ip]).code(0);
    world.host("carol").homie(&["add", &bob.ip]).code(0);
    bob.wait_sees("alice");
    bob.wait_sees("carol");
    // Told of each other, tried, and still apart.
    wait_until("one of them has dialled the other", PATIENCE, || {
        [alice, world.host("carol")].iter().any(|host| {
            std::fs::read_to_string(host.log()).unwrap_or_default().contains("dialling a machine that others tell of")
        })
    });
    wait_until("both have the other's card", PATIENCE, || {
        seq_of(alice, "carol") > 0 && seq_of(world.host("carol"), "alice") > 0
    });
    assert_eq!(alice.sees(), ["bob"]);
    let began = std::time::Instant::now();
    // Bob works on as before, and the tries become rare: whatever time this took, fewer than one in two seconds.
    alice.run_text(&["--peer", "bob"], "echo fine").code(0).says("[bob] fine");
    let dials = std::fs::read_to_string(alice.log()).unwrap_or_default().matches("others tell of").count();
    let most = 4 + began.elapsed().as_secs() as usize / 2;
    assert!(dials <= most, "{dials} dials");

    alice.homie(&["remove", "bob"]).says("homie kick bob");
    alice.homie(&["remove", "carol"]).code(0).says("Removed").says("carol");
    alice.homie(&["remove", "carol"]).says("no direct peer");
    world.host_mut("carol").stop().code(0);
    assert_eq!(world.host("alice").sees(), ["bob"]);
}
