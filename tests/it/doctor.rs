//! `homie doctor`: what it says, and what its exit code is.

use std::time::Duration;

use super::world::World;

/// The suite takes 40 s on two quiet cores, most of it waiting for watchdogs and deadlines.
const WHOLE_SUITE: Duration = Duration::from_secs(600);

#[test]
fn the_doctor_tries_every_way_out_and_finds_none() {
    let world = World::started(&["alice"]);
    let alice = world.host("alice");
    let plain = alice.homie(&["doctor", "--json"]).code(0).json();
    let checks = plain["checks"].as_array().expect("checks");
    let of = |subject: &str| checks.iter().filter(|c| c["subject"] == subject).collect::<Vec<_>>();
    assert!(of("homied").len() == 1 && of("worker").len() == 1, "{checks:#?}");
    assert_eq!(of("native engine")[0]["level"], "good", "{checks:#?}");
    assert_eq!(plain["probes"], serde_json::json!([]));

    let done = alice.homie_start(&["doctor", "--sandbox", "--json"]).finish_within(WHOLE_SUITE);
    let probed = done.json();
    let probes = probed["probes"].as_array().expect("probes");
    let named = |result: &str| probes.iter().filter(|p| p["result"] == result).collect::<Vec<_>>();
    assert!(named("reached").is_empty(), "{:#?}", named("reached"));
    assert!(named("broken").is_empty(), "{:#?}", named("broken"));
    done.code(0);
    assert!(named("held").len() >= 60, "{} held", named("held").len());
    // What the client itself holds is judged by the client.
    for name in ["dot-file", "replaced-input", "terminal-escapes"] {
        assert!(named("held").iter().any(|p| p["name"] == name), "{name}");
    }
    assert!(probes.iter().all(|p| p["why"].as_str().is_some_and(|why| !why.is_empty())));
}
