//! Another name, group or port while everything runs.

use super::*;
use crate::wire::refusal::RefusalKind;

/// These machines were told to pick a port of their own.
const AS_IT_WAS: u16 = 0;

/// `machine` takes up a name and keys.
async fn change(machine: &Machine, name: &str, keys: Option<&GroupKeys>, worker_port: u16, same_group: bool) {
    let boot = BootId::random().expect("random");
    let listen = crate::config::Listen::Private;
    let word = ChangeSelf { keys: keys.cloned(), name: name.into(), boot, worker_port, listen, same_group };
    ask(&machine.door, word, LIMIT).await.expect("answer");
}

async fn port(machine: &Machine) -> Result<u16, String> {
    ask(&machine.door, Listening, LIMIT).await.expect("answer")
}

#[test]
fn a_new_name_is_proven_anew_and_old_links_end_with_a_goodbye() {
    run(async {
        let (alice, bob) = (Machine::new("alice").await, Machine::new("bob").await);
        alice.knows(&bob);
        alice.offer(bob.id, 1, &alice.store(&[])).await.expect("accepted");
        assert_eq!(bob.seen().linked[0].name, "alice");
        change(&alice, "alicia", Some(&OURS), AS_IT_WAS, true).await;
        until("bob hears the goodbye", || bob.seen().unlinked.iter().any(|u| u.peer == alice.id && !u.goodbye)).await;
        // What is asked from now on is asked as alicia, and the job is still alice's key's.
        assert_eq!(alice.query(bob.id, 1).await.expect("known").state, HostedState::Accepted);
        let names: Vec<String> = bob.seen().linked.iter().map(|l| l.name.clone()).collect();
        assert_eq!(names, ["alice", "alicia"]);
        let boots: Vec<BootId> = bob.seen().linked.iter().map(|l| l.boot).collect();
        assert_ne!(boots[0], boots[1], "its beats are those of another run");
        assert_eq!(port(&alice).await, Ok(alice.port), "the port stayed open");
    });
}

#[test]
fn what_is_asked_while_the_name_changes_is_answered() {
    run(async {
        let (alice, bob) = (Machine::new("alice").await, Machine::new("bob").await);
        alice.knows(&bob);
        let inputs = alice.store(&[("a", noise(3 << 20, 1))]);
        for round in 1..=20u8 {
            let asked = async {
                alice.offer(bob.id, round, &inputs).await.expect("accepted");
                alice.query(bob.id, round).await.expect("known");
            };
            let changed = async {
                tokio::time::sleep(Duration::from_micros(u64::from(round) * 300)).await;
                change(&alice, &format!("alice{round}"), Some(&OURS), AS_IT_WAS, true).await;
            };
            tokio::join!(asked, changed);
        }
    });
}

#[test]
fn in_another_group_the_old_friends_reach_nobody_and_the_new_ones_do() {
    run(async {
        let (alice, bob) = (Machine::new("alice").await, Machine::new("bob").await);
        let carol = Machine::with(Config { keys: Some(&THEIRS), ..Config::named("carol") }).await;
        for machine in [&bob, &carol] {
            machine.knows(&alice);
        }
        bob.offer(alice.id, 1, &bob.store(&[])).await.expect("accepted");
        assert!(carol.offer(alice.id, 2, &carol.store(&[])).await.is_err());
        change(&alice, "alice", Some(&THEIRS), AS_IT_WAS, false).await;
        until("bob hears that she is gone", || bob.seen().unlinked.iter().any(|u| u.peer == alice.id && u.goodbye))
            .await;
        assert_eq!(bob.query(alice.id, 1).await.expect_err("parted").kind, RefusalKind::Unreachable);
        carol.offer(alice.id, 2, &carol.store(&[])).await.expect("accepted");
        // And out of every group.
        change(&alice, "alice", None, AS_IT_WAS, false).await;
        assert!(port(&alice).await.expect_err("shut").contains("no group"));
        until_async("carol reaches nobody", async || carol.query(alice.id, 2).await.is_err()).await;
    });
}

#[test]
fn another_port_is_open_at_once_and_the_old_one_is_shut() {
    run(async {
        let (alice, bob) = (Machine::new("alice").await, Machine::new("bob").await);
        let new = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address").port();
        change(&alice, "alice", Some(&OURS), new, true).await;
        assert_eq!(port(&alice).await, Ok(new));
        bob.seen().addresses.insert(alice.id, ([127, 0, 0, 1], new).into());
        bob.offer(alice.id, 1, &bob.store(&[])).await.expect("accepted");
        until_async("nobody listens there", async || TcpStream::connect(alice.addr()).await.is_err()).await;
    });
}

#[test]
fn the_loopback_stays_and_direct_peers_are_dialled_at_once() {
    run(async {
        let bob = Machine::new("bob").await;
        let direct = vec![(bob.addr().to_string(), None)];
        let alice = Machine::with(Config { direct, ..Config::named("alice") }).await;
        until_async("linked", async || alice.direct().await[0].linked).await;
        alice.offer(alice.id, 1, &alice.store(&[])).await.expect("accepted");
        let changes = |m: &Machine, id| m.seen().changes.iter().filter(|(p, _)| *p == id).count();
        let loops = changes(&alice, alice.id);
        change(&alice, "alicia", Some(&OURS), AS_IT_WAS, true).await;
        until("linked under the new name", || bob.seen().linked.iter().any(|l| l.name == "alicia")).await;
        alice.query(alice.id, 1).await.expect("known");
        assert_eq!(changes(&alice, alice.id), loops, "no job of one's own notices");
    });
}
