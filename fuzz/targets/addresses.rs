//! What a person types or pastes: addresses of peers, rules for proxies, paths, the token of an invitation.

#![no_main]

use data_encoding::BASE32_NOPAD;
use homie::config::{Exit, address, without_login};
use homie::model::{CleanPath, Digest, TOKEN_ADDRESSES, TOKEN_START, Token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As if its check had been right: whoever invites may be hostile too.
    let check = &Digest::of(bytes).0[..4];
    let line = format!("{TOKEN_START}{}", BASE32_NOPAD.encode(&[bytes, check].concat()));
    if let Ok(token) = line.parse::<Token>() {
        assert!(token.addresses.len() <= TOKEN_ADDRESSES);
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<Token>();
    if let Ok(clean) = address(text) {
        assert_eq!(address(&clean).as_deref(), Ok(clean.as_str()), "an address has one form");
    }
    let _ = (Exit::parse(text), without_login(text));
    if let Ok(path) = CleanPath::new(text) {
        assert_eq!(path.components().collect::<Vec<_>>().join("/"), text);
    }
});
