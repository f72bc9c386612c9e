//! Datagrams, as if their MAC had been right: members may be hostile too.

#![no_main]

use homie::wire::heartbeat::{KeyId, MAC_BYTES, MAX_BEAT, decode, encode, is_name, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(sealed) = open(bytes) {
        assert_eq!(sealed.signed.len() + MAC_BYTES, bytes.len());
    }
    // Not only what `open` lets through: the decoder must hold by itself.
    let Ok(beat) = decode(bytes) else { return };
    assert!(is_name(&beat.name));
    let key = KeyId([1, 2, 3, 4]);
    let once = encode(&beat, key);
    assert!(once.len() + MAC_BYTES <= MAX_BEAT);
    // Not necessarily the same beat: control characters are shown as longer texts, so fewer GPUs may fit. Nobody's beat is
    // sent on.
    let _ = decode(&once).expect("what we send can be read");
});
