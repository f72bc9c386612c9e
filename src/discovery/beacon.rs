//! Pure: when own beats go out, and what they look like.

use std::time::{Duration, Instant};

use crate::model::{BootId, Facts, PeerId};
use crate::wire::heartbeat::{Beat, INTERVAL, KeyId, encode};

/// Least time between two beats, however many newcomers there are: a restart of a whole group makes each machine
/// send four beats a second, not one for every other machine.
pub(super) const LEAST_GAP: Duration = Duration::from_millis(250);
/// Most that a beat is early or late, so that machines started by one switch do not beat in step for ever. A
/// twentieth keeps every gap within 10 % of two seconds.
const JITTER: Duration = Duration::from_millis(100);

/// When the next beat is due.
#[derive(Debug)]
pub(super) struct Rhythm {
    next: Instant,
    last: Option<Instant>,
}

impl Rhythm {
    /// The first beat, the hello, is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, last: None }
    }

    /// When to beat.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Somebody is new: beat now, or as soon as [`LEAST_GAP`] allows.
    pub(super) fn bring_forward(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| now.max(last + LEAST_GAP));
        self.next = self.next.min(soonest);
    }

    /// A beat went out; `chance` makes the next gap a little longer or shorter.
    pub(super) fn beaten(&mut self, now: Instant, chance: u8) {
        self.last = Some(now);
        self.next = now + INTERVAL - JITTER + JITTER * 2 * u32::from(chance) / u32::from(u8::MAX);
    }
}

/// What this machine says of itself in every beat of this run.
#[derive(Debug)]
pub(super) struct Beacon {
    /// Its key's hash.
    pub(super) peer: PeerId,
    /// This run.
    pub(super) boot: BootId,
    /// Its name.
    pub(super) name: String,
    /// Where its worker listens.
    pub(super) worker_port: u16,
    /// The group key that `mac` uses.
    pub(super) key: KeyId,
    /// Datagrams made so far in this run.
    pub(super) seq: u64,
}

impl Beacon {
    /// A byte that differs between machines and from beat to beat: the run's id was drawn at random.
    pub(super) fn chance(&self) -> u8 {
        self.boot.0[(self.seq % 16) as usize]
    }

    /// The next datagram. Each has its own number, also those of one beat on several interfaces: a hearer takes the
    /// second for a copy otherwise, and would not learn that both ways work.
    pub(super) fn datagram(&mut self, facts: &Facts, goodbye: bool, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Vec<u8> {
        self.seq += 1;
        let beat = Beat {
            peer: self.peer,
            boot: self.boot,
            seq: self.seq,
            worker_port: self.worker_port,
            name: self.name.clone(),
            facts: facts.clone(),
            goodbye,
        };
        let mut bytes = encode(&beat, self.key);
        let code = mac(&bytes);
        bytes.extend_from_slice(&code);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::heartbeat::{decode, open};
    use proptest::prelude::*;

    #[test]
    fn each_datagram_has_its_own_number_and_its_mac_at_the_end() {
        let mut beacon = Beacon {
            peer: PeerId([1; 32]),
            boot: BootId([2; 16]),
            name: "raj".into(),
            worker_port: 5556,
            key: KeyId([7; 4]),
            seq: 0,
        };
        for seq in 1..4 {
            let datagram = beacon.datagram(&Facts::default(), false, |signed| [signed.len() as u8; 32]);
            let sealed = open(&datagram).expect("a beat");
            assert_eq!(sealed.mac, &[sealed.signed.len() as u8; 32]);
            assert_eq!(decode(sealed.signed).expect("valid").seq, seq);
        }
    }

    proptest! {
        /// Whatever newcomers do in an hour: gaps between beats stay between the least gap and two seconds and a bit.
        #[test]
        fn newcomers_neither_hurry_nor_hold_the_rhythm(gaps in proptest::collection::vec((0u64..3000, any::<u8>()), 1..200)) {
            let start = Instant::now();
            let mut rhythm = Rhythm::new(start);
            prop_assert_eq!(rhythm.next(), start, "the hello goes out at once");
            rhythm.beaten(start, 0);
            let (mut last, mut now) = (start, start);
            for (gap, random) in gaps {
                let newcomer = now + Duration::from_millis(gap);
                while rhythm.next() <= newcomer {
                    let beat = rhythm.next();
                    prop_assert!(beat - last >= LEAST_GAP && beat - last <= INTERVAL + JITTER);
                    rhythm.beaten(beat, random);
                    last = beat;
                }
                now = newcomer;
                rhythm.bring_forward(now);
                prop_assert!(rhythm.next() <= now + LEAST_GAP, "a newcomer waits no longer than the least gap");
            }
        }
    }
}
