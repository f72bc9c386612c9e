//! Who has which card (pure).
//!
//! One bit for each card and link, so that a thousand of both are a quarter of a megabyte, and those that a card is to be sent to
//! are found sixty-four at a time.

use std::collections::{BTreeMap, HashMap};

use super::cards::MAX_CARDS;

/// What is remembered of one link beyond the cards that are here.
const MAX_AHEAD: usize = 4 * MAX_CARDS;

/// A set of links, by their places.
#[derive(Debug, Clone, Default)]
struct Set(Vec<u64>);

impl Set {
    fn set(&mut self, place: usize, to: bool) {
        if to && self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(place / 64) {
            *word = (*word & !(1 << (place % 64))) | (u64::from(to) << (place % 64));
        }
    }

    fn has(&self, place: usize) -> bool {
        self.word(place / 64) >> (place % 64) & 1 == 1
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    /// The places in `self` and not in `other`.
    fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let words = self.0.iter().enumerate().map(|(at, word)| (at, word & !other.word(at)));
        words
            .filter(|(_, word)| *word != 0)
            .flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit))
    }
}

/// A card that is here.
#[derive(Debug)]
struct Marks {
    seq: u64,
    /// Links whose other end has it, or a newer one.
    has: Set,
    /// Links whose other end has an older one.
    older: Set,
}

/// The other end of a link.
#[derive(Debug)]
struct Far {
    place: usize,
    /// Cards of it that are newer than those here, or of which there is none here.
    ahead: BTreeMap<u64, u64>,
}

/// Which of the cards that are here the other ends of the links have. Cards go by their keys' short numbers, links by their
/// serial ones.
#[derive(Debug, Default)]
pub(super) struct Spread {
    cards: HashMap<u64, Marks>,
    links: BTreeMap<u64, Far>,
    /// The serial number of the link at each place.
    places: Vec<Option<u64>>,
    /// Those that have said what they have; before, nothing is sent.
    ready: Set,
}

impl Spread {
    /// A link is up.
    pub(super) fn link(&mut self, serial: u64) {
        self.unlink(serial);
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        self.places.resize(self.places.len().max(place + 1), None);
        self.places[place] = Some(serial);
        self.links.insert(serial, Far { place, ahead: BTreeMap::new() });
    }

    /// A link is gone.
    pub(super) fn unlink(&mut self, serial: u64) {
        let Some(Far { place, .. }) = self.links.remove(&serial) else { return };
        self.places[place] = None;
        self.ready.set(place, false);
        for marks in self.cards.values_mut() {
            marks.has.set(place, false);
            marks.older.set(place, false);
        }
    }

    /// The other end has said what it has. It does so once; whether this was it.
    pub(super) fn heads(&mut self, serial: u64, heads: impl Iterator<Item = (u64, u64)>) -> bool {
        let Some(place) = self.links.get(&serial).map(|far| far.place).filter(|place| !self.ready.has(*place)) else {
            return false;
        };
        heads.take(2 * MAX_CARDS).for_each(|(card, seq)| self.note(serial, card, seq));
        self.ready.set(place, true);
        true
    }

    /// The other end has this card, or a newer one.
    pub(super) fn note(&mut self, serial: u64, card: u64, seq: u64) {
        let Some(far) = self.links.get_mut(&serial) else { return };
        let here = self.cards.get_mut(&card);
        let newer = here.as_ref().is_none_or(|marks| seq > marks.seq);
        if newer && (far.ahead.len() < MAX_AHEAD || far.ahead.contains_key(&card)) {
            let known = far.ahead.entry(card).or_default();
            *known = seq.max(*known);
        }
        if let Some(marks) = here {
            let has = seq >= marks.seq || marks.has.has(far.place);
            marks.has.set(far.place, has);
            marks.older.set(far.place, !has);
        }
    }

    /// This card is here from now on, in the place of any other of its key.
    pub(super) fn hold(&mut self, card: u64, seq: u64) {
        let Marks { has, mut older, .. } =
            self.cards.remove(&card).unwrap_or(Marks { seq, has: Set::default(), older: Set::default() });
        older.add(&has);
        let mut has = Set::default();
        for far in self.links.values_mut() {
            let Some(theirs) = far.ahead.get(&card).copied() else { continue };
            has.set(far.place, theirs >= seq);
            older.set(far.place, theirs < seq);
            if theirs <= seq {
                far.ahead.remove(&card);
            }
        }
        self.cards.insert(card, Marks { seq, has, older });
    }

    /// No card of this key is here any more.
    pub(super) fn drop(&mut self, card: u64) {
        self.cards.remove(&card);
    }

    /// Where a card is to be sent: the places of links, and whether an older one is there.
    pub(super) fn lacking(&self, card: u64) -> Vec<(usize, bool)> {
        let Some(marks) = self.cards.get(&card) else { return Vec::new() };
        self.ready.without(&marks.has).map(|place| (place, marks.older.has(place))).collect()
    }

    /// A card is sent to the link at `place`; gives that link's serial number.
    pub(super) fn sent(&mut self, card: u64, place: usize) -> Option<u64> {
        let marks = self.cards.get_mut(&card)?;
        marks.has.set(place, true);
        marks.older.set(place, false);
        self.places.get(place).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Link(u64),
        Unlink(u64),
        Heads(u64, Vec<(u64, u64)>),
        Note(u64, u64, u64),
        Hold(u64, u64),
        Send(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let (link, card, seq) = (0u64..150, 0u64..6, 1u64..9);
        let heads = proptest::collection::vec((card.clone(), seq.clone()), 0..6);
        let step = prop_oneof![
            2 => link.clone().prop_map(Step::Link),
            1 => link.clone().prop_map(Step::Unlink),
            3 => (link.clone(), heads).prop_map(|(link, heads)| Step::Heads(link, heads)),
            3 => (link, card.clone(), seq.clone()).prop_map(|(link, card, seq)| Step::Note(link, card, seq)),
            2 => (card.clone(), seq).prop_map(|(card, more)| Step::Hold(card, more)),
            1 => card.prop_map(Step::Send),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        /// As one who writes down the number of each card at each link would know it.
        #[test]
        fn the_bits_say_what_a_long_list_would(steps in steps()) {
            let mut spread = Spread::default();
            let mut links: BTreeMap<u64, (bool, BTreeMap<u64, u64>)> = BTreeMap::new();
            let mut held: BTreeMap<u64, u64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Link(link) => {
                        spread.link(link);
                        links.insert(link, Default::default());
                    }
                    Step::Unlink(link) => {
                        spread.unlink(link);
                        links.remove(&link);
                    }
                    Step::Heads(link, heads) => {
                        let first = links.get_mut(&link).filter(|(ready, _)| !ready).map(|(ready, known)| {
                            *ready = true;
                            for (card, seq) in &heads {
                                let has = known.entry(*card).or_default();
                                *has = (*has).max(*seq);
                            }
                        });
                        prop_assert_eq!(spread.heads(link, heads.into_iter()), first.is_some());
                    }
                    Step::Note(link, card, seq) => {
                        spread.note(link, card, seq);
                        if let Some((_, known)) = links.get_mut(&link) {
                            let has = known.entry(card).or_default();
                            *has = (*has).max(seq);
                        }
                    }
                    // Numbers of cards only grow.
                    Step::Hold(card, more) => {
                        let seq = held.entry(card).or_default();
                        *seq += more;
                        spread.hold(card, *seq);
                    }
                    Step::Send(card) => {
                        for (place, _) in spread.lacking(card) {
                            let link = spread.sent(card, place).expect("a link is there");
                            links.get_mut(&link).expect("up").1.insert(card, held[&card]);
                        }
                    }
                }
                for (card, seq) in &held {
                    let mut lacking: Vec<_> = spread.lacking(*card).into_iter().map(|(place, older)| (spread.places[place], older)).collect();
                    lacking.sort_unstable();
                    let lacks = |(link, (ready, known)): (&u64, &(bool, BTreeMap<u64, u64>))| {
                        let has = known.get(card);
                        (*ready && has.is_none_or(|has| has < seq)).then_some((Some(*link), has.is_some()))
                    };
                    let expected: Vec<_> = links.iter().filter_map(lacks).collect();
                    prop_assert_eq!(lacking, expected, "card {}", card);
                }
            }
        }
    }
}
