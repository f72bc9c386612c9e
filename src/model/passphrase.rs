//! Group secrets as people meet them: a fresh one to share, and an honest word about one that was typed.

use data_encoding::BASE32_NOPAD;

/// Below this many bits a secret is guessed from a captured heartbeat: at 600,000 rounds of PBKDF2 a rented GPU tries
/// some 10,000 a second, and 2^50 of them take it three thousand years, 2^30 a day.
const WEAK_BITS: f64 = 50.0;

/// Words that every guesser tries first; each is worth no more than its place in such a list.
const COMMON: &[&str] = &[
    "admin", "changeme", "default", "dragon", "friends", "group", "hello", "home", "homelab", "homie", "letmein",
    "login", "master", "monkey", "pass", "passwd", "password", "qwerty", "secret", "shared", "test", "welcome", "your",
];

/// A fresh group secret of 128 bits, in groups that can be read aloud.
///
/// # Errors
/// The system has no random bytes to give, which no caller can mend.
pub fn generate_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let plain = BASE32_NOPAD.encode(&bytes).to_lowercase();
    let groups: Vec<&str> = (0..plain.len()).step_by(7).map(|at| &plain[at..plain.len().min(at + 7)]).collect();
    Ok(groups.join("-"))
}

/// Why a secret is too easy to guess, after `it can be guessed: `; `None` when it is good enough. The one judgement of
/// all who warn: `homie setup`, homied when it reads its config, and so `homie doctor`.
pub fn weakness(secret: &str) -> Option<String> {
    let bits = estimate_bits(secret);
    // Rounded down, so that what is told is never as much as what is wanted.
    (bits < WEAK_BITS).then(|| format!("it is worth about {:.0} bits, and {WEAK_BITS:.0} are wanted", bits.floor()))
}

/// A rough estimate that errs on the low side: words by the entropy of English (two bits a letter), runs and
/// repetitions at one bit, everything else by the size of its alphabet.
fn estimate_bits(secret: &str) -> f64 {
    let mut bits: f64 = 0.0;
    for word in secret.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()) {
        let lower = word.to_lowercase();
        let distinct = {
            let mut letters: Vec<char> = lower.chars().collect();
            letters.sort_unstable();
            letters.dedup();
            letters.len()
        };
        let letters = lower.chars().count();
        bits += if COMMON.contains(&lower.as_str()) {
            4.0
        } else if letters < 3 {
            letters as f64 * 4.0
        } else {
            (letters.min(distinct * 2)) as f64 * 2.0
        };
        // Capitals in the middle of a word are a choice; a leading one or all of them is a habit.
        if word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase) {
            bits += letters.min(8) as f64;
        }
    }
    let mut before = None;
    for c in secret.chars() {
        if !c.is_alphabetic() {
            let run = before.is_some_and(|b: char| (c as i64 - b as i64).abs() <= 1);
            bits += if run {
                1.0
            } else if c.is_ascii_digit() {
                3.3
            } else {
                4.0
            };
        }
        before = Some(c);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_weak_and_chance_is_not() {
        for weak in [
            "",
            "a",
            "password123",
            "my-secret-password",
            "our-homelab-2024",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890",
            "1212121212121212",
            "your-shared-secret",
            "hunter2",
        ] {
            assert!(weakness(weak).is_some(), "{weak}: {}", estimate_bits(weak));
        }
        for good in [
            "correct horse battery staple",
            "correct horse battery staple wagon",
            "k7Q!x2Lm9#pV4z@T",
            "3f9a1c77d02be64855e1b0c94f7a2d18",
        ] {
            assert!(weakness(good).is_none(), "{good}: {}", estimate_bits(good));
        }
    }

    #[test]
    fn generated_secrets_are_strong_readable_and_never_the_same() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..500 {
            let secret = generate_secret().expect("random");
            assert!(weakness(&secret).is_none(), "{secret}");
            assert!(secret.chars().all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()));
            assert_eq!(secret.len(), 26 + 3);
            assert!(seen.insert(secret));
        }
    }
}
