//! A member that hands cards around, honest and otherwise, and another one that sees what comes of it.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use futures_util::StreamExt;

use super::super::secure::Frames;
use super::edges::{by_hand_as, say};
use super::*;
use crate::wire::frame::Frame;
use crate::wire::link::LinkFrame;
use crate::wire::roster::{CONTEXT, Card, Generation, MAX_CARD, encode, open};

/// A card that makes nobody dial: nothing leads to the loopback of another machine.
fn card(of: &Identity, by: &Identity, generation: [u8; 16], seq: u64, name: &str) -> String {
    let addresses = vec!["127.0.0.1".parse().expect("address")];
    let key = of.public_key();
    let card = Card { generation: Generation(generation), key, seq, port: 5556, name: name.into(), addresses };
    let signed = encode(&card);
    BASE64.encode(&[&signed[..], &by.sign(CONTEXT, &signed)].concat())
}

async fn message(frames: &mut Frames) -> LinkFrame {
    let next = tokio::time::timeout(LIMIT, frames.next()).await.expect("in time");
    match next.expect("open").expect("frame") {
        frame @ Frame::Json(_) => frame.parse().expect("message"),
        Frame::Raw { .. } => panic!("no log was asked for"),
    }
}

/// The cards that come, as names and numbers, until one of `last`. Not those of the machine itself.
async fn cards_until(frames: &mut Frames, machine: &str, last: &str) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    loop {
        let LinkFrame::Cards { cards } = message(frames).await else { continue };
        for text in cards {
            let card = open(&BASE64.decode(text.as_bytes()).expect("base64")).expect("a card").card;
            if card.name != machine {
                all.push((card.name.clone(), card.seq));
            }
            if card.name == last {
                return all;
            }
        }
    }
}

async fn heads_of(frames: &mut Frames) -> BTreeMap<String, u64> {
    loop {
        if let LinkFrame::Heads { heads } = message(frames).await {
            return heads;
        }
    }
}

#[test]
fn a_member_that_forges_cards_changes_nothing_and_honest_ones_go_on() {
    run(async {
        let machine = Machine::new("mike").await;
        let (eve, raj, zoe, looker) = (identity(), identity(), identity(), identity());
        let (_, mut hostile) = by_hand_as(&eve, 1, &machine).await;
        let (_, mut frames) = by_hand_as(&looker, 1, &machine).await;
        say(&mut frames, &LinkFrame::Heads { heads: BTreeMap::new() }).await;
        let now = OURS.generation();
        let bad = vec![
            "no base64!".to_owned(),
            BASE64.encode(b"no card"),
            BASE64.encode(&vec![b'H'; MAX_CARD + 1]),
            "A".repeat(20_000),
            card(&raj, &eve, now, 9, "forged"),
            card(&raj, &raj, THEIRS.generation(), 9, "foreign"),
        ];
        say(&mut hostile, &LinkFrame::Cards { cards: bad }).await;
        say(&mut hostile, &LinkFrame::Cards { cards: vec![card(&raj, &raj, now, 5, "raj")] }).await;
        assert_eq!(cards_until(&mut frames, "mike", "raj").await, [("raj".to_owned(), 5)]);
        // Replayed and rolled back, and then something to wait for.
        let old = vec![card(&raj, &raj, now, 5, "raj"), card(&raj, &raj, now, 4, "old raj")];
        say(&mut hostile, &LinkFrame::Cards { cards: old }).await;
        say(&mut hostile, &LinkFrame::Cards { cards: vec![card(&zoe, &zoe, now, 1, "zoe")] }).await;
        assert_eq!(cards_until(&mut frames, "mike", "zoe").await, [("zoe".to_owned(), 1)]);

        // Who comes later hears of both, and gets what it lacks alone.
        let (_, mut later) = by_hand_as(&identity(), 1, &machine).await;
        let heads = heads_of(&mut later).await;
        let short = |id: &Identity| data_encoding::HEXLOWER.encode(&id.peer().0[..8]);
        assert_eq!((heads.get(&short(&raj)), heads.get(&short(&zoe))), (Some(&5), Some(&1)), "{heads:?}");
        say(&mut later, &LinkFrame::Heads { heads: BTreeMap::from([(short(&raj), 5)]) }).await;
        assert_eq!(cards_until(&mut later, "mike", "zoe").await, [("zoe".to_owned(), 1)]);
        // A card makes nobody a peer.
        let linked: Vec<PeerId> = machine.seen().linked.iter().map(|l| l.peer).collect();
        assert!(!linked.contains(&raj.peer()) && !linked.contains(&zoe.peer()));
    });
}

#[test]
fn who_does_not_know_cards_is_sent_none_and_hears_them_without_harm() {
    run(async {
        // A release before cards says no feature and passes over what it does not know.
        let said = r#"{"versions":[1],"release":"0.0.9","name":"old","boot":"00000000000000000000000000000000",
            "worker_port":1,"purpose":{"kind":"control"},"now_ms":0,"proof":""}"#;
        let hello: crate::wire::link::Hello = serde_json::from_str(said).expect("an old HELLO");
        assert!(hello.features.is_empty());
        // One that sends cards before its heads, or twice, or nonsense in them, keeps its link.
        let machine = Machine::new("mike").await;
        let (_, mut frames) = by_hand_as(&identity(), 1, &machine).await;
        let odd = BTreeMap::from([("zz".to_owned(), 1), (String::new(), 2), ("00".repeat(8), u64::MAX)]);
        say(&mut frames, &LinkFrame::Heads { heads: odd.clone() }).await;
        say(&mut frames, &LinkFrame::Heads { heads: odd }).await;
        let raj = identity();
        say(&mut frames, &LinkFrame::Cards { cards: vec![card(&raj, &raj, OURS.generation(), 1, "raj")] }).await;
        let (_, mut looker) = by_hand_as(&identity(), 1, &machine).await;
        say(&mut looker, &LinkFrame::Heads { heads: BTreeMap::new() }).await;
        cards_until(&mut looker, "mike", "raj").await;
        assert_eq!(machine.seen().unlinked.len(), 0);
    });
}

fn identity() -> Identity {
    Identity::ephemeral().expect("key")
}
