//! The files that describe an environment: a recipe, a script with a header, requirements, a lock, a Dockerfile.

#![no_main]

use homie::sandbox::envs::reads;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for name in ["homie.env.yaml", "train.py", "requirements.txt", "pylock.toml", "Dockerfile"] {
        // Whether it is one is not asked here; that it ends is.
        let _ = reads(name, text);
    }
});
