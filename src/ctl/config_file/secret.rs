//! The group secret: made here when the user has none, judged when they bring their own.

use data_encoding::BASE32_NOPAD;

/// Characters of a generated secret: 28 base32 characters carry 140 bits, the first round number of groups of four
/// that is not below 128.
const CHARS: usize = 28;
/// Random bytes that [`CHARS`] characters need (28 * 5 bits = 17.5 bytes).
const BYTES: usize = 18;

/// A secret nobody can guess, in groups that can be read out over a phone: `k7qm-2x4p-…`. Base32 has neither 0 nor 1,
/// so nothing is mistaken for O or l.
///
/// # Errors
/// The system has no random bytes to give.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(spell(&bytes))
}

fn spell(bytes: &[u8; BYTES]) -> String {
    let text = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    let groups: Vec<&str> = (0..CHARS).step_by(4).map(|i| &text[i..i + 4]).collect();
    groups.join("-")
}

/// Why a secret somebody made up is easy to guess, or `None`. Whoever records one heartbeat can try guesses for as
/// long as they like, so what would do for a login does not do here.
pub fn weakness(secret: &str) -> Option<&'static str> {
    // A random password from a password manager has 12 to 20 characters; a sentence has more.
    const SHORT: usize = 16;
    // A text of 16 characters or more from fewer than 8 different ones is a pattern.
    const FEW: usize = 8;
    let chars: Vec<char> = secret.chars().collect();
    let mut different = chars.clone();
    different.sort_unstable();
    different.dedup();
    if secret == "your-shared-secret" {
        Some("it is the one from the manual")
    } else if chars.len() < SHORT {
        Some("it is shorter than 16 characters")
    } else if different.len() < FEW {
        Some("it repeats the same few characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_is_readable_strong_and_never_the_same() {
        let secret = generate().expect("random bytes");
        assert_eq!(secret.len(), 34);
        assert!(secret.split('-').all(|g| g.len() == 4 && g.bytes().all(|c| matches!(c, b'a'..=b'z' | b'2'..=b'7'))));
        assert_eq!(weakness(&secret), None);
        assert_ne!(secret, generate().expect("random bytes"));
    }

    #[test]
    fn every_bit_that_is_kept_matters() {
        let zero = spell(&[0; BYTES]);
        for bit in 0..CHARS * 5 {
            let mut bytes = [0; BYTES];
            bytes[bit / 8] = 0x80 >> (bit % 8);
            assert_ne!(spell(&bytes), zero, "bit {bit}");
        }
    }

    #[test]
    fn secrets_that_can_be_guessed_are_named_so() {
        for weak in ["", "hunter2", "your-shared-secret", "aaaaaaaaaaaaaaaaaaaaaaa", "1212121212121212"] {
            assert!(weakness(weak).is_some(), "{weak}");
        }
        assert_eq!(weakness("correct horse battery staple"), None);
    }
}
