//! A machine that was added by its address and does not answer: what is said of each way not to.

use super::process::{PATIENCE, wait_until};
use super::transfers::firewall;
use super::world::{Host, World};
use crate::need_root;

/// What alice's list says of an address when its first dial has failed: the error and the next step.
fn told(alice: &Host, address: &str) -> (String, String) {
    alice.homie(&["add", address]).code(0);
    let mut row = serde_json::Value::Null;
    wait_until(&format!("the dial of {address} has failed"), PATIENCE, || {
        let rows = alice.homie(&["--json", "list-direct"]).json()["peers"].as_array().cloned().unwrap_or_default();
        row = rows.into_iter().find(|row| row["address"] == address).expect("just added");
        row["error"].is_string()
    });
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let (error, hint) = (text("error"), text("hint"));
    // People get the next step too, and the doctor has both.
    alice.homie(&["list-direct"]).code(0).says(&hint);
    alice.homie(&["doctor"]).code(0).says("direct peers").says(&format!("{error}; {hint}"));
    (error, hint)
}

#[test]
fn a_machine_that_does_not_answer_is_told_apart_by_how_it_does_not() {
    need_root!();
    // Nobody but alice runs homied.
    let mut world = World::new(&["alice", "bob"]);
    world.host_mut("alice").start();
    let (alice, bob) = (world.host("alice"), world.host("bob"));
    // A port for each, so that no dial can meet another's rule. 6003 rejects as firewalld does, 6004 as ufw.
    let rule = |rest: &str| format!("add rule inet cut in tcp dport {rest}");
    let rejects = ["6003 reject with icmpx type admin-prohibited", "6004 reject"].map(rule).join("; ");
    firewall(bob, &format!("tcp dport 6002 drop; {rejects}"));
    let at = |port: u16| format!("{}:{port}", bob.ip);

    let nobody = told(alice, &bob.address());
    assert!(nobody.0.contains("refused") && nobody.1.contains("is `homie up` running there"), "{nobody:?}");
    let dropped = told(alice, &at(6002));
    assert!(dropped.0.contains("no answer in") && dropped.1.contains("`sudo ufw allow Homie`"), "{dropped:?}");
    let rejected = told(alice, &at(6003));
    assert!(rejected.1.contains("no way leads there") && rejected.1.contains("firewalld"), "{rejected:?}");
    // Nothing on the wire says that it was not the machine itself, so the text names both.
    let reset = told(alice, &at(6004));
    assert_eq!(reset.1, nobody.1.replace("5556", "6004"));
    assert!(reset.1.contains("a firewall that rejects looks the same"), "{reset:?}");
    // An address of a tailnet to which no road leads.
    let tailnet = told(alice, "100.64.0.9:5556");
    assert!(tailnet.1.contains("`tailscale status` on both"), "{tailnet:?}");

    // Of the one that answers at last there is nothing more to say. Added anew it is dialled at once.
    let address = bob.address();
    world.host_mut("bob").start();
    let alice = world.host("alice");
    alice.homie(&["remove", &address]).code(0);
    alice.homie(&["add", &address]).code(0);
    wait_until("the doctor sees that it is linked", PATIENCE, || {
        alice.homie(&["doctor"]).code(0).out().contains("1 of 5 linked")
    });
    let list = alice.homie(&["--json", "list-direct"]).code(0).json()["peers"].clone();
    let row = list.as_array().expect("rows").iter().find(|row| row["address"] == address.as_str()).expect("linked");
    assert!(row["error"].is_null() && row["hint"].is_null(), "{row}");
}
