//! Identifiers. Each has one text form, used in messages, JSON and on screen.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {why}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    why: &'static str,
}

fn from_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let fail = |why| IdError { kind, text: text.chars().take(80).collect(), why };
    let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| fail("not lower-case hex"))?;
    bytes.try_into().map_err(|_| fail("wrong length"))
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex($kind, text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

hex_id!(
    /// A job, named by the client that made it: 16 random bytes, shown as 8 hex digits.
    JobId, 16, "job id"
);
hex_id!(
    /// One run of one homied: a new one is drawn at each start, so that peers notice restarts.
    BootId, 16, "boot id"
);
hex_id!(
    /// A BLAKE3 hash (256 bits) of a chunk, a file or a manifest.
    Digest, 32, "blake3 digest"
);

impl JobId {
    /// A fresh id from the operating system's random source.
    ///
    /// # Errors
    /// The system has no random bytes to give, which no caller can mend.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The first 8 hex digits, the form people see and type.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }
}

impl BootId {
    /// A fresh id from the operating system's random source.
    ///
    /// # Errors
    /// The system has no random bytes to give, which no caller can mend.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// How often a job was handed to a worker: it grows by one with each assignment, so that a late answer of an
/// earlier attempt can be told from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A machine, named by the SHA-256 hash of its Ed25519 public key (SubjectPublicKeyInfo).
///
/// Shown as base32 in groups of seven with a check digit after each thirteen characters, after Syncthing's device
/// ids, so that a mistyped character is noticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

/// Characters of payload that one check digit guards: 52 base32 characters make four such groups.
const GUARDED: usize = 13;

impl PeerId {
    /// The first 7 characters, enough to tell the machines of one group apart on a screen.
    pub fn short(&self) -> String {
        BASE32_NOPAD.encode(&self.0)[..7].to_owned()
    }
}

/// The Luhn mod 32 check character of a base32 text.
fn check_digit(chars: &[u8]) -> u8 {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let value = |c: u8| ALPHABET.iter().position(|a| *a == c).unwrap_or(0);
    let mut factor = 1;
    let mut sum = 0;
    for c in chars.iter().rev() {
        let addend = factor * value(*c);
        factor = if factor == 2 { 1 } else { 2 };
        sum += addend / 32 + addend % 32;
    }
    ALPHABET[(32 - sum % 32) % 32]
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = BASE32_NOPAD.encode(&self.0);
        let mut full = Vec::with_capacity(56);
        for group in plain.as_bytes().chunks(GUARDED) {
            full.extend_from_slice(group);
            full.push(check_digit(group));
        }
        for (i, group) in full.chunks(7).enumerate() {
            if i > 0 {
                f.write_str("-")?;
            }
            f.write_str(&String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for PeerId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = |why| IdError { kind: "peer id", text: text.chars().take(80).collect(), why };
        let chars: Vec<u8> = text.bytes().filter(|c| *c != b'-').map(|c| c.to_ascii_uppercase()).collect();
        if chars.len() != 56 {
            return Err(fail("56 letters and digits are wanted"));
        }
        let mut plain = Vec::with_capacity(52);
        for group in chars.chunks(GUARDED + 1) {
            let (payload, check) = group.split_at(GUARDED);
            if check != [check_digit(payload)] {
                return Err(fail("a check digit is wrong, so a character was mistyped"));
            }
            plain.extend_from_slice(payload);
        }
        let bytes = BASE32_NOPAD.decode(&plain).map_err(|_| fail("not base32"))?;
        bytes.try_into().map(Self).map_err(|_| fail("wrong length"))
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// That of docs/protocol, computed with Python. The check characters of the standard Luhn mod 32 would be 5, X, M, S.
    #[test]
    fn the_text_of_a_peer_id_is_fixed_for_ever() {
        let id = PeerId(std::array::from_fn(|i| i as u8));
        let text = "AAAQEAY-EAUDAOB-CAJBIFQ-YDIOB4B-IBCEQTC-QKRMFYX-YDENBWH-A5DYPQG";
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert!("AAAQEAY-EAUDAO5-CAJBIFQ-YDIOB4X-IBCEQTC-QKRMFYM-YDENBWH-A5DYPQS".parse::<PeerId>().is_err());
    }

    proptest! {
        #[test]
        fn peer_id_text_round_trips(bytes: [u8; 32]) {
            let id = PeerId(bytes);
            prop_assert_eq!(id.to_string().parse::<PeerId>(), Ok(id));
        }

        #[test]
        fn one_changed_character_of_a_peer_id_is_noticed(bytes: [u8; 32], at in 0usize..52, shift in 1usize..32) {
            const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let text = PeerId(bytes).to_string().replace('-', "");
            let mut chars = text.into_bytes();
            let old = ALPHABET.iter().position(|a| *a == chars[at]).expect("base32");
            chars[at] = ALPHABET[(old + shift) % 32];
            let mistyped = String::from_utf8(chars).expect("ascii");
            let parsed = mistyped.parse::<PeerId>();
            prop_assert!(parsed.is_err() || parsed == Ok(PeerId(bytes)));
        }

        #[test]
        fn job_id_text_round_trips(bytes: [u8; 16]) {
            let id = JobId(bytes);
            prop_assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
            prop_assert!(id.to_string().starts_with(&id.short()));
        }
    }
}
