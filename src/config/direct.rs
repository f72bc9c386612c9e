//! Peers by address, the `direct:` list: its values, and its change in the file's text.
//!
//! The text is edited by line, never written anew from the values, so that comments and order stay as their author
//! left them. Every edit is read back and compared before it is kept.

use serde_json::{Value, json};

use super::error::ConfigError;
use super::keys::{arity, excerpt};
use super::settings::Settings;
use super::shape::{Entry, Given, Item, parse};
use crate::model::parse_address;

/// A peer to dial: `HOST:PORT` and the label given to it.
pub type Direct = (String, Option<String>);

/// The one spelling of an address, see [`parse_address`].
///
/// # Errors
/// It is not an address; the text says what to write.
pub fn address(text: &str) -> Result<String, String> {
    parse_address(text).map_err(|why| {
        format!("{:?} is not an address: {why}; write 100.64.1.2, nas.local or 100.64.1.2:5556", excerpt(text))
    })
}

/// One entry: text, or `address:` with `name:`.
fn entry(item: &Value) -> Result<Direct, String> {
    match item {
        Value::String(text) => Ok((address(text)?, None)),
        Value::Object(pairs) => {
            let text = |key: &str| pairs.get(key).and_then(Value::as_str);
            let known = pairs.keys().all(|k| k == "address" || k == "name");
            match (text("address"), text("name"), pairs.contains_key("name")) {
                (Some(at), name, has_name) if known && (name.is_some() || !has_name) => {
                    Ok((address(at)?, name.map(str::to_owned)))
                }
                _ => Err("an entry has `address:` and perhaps `name:`, both texts".to_owned()),
            }
        }
        _ => Err("an entry is an address such as 100.64.1.2, or `address:` with `name:`".to_owned()),
    }
}

pub(super) fn set(s: &mut Settings, given: &Given) -> Result<(), String> {
    let entries: Result<Vec<Direct>, String> = match given {
        Given::One(list) => {
            list.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Ok((address(t)?, None))).collect()
        }
        Given::Many(items) => items
            .iter()
            .map(|i| entry(&i.value).map_err(|e| if i.line > 0 { format!("line {}: {e}", i.line) } else { e }))
            .collect(),
    };
    let entries = entries?;
    let mut seen = std::collections::BTreeSet::new();
    if let Some((twice, _)) = entries.iter().find(|(at, _)| !seen.insert(at.clone())) {
        return Err(format!("{twice} is there twice; keep one"));
    }
    s.direct = entries;
    Ok(())
}

pub(super) fn show(s: &Settings) -> Value {
    s.direct
        .iter()
        .map(|(at, name)| match name {
            None => json!(at),
            Some(name) => json!({"address": at, "name": name}),
        })
        .collect()
}

/// The config text with one more peer. Adding a known address only changes its label.
///
/// # Errors
/// The text cannot be read, or is written in a way that cannot be edited by line.
pub(super) fn add(text: &str, peer: &Direct) -> Result<String, ConfigError> {
    let (list, _) = read(text)?;
    let text = if list.iter().any(|(p, _)| p.0 == peer.0) { remove(text, &peer.0)?.0 } else { text.to_owned() };
    let (list, at) = read(&text)?;
    let mut want: Vec<Direct> = list.iter().map(|(p, _)| p.clone()).collect();
    want.push(peer.clone());

    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = block(&mut lines, at, &list)?;
    // After the last entry, with its indentation. A list that was in brackets, or is new, is indented by two.
    let (after, indent) = match list.last() {
        Some((_, line)) if *line != head => (item_end(&lines, *line), indent_of(&lines[*line])),
        _ => (head + 1 + list.len(), 2),
    };
    let pad = " ".repeat(indent);
    let new = match &peer.1 {
        None => vec![format!("{pad}- {}", scalar(&peer.0))],
        Some(name) => {
            vec![format!("{pad}- address: {}", scalar(&peer.0)), format!("{pad}  name: {}", scalar(name))]
        }
    };
    lines.splice(after..after, new);
    checked(&text, lines, &want)
}

/// The config text without the peer whose address or label is `which`, and that peer.
///
/// # Errors
/// There is none, or the text cannot be edited by line.
pub(super) fn remove(text: &str, which: &str) -> Result<(String, Direct), ConfigError> {
    let (list, at) = read(text)?;
    let wanted = address(which).ok();
    let found =
        list.iter().position(|(p, _)| Some(&p.0) == wanted.as_ref() || p.1.as_deref() == Some(which)).ok_or_else(
            || ConfigError::Edit(format!("no direct peer {:?}; `homie list-direct` shows them", excerpt(which))),
        )?;
    let gone = list[found].0.clone();
    let want: Vec<Direct> = list.iter().enumerate().filter(|(i, _)| *i != found).map(|(_, (p, _))| p.clone()).collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = block(&mut lines, at, &list)?;
    // `block` may have moved a list in brackets to lines of its own, in order, right below its key.
    let line = if list[found].1 == head { head + 1 + found } else { list[found].1 };
    lines.drain(line..item_end(&lines, line));
    Ok((checked(text, lines, &want)?, gone))
}

/// The peers with the line index each starts at.
type Placed = Vec<(Direct, usize)>;

/// The peers, and the line index of the key.
fn read(text: &str) -> Result<(Placed, Option<usize>), ConfigError> {
    let entries = shape(text)?;
    let Some(found) = entries.iter().find(|e| e.key == "direct") else { return Ok((Vec::new(), None)) };
    let line = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    let items: &[Item] = match &found.given {
        Some(Given::Many(items)) => items,
        _ => &[],
    };
    let list = items
        .iter()
        .map(|i| Ok((entry(&i.value).map_err(ConfigError::Edit)?, line(i.line))))
        .collect::<Result<_, ConfigError>>()?;
    Ok((list, Some(line(found.line))))
}

fn shape(text: &str) -> Result<Vec<Entry>, ConfigError> {
    parse(text, arity).map_err(|e| ConfigError::Edit(format!("line {} of the config: {}", e.line, e.problem)))
}

/// Makes the list a block list (one entry a line) and returns the index of its key's line.
fn block(lines: &mut Vec<String>, at: Option<usize>, list: &[(Direct, usize)]) -> Result<usize, ConfigError> {
    let Some(head) = at else {
        // A document may be closed by `...`; a key goes before it.
        let end = lines.iter().rposition(|l| l.trim_end() == "...").unwrap_or(lines.len());
        lines.insert(end, "direct:".to_owned());
        return Ok(end);
    };
    let line = lines.get(head).ok_or_else(by_hand)?.clone();
    let rest = line.split_once("direct").and_then(|(_, r)| r.split_once(':')).map(|(_, r)| r).ok_or_else(by_hand)?;
    let (value, comment) = match rest.find(" #") {
        Some(i) => (rest[..i].trim(), &rest[i..]),
        None => (rest.trim(), ""),
    };
    if value.is_empty() {
        return Ok(head);
    }
    if !(value.starts_with('[') && value.ends_with(']')) && value != "~" && value != "null" {
        return Err(by_hand());
    }
    lines[head] = format!("direct:{comment}");
    let items = list.iter().map(|((at, name), _)| match name {
        None => format!("  - {}", scalar(at)),
        Some(name) => format!("  - {{address: {}, name: {}}}", scalar(at), scalar(name)),
    });
    lines.splice(head + 1..head + 1, items);
    Ok(head)
}

fn by_hand() -> ConfigError {
    ConfigError::Edit(
        "the `direct:` list is written in a way that cannot be edited by line; edit it by hand".to_owned(),
    )
}

/// The index after the last line of the entry that starts at `start`: lines that are indented deeper belong to it.
fn item_end(lines: &[String], start: usize) -> usize {
    let indent = lines.get(start).map_or(0, |l| indent_of(l));
    let deeper = |l: &String| !l.trim().is_empty() && !l.trim_start().starts_with('#') && indent_of(l) > indent;
    start + 1 + lines.iter().skip(start + 1).take_while(|l| deeper(l)).count()
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A text as YAML: plain where that is safe, else in double quotes (JSON's are YAML's).
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    // `0` and `1e5` would be numbers; what has two dots (an IPv4 address) cannot be one.
    let number = text.starts_with(|c: char| c.is_ascii_digit()) && text.matches('.').count() < 2;
    let plain = !number
        && text.chars().all(safe)
        && text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '/')
        && !text.ends_with(':')
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// The text of `lines`, if its direct list is `want` and everything else in it is as in `before`.
fn checked(before: &str, lines: Vec<String>, want: &[Direct]) -> Result<String, ConfigError> {
    let mut after = lines.join("\n");
    after.push('\n');
    let others = |text: &str| -> Result<Vec<_>, ConfigError> {
        Ok(shape(text)?.into_iter().filter(|e| e.key != "direct").map(|e| (e.key, e.given)).collect::<Vec<_>>())
    };
    let list: Vec<Direct> = read(&after)?.0.into_iter().map(|(p, _)| p).collect();
    // The items of other lists carry line numbers, which may well have moved.
    let without_lines = |entries: Vec<(String, Option<Given>)>| -> Vec<(String, Option<Given>)> {
        entries
            .into_iter()
            .map(|(k, g)| match g {
                Some(Given::Many(items)) => {
                    (k, Some(Given::Many(items.into_iter().map(|i| Item { line: 0, ..i }).collect())))
                }
                other => (k, other),
            })
            .collect()
    };
    if list == want && without_lines(others(&after)?) == without_lines(others(before)?) {
        Ok(after)
    } else {
        Err(by_hand())
    }
}
