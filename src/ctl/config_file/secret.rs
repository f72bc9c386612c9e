//! The group secret, made here when the user has none.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weakness;

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
}
