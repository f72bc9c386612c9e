//! `homie whoami`: the name and id that friends see.

use serde_json::{Value, json};
use std::process::ExitCode;

use crate::ctl::args::WhoamiArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::Style;
use crate::wire::ipc::{ConfigRow, StatusView, method};

/// Runs it.
///
/// # Errors
/// No homied answers, or it refuses.
pub async fn run(ctx: &Context, _args: WhoamiArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    let config: Vec<ConfigRow> = homied.call_rows(method::CONFIG, &()).await?;
    let group = config.iter().find(|row| row.key == "group").and_then(|row| row.value.as_str()).unwrap_or("homie");
    if ctx.json {
        ctx.print_json(&json!({ "version": 1, "whoami": identity(&status, group) }))?;
    } else {
        ctx.print(&text(&ctx.out, &status, group))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn identity(status: &StatusView, group: &str) -> Value {
    json!({ "name": status.name, "id": status.id, "group": group, "ip": status.ip })
}

fn text(style: &Style, status: &StatusView, group: &str) -> String {
    let rows = [
        ("Name", style.bold(&status.name)),
        ("Group", group.to_owned()),
        ("IP", status.ip.clone().unwrap_or_else(|| "-".into())),
        ("Id", status.id.to_string()),
    ];
    rows.map(|(name, value)| format!("{name:<6} {value}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};

    #[test]
    fn it_tells_name_group_address_and_id() {
        golden::check_styles("whoami", |style| text(style, &sample::status(), "homie"));
        let value = identity(&sample::status(), "homie");
        assert_eq!(value["id"], json!(sample::status().id.to_string()));
    }
}
