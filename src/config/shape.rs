//! The file's shape: keys and values as they were written, each with its line. Nothing is judged here but whether a
//! key takes one value or a list.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// Largest config file in bytes: a thousand times a long one. A larger file is something else.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// One value, in its original spelling.
    One(String),
    /// A list.
    Many(Vec<Item>),
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Its line in the file, 0 elsewhere.
    pub line: u64,
    /// Text, number or `key: value` pairs.
    pub value: Value,
}

/// A key of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// As written.
    pub key: String,
    /// Its line, from 1.
    pub line: u64,
    /// Its value; `None` for a blank one and for a key nobody knows.
    pub given: Option<Given>,
}

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// One value.
    One,
    /// A list.
    Many,
}

/// Where and why a text has no shape.
#[derive(Debug, PartialEq)]
pub(super) struct ShapeError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong. Never a value of the file: it might be the secret.
    pub problem: String,
}

/// The entries of `text`, in the file's order. `arity` knows the keys.
///
/// # Errors
/// It is not YAML, not keys and values, a key comes twice, or there is a list where one value belongs (or the
/// reverse).
pub(super) fn parse(text: &str, arity: impl Fn(&str) -> Option<Arity>) -> Result<Vec<Entry>, ShapeError> {
    // The reader's own messages may quote what they met, so the place of a misfit is noted here instead.
    let at = RefCell::new(None);
    let seed = Keys { arity: &arity, at: &at };
    serde_saphyr::with_deserializer_from_str(text, |d| seed.deserialize(d)).map_err(|e| {
        let line = e.location().map_or(1, |l| l.line());
        let full = e.without_snippet().to_string();
        let problem = match at.take() {
            Some((key, Arity::One)) if full.starts_with("expected") => {
                format!("{key}: one value is wanted, not a list or a group of keys")
            }
            Some((key, Arity::Many)) if full.starts_with("expected") => {
                format!("{key}: a list is wanted; write each entry on a line that starts with `- `")
            }
            _ if full.starts_with("duplicate mapping key") => {
                "this key was given before; keep one of the two".to_owned()
            }
            _ if e.location().is_some() => {
                format!("not valid YAML: {}", full.split(" at line ").next().unwrap_or("unreadable"))
            }
            _ => "the file must be made of lines such as `name: raj`".to_owned(),
        };
        ShapeError { line, problem }
    })
}

struct Keys<'a, F> {
    arity: &'a F,
    at: &'a RefCell<Option<(String, Arity)>>,
}

impl<'de, F: Fn(&str) -> Option<Arity>> DeserializeSeed<'de> for Keys<'_, F> {
    type Value = Vec<Entry>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Vec<Entry>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de, F: Fn(&str) -> Option<Arity>> Visitor<'de> for Keys<'_, F> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("keys and values")
    }

    fn visit_unit<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let arity = (self.arity)(&key.value);
            if let Some(arity) = arity {
                self.at.replace(Some((key.value.clone(), arity)));
            }
            let given = match arity {
                None => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
                Some(Arity::One) => map.next_value::<Option<String>>()?.map(Given::One),
                Some(Arity::Many) => {
                    let items = map.next_value::<Vec<Spanned<Value>>>()?;
                    let item = |s: Spanned<Value>| Item { line: s.referenced.line(), value: s.value };
                    Some(Given::Many(items.into_iter().map(item).collect()))
                }
            };
            self.at.replace(None);
            entries.push(Entry { line: key.referenced.line(), key: key.value, given });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arity(key: &str) -> Option<Arity> {
        match key {
            "name" | "secret" => Some(Arity::One),
            "list" => Some(Arity::Many),
            _ => None,
        }
    }

    #[test]
    fn values_keep_their_spelling_and_line() {
        let text = "# mine\nname: 0x10 # hex stays text\n\nother: {deep: [1]}\nlist:\n  - 1.2.3.4\n  - address: h:1\nsecret:\n";
        let entries = parse(text, arity).expect("shape");
        let lines: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(lines, [("name", 2), ("other", 4), ("list", 5), ("secret", 8)]);
        assert_eq!(entries[0].given, Some(Given::One("0x10".to_owned())));
        assert_eq!(entries[1].given, None);
        assert_eq!(entries[3].given, None);
        let Some(Given::Many(items)) = &entries[2].given else { panic!("a list") };
        assert_eq!(items.iter().map(|i| i.line).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn nothing_and_comments_are_an_empty_file() {
        for text in ["", "# only\n", "---\n", "\u{feff}"] {
            assert_eq!(parse(text, arity), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn misfits_are_told_with_line_and_key() {
        for (text, line, part) in [
            ("name: raj\nname: mike\n", 2, "given before"),
            ("\nname: [1]\n", 2, "name: one value"),
            ("list: x\n", 1, "list: a list is wanted"),
            ("name: a: b\n", 1, "not valid YAML"),
            ("just text", 1, "lines such as"),
            ("- a\n", 1, "lines such as"),
            ("name: *x\n", 1, "not valid YAML"),
            ("name: a\n---\nname: b\n", 3, "not valid YAML"),
        ] {
            let e = parse(text, arity).expect_err(text);
            assert_eq!(e.line, line, "{text:?}");
            assert!(e.problem.contains(part), "{text:?}: {}", e.problem);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[a-z:\\-\\[\\]{}&*!|>'\"#\\n\\t ]{0,80}") {
            let _ = parse(&text, arity);
        }

        #[test]
        fn a_broken_file_never_shows_its_secret(at in 0usize..60, junk in "[:\\-\\[\\]{}&*!|>'\"#\\n\\t]{1,3}") {
            let mut text = "name: raj\nsecret: correct-horse-battery\nlist:\n  - a\n".to_owned();
            text.insert_str(at.min(text.len()), &junk);
            if let Err(e) = parse(&text, arity) {
                prop_assert!(!e.problem.contains("horse"), "{}", e.problem);
            }
        }
    }
}
