//! Long logs, cut links, two dials at once, goodbyes.

use futures_util::{SinkExt, StreamExt};

use super::super::secure::{Frames, Member};
use super::super::tls::Tls;
use super::*;
use crate::wire::frame::Frame;
use crate::wire::link::{LinkFrame, LinkRequest, OUTPUT_WINDOW, Purpose};
use crate::wire::refusal::RefusalKind;

#[test]
fn sixty_four_megabytes_of_output_arrive_whole() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        a.offer(b.id, 1, &a.store(&[])).await.expect("accepted");
        let output = noise(64 << 20, 11);
        let copy = a.dir.path().join("copy");
        let writing = async {
            for piece in output.chunks(1 << 20) {
                b.write_output(1, piece, false);
                tokio::task::yield_now().await;
            }
            b.write_output(1, b"", true);
        };
        let (followed, ()) = tokio::join!(a.follow(b.id, 1, copy.clone()), writing);
        assert_eq!(followed, Ok(64 << 20));
        assert!(std::fs::read(&copy).expect("read") == output);
    });
}

/// Dials `machine` as a friend that speaks frames by hand.
async fn by_hand(machine: &Machine) -> (PeerId, Frames) {
    by_hand_as(&Identity::ephemeral().expect("key"), 1, machine).await
}

pub(super) async fn by_hand_as(identity: &Identity, boot: u8, machine: &Machine) -> (PeerId, Frames) {
    let member =
        Member::new(Tls::new(identity).expect("TLS"), identity.peer(), OURS.clone(), "hand".into(), BootId([boot; 16]));
    let stream = TcpStream::connect(machine.addr()).await.expect("connect");
    // What is said last must be on its way when the connection is dropped.
    stream.set_nodelay(true).expect("no delay");
    let secured = member.dial(stream, 0, Purpose::Control).await.expect("friends");
    (identity.peer(), secured.control())
}

pub(super) async fn say(frames: &mut Frames, frame: &LinkFrame) {
    frames.send(Frame::json(frame).expect("fits")).await.expect("sent");
}

#[test]
fn a_receiver_that_gives_no_credit_gets_one_window_and_no_more() {
    run(async {
        let worker = Machine::new("mike").await;
        let (me, mut frames) = by_hand(&worker).await;
        let (job, epoch) = (JobId([1; 16]), Epoch(1));
        let offer =
            Offer { job, epoch, spec: JobSpec::default(), inputs: Digest([0; 32]), input_totals: Totals::default() };
        say(&mut frames, &LinkFrame::Request { id: 1, request: LinkRequest::Offer { offer: Box::new(offer) } }).await;
        until("the offer to be heard", || worker.seen().hosted.values().any(|h| h.from.peer == me)).await;
        worker.write_output(1, &noise(3 * OUTPUT_WINDOW as usize, 4), false);
        let request = LinkRequest::Follow { job, epoch, from: 0, stream: 9 };
        say(&mut frames, &LinkFrame::Request { id: 2, request }).await;
        let mut got = 0;
        let mut told_after_window = 0;
        while told_after_window < 2 {
            match frames.next().await.expect("open").expect("frame") {
                Frame::Raw { stream, data } => {
                    assert_eq!(stream, 9);
                    got += data.len() as u64;
                    assert!(got <= OUTPUT_WINDOW, "more than was allowed");
                }
                // Two signs of life later, nothing more of the log has come.
                frame => {
                    let facts = matches!(frame.parse::<LinkFrame>().expect("message"), LinkFrame::Facts { .. });
                    told_after_window += u32::from(facts && got == OUTPUT_WINDOW);
                }
            }
        }
        say(&mut frames, &LinkFrame::Credit { stream: 9, bytes: 1000 }).await;
        while got < OUTPUT_WINDOW + 1000 {
            if let Frame::Raw { data, .. } = frames.next().await.expect("open").expect("frame") {
                got += data.len() as u64;
            }
        }
        assert_eq!(got, OUTPUT_WINDOW + 1000);
    });
}

#[test]
fn a_cut_link_loses_nothing_and_the_log_goes_on_where_it_was() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        let relay = Relay::to(b.addr()).await;
        a.seen().addresses.insert(b.id, relay.addr);
        a.offer(b.id, 1, &a.store(&[])).await.expect("accepted");
        let output = noise(900_000, 6);
        let copy = a.dir.path().join("copy");
        b.write_output(1, &output[..300_000], false);
        let cutting = async {
            until("a part to come", || std::fs::metadata(&copy).is_ok_and(|m| m.len() == 300_000)).await;
            relay.cut(true);
        };
        let (cut, ()) = tokio::join!(a.follow(b.id, 1, copy.clone()), cutting);
        assert_eq!(cut.expect_err("cut").kind, RefusalKind::Unreachable);
        until("both sides to notice", || {
            a.seen().changes.last() == Some(&(b.id, false)) && b.seen().changes.last() == Some(&(a.id, false))
        })
        .await;
        assert!(!a.seen().unlinked[0].goodbye);
        relay.cut(false);
        b.write_output(1, &output[300_000..], true);
        assert_eq!(a.follow(b.id, 1, copy.clone()).await, Ok(900_000));
        assert!(std::fs::read(&copy).expect("read") == output);
        // A copy longer than what was written is not of this log.
        std::fs::write(&copy, vec![0; 900_001]).expect("write");
        assert_eq!(a.follow(b.id, 1, copy).await.expect_err("longer").kind, RefusalKind::Integrity);
    });
}

#[test]
fn two_that_dial_each_other_keep_one_link() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        for (here, there) in [(&a, &b), (&b, &a)] {
            let add = AddDirect { address: there.addr().to_string(), name: None };
            ask(&here.door, add, LIMIT).await.expect("answer").expect("added");
        }
        until_async("both to be linked", || async { a.direct().await[0].linked && b.direct().await[0].linked }).await;
        assert_eq!(a.direct().await[0].name.as_deref(), Some("mike"), "learned");
        let inputs = a.store(&[("x", vec![1])]);
        a.offer(b.id, 1, &inputs).await.expect("accepted");
        b.offer(a.id, 2, &b.store(&[("x", vec![1])])).await.expect("accepted");
        // Both keep working, and neither saw the link go: the surplus connection ends unnoticed.
        until("signs of life both ways", || {
            a.seen().facts.iter().filter(|p| **p == b.id).count() > 3
                && b.seen().facts.iter().filter(|p| **p == a.id).count() > 3
        })
        .await;
        assert_eq!(a.seen().changes, [(b.id, true)]);
        assert_eq!(b.seen().changes, [(a.id, true)]);
        assert!(a.seen().linked.len() <= 2 && b.seen().linked.len() <= 2, "no connection is made again and again");
    });
}

#[test]
fn a_goodbye_is_told_from_a_loss_and_a_direct_peer_is_found_again() {
    run(async {
        let b = Machine::new("mike").await;
        let a = Machine::new("raj").await;
        let port = b.port;
        let add = AddDirect { address: b.addr().to_string(), name: Some("mike".into()) };
        ask(&a.door, add, LIMIT).await.expect("answer").expect("added");
        until("the link", || a.seen().changes.last() == Some(&(b.id, true))).await;
        ask(&b.door, CloseLinks { restart: false }, LIMIT).await.expect("closed");
        until("the goodbye", || a.seen().unlinked.iter().any(|u| u.peer == b.id && u.goodbye)).await;
        assert_eq!(b.query(a.id, 1).await.expect_err("closing").kind, RefusalKind::ShuttingDown);
        assert!(!a.direct().await[0].linked);
        // Another machine, same address: it is found without anybody's help.
        let again = Machine::with(Config { port, ..Config::named("mike2") }).await;
        until("the link again", || a.seen().changes.last() == Some(&(again.id, true))).await;
        let gone = RemoveDirect { which: "mike".into() };
        ask(&a.door, gone, LIMIT).await.expect("answer").expect("removed");
        assert!(a.direct().await.is_empty());
    });
}

#[test]
fn a_goodbye_is_heard_though_the_connection_is_gone_before_the_session_begins() {
    run(async {
        let a = Machine::new("raj").await;
        // Each time it is chance whether the session reads or writes first; writing meets a closed connection.
        for boot in 1..=100 {
            let (me, mut frames) = by_hand_as(&Identity::ephemeral().expect("key"), boot, &a).await;
            say(&mut frames, &LinkFrame::Goodbye { restart: false }).await;
            drop(frames);
            until("the end", || a.seen().unlinked.iter().any(|u| u.peer == me)).await;
            assert!(a.seen().unlinked.iter().any(|u| u.peer == me && u.goodbye), "number {boot} was taken for lost");
        }
    });
}

#[test]
fn a_greeting_makes_a_link_and_a_wrong_one_does_not() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        ask(&a.door, Greet { addr: b.addr(), peer: PeerId([7; 32]), friend: false }, LIMIT).await.expect("answer");
        // Both hear of each other; whoever has the lower id dials.
        let (c, d) = (Machine::new("c").await, Machine::new("d").await);
        ask(&c.door, Greet { addr: d.addr(), peer: d.id, friend: false }, LIMIT).await.expect("answer");
        ask(&d.door, Greet { addr: c.addr(), peer: c.id, friend: true }, LIMIT).await.expect("answer");
        until("the link of the right one", || !c.seen().changes.is_empty() && !d.seen().changes.is_empty()).await;
        assert!(a.seen().changes.is_empty(), "somebody else answered there");
    });
}

#[test]
fn a_taken_port_is_said_and_does_no_harm() {
    run(async {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").expect("bind");
        let port = taken.local_addr().expect("address").port();
        let machine = Machine::with(Config { port, ..Config::named("raj") }).await;
        let error = ask(&machine.door, Listening, LIMIT).await.expect("answer").expect_err("an error");
        assert!(error.contains(&port.to_string()), "{error}");
        // It can still dial.
        let friend = Machine::new("mike").await;
        machine.knows(&friend);
        machine.offer(friend.id, 1, &machine.store(&[])).await.expect("accepted");
        drop(taken);
        until_async("the port to be had", || async {
            ask(&machine.door, Listening, LIMIT).await.expect("answer").is_ok()
        })
        .await;
    });
}

#[test]
fn a_message_of_a_later_release_is_answered_or_passed_over() {
    run(async {
        let worker = Machine::new("mike").await;
        let (_, mut frames) = by_hand(&worker).await;
        for text in [r#"{"t":"weather","sun":true}"#, r#"{"t":"request","id":5,"request":{"what":"dance"}}"#] {
            frames.send(Frame::Json(text.into())).await.expect("sent");
        }
        loop {
            let frame = frames.next().await.expect("still open").expect("frame");
            if let LinkFrame::Reply { id, reply } = frame.parse().expect("message") {
                assert_eq!((id, reply.expect_err("unknown").kind), (5, RefusalKind::BadRequest));
                break;
            }
        }
        // Nonsense ends it.
        frames.send(Frame::Json("{}".into())).await.expect("sent");
        until("the link to be given up", || !worker.seen().unlinked.is_empty()).await;
    });
}

#[test]
fn a_restarted_peer_is_believed_over_its_dead_link() {
    run(async {
        let worker = Machine::new("mike").await;
        let identity = Identity::ephemeral().expect("key");
        let (me, mut old) = by_hand_as(&identity, 1, &worker).await;
        until("the first link", || worker.seen().changes == [(me, true)]).await;
        let (_, mut new) = by_hand_as(&identity, 2, &worker).await;
        until("the second link", || worker.seen().changes == [(me, true), (me, false), (me, true)]).await;
        while let Some(Ok(_)) = old.next().await {}
        // Requests go to the new one.
        let query = QueryJob { peer: me, job: JobId([1; 16]), epoch: Epoch(1) };
        let asked = ask(&worker.door, query, LIMIT);
        let heard = async {
            loop {
                let frame = new.next().await.expect("open").expect("frame");
                if let LinkFrame::Request { id, .. } = frame.parse().expect("message") {
                    let refusal = Refusal::new(RefusalKind::UnknownJob, "never heard of it");
                    say(&mut new, &LinkFrame::Reply { id, reply: Err(refusal) }).await;
                    break;
                }
            }
        };
        let (answer, ()) = tokio::join!(asked, heard);
        assert_eq!(answer.expect("answer").expect_err("unknown").message, "never heard of it");
        assert!(worker.seen().unlinked.is_empty(), "it was never away");
    });
}

#[test]
fn a_peer_that_dials_again_and_again_holds_few_connections() {
    run(async {
        let worker = Machine::new("mike").await;
        let identity = Identity::ephemeral().expect("key");
        let (job, epoch) = (JobId([1; 16]), Epoch(1));
        let spec = JobSpec::default();
        let offer = Offer { job, epoch, spec, inputs: Digest([0; 32]), input_totals: Totals::default() };
        let mut held = Vec::new();
        for round in 0..10 {
            let (_, mut frames) = by_hand_as(&identity, 1, &worker).await;
            until("it to be linked", || worker.seen().linked.len() == round + 1).await;
            // Each is kept in use by a log that never ends.
            let request = LinkRequest::Offer { offer: Box::new(offer.clone()) };
            say(&mut frames, &LinkFrame::Request { id: 1, request }).await;
            let request = LinkRequest::Follow { job, epoch, from: 0, stream: 1 };
            say(&mut frames, &LinkFrame::Request { id: 2, request }).await;
            held.push(frames);
        }
        // The first five are closed by the worker; the others stay.
        for frames in &mut held[..5] {
            while let Some(Ok(_)) = frames.next().await {}
        }
        assert!(held[9].next().await.expect("open").is_ok());
    });
}
