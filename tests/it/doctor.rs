//! `homie doctor`: what it says, and what its exit code is.

use super::world::World;

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

    let probed = alice.homie(&["doctor", "--sandbox", "--json"]).code(0).json();
    let probes = probed["probes"].as_array().expect("probes");
    let named = |result: &str| probes.iter().filter(|p| p["result"] == result).collect::<Vec<_>>();
    assert!(named("reached").is_empty() && named("broken").is_empty(), "{probes:#?}");
    assert!(named("held").len() >= 60, "{} held", named("held").len());
    // What the client itself holds is judged by the client.
    for name in ["dot-file", "replaced-input", "terminal-escapes"] {
        assert!(named("held").iter().any(|p| p["name"] == name), "{name}");
    }
    assert!(probes.iter().all(|p| p["why"].as_str().is_some_and(|why| !why.is_empty())));
}
