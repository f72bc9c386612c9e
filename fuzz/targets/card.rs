//! Cards, as if their signature had been right: members may be hostile too.

#![no_main]

use homie::wire::roster::{MAX_ADDRESSES, MAX_CARD, SIGNATURE_BYTES, encode, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(sealed) = open(bytes) else { return };
    assert!(bytes.len() <= MAX_CARD && sealed.card.addresses.len() <= MAX_ADDRESSES);
    assert_eq!(sealed.signed.len() + SIGNATURE_BYTES, bytes.len());
    assert!(homie::wire::heartbeat::is_name(&sealed.card.name));
    // What stands behind the known fields is a later version's; flags are too.
    let again = encode(&sealed.card);
    assert_eq!(again[4..], sealed.signed[4..again.len()]);
    let again = [&again[..], sealed.signature].concat();
    assert_eq!(open(&again).expect("what we send can be read").card, sealed.card);
});
