//! `homie env build`: watches homied build an environment.

use std::process::{Command, ExitCode, Stdio};

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::follow::preparing_line;
use crate::ctl::homied::find_homied;
use crate::ctl::render::Progress;
use crate::model::{BuildFailure, BuildProgress, EngineKind, EnvEvent, EnvView, format_bytes};
use crate::wire::env::EnvBuild;
use crate::wire::frame::FrameError;
use crate::wire::ipc::{Reply, method};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Builds `order` and shows how it goes on. Interrupting it stops the build.
///
/// # Errors
/// homied refuses, or the build comes to nothing: the error shows the step and the last lines.
pub(super) async fn build(ctx: &Context, order: EnvBuild) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let request = homied.request(method::ENV_BUILD, &order).await?;
    let progress = Progress::new(ctx);
    let (mut told, mut last) = (0, None);
    loop {
        // A step may be silent for as long as a compiler is: no limit but the connection's end.
        let frame = homied.wire().next().await.ok_or(FrameError::Closed)??;
        match frame.parse()? {
            Reply::Event { id, event } if id == request => match serde_json::from_value(event) {
                Ok(EnvEvent::Progress { progress: now }) => {
                    show(ctx, &progress, &order.name, &now, &mut told);
                }
                Ok(end) => last = Some(end),
                // A newer homied may tell more.
                Err(_) => {}
            },
            Reply::Ok { id, .. } if id == request => break,
            Reply::Error { id, error } if id == request => return Err(error.into()),
            other => return Err(CtlError::Protocol(format!("an answer to another request: {other:?}"))),
        }
    }
    drop(progress);
    match last {
        Some(EnvEvent::Ready { view }) => ready(ctx, &view),
        Some(EnvEvent::Failed { failure }) => failed(ctx, &order.name, &failure),
        _ => Err(CtlError::Protocol("the build ended without saying how".into())),
    }
}

fn show(ctx: &Context, progress: &Progress, name: &str, now: &BuildProgress, told: &mut u32) {
    let line = clean(&preparing_line(name, now));
    if ctx.err.tty && !ctx.quiet && !ctx.json {
        progress.spin(line);
    } else if now.step != *told && now.steps > 0 {
        *told = now.step;
        ctx.note(&line);
    }
}

fn ready(ctx: &Context, view: &EnvView) -> Result<ExitCode, CtlError> {
    if ctx.json {
        ctx.print_list("envs", &[super::row_json(view)])?;
    } else {
        let engines: Vec<&str> = view.engines.iter().map(|e| e.as_str()).collect();
        let python = view.python.as_ref().map(|p| format!(", Python {}", clean(p))).unwrap_or_default();
        let (name, bytes) = (clean(&view.name), format_bytes(view.bytes));
        ctx.print(&format!("environment {name} is ready ({}, {bytes}{python})\n", engines.join(", ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A failed build: the step and its last lines on standard error, or all of it as JSON.
fn failed(ctx: &Context, name: &str, failure: &BuildFailure) -> Result<ExitCode, CtlError> {
    if ctx.json {
        ctx.print_json(&failure_json(name, failure))?;
        return Ok(ExitCode::from(crate::ctl::exit::FAILED));
    }
    for line in &failure.at.lines {
        ctx.note(&format!("  {}", clean(line)));
    }
    let step = if failure.at.steps > 0 { format!(" at {}", failure.at.sentence()) } else { String::new() };
    let text = clean(&format!("environment {name} could not be built{step}: {}", failure.message));
    let refusal = Refusal::new(RefusalKind::NoEnvironment, text);
    Err(CtlError::Refused(match &failure.hint {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }))
}

fn failure_json(name: &str, failure: &BuildFailure) -> Value {
    let at = &failure.at;
    json!({ "version": 1, "error": {
        "kind": failure.kind, "message": failure.message, "hint": failure.hint, "env": name,
        "step": at.what, "step_number": at.step, "steps": at.steps, "lines": at.lines,
    }})
}

/// An engine by its word on the command line, which clap has checked.
pub(super) fn engine_of(word: Option<&str>) -> Option<EngineKind> {
    match word {
        Some("docker") => Some(EngineKind::Docker),
        Some(_) => Some(EngineKind::Native),
        None => None,
    }
}

/// What homied's program is told to make `base`.
fn order(from: Option<&str>, mirror: Option<&str>, again: bool) -> Vec<String> {
    let mut words = vec!["__build-base".to_owned()];
    // With `=`, so that a value cannot be taken for a flag.
    words.extend(from.map(|image| format!("--from={image}")));
    words.extend(mirror.map(|url| format!("--mirror={url}")));
    words.extend(again.then(|| "--again".to_owned()));
    words
}

/// `base` is made by homied's program, which speaks to the engine; its progress and exit code are passed on.
pub(super) fn build_base(from: Option<&str>, mirror: Option<&str>, again: bool) -> Result<ExitCode, CtlError> {
    let program = find_homied()?;
    let status = Command::new(&program)
        .args(order(from, mirror, again))
        .stdin(Stdio::null())
        .status()
        .map_err(|e| CtlError::io(format!("cannot start {}", program.display()), e))?;
    // A program that a signal ended has no code of its own.
    Ok(ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(crate::ctl::exit::FAILED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_wishes_reach_the_builder_of_base() {
        assert_eq!(order(None, None, false), ["__build-base"]);
        assert_eq!(order(Some("python:3"), None, true), ["__build-base", "--from=python:3", "--again"]);
        assert_eq!(order(None, Some("http://m"), false), ["__build-base", "--mirror=http://m"]);
    }
}
