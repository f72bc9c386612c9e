//! Coming into a group by invitation.

use homie::model::Token;

use super::world::{Host, World};

/// Machines of which the first has the secret of a group and the others none; nobody knows anybody's address.
fn one_and_newcomers(names: &[&str]) -> World {
    let mut world = World::new(names);
    for (at, name) in names.iter().enumerate() {
        let host = world.host(name);
        let quiet = if host.namespace.is_none() { "broadcast: false\n" } else { "" };
        host.configure(&format!("{quiet}{}", if at == 0 { "" } else { "group_secret:\n" }));
    }
    world.start_all();
    world
}

/// A token of this machine that leads to its address of this world only.
pub fn invite(host: &Host) -> String {
    let answer = host.homie(&["--json", "invite"]).code(0).json();
    assert_eq!(answer["invite"]["good_for_ms"], 900_000);
    let mut token: Token = answer["invite"]["token"].as_str().expect("a token").parse().expect("a good one");
    if host.namespace.is_none() {
        token.addresses = vec![host.address()];
    }
    assert_eq!(token.addresses, [host.address()]);
    token.to_string()
}

#[test]
fn one_line_makes_a_member_who_can_run_jobs() {
    let world = one_and_newcomers(&["alice", "bob"]);
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    bob.homie(&["invite"]).code(125).says("in no group");
    let token = invite(alice);
    bob.homie(&["join", &token]).code(0).says("in the group of alice");
    bob.wait_sees("alice");
    alice.wait_sees("bob");
    bob.run_text(&["--peer", "alice"], "echo hello").code(0).says("[alice] hello");
    alice.run_text(&["--peer", "bob"], "echo hello").code(0).says("[bob] hello");
    // It is a member for good, and nothing secret was written where it does not belong.
    let config = std::fs::read_to_string(bob.state.join("config.yaml")).expect("own file");
    assert!(config.contains(super::world::SECRET), "{config}");
    for host in [alice, bob] {
        let log = std::fs::read_to_string(host.log()).expect("own log");
        assert!(!log.contains(&token[7..40]) && !log.contains(super::world::SECRET), "{log}");
    }
}

#[test]
fn two_at_once_with_one_token_and_exactly_one_is_in() {
    let world = one_and_newcomers(&["alice", "bob", "carol"]);
    let token = invite(world.host("alice"));
    let tries: Vec<_> = ["bob", "carol"].map(|name| world.host(name).homie_start(&["join", &token])).into();
    let done: Vec<_> = tries.into_iter().map(|run| run.finish()).collect();
    let (won, lost): (Vec<_>, Vec<_>) = done.iter().partition(|run| run.code == Some(0));
    assert_eq!((won.len(), lost.len()), (1, 1), "{:?}", done.iter().map(|r| r.err()).collect::<Vec<_>>());
    assert!(lost[0].err().contains("used already"), "{}", lost[0].err());
    assert!(lost[0].err().contains("homie invite"), "the next step is told: {}", lost[0].err());
    // Whoever came in may ask again, should its answer have been lost; the other has still no group.
    let (inside, outside) = if done[0].code == Some(0) { ("bob", "carol") } else { ("carol", "bob") };
    world.host(inside).homie(&["join", &token]).code(0);
    world.host("alice").wait_sees(inside);
    assert!(!world.host("alice").sees().contains(&outside.to_owned()));
}

#[test]
fn what_does_not_lead_in_says_why() {
    let mut world = one_and_newcomers(&["alice", "bob", "carol"]);
    let token = invite(world.host("alice"));
    let bob = world.host("bob");
    bob.homie(&["join", "hunter2"]).code(2).says("not a token").says("homie invite");
    bob.homie(&["join", &token[..token.len() - 1]]).code(2).says("copy the whole line");

    let leading_to = |addresses: &[String]| {
        let mut other: Token = token.parse().expect("good");
        other.addresses = addresses.to_vec();
        other.to_string()
    };
    let nowhere = format!("{}:{}", bob.ip, super::world::free_port());
    bob.homie(&["join", &leading_to(std::slice::from_ref(&nowhere))]).says(&nowhere).says("refused");
    // Another member of some group lives there: it knows no such invitation, and answers nothing at all.
    let (carol, alice) = (world.host("carol").address(), world.host("alice").address());
    world
        .host("carol")
        .homie_with_input(&["config", "set", "group_secret", "-"], b"quite-another-secret-0123")
        .finish()
        .code(0);
    bob.homie(&["join", &leading_to(std::slice::from_ref(&carol))]).says(&carol).says("knows no such invitation");
    // Among bad addresses the good one is found, and a name that is taken does not use the token up.
    bob.homie(&["config", "set", "name", "alice"]).code(0);
    bob.homie(&["join", &leading_to(&[nowhere, carol, alice.clone()])]).says("called alice already");
    bob.homie(&["config", "set", "name", "bob"]).code(0);

    world.host_mut("alice").crash();
    world.host_mut("alice").start();
    let bob = world.host("bob");
    bob.homie(&["join", &token]).says(&alice).says("restarted");
    assert!(bob.sees().is_empty());
}
