//! Text that came from somewhere else, made safe to print.

use std::fmt::Write as _;

/// `bytes` as printable text: what is not UTF-8 and every control character but tab becomes `\xNN` or `\u{NN}`, so
/// that a job's output can neither move the cursor nor retitle the window of whoever reads it.
pub fn visible_controls(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Bidirectional overrides reorder what is read, the trick known as Trojan Source (CVE-2021-42574).
            let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c == '\t' || !(c.is_control() || reorders) {
                out.push(c);
            } else if (c as u32) < 0x80 {
                let _ = write!(out, "\\x{:02x}", c as u32);
            } else {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_become_visible_and_the_rest_stays() {
        assert_eq!(visible_controls("ü\tok ✓".as_bytes()), "ü\tok ✓");
        assert_eq!(visible_controls(b"\x1b[2Jx\xff\r"), "\\x1b[2Jx\\xff\\x0d");
        assert_eq!(visible_controls("\u{9b}1m\u{202e}".as_bytes()), "\\u{9b}1m\\u{202e}");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_is_left(bytes: Vec<u8>) {
            prop_assert!(visible_controls(&bytes).chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}
