//! The gate (pure): 48 bytes that only members can make, asked for before anything is parsed or answered.
//!
//! It is a filter, not authentication: a replayed one would only reach TLS, which nobody passes without a proof. That a
//! stranger with a recorded one cannot have handshakes made without end, each opens once ([`Opened`]). So that strangers
//! cannot crowd out friends either, few connections may wait here at once ([`Waiting`]).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::secret::GroupKeys;

/// Bytes of a gate: a nonce of 16 and a code of 32.
pub(super) const GATE_BYTES: usize = 48;
const NONCE_BYTES: usize = 16;
/// What the code is over, before the nonce; a later kind of gate gets another word.
const WORD: &[u8] = b"gate1";

/// The bytes with which a member begins.
pub(super) fn gate(keys: &GroupKeys, nonce: [u8; NONCE_BYTES]) -> [u8; GATE_BYTES] {
    let mut bytes = [0; GATE_BYTES];
    bytes[..NONCE_BYTES].copy_from_slice(&nonce);
    bytes[NONCE_BYTES..].copy_from_slice(&keys.gate_mac(&[WORD, &nonce]));
    bytes
}

/// Whether whoever sent these bytes knows the group secret (or recorded somebody who does).
pub(super) fn opens(keys: &GroupKeys, bytes: &[u8; GATE_BYTES]) -> bool {
    let (nonce, code) = bytes.split_at(NONCE_BYTES);
    keys.verify_gate(&[WORD, nonce].concat(), code)
}

/// Gates that are remembered once they opened, as many as there are peers in the largest group: a few hundred kilobytes. Who
/// records more of them than this must have seen as many friends come in.
const MAX_OPENED: usize = 4096;

/// The nonces of the gates that opened last. A member draws a new one for each connection.
#[derive(Debug, Default)]
pub(super) struct Opened {
    nonces: HashSet<[u8; NONCE_BYTES]>,
    order: VecDeque<[u8; NONCE_BYTES]>,
}

impl Opened {
    /// Writes down that a gate opened. False for one that did before.
    pub(super) fn is_new(&mut self, gate: &[u8; GATE_BYTES]) -> bool {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&gate[..NONCE_BYTES]);
        if !self.nonces.insert(nonce) {
            return false;
        }
        self.order.push_back(nonce);
        if self.order.len() > MAX_OPENED
            && let Some(oldest) = self.order.pop_front()
        {
            self.nonces.remove(&oldest);
        }
        true
    }
}

/// Connections that may stand before the gate or in the handshake at once: each costs a few kilobytes and at most
/// 5 s, so all strangers together never hold more than a megabyte.
const MAX_WAITING: usize = 64;
/// Of them from one address.
const MAX_PER_SOURCE: usize = 8;
/// Of them from this machine: userspace Tailscale brings every peer of the tailnet in through 127.0.0.1.
const MAX_LOOPBACK: usize = 32;

/// Who stands at the gate.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_source: HashMap<IpAddr, usize>,
    all: usize,
}

impl Waiting {
    /// Lets a connection from `source` stand at the gate, or not. From half of the places on, `dice` (any random
    /// byte) decides with growing severity, so that a flood does not shut out everybody else (after OpenSSH's
    /// MaxStartups).
    pub(super) fn enter(&mut self, source: IpAddr, dice: u8) -> bool {
        let source = source.to_canonical();
        let here = self.by_source.get(&source).copied().unwrap_or(0);
        let most = if source.is_loopback() { MAX_LOOPBACK } else { MAX_PER_SOURCE };
        let over_half = self.all.saturating_sub(MAX_WAITING / 2);
        if here >= most || over_half * 256 > usize::from(dice) * (MAX_WAITING / 2) || self.all >= MAX_WAITING {
            return false;
        }
        *self.by_source.entry(source).or_default() += 1;
        self.all += 1;
        true
    }

    /// One that entered has passed or gone.
    pub(super) fn leave(&mut self, source: IpAddr) {
        let source = source.to_canonical();
        if let Some(here) = self.by_source.get_mut(&source) {
            *here -= 1;
            self.all -= 1;
            if *here == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static KEYS: LazyLock<GroupKeys> =
        LazyLock::new(|| GroupKeys::derive(&Secret::new("correct horse battery staple"), "homie"));
    static OTHER: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::derive(&Secret::new("another"), "homie"));

    /// Computed with Python's hmac.
    #[test]
    fn the_bytes_of_a_gate_are_fixed_for_ever() {
        let nonce = std::array::from_fn(|i| i as u8);
        let wanted = "000102030405060708090a0b0c0d0e0f0b8269dfb777a085ec8029de21e04cb95b60f500b8b6734bf01b7126dfc50269";
        assert_eq!(data_encoding::HEXLOWER.encode(&gate(&KEYS, nonce)), wanted);
    }

    /// With the secrets that make them; the codes were computed with Python's hmac.
    #[test]
    fn the_golden_gates_open() {
        const GATES: &str = include_str!("../../tests/fixtures/wire/1/gate.json");
        let golden: serde_json::Value = serde_json::from_str(GATES).expect("JSON");
        let text = |at: &str| golden.pointer(at).and_then(|v| v.as_str()).expect(at).to_owned();
        let bytes = |at: &str| data_encoding::HEXLOWER.decode(text(at).as_bytes()).expect(at);
        let token = GroupKeys::of_token(&bytes("/invitation/token_secret").try_into().expect("16 bytes"));
        let member = GroupKeys::derive(&Secret::new(text("/member/secret")), &text("/member/group"));
        for (who, keys) in [("member", member), ("invitation", token)] {
            let nonce = bytes(&format!("/{who}/nonce")).try_into().expect("16 bytes");
            let made = gate(&keys, nonce);
            assert_eq!(made.to_vec(), bytes(&format!("/{who}/gate")), "{who}");
            assert!(opens(&keys, &made));
        }
    }

    proptest! {
        #[test]
        fn only_members_open_it_and_one_flipped_bit_shuts_it(nonce: [u8; 16], bit in 0usize..GATE_BYTES * 8) {
            let mut bytes = gate(&KEYS, nonce);
            prop_assert!(opens(&KEYS, &bytes));
            prop_assert!(!opens(&OTHER, &bytes));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!opens(&KEYS, &bytes));
        }

        #[test]
        fn the_places_are_never_exceeded_and_all_come_back(
            moves in proptest::collection::vec((0u8..40, any::<u8>(), any::<bool>()), 0..400),
        ) {
            let mut waiting = Waiting::default();
            let mut inside: Vec<IpAddr> = Vec::new();
            for (host, dice, leave) in moves {
                let source: IpAddr = if host == 0 { [127, 0, 0, 1].into() } else { [10, 0, 0, host].into() };
                if leave && !inside.is_empty() {
                    waiting.leave(inside.swap_remove(usize::from(dice) % inside.len()));
                } else if waiting.enter(source, dice) {
                    inside.push(source);
                }
                let most = if source.is_loopback() { 32 } else { 8 };
                prop_assert!(inside.iter().filter(|s| **s == source).count() <= most);
                prop_assert!(inside.len() <= 64);
            }
            for source in inside {
                waiting.leave(source);
            }
            prop_assert_eq!(waiting.all, 0);
            prop_assert!(waiting.by_source.is_empty());
        }
    }

    #[test]
    fn a_gate_opens_once_and_few_are_remembered() {
        let mut opened = Opened::default();
        let nth = |i: usize| gate(&KEYS, std::array::from_fn(|at| if at < 8 { i.to_le_bytes()[at] } else { 0 }));
        for i in 0..=MAX_OPENED {
            assert!(opened.is_new(&nth(i)));
        }
        assert!(!opened.is_new(&nth(1)) && !opened.is_new(&nth(MAX_OPENED)));
        assert_eq!((opened.nonces.len(), opened.order.len()), (MAX_OPENED, MAX_OPENED));
    }

    #[test]
    fn one_host_cannot_take_every_place_and_a_flood_leaves_chances() {
        let mut waiting = Waiting::default();
        let flooder: IpAddr = [10, 0, 0, 1].into();
        assert_eq!((0..100).filter(|_| waiting.enter(flooder, 255)).count(), 8);
        // The same host in its mapped form is the same host.
        assert!(!waiting.enter("::ffff:10.0.0.1".parse().expect("address"), 255));
        assert_eq!((2..100).filter(|i| waiting.enter([10, 0, 0, *i].into(), 0)).count(), 25, "bad luck from half on");
        assert!(waiting.enter([10, 0, 1, 1].into(), 255), "good luck");
    }
}
