//! `homie config`: shows every value and where it comes from, or changes the file and lets homied read it again.

mod change;
mod proxy;
mod show;

use std::io::Read as _;
use std::process::ExitCode;

use crate::ctl::args::{ConfigAction, ConfigArgs};
use crate::ctl::config_file::{KeyError, find_key};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::wire::ipc::{ConfigRow, method};

pub use change::{Change, apply};
pub use proxy::proxy;

/// Runs it.
///
/// # Errors
/// The key or value is none, the file cannot be read or written, or homied refuses the new values.
pub async fn run(ctx: &Context, args: ConfigArgs) -> Result<ExitCode, CtlError> {
    let flags = [
        ("container_cpu_limit", args.cpu),
        ("container_memory_limit", args.memory),
        ("container_timeout", args.timeout),
        ("container_disk_limit", args.disk),
        ("container_pids_limit", args.pids),
        ("bandwidth_limit", args.bandwidth),
        ("container_gpu_limit", args.gpu),
        ("job_slots", args.jobs),
    ];
    let mut changes = Vec::new();
    for (key, value) in flags {
        if let Some(value) = value {
            changes.push(Change::set(find_key(key).map_err(bad_key)?, &value).map_err(bad_key)?);
        }
    }
    match args.action {
        Some(ConfigAction::Get { key }) => return show::one(ctx, &key).await.map(|()| ExitCode::SUCCESS),
        Some(ConfigAction::Set { key, value }) => {
            let value = if value == "-" { first_line_of_stdin()? } else { value };
            changes.push(Change::set(find_key(&key).map_err(bad_key)?, &value).map_err(bad_key)?);
        }
        Some(ConfigAction::Unset { key }) => changes.push(Change::unset(find_key(&key).map_err(bad_key)?)),
        Some(ConfigAction::Reload) => {
            let rows: Vec<ConfigRow> = ctx.connect().await?.call_rows(method::CONFIG_RELOAD, &()).await?;
            if ctx.json {
                return ctx.print_list("config", &rows).map(|()| ExitCode::SUCCESS);
            }
            ctx.print(&format!("{} homied has read its configuration again\n", ctx.out.tick()))?;
            show::warn(ctx, &rows);
            return Ok(ExitCode::SUCCESS);
        }
        None if changes.is_empty() => return show::all(ctx).await.map(|()| ExitCode::SUCCESS),
        None => {}
    }
    apply(ctx, &changes).await?;
    Ok(ExitCode::SUCCESS)
}

/// The first line of standard input, so that a secret need not stand in the list of processes.
///
/// # Errors
/// It cannot be read or is no text.
pub fn first_line_of_stdin() -> Result<String, CtlError> {
    // More than the longest value; whatever pours in endlessly is no value.
    const LONGEST: u64 = 64 << 10;
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|e| CtlError::io("cannot read standard input", e))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn bad_key(error: KeyError) -> CtlError {
    match error {
        KeyError::Unknown { .. } => {
            CtlError::usage_hint(error.to_string(), "`homie config` lists every key and its value")
        }
        // It says what would fit.
        KeyError::BadValue { .. } => CtlError::usage(error.to_string()),
    }
}

/// A connection if homied is up; anything but its absence is an error.
async fn connect_if_up(ctx: &Context) -> Result<Option<Connection>, CtlError> {
    match ctx.connect().await {
        Ok(homied) => Ok(Some(homied)),
        Err(CtlError::NoDaemon { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}
