//! Changes that commands make to the file. They keep its comments, its order, its rights and its owner.

use super::direct::{self, Direct, scalar};
use super::error::ConfigError;
use super::shape::{Arity, Given, parse};
use super::{file, keys};
use crate::paths::Places;

/// `homie add`: one more peer by address (`HOST` or `HOST:PORT`). Adding a known one again changes its label.
///
/// # Errors
/// It is not an address, or the file cannot be read, edited or written.
pub fn add_direct(places: &Places, address: &str, name: Option<&str>) -> Result<Direct, ConfigError> {
    let peer = (direct::address(address).map_err(ConfigError::Edit)?, name.map(str::to_owned));
    let text = file::read(&places.config, &mut Vec::new())?;
    file::write(&places.config, &direct::add(&text, &peer)?)?;
    Ok(peer)
}

/// `homie remove`: takes the peer with this address or label out.
///
/// # Errors
/// There is none, or the file cannot be read, edited or written.
pub fn remove_direct(places: &Places, which: &str) -> Result<Direct, ConfigError> {
    let text = file::read(&places.config, &mut Vec::new())?;
    let (text, peer) = direct::remove(&text, which)?;
    file::write(&places.config, &text)?;
    Ok(peer)
}

/// `homie config --cpu 2`: sets keys that take one value, all or none of them.
///
/// # Errors
/// A key is unknown or takes a list, a value cannot be used, or the file cannot be read, edited or written.
pub fn set_values(places: &Places, values: &[(String, String)]) -> Result<(), ConfigError> {
    let mut text = file::read(&places.config, &mut Vec::new())?;
    for (key, value) in values {
        text = set_value(&text, key, value)?;
    }
    file::write(&places.config, &text)
}

/// The text with `key` set to `value`.
fn set_value(text: &str, name: &str, value: &str) -> Result<String, ConfigError> {
    let key = keys::all().find(|k| k.name == name).filter(|k| k.arity == Arity::One).ok_or_else(|| {
        let meant = keys::nearest(name).map(|m| format!("; did you mean {m}?")).unwrap_or_default();
        ConfigError::Edit(format!("{:?} is not a key that takes one value{meant}", keys::excerpt(name)))
    })?;
    let mut scratch = super::Settings::defaults("homie", 1);
    (key.set)(&mut scratch, &Given::One(value.to_owned())).map_err(|problem| ConfigError::Value {
        origin: "the new value".to_owned(),
        key: key.name,
        problem,
    })?;

    let broken =
        |e: super::shape::ShapeError| ConfigError::Edit(format!("line {} of the config: {}", e.line, e.problem));
    let before = parse(text, keys::arity).map_err(broken)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let written = format!("{name}: {}", scalar(value));
    match before.iter().find(|e| e.key == name) {
        Some(old) => {
            let at = usize::try_from(old.line - 1).unwrap_or(usize::MAX);
            let line = lines.get(at).cloned().unwrap_or_default();
            // The comment starts after the value, which may itself contain `#` in quotes; the check below notices.
            let comment = line.find(" #").map(|i| line[i..].to_owned()).unwrap_or_default();
            if let Some(slot) = lines.get_mut(at) {
                *slot = written + &comment;
            }
        }
        None => {
            let end = lines.iter().rposition(|l| l.trim_end() == "...").unwrap_or(lines.len());
            lines.insert(end, written);
        }
    }
    let mut after = lines.join("\n");
    after.push('\n');
    let seen = parse(&after, keys::arity).map_err(|_| by_hand(name))?;
    let same = |e: &&super::shape::Entry| e.key != name;
    let kept = before.iter().filter(same).eq(seen.iter().filter(same));
    let set = seen.iter().any(|e| e.key == name && e.given == Some(Given::One(value.to_owned())));
    let comments = |t: &str| t.lines().filter(|l| l.trim_start().starts_with('#')).count();
    if set && kept && comments(text) == comments(&after) { Ok(after) } else { Err(by_hand(name)) }
}

fn by_hand(name: &str) -> ConfigError {
    ConfigError::Edit(format!("{name} is written in a way that cannot be edited by line; edit it by hand"))
}
