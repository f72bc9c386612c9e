//! What is set, and where that comes from.

use serde_json::Value;

use super::change::{edit_error, store_error};
use super::proxy::without_login;
use super::{bad_key, connect_if_up};
use crate::ctl::config_file::{self, KEYS, Kind, config_path, find_key};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, shorten, width};
use crate::paths::Surroundings;
use crate::wire::ipc::{ConfigRow, method};

/// What stands in the place of a secret.
const MASK: &str = "********";

/// Prints every key, its value and its origin.
///
/// # Errors
/// homied refuses, or its file cannot be read.
pub(super) async fn all(ctx: &Context) -> Result<(), CtlError> {
    let rows = rows(ctx).await?;
    if ctx.json {
        return ctx.print_list("config", &rows);
    }
    ctx.print(&table(&ctx.out, &rows))?;
    warn(ctx, &rows);
    Ok(())
}

/// Prints the value of one key alone, for scripts.
///
/// # Errors
/// There is no such key, homied refuses, or its file cannot be read.
pub(super) async fn one(ctx: &Context, name: &str) -> Result<(), CtlError> {
    let key = find_key(name).map_err(bad_key)?;
    let rows = rows(ctx).await?;
    let found: Vec<&ConfigRow> = rows.iter().filter(|row| row.key == key.name).collect();
    if ctx.json {
        return ctx.print_list("config", &found);
    }
    for row in found {
        ctx.print(&format!("{}\n", value_text(&row.value)))?;
    }
    Ok(())
}

/// Says on standard error what should be known about the values.
pub(super) fn warn(ctx: &Context, rows: &[ConfigRow]) {
    for row in rows {
        if let Some(warning) = &row.warning {
            ctx.note(&format!("{} {}: {warning}", ctx.err.yellow("warning:"), row.key));
        }
    }
}

/// What homied runs with; without homied, what its file says.
async fn rows(ctx: &Context) -> Result<Vec<ConfigRow>, CtlError> {
    if let Some(mut homied) = connect_if_up(ctx).await? {
        return homied.call_rows(method::CONFIG, &()).await;
    }
    let path = config_path(&Surroundings::current(), None).map_err(|e| CtlError::usage(e.to_string()))?;
    let text = config_file::read(&path).map_err(store_error)?.unwrap_or_default();
    ctx.note(&format!("homied is not running; this is what {} says", path.display()));
    let from_file = path.display().to_string();
    KEYS.iter()
        .map(|key| {
            let value = config_file::get(&text, key.name).map_err(|e| edit_error(&path, &e))?;
            Ok(match value {
                Some(_) if key.kind == Kind::Secret => row(key.name, MASK.into(), &from_file),
                // It may hold a password.
                Some(url) if key.kind == Kind::Proxy => row(key.name, without_login(&url).into(), &from_file),
                Some(value) => row(key.name, value.into(), &from_file),
                None if key.kind == Kind::List => row(key.name, Value::Array(Vec::new()), "default"),
                None if key.default.is_empty() => row(key.name, Value::Null, "default"),
                None => row(key.name, key.default.into(), "default"),
            })
        })
        .collect()
}

fn row(key: &str, value: Value, origin: &str) -> ConfigRow {
    ConfigRow { key: key.to_owned(), value, origin: origin.to_owned(), warning: None }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join(", "),
        Value::Object(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k} {}", value_text(v))).collect();
            pairs.join(" ")
        }
        other => other.to_string(),
    }
}

fn table(style: &Style, rows: &[ConfigRow]) -> String {
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]).title("CONFIGURATION");
    let origin_columns = rows.iter().map(|r| width(&r.origin)).max().unwrap_or(0);
    // The longest key has 22 columns and the borders 10; a value keeps at least a third of the rest.
    let room = style.width.saturating_sub(32).max(16);
    let origin_columns = origin_columns.min(room * 2 / 3);
    for row in rows {
        let (value, origin) = (value_text(&row.value), row.origin.clone());
        table.row(if style.tty {
            // The end of a path says more than its beginning.
            let origin = from_the_end(&origin, origin_columns, style);
            vec![row.key.clone(), shorten(&value, room - origin_columns, style), origin]
        } else {
            vec![row.key.clone(), value, origin]
        });
    }
    table.render(style)
}

fn from_the_end(text: &str, columns: usize, style: &Style) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let backwards: String = text.chars().rev().collect();
    let ellipsis = style.pick("…", "...");
    let kept = shorten(&backwards, columns, style);
    let kept = kept.strip_suffix(ellipsis).unwrap_or(&kept);
    ellipsis.to_owned() + &kept.chars().rev().collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;
    use serde_json::json;

    #[test]
    fn every_setting_is_shown_with_its_origin_and_the_secret_is_not() {
        let file = "/home/raj/a/rather/long/way/to/the/home/directory/of/raj/.homie/config.yaml";
        let rows = [
            row("name", "raj".into(), &format!("{file}:1")),
            row("group_secret", MASK.into(), &format!("{file}:2")),
            row("container_cpu_limit", json!(2.0), "default"),
            row("container_memory_limit", "4g".into(), "HOMIE_CONTAINER_MEMORY_LIMIT"),
            row("docker_host", Value::Null, "default"),
            row("admins", json!([]), "default"),
            row(
                "direct",
                json!([{ "address": "100.64.1.2:5556", "name": "bob" }, { "address": "nas:5556", "name": null }]),
                &format!("{file}:9"),
            ),
        ];
        golden::check_styles("config", |style| table(style, &rows));
    }
}
