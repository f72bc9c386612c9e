//! Groups of members in one process, with real keys and signatures, and a hostile one among them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::believe;
use super::cards::{BETWEEN, Cards, FORGOTTEN_AFTER, Kept, MAX_CARDS, Refused, short};
use crate::identity::Identity;
use crate::model::PeerId;
use crate::wire::roster::{CONTEXT, Card, Generation, encode, open};

const NOW: Generation = Generation([1; 16]);
const BEFORE: Generation = Generation([2; 16]);

fn identity() -> Identity {
    Identity::ephemeral().expect("a key")
}

fn card(of: &Identity, generation: Generation, seq: u64, name: &str) -> Card {
    let addresses = vec!["10.0.0.7".parse().expect("address")];
    Card { generation, key: of.public_key(), seq, port: 5556, name: name.into(), addresses }
}

fn signed(card: &Card, by: &Identity) -> Vec<u8> {
    let bytes = encode(card);
    [&bytes[..], &by.sign(CONTEXT, &bytes)].concat()
}

fn cards(own: &Identity) -> Cards {
    let mut cards = Cards::new(own.peer());
    cards.renew(Some(NOW), false, |_| false);
    cards
}

/// Gives `cards` a card, as it came over the link `serial` from `from`.
fn give(cards: &mut Cards, bytes: &[u8], from: PeerId, serial: u64, now: Instant) -> Result<(), Option<&'static str>> {
    let believed = believe(cards, bytes, from, now, |_| false, |name, _| name == "taken")?;
    cards.take(believed.peer, believed.card, bytes.into(), serial, "bob", now).map_err(|_| None)
}

#[test]
fn nobody_forges_alters_or_rolls_back_the_card_of_another() {
    let (me, raj, eve) = (identity(), identity(), identity());
    let now = Instant::now();
    let mut mine = cards(&me);
    mine.linked(1, eve.peer(), now);
    let good = signed(&card(&raj, NOW, 5, "raj"), &raj);
    assert_eq!(give(&mut mine, &good, eve.peer(), 1, now), Ok(()));

    let newer = card(&raj, NOW, 9, "raj");
    assert_eq!(give(&mut mine, &signed(&newer, &eve), eve.peer(), 1, now), Err(Some("its signature is wrong")));
    for seq in [0, 4, 5] {
        let older = signed(&card(&raj, NOW, seq, "old raj"), &raj);
        assert_eq!(give(&mut mine, &older, eve.peer(), 1, now), Err(None), "{seq}");
    }
    // A signature for anything else is none for a card.
    let bytes = encode(&newer);
    let elsewhere = [&bytes[..], &raj.sign(b"homie/v1/else\0", &bytes)].concat();
    assert_eq!(give(&mut mine, &elsewhere, eve.peer(), 1, now), Err(Some("its signature is wrong")));
    let foreign = signed(&card(&raj, BEFORE, 9, "raj"), &raj);
    assert_eq!(give(&mut mine, &foreign, eve.peer(), 1, now), Err(Some("it is of another secret of the group")));
    let squatter = signed(&card(&eve, NOW, 1, "taken"), &eve);
    assert_eq!(give(&mut mine, &squatter, eve.peer(), 1, now), Err(Some("its name belongs to another key")));
    let out = believe(&mine, &signed(&newer, &raj), eve.peer(), now, |peer| peer == raj.peer(), |_, _| false);
    assert_eq!(out.expect_err("out"), Some("it is of a machine that was put out"));

    let held = mine.get(raj.peer()).expect("kept");
    assert_eq!((held.card.seq, held.card.name.as_str(), held.by.as_deref()), (5, "raj", Some("bob")));
    assert_eq!(mine.others().count(), 1);
}

proptest! {
    #[test]
    fn one_changed_byte_is_no_card(at in 0usize..300, flip in 1u8..) {
        let (me, raj) = (identity(), identity());
        let now = Instant::now();
        let mut mine = cards(&me);
        mine.linked(1, raj.peer(), now);
        let mut bytes = signed(&card(&raj, NOW, 5, "raj"), &raj);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert!(give(&mut mine, &bytes, raj.peer(), 1, now).is_err());
        prop_assert_eq!(mine.others().count(), 0);
    }
}

#[test]
fn a_flood_fills_no_table_and_is_not_passed_on() {
    let (me, eve, raj) = (identity(), identity(), identity());
    let mut now = Instant::now();
    let mut mine = cards(&me);
    mine.linked(1, eve.peer(), now);
    mine.linked(2, raj.peer(), now);
    mine.heard_heads(2, std::iter::empty());
    // One key that signs as fast as it can: the first goes out, then the newest now and then.
    let mut out = 0;
    let begun = now;
    for seq in 1..=400 {
        let _ = give(&mut mine, &signed(&card(&eve, NOW, seq, "eve"), &eve), eve.peer(), 1, now);
        out += mine.outgoing(now).0.iter().map(|(_, cards)| cards.len()).sum::<usize>();
        now += Duration::from_millis(100);
    }
    let fair = 2 + now.duration_since(begun).as_secs() / BETWEEN.as_secs();
    assert!(out as u64 <= fair && out > 2, "{out} passed on");
    now += BETWEEN * 400;
    assert_eq!(mine.outgoing(now).0.len(), 1, "the newest is not lost");
    assert_eq!(mine.outgoing(now).0.len(), 0);

    // And many keys: made up, they do not drive out who has proven itself, and a proven one drives out them.
    for n in 0..2 * MAX_CARDS {
        let made_up = identity();
        let _ = give(&mut mine, &signed(&card(&made_up, NOW, 1, &format!("x{n}")), &made_up), eve.peer(), 1, now);
    }
    assert_eq!(mine.others().count(), MAX_CARDS);
    assert!(mine.get(eve.peer()).is_some());
    let late = signed(&card(&raj, NOW, 1, "raj"), &raj);
    assert_eq!(mine.check(raj.peer(), &card(&raj, NOW, 1, "raj"), false, now), Err(Refused::Full));
    assert_eq!(give(&mut mine, &late, raj.peer(), 2, now), Ok(()), "itself, over a link");
    assert_eq!(mine.others().count(), MAX_CARDS);

    // How much of it is looked at at all.
    let mut looked = 0;
    for _ in 0..1000 {
        looked += mine.budget(1, usize::MAX, now);
    }
    assert!(looked <= 2 * MAX_CARDS, "{looked}");
    assert!(mine.budget(1, 10_000, now + Duration::from_secs(1)) > 0, "and then some a second");
}

#[test]
fn a_card_dies_with_the_secret_and_still_tells_where_a_member_was() {
    let (me, raj, eve) = (identity(), identity(), identity());
    let now = Instant::now();
    let mut mine = cards(&me);
    mine.linked(1, eve.peer(), now);
    for (who, name) in [(&raj, "raj"), (&eve, "eve")] {
        assert_eq!(give(&mut mine, &signed(&card(who, NOW, 5, name), who), eve.peer(), 1, now), Ok(()));
    }
    mine.unlinked(1, now);
    let next = Generation([3; 16]);
    mine.renew(Some(next), true, |peer| peer == eve.peer());
    assert_eq!(mine.unmet(now).map(|(peer, _)| peer).collect::<Vec<_>>(), [raj.peer()], "not who was put out");
    assert!(mine.heads().is_empty());
    mine.linked(2, eve.peer(), now);
    mine.heard_heads(2, std::iter::empty());
    assert!(mine.outgoing(now).0.is_empty(), "nobody is told");
    // Of the next secret any number is news.
    let fresh = signed(&card(&raj, next, 1, "raj"), &raj);
    assert_eq!(give(&mut mine, &fresh, eve.peer(), 2, now), Ok(()));
    assert_eq!(mine.heads().len(), 1);
    mine.renew(Some(BEFORE), false, |_| false);
    assert_eq!(mine.others().count(), 0, "another group");
}

#[test]
fn who_is_gone_for_weeks_is_forgotten_for_good_until_it_is_back() {
    let (me, raj, bob) = (identity(), identity(), identity());
    let mut now = Instant::now();
    let mut mine = cards(&me);
    mine.linked(1, bob.peer(), now);
    let old = signed(&card(&raj, NOW, 5, "raj"), &raj);
    assert_eq!(give(&mut mine, &old, bob.peer(), 1, now), Ok(()));
    now += FORGOTTEN_AFTER / 2;
    let kept = mine.keep(now);
    assert_eq!(kept.len(), 1);

    // A restart does not begin its days anew.
    let mut mine = cards(&me);
    let restore = |mine: &mut Cards, kept: &Kept, now| {
        mine.restore(raj.peer(), open(&kept.bytes).expect("a card").card, kept.clone(), now);
    };
    restore(&mut mine, &kept[0], now);
    assert_eq!(mine.unmet(now).count(), 1);
    now += FORGOTTEN_AFTER / 2;
    assert_eq!(mine.unmet(now).count(), 0);
    mine.linked(2, bob.peer(), now);
    assert_eq!(give(&mut mine, &old, bob.peer(), 2, now), Err(None), "others still have it");
    assert_eq!(mine.unmet(now).count(), 0);
    assert_eq!(give(&mut mine, &signed(&card(&raj, NOW, 6, "raj"), &raj), bob.peer(), 2, now), Ok(()));
    assert_eq!(mine.unmet(now).count(), 1, "it is back");
    mine.remove(raj.peer());
    assert_eq!(mine.unmet(now).count(), 0);
    let kept = mine.keep(now);
    let mut other = Cards::new(me.peer());
    other.renew(Some(BEFORE), false, |_| false);
    restore(&mut other, &kept[0], now);
    assert_eq!(other.others().count(), 0, "kept of another secret");
}

/// A group whose links are `pairs`: every member knows its own card at first. Runs until nothing is sent; gives the number
/// of frames and cards that were.
fn gossip(members: &mut [(Identity, Cards)], pairs: &[(usize, usize)], now: Instant) -> (usize, usize) {
    let mut ends: HashMap<(usize, u64), (usize, u64)> = HashMap::new();
    let mut seen: HashMap<(usize, u64, PeerId, u64), usize> = HashMap::new();
    for (n, (a, b)) in pairs.iter().enumerate() {
        let (one, other) = (2 * n as u64, 2 * n as u64 + 1);
        let (peer_a, peer_b) = (members[*a].0.peer(), members[*b].0.peer());
        members[*a].1.linked(one, peer_b, now);
        members[*b].1.linked(other, peer_a, now);
        let (heads_a, heads_b) = (members[*a].1.heads(), members[*b].1.heads());
        members[*a].1.heard_heads(one, heads_b.into_iter());
        members[*b].1.heard_heads(other, heads_a.into_iter());
        ends.insert((*a, one), (*b, other));
        ends.insert((*b, other), (*a, one));
    }
    let (mut frames, mut sent) = (0, 0);
    let mut queue: VecDeque<usize> = (0..members.len()).collect();
    while let Some(who) = queue.pop_front() {
        let (news, _) = members[who].1.outgoing(now);
        let from = members[who].0.peer();
        for (serial, cards) in news {
            frames += 1;
            sent += cards.len();
            let (to, theirs) = ends[&(who, serial)];
            for bytes in cards {
                let said = open(&bytes).expect("a card").card;
                let peer = crate::identity::peer_id_of_key(&said.key);
                let times = seen.entry((who, serial, peer, said.seq)).or_default();
                *times += 1;
                assert_eq!(*times, 1, "a card went twice over one link");
                if give(&mut members[to].1, &bytes, from, theirs, now).is_ok() && !queue.contains(&to) {
                    queue.push_back(to);
                } else if !members[to].1.heads().contains_key(&short(peer)) {
                    panic!("a card was lost");
                }
            }
        }
    }
    (frames, sent)
}

fn group(size: usize, now: Instant) -> Vec<(Identity, Cards)> {
    let member = |n: usize| {
        let me = identity();
        let mut own = cards(&me);
        let said = card(&me, NOW, 1, &format!("m{n}"));
        let bytes: Arc<[u8]> = signed(&said, &me).into();
        own.publish(said, bytes, now);
        (me, own)
    };
    (0..size).map(member).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the links: everybody in reach comes to know everybody, each card goes over a link at most once each way, and
    /// it ends.
    #[test]
    fn gossip_reaches_everybody_and_ends(size in 2usize..12, more in proptest::collection::vec((0usize..12, 0usize..12), 0..20)) {
        let now = Instant::now();
        let mut members = group(size, now);
        // A chain, so that all are in reach, and whatever else.
        let mut pairs: Vec<(usize, usize)> = (1..size).map(|n| (n - 1, n)).collect();
        pairs.extend(more.into_iter().map(|(a, b)| (a % size, b % size)).filter(|(a, b)| a != b));
        let (_, sent) = gossip(&mut members, &pairs, now);
        prop_assert!(sent <= 2 * pairs.len() * size);
        for (_, cards) in &members {
            prop_assert_eq!(cards.others().count(), size - 1);
        }
    }
}

#[test]
fn a_full_mesh_talks_little() {
    const SIZE: usize = 30;
    let now = Instant::now();
    let mut members = group(SIZE, now);
    let all: Vec<(usize, usize)> = (0..SIZE).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    // All at the same moment, when nobody has anything: the worst there is. Every card once over every link, each way.
    let (_, sent) = gossip(&mut members, &all, now);
    assert!(sent <= 2 * all.len() * SIZE, "{sent} cards");
    for (_, cards) in &members {
        assert_eq!(cards.others().count(), SIZE - 1);
    }
    // One of a group that knows itself comes with a new card: at most one over each link, each way.
    let (me, own) = &mut members[0];
    let said = card(me, NOW, 2, "m0");
    let bytes: Arc<[u8]> = signed(&said, me).into();
    let later = now + BETWEEN;
    own.publish(said, bytes, later);
    for (_, cards) in &mut members {
        (0..10_000).for_each(|serial| cards.unlinked(serial, now));
    }
    let (_, sent) = gossip(&mut members, &all, later);
    assert!(sent <= 2 * all.len(), "{sent} cards");
    // And a newcomer costs one link's worth.
    members.append(&mut group(1, now));
    for (_, cards) in &mut members {
        (0..10_000).for_each(|serial| cards.unlinked(serial, now));
    }
    let (_, sent) = gossip(&mut members, &[(0, SIZE)], later);
    assert_eq!(sent, SIZE + 1, "all of theirs, and its own");
}
