//! The group secret and the three keys made of it.
//!
//! Every member derives the same keys; none of them ever leaves the machine. They are apart so that what one of them
//! protects says nothing about the others.

use std::fmt;
use std::num::NonZeroU32;

use ring::{hkdf, hmac, pbkdf2};

use crate::model::TOKEN_SECRET_BYTES;
pub use crate::model::generate_secret;

/// Rounds of PBKDF2: the OWASP figure of 2023 for HMAC-SHA256, 112 ms of one core when measured. A guess at a recorded
/// heartbeat costs the same.
const ROUNDS: u32 = 600_000;
/// Names this derivation; a change of it is another group.
const LABEL: &[u8] = b"homie/v1";
/// The same for tokens, so that nothing made for one can be used for the other.
const TOKEN_LABEL: &[u8] = b"homie/v1/token";

/// A secret. Its debug form is masked and it has no display form, so it cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "********" })
    }
}

/// The keys of a group.
#[derive(Clone)]
pub struct GroupKeys {
    beat: hmac::Key,
    gate: hmac::Key,
    proof: hmac::Key,
    secret: Secret,
    group: String,
}

impl GroupKeys {
    /// The keys of a group; none without a secret, since everybody would know them. As slow as [`Self::derive`].
    pub fn of(secret: &Secret, group: &str) -> Option<Self> {
        (!secret.is_empty()).then(|| Self::derive(secret, group))
    }

    /// Derives the keys of group `group` from its secret. Takes about a tenth of a second of one core, on purpose.
    pub fn derive(secret: &Secret, group: &str) -> Self {
        let salt = [LABEL, b"/", group.as_bytes()].concat();
        let mut stretched = [0; 32];
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, secret.reveal().as_bytes(), &mut stretched);
        Self::expand(&stretched, LABEL, secret.clone(), group)
    }

    /// The keys that the holder of an invitation shares with whoever gave it. Its secret has 128 bits, so nothing needs
    /// to be slow.
    pub fn of_token(secret: &[u8; TOKEN_SECRET_BYTES]) -> Self {
        Self::expand(secret, TOKEN_LABEL, Secret::default(), "")
    }

    fn expand(stretched: &[u8], label: &[u8], secret: Secret, group: &str) -> Self {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, label).extract(stretched);
        let key = |name: &str| match extracted.expand(&[name.as_bytes()], hmac::HMAC_SHA256) {
            Ok(okm) => hmac::Key::from(okm),
            // 32 bytes are asked for and HKDF gives up to 8,160, so ring cannot refuse; should it ever, no two
            // machines may agree on a key by accident.
            Err(_) => hmac::Key::new(hmac::HMAC_SHA256, &[stretched, name.as_bytes()].concat()),
        };
        Self { beat: key("beat"), gate: key("gate"), proof: key("proof"), secret, group: group.to_owned() }
    }

    /// The secret they were made of; empty for those of a token.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The group they are for.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The authentication code of a heartbeat.
    pub fn beat_mac(&self, bytes: &[u8]) -> [u8; 32] {
        mac(&self.beat, &[bytes])
    }

    /// Whether `code` is the authentication code of `bytes`; takes the same time for every wrong answer.
    pub fn verify_beat(&self, bytes: &[u8], code: &[u8]) -> bool {
        hmac::verify(&self.beat, bytes, code).is_ok()
    }

    /// Four bytes that tell the heartbeat keys of different groups apart and say nothing else about them.
    pub fn beat_key_id(&self) -> [u8; 4] {
        let full = mac(&self.beat, &[b"key id"]);
        [full[0], full[1], full[2], full[3]]
    }

    /// 16 bytes that name this secret of the group and say nothing else about it. A message of the proof key that no
    /// HELLO can have: theirs begin with a role.
    pub fn generation(&self) -> [u8; 16] {
        let full = mac(&self.proof, &[b"generation"]);
        let mut id = [0; 16];
        id.copy_from_slice(&full[..16]);
        id
    }

    /// The code that opens the gate, over these parts in order.
    pub fn gate_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.gate, parts)
    }

    /// Whether `code` is the gate's over `bytes`.
    pub fn verify_gate(&self, bytes: &[u8], code: &[u8]) -> bool {
        hmac::verify(&self.gate, bytes, code).is_ok()
    }

    /// The code that proves membership inside TLS, over these parts in order.
    pub fn proof_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.proof, parts)
    }

    /// Whether `code` is the proof over `bytes`.
    pub fn verify_proof(&self, bytes: &[u8], code: &[u8]) -> bool {
        hmac::verify(&self.proof, bytes, code).is_ok()
    }
}

impl fmt::Debug for GroupKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupKeys(********)")
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut code = [0; 32];
    code.copy_from_slice(context.sign().as_ref());
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn keys(secret: &str, group: &str) -> GroupKeys {
        GroupKeys::derive(&Secret::new(secret), group)
    }

    /// Computed with Python's hashlib and hmac, so that ring is checked by another hand.
    #[test]
    fn the_derivation_is_fixed_for_ever() {
        let keys = keys("correct horse battery staple", "homie");
        let message: &[u8] = b"a message";
        for (code, wanted) in [
            (keys.beat_mac(message), "ba23038ab0baa605b0ba9ae87dec067832b609e2555ed59ea3a422ff77e5d43f"),
            (keys.gate_mac(&[b"a ", b"message"]), "6d41cfef3478356b11832bf24abfb4b52e78b0b1b90442ddfc9964d181914ff6"),
            (keys.proof_mac(&[message]), "9ca34c680aff2ff39daf70b905c140616f414d9c2e9040306419532b16c817a4"),
        ] {
            assert_eq!(HEXLOWER.encode(&code), wanted);
        }
        assert_eq!(HEXLOWER.encode(&keys.beat_key_id()), "097099c5");
        assert_eq!(HEXLOWER.encode(&keys.generation()), "c85c3769d3353a454e9c030521732a21");
        assert!(keys.verify_beat(message, &keys.beat_mac(message)));
        assert!(!keys.verify_beat(message, &keys.proof_mac(&[message])));
        assert!(!keys.verify_beat(message, &keys.beat_mac(message)[..31]));
    }

    #[test]
    fn another_secret_or_group_has_other_keys() {
        let here = keys("s", "a");
        for other in [keys("s", "b"), keys("t", "a")] {
            assert_ne!(here.beat_mac(b"x"), other.beat_mac(b"x"));
            assert_ne!(here.proof_mac(&[b"x"]), other.proof_mac(&[b"x"]));
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = Secret::new("hunter2hunter2");
        let text = format!("{secret:?} {:#?}", GroupKeys::derive(&secret, "g"));
        assert_eq!(text, "******** GroupKeys(********)");
    }
}
