//! `homie env`: the environments that jobs run in.

use std::process::{Command, ExitCode, Stdio};

use serde_json::json;

use crate::ctl::args::{EnvAction, EnvArgs};
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::find_homied;
use crate::ctl::render::{Style, Table, shorten};
use crate::model::{EngineKind, Facts, Isolation, PeerView, Via};
use crate::wire::ipc::{PeersParams, StatusView, method};

/// Runs it.
///
/// # Errors
/// No homied answers, or the build fails.
pub async fn run(ctx: &Context, args: EnvArgs) -> Result<ExitCode, CtlError> {
    match args.action {
        EnvAction::List => list(ctx).await,
        EnvAction::Build { name, from, mirror, again } => {
            build(&order(&name, from.as_deref(), mirror.as_deref(), again))
        }
    }
}

/// An environment of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    env: String,
    machine: String,
    own: bool,
    engine: EngineKind,
    isolation: Isolation,
}

async fn list(ctx: &Context) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    let peers: Vec<PeerView> = homied.call_rows(method::PEERS, &PeersParams { all: false }).await?;
    let mut rows = of_machine(&status.name, true, &status.facts);
    for peer in peers.iter().filter(|p| p.via != Via::Own) {
        rows.extend(of_machine(&peer.name, false, &peer.facts));
    }
    if ctx.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|r| json!({ "env": r.env, "machine": r.machine, "own": r.own, "engine": r.engine, "isolation": r.isolation }))
            .collect();
        return ctx.print_list("envs", &rows).map(|()| ExitCode::SUCCESS);
    }
    ctx.print(&table(&ctx.out, &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn of_machine(name: &str, own: bool, facts: &Facts) -> Vec<Row> {
    let mut rows = Vec::new();
    for engine in &facts.engines {
        for env in &engine.envs {
            rows.push(Row {
                env: env.clone(),
                machine: name.to_owned(),
                own,
                engine: engine.kind,
                isolation: engine.isolation,
            });
        }
    }
    rows
}

fn table(style: &Style, rows: &[Row]) -> String {
    if rows.is_empty() {
        return "No environment is ready here or at your friends'.\n`homie env build base` makes one for Docker.\n"
            .into();
    }
    let mut table = Table::new(&["ENV", "MACHINE", "ENGINE", "ISOLATION"]).title("ENVIRONMENTS");
    let columns = if style.tty { 24 } else { usize::MAX };
    for row in rows {
        let machine = shorten(&clean(&row.machine), columns, style);
        table.row(vec![
            shorten(&clean(&row.env), columns, style),
            if row.own { format!("{machine} (this)") } else { machine },
            row.engine.as_str().into(),
            row.isolation.as_str().into(),
        ]);
    }
    table.render(style)
}

/// What homied's program is told.
fn order(name: &str, from: Option<&str>, mirror: Option<&str>, again: bool) -> Vec<String> {
    let mut words = vec![format!("__build-{name}")];
    // With `=`, so that a value cannot be taken for a flag.
    words.extend(from.map(|image| format!("--from={image}")));
    words.extend(mirror.map(|url| format!("--mirror={url}")));
    words.extend(again.then(|| "--again".to_owned()));
    words
}

/// The work is homied's program's, which speaks to the engine; its progress and exit code are passed on.
fn build(order: &[String]) -> Result<ExitCode, CtlError> {
    let program = find_homied()?;
    let status = Command::new(&program)
        .args(order)
        .stdin(Stdio::null())
        .status()
        .map_err(|e| CtlError::io(format!("cannot start {}", program.display()), e))?;
    // A program that a signal ended has no code of its own.
    Ok(ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(crate::ctl::exit::FAILED)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};

    #[test]
    fn the_owners_wishes_reach_the_builder() {
        assert_eq!(order("base", None, None, false), ["__build-base"]);
        assert_eq!(order("base", Some("python:3"), None, true), ["__build-base", "--from=python:3", "--again"]);
        assert_eq!(order("base", None, Some("http://m"), false), ["__build-base", "--mirror=http://m"]);
    }

    #[test]
    fn environments_are_listed_by_machine_and_engine() {
        let mut rows = of_machine("raj", true, &sample::facts());
        rows.extend(of_machine("bob-in-new-york-city-usa-1", false, &sample::facts()));
        assert_eq!(rows.len(), 4);
        golden::check_styles("env_list", |style| table(style, &rows));
        golden::check_styles("env_none", |style| table(style, &[]));
    }
}
