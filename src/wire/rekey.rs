//! Another secret of the group, because somebody was put out of it: what travels from member to member.
//!
//! Whoever decides it signs it with its device key, and who hears of it passes on the same words. So a member that was away
//! can tell a decision of its group from one of somebody who was put out meanwhile and still knows the secret of before.

use serde::{Deserialize, Serialize};

use crate::model::{Digest, PeerId};

/// What a signature begins with, so that it is none for anything else.
pub const CONTEXT: &[u8] = b"homie/v1/rekey\0";
/// Keys that were put out and are remembered.
pub const MOST_KICKED: usize = 256;
/// Keys that may hear of it from others than its maker. With [`MOST_KICKED`] and 66 bytes for each key it still fits a
/// frame of 64 KiB.
pub const MOST_MEMBERS: usize = 512;
/// What a replaced secret is hashed with; its hash is worth nothing elsewhere.
const REPLACED: &[u8] = b"homie/v1/replaced\0";

/// A secret that takes the place of others, as its maker signed it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    /// The secret.
    pub secret: String,
    /// Keys that must not get it.
    pub kicked: Vec<PeerId>,
    /// Keys that may: those that its maker knew, and its own. Somebody who was put out may have come back to an absent
    /// member under another key meanwhile, and must not hear of it there.
    #[serde(default)]
    pub members: Vec<PeerId>,
    /// Hashes ([`replaced`]) of the secrets whose place it takes, the newest first: whoever goes by one of them takes it.
    #[serde(default)]
    pub replaces: Vec<Digest>,
    /// The maker's public key (Ed25519), hex.
    #[serde(default)]
    pub key: String,
    /// Its signature (Ed25519) of [`CONTEXT`] and [`Rekey::signed`], hex.
    #[serde(default)]
    pub signature: String,
}

impl Rekey {
    /// The bytes that are signed: the group and the secret, each after its length (u32 LE); then the ids of those put out, the
    /// ids of the members and the hashes, 32 bytes each, each list after its count (u32 LE).
    pub fn signed(&self, group: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        for text in [group, &self.secret] {
            bytes.extend(count(text.len()));
            bytes.extend(text.as_bytes());
        }
        for list in [&self.kicked, &self.members] {
            bytes.extend(count(list.len()));
            bytes.extend(list.iter().flat_map(|id| id.0));
        }
        bytes.extend(count(self.replaces.len()));
        bytes.extend(self.replaces.iter().flat_map(|hash| hash.0));
        bytes
    }
}

/// The secret is for the group alone.
impl std::fmt::Debug for Rekey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Rekey(kicked {:?}, for {} members, replaces {})",
            self.kicked,
            self.members.len(),
            self.replaces.len()
        )
    }
}

/// The hash by which a secret is known to be replaced.
pub fn replaced(secret: &str) -> Digest {
    Digest::of(&[REPLACED, secret.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::Frame;
    use crate::wire::link::{LinkFrame, LinkRequest};

    #[test]
    fn the_largest_fits_a_frame_and_no_two_sign_the_same_bytes() {
        let ids = |from: usize, many: usize| (from..from + many).map(|n| PeerId([n as u8; 32])).collect::<Vec<_>>();
        let word = Rekey {
            secret: "s".repeat(4096),
            kicked: ids(0, MOST_KICKED),
            members: ids(7, MOST_MEMBERS),
            replaces: vec![replaced("old"); 16],
            key: "0".repeat(64),
            signature: "0".repeat(128),
        };
        assert!(!format!("{word:?}").contains("ss"));
        let said = LinkFrame::Request { id: u64::MAX, request: LinkRequest::Rekey(word.clone()) };
        let frame = Frame::json(&said).expect("it fits");
        assert_eq!(frame.parse::<LinkFrame>().expect("readable"), said);
        let signed = word.signed("homie");
        let mut moved = word.clone();
        let last = moved.kicked.pop().expect("many");
        moved.members.insert(0, last);
        assert_ne!(moved.signed("homie"), signed, "who is put out is not a member");
        assert_ne!(word.signed("homies"), signed);
    }
}
