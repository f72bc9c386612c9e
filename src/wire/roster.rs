//! The card: what a member says of itself, signed by its key, so that other members can hand it on.
//!
//! ```text
//! "HC" version flags generation(16) key(32) seq(8) port(2) name addresses  ...  | signature(64)
//! ```
//! Integers are little-endian; the name has a length byte before it, the addresses a byte with their number, and each of
//! them is `4` and 4 bytes or `6` and 16. What follows the fields this version knows is signed too and passed on as it
//! is, so that later versions can add to the end. The signature is Ed25519 over [`CONTEXT`] and all bytes before it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, BufMut, TryGetError};

use super::heartbeat::{MAX_NAME, is_name};

/// What stands before a card when it is signed, so that no signature of a device key made for anything else (TLS
/// signs 64 spaces first, RFC 8446 §4.4.3) is one of a card.
pub const CONTEXT: &[u8] = b"homie/v1/card\0";
/// Largest card: the fields, eight IPv6 addresses and 180 bytes for what later versions add.
pub const MAX_CARD: usize = 512;
/// Bytes of the signature at its end (Ed25519, RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;
/// Addresses of a card: wired, wireless, tailnet, each in both families, and some to spare. A card is also whom others
/// dial, and each address of it is a connection that somebody else pays for.
pub const MAX_ADDRESSES: usize = 8;
/// Lowest port of a card. Below it lie the services that everybody has (RFC 6335 §6), where homied has no business, and
/// nobody should be made to knock there by a card.
pub const LOWEST_PORT: u16 = 1024;
/// Cards that one frame carries: 80 of the largest, in base64, are 55 KiB.
pub const MAX_IN_FRAME: usize = 80;

const MAGIC: [u8; 2] = *b"HC";
const VERSION: u8 = 1;
/// Magic, version, flags, generation, key, sequence number, port, length of the name, number of addresses.
const LEAST: usize = 2 + 1 + 1 + 16 + 32 + 8 + 2 + 1 + 1;

/// Which secret of the group a card was made under: 16 bytes that its members compute alike. Another one after somebody
/// was put out, so a card ends with the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation(pub [u8; 16]);

/// What a card says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Under which secret of the group.
    pub generation: Generation,
    /// The Ed25519 public key of whose it is; the peer id is the hash of its SubjectPublicKeyInfo.
    pub key: [u8; 32],
    /// Grows with each card of a key.
    pub seq: u64,
    /// Where its worker listens.
    pub port: u16,
    /// Its name.
    pub name: String,
    /// Its addresses, the ones that may reach it. Claims: what is dialled there must prove the key.
    pub addresses: Vec<IpAddr>,
}

/// Why bytes are no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Shorter than the fixed fields, or longer than [`MAX_CARD`].
    #[error("{0} bytes are no card")]
    Length(usize),
    /// It does not begin as a card does.
    #[error("not a card")]
    Magic,
    /// A version this build does not read.
    #[error("card version {0} is not known here")]
    Version(u8),
    /// A field is cut short or holds what it must not.
    #[error("malformed card: {0}")]
    Malformed(&'static str),
}

/// A card cut from its signature, read, and not believed yet.
#[derive(Debug, Clone)]
pub struct Sealed<'a> {
    /// What it says.
    pub card: Card,
    /// The bytes under the signature, without [`CONTEXT`].
    pub signed: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

/// The bytes of a card that are signed. A name too long and addresses too many are left out.
pub fn encode(card: &Card) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_CARD);
    out.put_slice(&MAGIC);
    out.put_u8(VERSION);
    out.put_u8(0);
    out.put_slice(&card.generation.0);
    out.put_slice(&card.key);
    out.put_u64_le(card.seq);
    out.put_u16_le(card.port);
    let name = &card.name.as_bytes()[..card.name.floor_char_boundary(MAX_NAME)];
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    let addresses = &card.addresses[..card.addresses.len().min(MAX_ADDRESSES)];
    out.put_u8(addresses.len() as u8);
    for address in addresses {
        match address {
            IpAddr::V4(v4) => {
                out.put_u8(4);
                out.put_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                out.put_u8(6);
                out.put_slice(&v6.octets());
            }
        }
    }
    out
}

/// Cuts a card into what is signed and the signature, and reads it.
///
/// # Errors
/// See [`CardError`].
pub fn open(bytes: &[u8]) -> Result<Sealed<'_>, CardError> {
    let (signed, signature) = match bytes.split_last_chunk::<SIGNATURE_BYTES>() {
        Some((signed, signature)) if signed.len() >= LEAST && bytes.len() <= MAX_CARD => (signed, signature),
        _ => return Err(CardError::Length(bytes.len())),
    };
    if signed[..2] != MAGIC {
        return Err(CardError::Magic);
    }
    if signed[2] != VERSION {
        return Err(CardError::Version(signed[2]));
    }
    let card = decode(&signed[4..]).map_err(|error| match error {
        Trouble::Short => CardError::Malformed("cut short"),
        Trouble::Bad(what) => CardError::Malformed(what),
    })?;
    Ok(Sealed { card, signed, signature })
}

enum Trouble {
    Short,
    Bad(&'static str),
}

impl From<TryGetError> for Trouble {
    fn from(_: TryGetError) -> Self {
        Self::Short
    }
}

fn decode(mut rest: &[u8]) -> Result<Card, Trouble> {
    let rest = &mut rest;
    let (mut generation, mut key) = ([0; 16], [0; 32]);
    rest.try_copy_to_slice(&mut generation)?;
    rest.try_copy_to_slice(&mut key)?;
    let seq = rest.try_get_u64_le()?;
    let port = rest.try_get_u16_le()?;
    if port < LOWEST_PORT {
        return Err(Trouble::Bad("a port below 1024"));
    }
    let mut name = vec![0; usize::from(rest.try_get_u8()?)];
    rest.try_copy_to_slice(&mut name)?;
    let name = String::from_utf8(name).ok().filter(|name| is_name(name)).ok_or(Trouble::Bad("the name"))?;
    let count = usize::from(rest.try_get_u8()?);
    if count > MAX_ADDRESSES {
        return Err(Trouble::Bad("more than 8 addresses"));
    }
    let mut addresses = Vec::with_capacity(count);
    for _ in 0..count {
        addresses.push(match rest.try_get_u8()? {
            4 => IpAddr::V4(Ipv4Addr::from_bits(rest.try_get_u32()?)),
            6 => IpAddr::V6(Ipv6Addr::from_bits(rest.try_get_u128()?)),
            _ => return Err(Trouble::Bad("an address of an unknown kind")),
        });
    }
    Ok(Card { generation: Generation(generation), key, seq, port, name, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(card: &Card) -> Vec<u8> {
        [&encode(card)[..], &[7; SIGNATURE_BYTES]].concat()
    }

    fn small() -> Card {
        Card {
            generation: Generation([1; 16]),
            key: [2; 32],
            seq: 3,
            port: 5556,
            name: "raj".into(),
            addresses: vec!["100.64.1.2".parse().expect("address"), "fd7a::1".parse().expect("address")],
        }
    }

    #[test]
    fn what_no_card_may_hold_is_refused() {
        let bad = |change: fn(&mut Card)| {
            let mut card = small();
            change(&mut card);
            open(&sealed(&card)).map(|s| s.card)
        };
        assert_eq!(bad(|_| ()), Ok(small()));
        assert_eq!(bad(|c| c.port = 22), Err(CardError::Malformed("a port below 1024")));
        assert_eq!(bad(|c| c.name = String::new()), Err(CardError::Malformed("the name")));
        assert_eq!(bad(|c| c.name = "a\u{1b}[31m".into()), Err(CardError::Malformed("the name")));
        let bytes = sealed(&small());
        assert_eq!(open(&bytes[..100]).map(|s| s.card), Err(CardError::Length(100)));
        assert!(matches!(open(&[&b"HB"[..], &bytes[2..]].concat()), Err(CardError::Magic)));
        assert!(matches!(open(&[&b"HC\x02"[..], &bytes[3..]].concat()), Err(CardError::Version(2))));
        let many = bytes.iter().copied().chain([0; MAX_CARD]).collect::<Vec<u8>>();
        assert!(matches!(open(&many), Err(CardError::Length(_))), "oversize");
        let at = encode(&Card { addresses: vec![], ..small() }).len() - 1;
        let mut counted = bytes.clone();
        counted[at] = 9;
        assert!(matches!(open(&counted), Err(CardError::Malformed("more than 8 addresses"))));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_stays_signed() {
        let longer = [&encode(&small())[..], b"more", &[7; SIGNATURE_BYTES]].concat();
        let read = open(&longer).expect("a card");
        assert_eq!(read.card, small());
        assert!(read.signed.ends_with(b"more"));
    }

    prop_compose! {
        fn card()(
            generation: [u8; 16], key: [u8; 32], seq: u64, port in LOWEST_PORT.., name in "[a-zä-ö]{1,40}",
            v4 in proptest::collection::vec(any::<u32>(), 0..6), v6 in proptest::collection::vec(any::<u128>(), 0..6),
        ) -> Card {
            let v4 = v4.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
            let v6 = v6.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
            Card { generation: Generation(generation), key, seq, port, name, addresses: v4.chain(v6).collect() }
        }
    }

    proptest! {
        #[test]
        fn every_card_fits_and_is_read_back(card in card()) {
            let bytes = sealed(&card);
            prop_assert!(bytes.len() <= MAX_CARD);
            let back = open(&bytes).expect("own card").card;
            prop_assert_eq!(&back.addresses[..], &card.addresses[..card.addresses.len().min(MAX_ADDRESSES)]);
            prop_assert!(card.name.starts_with(&back.name));
            prop_assert_eq!(encode(&back), encode(&card));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), begin: bool) {
            if begin && bytes.len() > 3 {
                bytes[..3].copy_from_slice(b"HC\x01");
            }
            let _ = open(&bytes);
        }

        #[test]
        fn a_changed_byte_never_makes_it_panic(at in 0usize..200, value: u8) {
            let mut bytes = sealed(&small());
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(read) = open(&bytes) {
                prop_assert_eq!(read.signed.len() + SIGNATURE_BYTES, bytes.len());
            }
        }
    }
}
