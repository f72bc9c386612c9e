//! A text as a YAML scalar that every reader takes for that same text.

/// `text` as a plain YAML scalar where that is safe, else in double quotes.
pub fn quote(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Control characters, and the four that YAML counts as line breaks or byte order marks.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Begins with a letter and has only characters without a meaning in YAML, and is no word that YAML 1.1 or 1.2 reads
/// as something other than a text.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// The text that a one-line scalar stands for: what `quote` gives, and what people write by hand.
pub(super) fn unquote(scalar: &str) -> String {
    let s = scalar.trim();
    if let Some(inner) = s.strip_prefix('\'').and_then(|s| s.strip_suffix('\'')) {
        return inner.replace("''", "'");
    }
    let Some(inner) = s.strip_prefix('"').and_then(|s| s.strip_suffix('"')) else { return s.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some(width @ ('x' | 'u' | 'U')) => {
                let digits = match width {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code: String = chars.by_ref().take(digits).collect();
                out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
            }
            Some(c) => out.push(c),
            None => {}
        }
    }
    out
}

/// Where the value that starts `rest` (what follows `key:`) ends: byte offset after it, before blanks and comment.
pub(super) fn value_end(rest: &str) -> usize {
    let start = rest.len() - rest.trim_start().len();
    let mut quote: Option<char> = None;
    let mut end = start;
    let mut blank_before = true;
    let mut chars = rest[start..].char_indices().peekable();
    let mut at_start = true;
    let mut depth = 0usize;
    while let Some((i, c)) = chars.next() {
        let after = start + i + c.len_utf8();
        match quote {
            Some('"') if c == '\\' => {
                if let Some((j, d)) = chars.next() {
                    end = start + j + d.len_utf8();
                    continue;
                }
                end = after;
                continue;
            }
            Some('\'') if c == '\'' && chars.peek().is_some_and(|(_, d)| *d == '\'') => {
                chars.next();
                end = after + 1;
                continue;
            }
            Some(q) => {
                if c == q {
                    quote = None;
                }
                end = after;
                blank_before = false;
                continue;
            }
            None => {}
        }
        if c == '#' && blank_before {
            break;
        }
        if c == ' ' || c == '\t' {
            blank_before = true;
            continue;
        }
        // A quote opens a quoted text only where a value may start.
        if (c == '"' || c == '\'') && (at_start || depth > 0) {
            quote = Some(c);
        }
        match c {
            '[' | '{' if at_start || depth > 0 => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at_start = false;
        blank_before = false;
        end = after;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_that_yaml_reads_otherwise_are_quoted() {
        for text in
            ["", "true", "No", "null", "1", "0x1f", "1e3", "12:30", "- a", "a: b", "a #b", "~", "*a", "&a", "!t"]
        {
            assert!(quote(text).starts_with('"'), "{text:?} became {}", quote(text));
        }
        for text in ["raj", "k7qm-2x4p", "auto", "a.b_c/d"] {
            assert_eq!(quote(text), text);
        }
    }

    #[test]
    fn the_value_ends_where_the_comment_begins() {
        for (rest, value) in [
            (" raj  # me", " raj"),
            (" \"a # b\" # c", " \"a # b\""),
            (" 'it''s # x'#y", " 'it''s # x'#y"),
            (" a#b", " a#b"),
            ("  # nothing", "  "),
            ("", ""),
            (" [a, \"#\"] # list", " [a, \"#\"]"),
            (" it's # ok", " it's"),
            (" \"a\\\" # b\" # c", " \"a\\\" # b\""),
        ] {
            assert_eq!(&rest[..value_end(rest)], value, "{rest:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_text_is_read_back(text in "\\PC*|[\\x00-\\x7f]*") {
            prop_assert_eq!(unquote(&quote(&text)), text.clone());
            let line = format!(" {} # comment", quote(&text));
            prop_assert_eq!(unquote(&line[..value_end(&line)]), text);
        }
    }
}
