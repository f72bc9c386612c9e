//! Lists of files: what is accepted stays inside its directory and has one form.

#![no_main]

use std::path::{Component, Path};

use homie::model::Manifest;
use homie::transfer::chunks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::decode(bytes) else { return };
    for file in manifest.files() {
        let path = Path::new(file.path.as_str());
        assert!(path.components().all(|c| matches!(c, Component::Normal(_))), "{path:?}");
        assert!(!file.path.as_str().chars().any(char::is_control));
    }
    // Sizes of up to 2^63 are announced for nothing; only lists that were written out are walked.
    if manifest.total_bytes() < 1 << 30 {
        assert_eq!(chunks(&manifest).map(|at| at.len).sum::<u64>(), manifest.total_bytes());
    }
    let form = manifest.encode();
    let again = Manifest::decode(&form).expect("our own form is read");
    assert_eq!((again.encode(), again.digest()), (form, manifest.digest()));
});
