//! Pure: which datagrams are beats of this group, heard for the first time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use super::sources::Sources;
use crate::model::{BootId, PeerId};
use crate::wire::heartbeat::{Beat, BeatError, KeyId, MAC_BYTES, decode, open};

/// Peers whose numbers are remembered; only members of the group can add one.
const MAX_PEERS: usize = 4096;
/// Runs remembered of each, so that what was captured of an earlier run is not taken for a new one.
const MAX_RUNS: usize = 8;

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It is no heartbeat, or of a version not known here.
    Foreign(BeatError),
    /// It is a heartbeat of another group, or of this one under another secret.
    OtherGroup,
    /// Its source has sent too many forgeries.
    TooMany,
    /// Its MAC is wrong.
    Forged,
    /// The MAC is right and what it covers is not.
    Malformed(BeatError),
    /// It is this machine's own.
    Own,
    /// A number that was heard already.
    Replayed,
}

/// A beat heard for the first time.
#[derive(Debug, PartialEq)]
pub(super) struct Heard {
    /// What it says.
    pub(super) beat: Beat,
    /// No beat of this run was heard before.
    pub(super) new_run: bool,
}

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Ear {
    own: PeerId,
    key: KeyId,
    sources: Sources,
    runs: HashMap<PeerId, Vec<Run>>,
}

/// The highest number heard of one run of a peer. A beat that was overtaken is dropped with the replayed ones: the
/// later one said more.
#[derive(Debug, Clone, Copy)]
struct Run {
    boot: BootId,
    seq: u64,
    heard: Instant,
}

impl Ear {
    /// The ear of the machine `own` for beats signed with `key`.
    pub(super) fn new(own: PeerId, key: KeyId, now: Instant) -> Self {
        Self { own, key, sources: Sources::new(now), runs: HashMap::new() }
    }

    /// Listens to a datagram. `verify` checks the MAC over the raw bytes; nothing of them is parsed before.
    pub(super) fn hear(
        &mut self,
        datagram: &[u8],
        from: IpAddr,
        now: Instant,
        verify: impl FnOnce(&[u8], &[u8; MAC_BYTES]) -> bool,
    ) -> Result<Heard, Dropped> {
        let sealed = open(datagram).map_err(Dropped::Foreign)?;
        if sealed.key != self.key {
            return Err(Dropped::OtherGroup);
        }
        if !self.sources.may_check(from, now) {
            return Err(Dropped::TooMany);
        }
        let right = verify(sealed.signed, sealed.mac);
        self.sources.checked(from, right, now);
        if !right {
            return Err(Dropped::Forged);
        }
        let beat = decode(sealed.signed).map_err(Dropped::Malformed)?;
        if beat.peer == self.own {
            return Err(Dropped::Own);
        }
        let new_run = self.note(&beat, now)?;
        Ok(Heard { beat, new_run })
    }

    /// Whether right beats come from there.
    pub(super) fn is_friend(&self, from: IpAddr, now: Instant) -> bool {
        self.sources.is_friend(from, now)
    }

    /// Remembers its number. Returns whether its run is new.
    fn note(&mut self, beat: &Beat, now: Instant) -> Result<bool, Dropped> {
        if !self.runs.contains_key(&beat.peer) && self.runs.len() >= MAX_PEERS {
            let last_heard = |runs: &[Run]| runs.iter().map(|r| r.heard).max();
            let silent = self.runs.iter().min_by_key(|(_, runs)| last_heard(runs)).map(|(peer, _)| *peer);
            silent.and_then(|peer| self.runs.remove(&peer));
        }
        let runs = self.runs.entry(beat.peer).or_default();
        if let Some(run) = runs.iter_mut().find(|run| run.boot == beat.boot) {
            if beat.seq <= run.seq {
                return Err(Dropped::Replayed);
            }
            (run.seq, run.heard) = (beat.seq, now);
            return Ok(false);
        }
        if runs.len() >= MAX_RUNS {
            runs.sort_unstable_by_key(|run| run.heard);
            runs.remove(0);
        }
        runs.push(Run { boot: beat.boot, seq: beat.seq, heard: now });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::beacon::Beacon;
    use crate::model::Facts;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const KEY: KeyId = KeyId([7; 4]);
    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    /// Stands for the group key's MAC: a hash that only the "members" of these tests know how to compute.
    fn mac(signed: &[u8]) -> [u8; 32] {
        crate::model::Digest::of(signed).0
    }

    fn right(signed: &[u8], code: &[u8; 32]) -> bool {
        mac(signed) == *code
    }

    fn bob(boot: u8) -> Beacon {
        Beacon {
            peer: PeerId([1; 32]),
            boot: BootId([boot; 16]),
            name: "bob".into(),
            worker_port: 5556,
            key: KEY,
            seq: 0,
        }
    }

    fn ear() -> Ear {
        Ear::new(PeerId([9; 32]), KEY, Instant::now())
    }

    #[test]
    fn a_run_is_new_once() {
        let (mut ear, now) = (ear(), Instant::now());
        let mut runs = [bob(1), bob(2)];
        for (run, new_run) in [(0, true), (0, false), (1, true), (0, false), (1, false)] {
            let datagram = runs[run].datagram(&Facts::default(), false, mac);
            assert_eq!(ear.hear(&datagram, FROM, now, right).expect("a beat").new_run, new_run);
        }
    }

    #[test]
    fn forgeries_are_not_parsed_and_own_beats_are_ignored() {
        let (mut ear, now) = (ear(), Instant::now());
        let mut datagram = bob(1).datagram(&Facts::default(), false, mac);
        datagram[70] ^= 1;
        assert_eq!(ear.hear(&datagram, FROM, now, right), Err(Dropped::Forged));
        let mut own = Beacon { peer: PeerId([9; 32]), ..bob(1) };
        let datagram = own.datagram(&Facts::default(), false, mac);
        assert_eq!(ear.hear(&datagram, FROM, now, right), Err(Dropped::Own));
        let mut other = Beacon { key: KeyId([8; 4]), ..bob(1) };
        let datagram = other.datagram(&Facts::default(), false, mac);
        let unchecked = |_: &[u8], _: &[u8; 32]| -> bool { panic!("another group's MAC is not checked") };
        assert_eq!(ear.hear(&datagram, FROM, now, unchecked), Err(Dropped::OtherGroup));
        assert!(matches!(ear.hear(b"hello", FROM, now, unchecked), Err(Dropped::Foreign(_))));
    }

    #[test]
    fn memory_is_bounded_whatever_members_send() {
        let (mut ear, now) = (ear(), Instant::now());
        for i in 0..4200u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&i.to_le_bytes());
            let mut beacon = Beacon { peer: PeerId(id), ..bob(1) };
            let datagram = beacon.datagram(&Facts::default(), false, mac);
            assert!(ear.hear(&datagram, FROM, now, right).is_ok());
            let mut reborn = bob((i % 200) as u8);
            let datagram = reborn.datagram(&Facts::default(), false, mac);
            let _ = ear.hear(&datagram, FROM, now, right);
        }
        assert!(ear.runs.len() <= MAX_PEERS);
        assert!(ear.runs.values().all(|runs| runs.len() <= MAX_RUNS));
    }

    proptest! {
        #[test]
        fn what_was_heard_once_is_never_heard_again(order in proptest::collection::vec(0usize..20, 0..60)) {
            let (mut ear, now) = (ear(), Instant::now());
            let mut beacon = bob(1);
            let captured: Vec<Vec<u8>> = (0..20).map(|_| beacon.datagram(&Facts::default(), false, mac)).collect();
            for datagram in &captured {
                prop_assert!(ear.hear(datagram, FROM, now, right).is_ok());
            }
            for i in order {
                prop_assert_eq!(ear.hear(&captured[i], FROM, now, right), Err(Dropped::Replayed));
            }
        }

        #[test]
        fn one_flipped_bit_anywhere_is_noticed(at in 0usize..1200) {
            let (mut ear, now) = (ear(), Instant::now());
            let mut datagram = bob(1).datagram(&Facts::default(), false, mac);
            let bits = datagram.len() * 8;
            datagram[at % bits / 8] ^= 1 << (at % 8);
            prop_assert!(ear.hear(&datagram, FROM, now, right).is_err());
        }
    }
}
