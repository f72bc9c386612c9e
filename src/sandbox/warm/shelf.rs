//! Which containers should wait, of which kinds, and which have waited long enough. Pure: takes `now` as an argument.

/// What the owner allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps {
    /// Containers that wait at once; 0 on battery, while paused, or where the owner wants none.
    pub(super) size: usize,
    /// How long after its last job a kind is worth a waiting container, and how long one waits; milliseconds.
    pub(super) idle_ms: u64,
}

/// The kinds that jobs asked for, and what waits.
#[derive(Debug)]
pub(super) struct Shelf<K, T> {
    /// The last used first.
    recent: Vec<(K, u64)>,
    waiting: Vec<Waiting<K, T>>,
}

#[derive(Debug)]
struct Waiting<K, T> {
    kind: K,
    since: u64,
    it: T,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next<K, T> {
    /// These are to be destroyed.
    pub(super) discard: Vec<T>,
    /// One of this kind is to be made; ask again then.
    pub(super) make: Option<K>,
    /// When to ask again at the latest, if nothing happens before.
    pub(super) at: Option<u64>,
}

impl<K: Clone + PartialEq, T> Shelf<K, T> {
    /// Nothing was used and nothing waits.
    pub(super) fn new() -> Self {
        Self { recent: Vec::new(), waiting: Vec::new() }
    }

    /// A job of this kind was here.
    pub(super) fn used(&mut self, kind: K, now: u64) {
        self.recent.retain(|(k, _)| *k != kind);
        self.recent.insert(0, (kind, now));
    }

    /// Takes the one that has waited longest of those that fit. Whoever takes it has it alone.
    pub(super) fn take(&mut self, fits: impl Fn(&K) -> bool) -> Option<T> {
        let at = self.waiting.iter().position(|w| fits(&w.kind))?;
        Some(self.waiting.remove(at).it)
    }

    /// One more waits.
    pub(super) fn put(&mut self, kind: K, it: T, now: u64) {
        self.waiting.push(Waiting { kind, since: now, it });
    }

    /// What is to be done now.
    pub(super) fn next(&mut self, caps: Caps, now: u64) -> Next<K, T> {
        let young = |since: u64| now.saturating_sub(since) < caps.idle_ms;
        self.recent.retain(|(_, last)| young(*last));
        let mut wanted = self.wanted(caps.size);
        let (mut keep, mut discard) = (Vec::new(), Vec::new());
        for waiting in self.waiting.drain(..) {
            match wanted.iter().position(|kind| *kind == waiting.kind) {
                Some(at) if young(waiting.since) => {
                    wanted.remove(at);
                    keep.push(waiting);
                }
                _ => discard.push(waiting.it),
            }
        }
        self.waiting = keep;
        let ages = self.recent.iter().map(|(_, last)| *last).chain(self.waiting.iter().map(|w| w.since));
        let at = ages.min().map(|oldest| oldest.saturating_add(caps.idle_ms));
        Next { discard, make: wanted.into_iter().next(), at }
    }

    /// One of each kind in turn, the last used first, until the shelf is full.
    fn wanted(&self, size: usize) -> Vec<K> {
        self.recent.iter().cycle().take(if self.recent.is_empty() { 0 } else { size }).map(|(k, _)| k.clone()).collect()
    }

    /// Everything that waits; nothing is made any more.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.recent.clear();
        self.waiting.drain(..).map(|w| w.it).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPS: Caps = Caps { size: 2, idle_ms: 1000 };

    #[test]
    fn one_that_was_used_is_made_again_until_it_is_idle() {
        let mut shelf: Shelf<&str, u32> = Shelf::new();
        assert_eq!(shelf.next(CAPS, 0), Next { discard: vec![], make: None, at: None });
        shelf.used("a", 0);
        assert_eq!(shelf.next(CAPS, 0).make, Some("a"));
        shelf.put("a", 1, 10);
        assert_eq!(shelf.next(CAPS, 10).make, Some("a"));
        shelf.put("a", 2, 20);
        assert_eq!(shelf.next(CAPS, 20), Next { discard: vec![], make: None, at: Some(1000) });
        assert_eq!(shelf.take(|k| *k == "b"), None);
        assert_eq!(shelf.take(|k| *k == "a"), Some(1));
        assert_eq!(shelf.next(CAPS, 30).make, Some("a"));
        let idle = shelf.next(CAPS, 1000);
        assert_eq!(idle, Next { discard: vec![2], make: None, at: None });
    }

    #[test]
    fn kinds_share_the_shelf_and_the_last_used_come_first() {
        let mut shelf: Shelf<&str, u32> = Shelf::new();
        shelf.used("a", 0);
        shelf.put("a", 1, 1);
        shelf.put("a", 2, 1);
        shelf.used("b", 2);
        let next = shelf.next(CAPS, 3);
        assert_eq!((next.discard, next.make), (vec![2], Some("b")));
        shelf.put("b", 3, 4);
        shelf.used("c", 5);
        let next = shelf.next(CAPS, 6);
        assert_eq!((next.discard, next.make), (vec![1], Some("c")));
    }

    #[test]
    fn an_owner_who_wants_none_has_none() {
        let mut shelf: Shelf<&str, u32> = Shelf::new();
        shelf.used("a", 0);
        shelf.put("a", 1, 1);
        let next = shelf.next(Caps { size: 0, ..CAPS }, 2);
        assert_eq!((next.discard, next.make), (vec![1], None));
    }

    proptest! {
        #[test]
        fn never_more_than_allowed_and_each_one_once(steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..400_u64), 0..80), size in 0..4_usize) {
            let caps = Caps { size, idle_ms: 1000 };
            let (mut shelf, mut now, mut made, mut out) = (Shelf::new(), 0, 0_u32, Vec::new());
            for (what, kind, later) in steps {
                now += later;
                match what {
                    0 => shelf.used(kind, now),
                    1 => out.extend(shelf.take(|k| *k == kind)),
                    _ => {
                        let next = shelf.next(caps, now);
                        out.extend(next.discard);
                        if let Some(kind) = next.make {
                            made += 1;
                            shelf.put(kind, made, now);
                        }
                    }
                }
                prop_assert!(shelf.waiting.len() <= size);
            }
            out.extend(shelf.clear());
            out.sort_unstable();
            prop_assert_eq!(out, (1..=made).collect::<Vec<_>>());
        }
    }
}
