//! What a build says to the proxy that is its only way out.

#![no_main]

use homie::sandbox::envs::proxy::{Allowed, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Request::Plain { method, path, headers, .. }) = Request::parse(bytes) {
        // What goes on must not be able to hold a second request.
        let words = headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        for word in words.chain([method.as_str(), path.as_str()]) {
            assert!(!word.contains(['\r', '\n']), "{word:?}");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Allowed::parse(text);
    }
});
