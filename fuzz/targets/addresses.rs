//! What a person types: addresses of peers, rules for proxies, paths.

#![no_main]

use homie::config::{Exit, address, without_login};
use homie::model::CleanPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(clean) = address(text) {
        assert_eq!(address(&clean).as_deref(), Ok(clean.as_str()), "an address has one form");
    }
    let _ = (Exit::parse(text), without_login(text));
    if let Ok(path) = CleanPath::new(text) {
        assert_eq!(path.components().collect::<Vec<_>>().join("/"), text);
    }
});
