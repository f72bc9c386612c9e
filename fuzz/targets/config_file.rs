//! A config file: read, or refused with its place, and edited without touching what else is in it.

#![no_main]

use homie::config::from_text;
use homie::ctl::config_file as lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let loaded = from_text(text);
    if let Err(error) = &loaded {
        assert!(!error.to_string().is_empty());
    }
    let Ok(set) = lines::set(text, "timeout", "90") else { return };
    assert_eq!(lines::get(&set, "timeout").expect("just written").as_deref(), Some("90"));
    if loaded.is_ok() {
        let _ = from_text(&set).expect("a good file stays good");
    }
});
