//! `homie env`: the environments that jobs run in.

mod build;
mod create;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::ctl::args::{EnvAction, EnvArgs};
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Style, Table, shorten};
use crate::model::{Digest, EngineKind, EngineOffer, EnvState, EnvView, Facts, Isolation, PeerView, Via, format_bytes};
use crate::wire::env::{EnvBuild, EnvRef};
use crate::wire::ipc::{PeersParams, StatusView, method};

/// Runs it.
///
/// # Errors
/// No homied answers, it refuses, or the build fails.
pub async fn run(ctx: &Context, args: EnvArgs) -> Result<ExitCode, CtlError> {
    match args.action {
        EnvAction::Create(args) => create::create(ctx, args).await,
        EnvAction::List => list(ctx).await,
        EnvAction::Show { name } => show(ctx, &name).await,
        EnvAction::Build { name, from, mirror, again, engine } if name == "base" => match engine.as_deref() {
            Some("native") => Err(CtlError::usage_hint(
                "the native engine's base is this machine's own system",
                "there is nothing to build",
            )),
            _ => build::build_base(from.as_deref(), mirror.as_deref(), again),
        },
        EnvAction::Build { from: Some(_), .. } | EnvAction::Build { mirror: Some(_), .. } => {
            Err(CtlError::usage_hint("--from and --mirror are for base", "homie env create NAME --from IMAGE"))
        }
        EnvAction::Build { name, engine, again, .. } => {
            let engine = build::engine_of(engine.as_deref());
            build::build(ctx, EnvBuild { name, engine, again }).await
        }
        EnvAction::Rm { names } => remove(ctx, names).await,
        EnvAction::Export { name, output } => create::export(ctx, &name, output.as_deref()).await,
        EnvAction::Import { file, name, replace } => create::import(ctx, &file, name.as_deref(), replace).await,
    }
}

/// An environment of a machine, or one with an engine there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    env: String,
    machine: String,
    own: bool,
    engine: Option<EngineKind>,
    isolation: Option<Isolation>,
    state: String,
    digest: Option<Digest>,
    python: Option<String>,
    bytes: u64,
}

async fn list(ctx: &Context) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    let own: Vec<EnvView> = homied.call_rows(method::ENV_LIST, &()).await?;
    let peers: Vec<PeerView> = homied.call_rows(method::PEERS, &PeersParams { all: false }).await?;
    let mut rows = bases(&status.name, true, &status.facts);
    rows.extend(own.iter().flat_map(|view| of_this(&status.name, view)));
    for peer in peers.iter().filter(|p| p.via != Via::Own) {
        rows.extend(bases(&peer.name, false, &peer.facts));
        rows.extend(of_friend(&peer.name, &peer.facts));
    }
    if ctx.json {
        let rows: Vec<Value> = rows.iter().map(list_json).collect();
        return ctx.print_list("envs", &rows).map(|()| ExitCode::SUCCESS);
    }
    ctx.print(&table(&ctx.out, &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn list_json(r: &Row) -> Value {
    json!({
        "env": r.env, "machine": r.machine, "own": r.own, "engine": r.engine, "isolation": r.isolation, "state": r.state, "digest": r.digest,
        "python": r.python, "bytes": r.bytes,
    })
}

/// `base`, which every ready engine that has it can run.
fn bases(name: &str, own: bool, facts: &Facts) -> Vec<Row> {
    let base = |engine: &EngineOffer| Row {
        env: "base".to_owned(),
        machine: name.to_owned(),
        own,
        engine: Some(engine.kind),
        isolation: Some(engine.isolation),
        state: "ready".to_owned(),
        digest: None,
        python: None,
        bytes: 0,
    };
    facts.engines.iter().filter(|e| e.envs.iter().any(|env| env == "base")).map(base).collect()
}

/// One row for each engine that can run it; one without engine while none can.
fn of_this(machine: &str, view: &EnvView) -> Vec<Row> {
    let row = |engine| Row {
        env: view.name.clone(),
        machine: machine.to_owned(),
        own: true,
        engine,
        isolation: None,
        state: view.state.as_str().to_owned(),
        digest: view.digest,
        python: view.python.clone(),
        bytes: view.bytes,
    };
    match view.engines.is_empty() {
        true => vec![row(None)],
        false => view.engines.iter().map(|e| row(Some(*e))).collect(),
    }
}

fn of_friend(machine: &str, facts: &Facts) -> Vec<Row> {
    let row = |offer: &crate::model::EnvOffer| Row {
        env: offer.name.clone(),
        machine: machine.to_owned(),
        own: false,
        engine: Some(offer.engine),
        isolation: facts.engines.iter().find(|e| e.kind == offer.engine).map(|e| e.isolation),
        state: "ready".to_owned(),
        digest: Some(offer.digest),
        python: offer.python.clone(),
        bytes: offer.bytes,
    };
    facts.envs.iter().map(row).collect()
}

fn table(style: &Style, rows: &[Row]) -> String {
    if rows.is_empty() {
        return "No environment is ready here or at your friends'.\n`homie env build base` makes one for Docker.\n"
            .into();
    }
    let mut table = Table::new(&["ENV", "MACHINE", "ENGINE", "STATE", "PYTHON", "SIZE"]).title("ENVIRONMENTS");
    let columns = if style.tty { 18 } else { usize::MAX };
    for row in rows {
        let machine = shorten(&clean(&row.machine), columns, style);
        table.row(vec![
            shorten(&clean(&row.env), columns, style),
            if row.own { format!("{machine} (this)") } else { machine },
            row.engine.map_or("-", EngineKind::as_str).into(),
            row.state.clone(),
            row.python.as_deref().map_or_else(|| "-".to_owned(), clean),
            if row.bytes > 0 { format_bytes(row.bytes) } else { "-".into() },
        ]);
    }
    table.align_right(5);
    table.render(style)
}

/// One entry of `{"version":1,"envs":[…]}` where it is about this machine's own.
fn row_json(view: &EnvView) -> Value {
    let mut row = json!({
        "env": view.name, "recipe": view.recipe, "digest": view.digest, "kind": view.kind, "state": view.state.as_str(),
        "engines": view.engines, "python": view.python, "bytes": view.bytes,
    });
    if let EnvState::Failed { failure } = &view.state {
        row["failure"] = json!({ "kind": failure.kind, "message": failure.message, "lines": failure.at.lines });
    }
    row
}

async fn show(ctx: &Context, name: &str) -> Result<ExitCode, CtlError> {
    let (view, recipe, lock) = create::text_of(ctx, name).await?;
    if ctx.json {
        let mut row = row_json(&view);
        row["recipe_text"] = recipe.into();
        row["lock_text"] = lock.into();
        ctx.print_list("envs", &[row])?;
        return Ok(ExitCode::SUCCESS);
    }
    ctx.print(&described(&view))?;
    // Names of packages are of the recipe's author.
    for line in recipe.lines().chain(lock.lines()) {
        ctx.print(&format!("  {}\n", clean(line)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn described(view: &EnvView) -> String {
    let engines: Vec<&str> = view.engines.iter().map(|e| e.as_str()).collect();
    let mut out = format!("{}: {}", clean(&view.name), view.state.as_str());
    if !engines.is_empty() {
        out.push_str(&format!(" ({}, {})", engines.join(", "), format_bytes(view.bytes)));
    }
    out.push('\n');
    match &view.state {
        EnvState::Building { progress } => out.push_str(&format!("  {}\n", clean(&progress.sentence()))),
        EnvState::Failed { failure } => {
            let step = if failure.at.steps > 0 { format!("{}: ", failure.at.sentence()) } else { String::new() };
            out.push_str(&format!("  {}\n", clean(&format!("{step}{}", failure.message))));
            failure.at.lines.iter().for_each(|line| out.push_str(&format!("    {}\n", clean(line))));
        }
        EnvState::Known | EnvState::Ready => {}
    }
    if let Some(digest) = view.digest {
        out.push_str(&format!("  digest {digest}\n"));
    }
    out
}

async fn remove(ctx: &Context, names: Vec<String>) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let mut removed = Vec::new();
    for name in names {
        let _: Value = homied.call(method::ENV_REMOVE, &EnvRef { name: name.clone() }).await?;
        ctx.note(&format!("environment {} is removed", clean(&name)));
        removed.push(json!({ "env": name, "state": "removed" }));
    }
    if ctx.json {
        ctx.print_list("envs", &removed)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};
    use crate::model::{BuildFailure, EnvOffer, FailedBuild};

    fn view(name: &str, state: EnvState, engines: &[EngineKind]) -> EnvView {
        EnvView {
            name: name.into(),
            recipe: Digest([1; 32]),
            digest: (!engines.is_empty()).then_some(Digest([2; 32])),
            kind: "python".into(),
            state,
            engines: engines.into(),
            python: (!engines.is_empty()).then(|| "3.11.2".into()),
            bytes: if engines.is_empty() { 0 } else { 300 << 20 },
            used_ms: None,
        }
    }

    #[test]
    fn environments_are_listed_by_machine_and_engine() {
        let mut rows = bases("raj", true, &sample::facts());
        rows.extend(of_this("raj", &view("ml-demo", EnvState::Ready, &[EngineKind::Native])));
        rows.extend(of_this("raj", &view("train-1a2b3c4d", EnvState::Known, &[])));
        let mut friend = sample::facts();
        friend.envs = vec![EnvOffer {
            name: "ml-demo".into(),
            digest: Digest([2; 32]),
            recipe: Digest([1; 32]),
            engine: EngineKind::Docker,
            python: Some("3.11.2".into()),
            bytes: 310 << 20,
        }];
        rows.extend(bases("bob-in-new-york-city-usa-1", false, &friend));
        rows.extend(of_friend("bob-in-new-york-city-usa-1", &friend));
        assert_eq!(rows.len(), 7);
        golden::check_styles("env_list", |style| table(style, &rows));
        golden::check_styles("env_none", |style| table(style, &[]));
    }

    #[test]
    fn a_failed_build_is_shown_with_its_last_lines() {
        let mut failure = BuildFailure::new(FailedBuild::Unresolvable, "no version fits");
        failure.at.push_line(b"ERROR: \x1b[31mno matching distribution");
        let text = described(&view("ml", EnvState::Failed { failure }, &[]));
        assert!(text.starts_with("ml: failed\n  no version fits\n    ERROR: "), "{text}");
        assert!(!text.contains('\x1b'));
    }
}
