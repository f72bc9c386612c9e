//! HELLO (pure): what both sides say once TLS stands, and how each checks the other.
//!
//! TLS has proven that the other side holds its device key. HELLO proves that it also knows the group secret, in a way
//! that is worth nothing on any other connection: the proof is over what TLS exports for this one and over both keys,
//! so whoever sits in the middle of two connections cannot hand it on. No clock is asked anywhere.

use data_encoding::HEXLOWER;

use crate::model::{BootId, PeerId, visible_controls};
use crate::secret::GroupKeys;
use crate::wire::link::{Hello, Purpose, ROSTER};
use crate::wire::version::{LINK, RELEASE, VersionMismatch, negotiate};

/// Bytes that TLS exports for the proof.
pub(super) const EXPORTER_BYTES: usize = 32;
/// The name under which TLS exports them (RFC 8446, section 7.5).
pub(super) const EXPORTER_LABEL: &[u8] = b"EXPORTER-homie-link-1";
/// Characters of a machine's name; DNS labels have 63.
const MAX_NAME: usize = 63;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The one that dialled.
    Dialler,
    /// The one that was dialled.
    Accepter,
}

impl End {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Dialler => b"dialler",
            Self::Accepter => b"accepter",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Accepter,
            Self::Accepter => Self::Dialler,
        }
    }
}

/// A TLS connection, as far as HELLO is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    /// Which end this side is.
    pub(super) end: End,
    /// What TLS exports for exactly this connection.
    pub(super) exporter: [u8; EXPORTER_BYTES],
    /// This side's key.
    pub(super) own: PeerId,
    /// The key the other side has proven to hold.
    pub(super) peer: PeerId,
}

/// What this side says of itself.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    pub(super) name: String,
    pub(super) boot: BootId,
    pub(super) worker_port: u16,
    pub(super) purpose: Purpose,
    pub(super) now_ms: u64,
}

/// Why a HELLO is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HelloError {
    /// The group secret behind it is another one, or somebody sits in between.
    #[error("its proof of the group secret is wrong")]
    Proof,
    /// No version in common.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// A name that no machine should have.
    #[error("its name {0:?} is empty, too long or not printable")]
    Name(String),
}

/// This side's HELLO for a channel.
pub(super) fn hello(keys: &GroupKeys, channel: &Channel, me: Introduction) -> Hello {
    let proof = keys.proof_mac(&[channel.end.word(), &channel.exporter, &channel.own.0, &channel.peer.0]);
    Hello {
        versions: LINK.to_vec(),
        release: RELEASE.to_owned(),
        name: me.name,
        boot: me.boot,
        worker_port: me.worker_port,
        purpose: me.purpose,
        now_ms: me.now_ms,
        proof: HEXLOWER.encode(&proof),
        features: vec![ROSTER.to_owned()],
    }
}

/// Whether the other side knows the group secret. The accepting side says nothing of itself before this holds.
pub(super) fn check_proof(keys: &GroupKeys, channel: &Channel, theirs: &Hello) -> Result<(), HelloError> {
    let wanted = [channel.end.other().word(), &channel.exporter, &channel.peer.0, &channel.own.0].concat();
    let code = HEXLOWER.decode(theirs.proof.as_bytes()).map_err(|_| HelloError::Proof)?;
    if keys.verify_proof(&wanted, &code) { Ok(()) } else { Err(HelloError::Proof) }
}

/// The version to be spoken with a side whose proof held, if its HELLO makes sense.
pub(super) fn check_terms(theirs: &Hello) -> Result<u32, HelloError> {
    check_name(&theirs.name)?;
    Ok(negotiate(LINK, &theirs.versions, &visible_controls(theirs.release.as_bytes()))?)
}

/// A name is shown in tables and in front of every line of output.
pub(super) fn check_name(name: &str) -> Result<(), HelloError> {
    let fine = !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && name.trim() == name
        && visible_controls(name.as_bytes()) == name
        && !name.contains('\t');
    if fine { Ok(()) } else { Err(HelloError::Name(name.chars().take(MAX_NAME).collect())) }
}

/// The other side's clock minus ours. `asked_ms` is when we sent our HELLO, if theirs was the answer to it: then half
/// of the round trip is taken off.
pub(super) fn skew_ms(theirs: &Hello, asked_ms: Option<u64>, now_ms: u64) -> i64 {
    let middle = asked_ms.map_or(now_ms, |asked| asked + now_ms.saturating_sub(asked) / 2);
    difference_ms(theirs.now_ms, middle)
}

/// One clock minus another.
pub(super) fn difference_ms(theirs: u64, ours: u64) -> i64 {
    let difference = i128::from(theirs) - i128::from(ours);
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static KEYS: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::derive(&Secret::new("ours"), "homie"));
    static OTHER: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::derive(&Secret::new("theirs"), "homie"));

    fn channels(exporter: [u8; 32], a: [u8; 32], b: [u8; 32]) -> (Channel, Channel) {
        let (a, b) = (PeerId(a), PeerId(b));
        (
            Channel { end: End::Dialler, exporter, own: a, peer: b },
            Channel { end: End::Accepter, exporter, own: b, peer: a },
        )
    }

    fn me(now_ms: u64) -> Introduction {
        let purpose = Purpose::Control;
        Introduction { name: "raj".into(), boot: BootId([3; 16]), worker_port: 5556, purpose, now_ms }
    }

    proptest! {
        #[test]
        fn a_proof_holds_on_its_own_connection_and_nowhere_else(
            exporter: [u8; 32], another: [u8; 32], a: [u8; 32], b: [u8; 32], c: [u8; 32],
        ) {
            prop_assume!(exporter != another && a != b && b != c && a != c);
            let (dialler, accepter) = channels(exporter, a, b);
            let from_dialler = hello(&KEYS, &dialler, me(0));
            prop_assert_eq!(check_proof(&KEYS, &accepter, &from_dialler), Ok(()));
            prop_assert_eq!(check_proof(&KEYS, &dialler, &hello(&KEYS, &accepter, me(0))), Ok(()));
            // Another secret, another connection, another key at either end, and our own words sent back to us.
            prop_assert_eq!(check_proof(&OTHER, &accepter, &from_dialler), Err(HelloError::Proof));
            for wrong in [channels(another, a, b).1, channels(exporter, a, c).1, channels(exporter, c, b).1, dialler] {
                prop_assert_eq!(check_proof(&KEYS, &wrong, &from_dialler), Err(HelloError::Proof));
            }
        }

        #[test]
        fn no_text_in_place_of_a_proof_is_believed_or_panics(proof in ".{0,80}") {
            let (dialler, accepter) = channels([0; 32], [1; 32], [2; 32]);
            let theirs = Hello { proof, ..hello(&KEYS, &dialler, me(0)) };
            prop_assert_eq!(check_proof(&KEYS, &accepter, &theirs), Err(HelloError::Proof));
        }

        #[test]
        fn no_clock_matters(theirs: u64, asked: u64, now: u64) {
            let (dialler, accepter) = channels([0; 32], [1; 32], [2; 32]);
            let said = hello(&KEYS, &dialler, me(theirs));
            prop_assert_eq!(check_proof(&KEYS, &accepter, &said), Ok(()));
            prop_assert_eq!(check_terms(&said), Ok(1));
            let _ = (skew_ms(&said, None, now), skew_ms(&said, Some(asked), now));
        }
    }

    /// Those of docs/protocol/link.md, computed with Python's hmac.
    #[test]
    fn the_proofs_of_a_connection_are_fixed_for_ever() {
        let keys = GroupKeys::derive(&Secret::new("correct horse battery staple"), "homie");
        let (dialler, accepter) = channels(std::array::from_fn(|i| i as u8), [0x11; 32], [0x22; 32]);
        for (channel, wanted) in [
            (dialler, "9ce3953f1192cbb9d1ac191c86eff5f4b27cffce3b6ab750eeeb3b15fbdfbca3"),
            (accepter, "c506c24f5428ee67ea1c598e6405faba24adecdf1a8e3e95465a617a91798b5c"),
        ] {
            assert_eq!(hello(&keys, &channel, me(0)).proof, wanted);
        }
    }

    #[test]
    fn skew_takes_half_of_the_round_trip_off() {
        let (dialler, _) = channels([0; 32], [1; 32], [2; 32]);
        let said = hello(&KEYS, &dialler, me(10_000));
        assert_eq!(skew_ms(&said, None, 9_000), 1_000);
        assert_eq!(skew_ms(&said, Some(8_000), 9_000), 1_500);
        assert_eq!(skew_ms(&hello(&KEYS, &dialler, me(0)), None, u64::MAX), i64::MIN);
    }

    #[test]
    fn names_that_would_spoil_a_screen_are_refused() {
        for bad in ["", " raj", "a\tb", "a\u{1b}[2J", "\u{202e}raj", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["raj", "Raj's laptop", "büro-3", &"x".repeat(63)] {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn a_future_release_is_told_who_must_update() {
        let (dialler, _) = channels([0; 32], [1; 32], [2; 32]);
        let said = Hello { versions: vec![7], release: "9.0".into(), ..hello(&KEYS, &dialler, me(0)) };
        assert!(check_terms(&said).expect_err("nothing common").to_string().ends_with("update this side"));
    }
}
