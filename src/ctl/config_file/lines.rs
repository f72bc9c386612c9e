//! Reads and changes one top-level key of a YAML file and leaves every other byte alone.

use super::scalar::{unquote, value_end};

/// Why a file is not edited. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A YAML reader would refuse it, or take the last one.
    #[error("line {second}: {key} is already set in line {first}; remove one of them")]
    Twice {
        /// The key.
        key: String,
        /// Line of the first, from 1.
        first: usize,
        /// Line of the second.
        second: usize,
    },
    /// Something this editor does not dare to touch.
    #[error("line {line}: {what}; edit the file by hand")]
    TooClever {
        /// Line, from 1.
        line: usize,
        /// What is there.
        what: &'static str,
    },
}

/// One top-level entry: the line of its key and the lines that belong to its value.
struct Entry {
    /// Index of the key's line.
    line: usize,
    /// Bytes of the key with its colon.
    head: usize,
    /// Index after the last line of its value.
    end: usize,
}

/// The text of a one-line value, `None` when the key is absent or its value is not a one-line scalar.
///
/// # Errors
/// The key is there twice, or the file is not a plain block mapping.
pub fn get(text: &str, key: &str) -> Result<Option<String>, EditError> {
    let lines = split(without_mark(text).1);
    let Some(entry) = find(&lines, key)? else { return Ok(None) };
    let rest = &body(lines[entry.line])[entry.head..];
    let value = rest[..value_end(rest)].trim();
    let nested = entry.end > entry.line + 1 || value.starts_with(['[', '{', '|', '>']);
    Ok((!nested && !value.is_empty()).then(|| unquote(value)))
}

/// `text` with `key: value` in it, where `value` is already written as YAML. An existing line is changed in place and
/// keeps its comment; a commented default (`# key: …`) gets the line below it; else it is added at the end.
///
/// # Errors
/// The key is there twice, or the file is not a plain block mapping.
pub fn set(text: &str, key: &str, value: &str) -> Result<String, EditError> {
    let set = with(text, key, value)?;
    // Whatever else is in the file: what was written must be what is read.
    let one_line = !(value.is_empty() || value.starts_with(['[', '{']));
    if one_line && get(&set, key)? != Some(unquote(value)) {
        let line = split(&set).iter().position(|line| head_of(line, key).is_some()).map_or(1, |i| i + 1);
        return Err(EditError::TooClever { line, what: "what follows would become part of the value" });
    }
    Ok(set)
}

fn with(text: &str, key: &str, value: &str) -> Result<String, EditError> {
    let (mark, rest) = without_mark(text);
    let lines = split(rest);
    let newline = if lines.first().is_some_and(|l| l.ends_with("\r\n")) { "\r\n" } else { "\n" };
    let mut out = String::with_capacity(text.len() + key.len() + value.len() + 4);
    out.push_str(mark);
    if let Some(entry) = find(&lines, key)? {
        let line = body(lines[entry.line]);
        let rest = &line[entry.head..];
        out.extend(lines[..entry.line].iter().copied());
        out.push_str(&line[..entry.head]);
        out.push(' ');
        out.push_str(value);
        let tail = &rest[value_end(rest)..];
        if !tail.is_empty() && !tail.starts_with([' ', '\t']) {
            out.push(' ');
        }
        out.push_str(tail);
        out.push_str(&lines[entry.line][line.len()..]);
        out.extend(lines[entry.end..].iter().copied());
        return Ok(out);
    }
    // A comment between the lines of another key's value is no place: the rest of that value would become ours.
    let inside = continued(&lines[..document_end(&lines)])?;
    let at = (0..inside.len())
        .find(|i| is_commented(lines[*i], key) && !inside[*i] && value_lines_end(&lines, i + 1) == i + 1)
        .map_or_else(|| document_end(&lines), |i| i + 1);
    out.extend(lines[..at].iter().copied());
    if at > 0 && !out.ends_with('\n') {
        out.push_str(newline);
    }
    out.push_str(key);
    out.push_str(": ");
    out.push_str(value);
    out.push_str(newline);
    out.extend(lines[at..].iter().copied());
    Ok(out)
}

/// `text` without `key`, so that its default holds again.
///
/// # Errors
/// The key is there twice, or the file is not a plain block mapping.
pub fn unset(text: &str, key: &str) -> Result<String, EditError> {
    let (mark, rest) = without_mark(text);
    let lines = split(rest);
    let Some(entry) = find(&lines, key)? else { return Ok(text.to_owned()) };
    Ok(std::iter::once(&mark).chain(&lines[..entry.line]).chain(&lines[entry.end..]).copied().collect())
}

/// The byte order mark that some editors put in front of a text, or nothing, and the text.
fn without_mark(text: &str) -> (&str, &str) {
    text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 })
}

/// Lines with their ends, so that joining them gives the text again.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn body(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Blank, or only a comment.
fn is_filler(line: &str) -> bool {
    let t = line.trim();
    t.is_empty() || t.starts_with('#')
}

fn is_document_mark(line: &str, mark: &str) -> bool {
    line.strip_prefix(mark).is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']))
}

/// Length of `key:`, which is what is at the margin of a plain block mapping. Anything else there (braces, a tag, an
/// anchor, a merge key, `~` for the whole file) says that the file is something that a line added to it might spoil, so
/// only what is known to be a key is let through.
fn key_end(line: &str) -> Option<usize> {
    let colon = match line.chars().next()? {
        // A key with an escape in it is refused with the rest: none of ours has one.
        quote @ ('"' | '\'') => {
            let (key, rest) = line[1..].split_once(quote)?;
            let rest = rest.trim_start_matches([' ', '\t']);
            (!key.contains('\\') && ends_a_key(rest)).then(|| line.len() - rest.len())?
        }
        c if c.is_alphanumeric() || c == '_' => {
            let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
            let text = comment.map_or(line, |(at, _)| &line[..at]);
            text.match_indices(':').find(|(at, _)| ends_a_key(&text[*at..]))?.0
        }
        _ => return None,
    };
    Some(colon + 1)
}

/// A colon that is no part of a text: at the end, or with a blank behind it.
fn ends_a_key(rest: &str) -> bool {
    rest.strip_prefix(':').is_some_and(|tail| tail.is_empty() || tail.starts_with([' ', '\t']))
}

/// Index of the line where the first document ends.
fn document_end(lines: &[&str]) -> usize {
    let mut begun = false;
    for (i, line) in lines.iter().enumerate() {
        if is_document_mark(line, "...") || (begun && is_document_mark(line, "---")) {
            return i;
        }
        begun |= is_document_mark(line, "---") || !(is_filler(line) || line.starts_with('%'));
    }
    lines.len()
}

/// `# key: …`, the way the template shows defaults.
fn is_commented(line: &str, key: &str) -> bool {
    line.strip_prefix('#')
        .map(|l| l.trim_start_matches(' '))
        .and_then(|l| l.strip_prefix(key))
        .is_some_and(|rest| rest.starts_with(':'))
}

/// Length of `key:` at the start of the line, if this line sets that key.
fn head_of(line: &str, key: &str) -> Option<usize> {
    for quote in ["", "\"", "'"] {
        let Some(rest) = line.strip_prefix(quote).and_then(|l| l.strip_prefix(key)).and_then(|l| l.strip_prefix(quote))
        else {
            continue;
        };
        let after = rest.trim_start_matches([' ', '\t']);
        if let Some(tail) = after.strip_prefix(':')
            && (tail.is_empty() || tail.starts_with([' ', '\t']))
        {
            return Some(line.len() - tail.len());
        }
    }
    None
}

fn find(lines: &[&str], key: &str) -> Result<Option<Entry>, EditError> {
    let end = document_end(lines);
    let mut found: Option<Entry> = None;
    let mut begun = false;
    let after = lines[end..].iter().position(|line| !(is_filler(line) || is_document_mark(line, "...")));
    if let Some(i) = after {
        return Err(EditError::TooClever { line: end + i + 1, what: "a second document" });
    }
    let inside = continued(&lines[..end])?;
    for (i, raw) in lines[..end].iter().enumerate() {
        let line = body(raw);
        if line.contains('\r') {
            return Err(EditError::TooClever { line: i + 1, what: "a line that a carriage return alone ends" });
        }
        if inside[i] {
            if let Some(found) = found.as_mut().filter(|found| found.end >= i) {
                found.end = value_lines_end(&lines[..end], found.end.max(i + 1));
            }
            continue;
        }
        if let Some(what) = too_clever(line, begun) {
            return Err(EditError::TooClever { line: i + 1, what });
        }
        begun |= !(is_filler(line) || line.starts_with('%') || is_document_mark(line, "---"));
        let Some(head) = head_of(line, key) else { continue };
        if let Some(first) = &found {
            return Err(EditError::Twice { key: key.to_owned(), first: first.line + 1, second: i + 1 });
        }
        if line[head..].trim_start().starts_with(['&', '!']) {
            return Err(EditError::TooClever { line: i + 1, what: "an anchor or a tag" });
        }
        found = Some(Entry { line: i, head, end: value_lines_end(&lines[..end], i + 1) });
    }
    Ok(found)
}

/// What shows that the top level is no plain block mapping, or not one whose lines are those that we see. `begun` after
/// the first key.
fn too_clever(line: &str, begun: bool) -> Option<&'static str> {
    if is_filler(line) {
        return None;
    }
    if is_document_mark(line, "---") {
        let more = line[3..].trim_start();
        return (!(more.is_empty() || more.starts_with('#'))).then_some("something beside the mark of its beginning");
    }
    match line.chars().next()? {
        '%' if !begun => None,
        ' ' | '\t' if begun => None,
        // A key of ours at the margin would end their mapping and make the file unreadable.
        ' ' | '\t' => Some("its keys are indented"),
        '-' if begun && (line == "-" || line.starts_with("- ")) => None,
        '{' | '[' => Some("the file is written in braces"),
        // At the margin they are of the whole file, or of its first key alone; a line of ours would end what they are of.
        '!' | '&' | '*' => Some("an anchor or a tag"),
        _ if key_end(line).is_some() => None,
        _ => Some("it is no line such as `name: raj`"),
    }
}

/// What of a value is open still: brackets, and a text in quotes. They may be closed at the margin of a later line.
#[derive(Default)]
struct Open {
    depth: usize,
    quote: Option<char>,
}

impl Open {
    fn is_open(&self) -> bool {
        self.depth > 0 || self.quote.is_some()
    }

    /// Reads through `text`: what follows a key, or a later line of its value.
    fn read(&mut self, text: &str) {
        let mut first = !self.is_open();
        let mut before = ' ';
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let before = std::mem::replace(&mut before, c);
            let begins = first || self.depth > 0 && " \t[{,:".contains(before);
            match (self.quote, c) {
                (Some('"'), '\\') => _ = chars.next(),
                (Some('\''), '\'') if chars.peek() == Some(&'\'') => _ = chars.next(),
                (Some(quote), c) if c == quote => self.quote = None,
                (Some(_), _) => {}
                (None, '#') if " \t".contains(before) => return,
                (None, '"' | '\'') if begins => self.quote = Some(c),
                (None, '[' | '{') if begins => self.depth += 1,
                (None, ']' | '}') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            first &= c == ' ' || c == '\t';
        }
    }
}

/// Which lines go on with a value that an earlier one has opened.
///
/// # Errors
/// It is never closed.
fn continued(lines: &[&str]) -> Result<Vec<bool>, EditError> {
    let (mut open, mut opened) = (Open::default(), 0);
    let mut all = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().map(|line| body(line)).enumerate() {
        all.push(open.is_open());
        if open.is_open() {
            open.read(line);
        } else if let Some(end) = key_end(line) {
            open.read(&line[end..]);
            opened = i;
        }
    }
    match open.is_open() {
        true => {
            Err(EditError::TooClever { line: opened + 1, what: "a bracket or a quotation mark that is never closed" })
        }
        false => Ok(all),
    }
}

/// The value of a key goes on over indented lines and over a list at the key's own indentation. Comments and blank
/// lines belong to it only if more of it follows.
fn value_lines_end(lines: &[&str], from: usize) -> usize {
    let mut end = from;
    for (i, line) in lines.iter().enumerate().skip(from) {
        if is_filler(line) {
            continue;
        }
        let goes_on = line.starts_with([' ', '\t']) || line.starts_with("- ") || body(line) == "-";
        if !goes_on {
            break;
        }
        end = i + 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::config_file::quote;
    use proptest::prelude::*;

    const DOCUMENT_B: &str = "name: raj\ngroup_secret: your-shared-secret\ndiscovery_port: 5555\nworker_port: 5556\n\
         container_cpu_limit: 2.0\ncontainer_memory_limit: 4g\ncontainer_timeout: 600\n";

    #[test]
    fn a_byte_order_mark_stays_in_front_and_hides_no_key() {
        let text = "\u{feff}name: a\n";
        assert_eq!(get(text, "name").expect("plain").as_deref(), Some("a"));
        assert_eq!(set(text, "name", "b").expect("plain"), "\u{feff}name: b\n");
        assert_eq!(set(text, "timeout", "90").expect("plain"), "\u{feff}name: a\ntimeout: 90\n");
        assert_eq!(set("\u{feff}", "timeout", "90").expect("plain"), "\u{feff}timeout: 90\n");
        assert_eq!(unset(text, "name").expect("plain"), "\u{feff}");
    }

    #[test]
    fn one_line_changes_and_its_comment_stays() {
        let text = "# mine\nname: raj   # that is me\ncontainer_cpu_limit: 2.0\n";
        assert_eq!(
            set(text, "name", "mike").as_deref(),
            Ok("# mine\nname: mike   # that is me\ncontainer_cpu_limit: 2.0\n")
        );
        assert_eq!(set(DOCUMENT_B, "container_timeout", "900").expect("editable"), DOCUMENT_B.replace("600", "900"),);
    }

    #[test]
    fn a_new_key_goes_below_its_commented_default_or_to_the_end() {
        assert_eq!(
            set("# group: homie\nname: a\n", "group", "lab").as_deref(),
            Ok("# group: homie\ngroup: lab\nname: a\n")
        );
        assert_eq!(
            set("admins:\n  - a\n# group: homie\n  - b\n", "group", "lab").as_deref(),
            Ok("admins:\n  - a\n# group: homie\n  - b\ngroup: lab\n")
        );
        assert_eq!(set("name: a", "engine", "native").as_deref(), Ok("name: a\nengine: native\n"));
        assert_eq!(set("", "name", "a").as_deref(), Ok("name: a\n"));
        assert_eq!(set("---\nname: a\n...\n", "engine", "auto").as_deref(), Ok("---\nname: a\nengine: auto\n...\n"));
        assert_eq!(set("name: a\r\n", "engine", "auto").as_deref(), Ok("name: a\r\nengine: auto\r\n"));
    }

    #[test]
    fn a_value_over_several_lines_goes_as_a_whole() {
        let text = "direct:\n  - a:1\n  # two\n  - b:2\n\n# next\nname: x\n";
        assert_eq!(set(text, "direct", "[]").as_deref(), Ok("direct: []\n\n# next\nname: x\n"));
        assert_eq!(unset("direct:\n- a\n- b\nname: x\n", "direct").as_deref(), Ok("name: x\n"));
        assert_eq!(get(text, "direct"), Ok(None));
    }

    #[test]
    fn a_value_in_brackets_or_quotes_may_be_closed_at_the_margin() {
        let text = "direct: [ # two\n  10.0.0.2,\n# timeout: 90\n\"10.0.0.3]\" ]\nname: raj\n";
        assert_eq!(set(text, "timeout", "90"), Ok(format!("{text}timeout: 90\n")));
        assert_eq!(set(text, "name", "mike"), Ok(text.replace("raj", "mike")));
        assert_eq!(set(text, "direct", "[]").as_deref(), Ok("direct: [] # two\nname: raj\n"));
        assert_eq!(get(text, "direct"), Ok(None));
        // Nothing in it is a key.
        let text = "x: {\ntimeout: 1}\ny: \"a\\\ntimeout: 2\"\nit's: [it's]\n";
        assert_eq!(get(text, "timeout"), Ok(None));
        assert_eq!(set(text, "timeout", "90"), Ok(format!("{text}timeout: 90\n")));
        assert_eq!(unset(text, "x").as_deref(), Ok("y: \"a\\\ntimeout: 2\"\nit's: [it's]\n"));
        let odd = "timeout: \"a\n-  b\n\" c\n- d\nname: raj\n";
        assert_eq!(set(odd, "timeout", "90").as_deref(), Ok("timeout: 90\nname: raj\n"));
        assert!(matches!(set("a: 1\nx: [\nb\n", "timeout", "90"), Err(EditError::TooClever { line: 2, .. })));
    }

    #[test]
    fn only_the_very_key_at_the_top_level_is_meant() {
        let text = "nickname: a\nlimits:\n  name: b\n# name: c\nname_of: d\n\"name\" : e # f\n";
        assert_eq!(get(text, "name"), Ok(Some("e".into())));
        assert_eq!(set(text, "name", "z").expect("editable"), text.replace(" e #", " z #"));
        assert_eq!(get("url: name: x\n", "name"), Ok(None));
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused_with_its_line() {
        assert_eq!(
            set("name: a\n\nname: b\n", "name", "c"),
            Err(EditError::Twice { key: "name".into(), first: 1, second: 3 })
        );
        assert!(matches!(set("{name: a}\n", "name", "b"), Err(EditError::TooClever { line: 1, .. })));
        assert!(matches!(set("name: a\rtimeout: 1\n", "timeout", "90"), Err(EditError::TooClever { line: 1, .. })));
        for nothing in ["~ ", "# mine\n\nnull\n", "~ # yet\n", "--- ~\n", "---\nNULL\n", "\u{feff}\u{feff}  ~\n"] {
            assert!(matches!(set(nothing, "timeout", "90"), Err(EditError::TooClever { .. })), "{nothing}");
        }
        assert!(matches!(set("\u{feff} ~\n", "timeout", "90"), Err(EditError::TooClever { line: 1, .. })));
        for tagged in ["! # the file\n  name: a\n", "!!map\nname: a\n", "&all\nname: a\n", "*all : 1\n"] {
            assert!(matches!(set(tagged, "timeout", "90"), Err(EditError::TooClever { line: 1, .. })), "{tagged}");
        }
        for other in ["- a\n", "<<: {a: 1}\n", "? a\n", "--- {name: a}\n", "just a text\n", "a:b # c: d\n"] {
            assert!(matches!(set(other, "timeout", "90"), Err(EditError::TooClever { .. })), "{other}");
        }
        for indented in [" name: a\nother: b\n", "# of raj\n---\n  name: a\n  port: 1\n"] {
            assert!(matches!(set(indented, "timeout", "90"), Err(EditError::TooClever { .. })), "{indented}");
        }
        assert!(matches!(set("a: 1\nname: &n x\n", "name", "b"), Err(EditError::TooClever { line: 2, .. })));
    }

    fn document() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "# [a-z :#]{0,12}",
            Just(String::new()),
            "[a-c]{1,2}: [a-z0-9]{0,5}( # [a-z]{0,4})?",
            "[a-c]{1,2}: \"[a-z# ]{0,5}\"",
            "  [a-e]{1,3}: x",
            "- [a-z]{1,3}",
        ];
        (proptest::collection::vec(line, 0..8), any::<bool>()).prop_map(|(lines, ended)| {
            let text = lines.join("\n");
            if ended && !text.is_empty() { text + "\n" } else { text }
        })
    }

    proptest! {
        #[test]
        fn what_was_set_is_read_back_and_everything_else_stays(text in document(), key in "[a-e]{1,2}", value in "\\PC{0,12}") {
            // Before anybody looks at it again.
            let Ok(once) = with(&text, &key, &quote(&value)) else { return Ok(()) };
            prop_assert_eq!(get(&once, &key), Ok(Some(value.clone())));
            prop_assert_eq!(set(&once, &key, &quote(&value)), Ok(once.clone()));
            // Every comment line and every line of another key is still there, in order.
            let keep = |t: &str| -> Vec<String> {
                t.lines().filter(|l| head_of(l, &key).is_none() && (l.starts_with('#') || l.contains(": ") && !l.starts_with(' ')))
                    .map(str::to_owned).collect()
            };
            let before = keep(&text);
            let after = keep(&once);
            let mut rest = after.iter();
            for line in &before {
                // A comment inside the old value of a list goes with it.
                prop_assert!(rest.any(|l| l == line) || text.contains("\n- ") || text.contains("\n  "), "{line:?} lost");
            }
        }

        #[test]
        fn setting_and_unsetting_a_new_key_changes_nothing(text in document()) {
            // A file whose keys are indented, or that is a list, is refused, which has a test of its own.
            prop_assume!(text.lines().find(|line| !is_filler(line)).is_none_or(|line| !line.starts_with([' ', '-'])));
            prop_assume!(text.is_empty() || text.ends_with('\n'));
            let with = set(&text, "zz", "1").expect("no braces here");
            prop_assert_eq!(unset(&with, "zz").expect("just set"), text);
        }

        #[test]
        fn no_text_makes_the_editor_panic(text in "\\PC*|[a-b:#\"' \\n{}\\[\\]&|-]{0,30}", key in "[a-b]{1,2}") {
            let _ = (get(&text, &key), set(&text, &key, "v"), unset(&text, &key));
        }
    }

    /// The judge is the reader that homied uses.
    #[cfg(feature = "daemon")]
    #[test]
    fn homieds_yaml_reader_sees_exactly_the_one_change() {
        use std::collections::BTreeMap;
        let before: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(DOCUMENT_B).expect("yaml");
        for value in ["x", "a # b", "it's \"q\" \\", "true", "1", "- a", "ünï", "a: b", "\u{7}"] {
            let text = set(DOCUMENT_B, "group_secret", &quote(value)).expect("editable");
            let after: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&text).expect("yaml");
            let mut want = before.clone();
            want.insert("group_secret".into(), value.into());
            assert_eq!(after, want, "{text}");
        }
    }
}
