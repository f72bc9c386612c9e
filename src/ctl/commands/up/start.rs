//! Gets a homied going and waits until it answers.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::{Service, find_homied, finish, until};
use crate::paths::Places;
use crate::wire::ipc::{StatusView, method};

/// How long homied may take to be ready: it recovers its journal and looks for engines first, on a disk that may just
/// have been woken.
const READY: Duration = Duration::from_secs(30);
/// How long the card waits for the first look at the engines.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Starts homied: by systemd where it is a service, else in the background. Gives its first status.
///
/// # Errors
/// Its program is missing, it fails, or it does not answer in time.
pub(super) async fn start(ctx: &Context, places: &Places) -> Result<StatusView, CtlError> {
    let service = match Service::fitting(places.kind) {
        Some(service) if service.is_installed().await => Some(service),
        _ => None,
    };
    match service {
        Some(service) => service.start().await?,
        None => background(places).await?,
    }
    let answered = until(READY, || async { first_status(ctx).await.ok() }).await;
    if answered.is_none() {
        return Err(CtlError::NoDaemon {
            message: format!("homied was started but does not answer at {}", places.socket.display()),
            hint: format!("its log tells more: {}", log_hint(places, service)),
        });
    }
    // homied answers before it has asked every engine; the card should not say "no engine" because of that.
    let settled = until(FIRST_LOOK, || async {
        first_status(ctx).await.ok().filter(|s| !s.facts.engines.is_empty() || s.engine_error.is_some())
    });
    match settled.await {
        Some(status) => Ok(status),
        None => first_status(ctx).await,
    }
}

async fn first_status(ctx: &Context) -> Result<StatusView, CtlError> {
    ctx.connect().await?.call(method::STATUS, &()).await
}

/// `homied --background` comes back when it is ready, or tells on standard error why it is not.
async fn background(places: &Places) -> Result<(), CtlError> {
    let program = find_homied()?;
    let child = Command::new(&program)
        .arg("--background")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| CtlError::io(format!("cannot start {}", program.display()), e))?;
    let done = finish(child, READY).await.map_err(|e| CtlError::io(format!("{}", program.display()), e))?;
    if done.status.success() {
        return Ok(());
    }
    Err(CtlError::NoDaemon {
        message: format!("homied did not start ({})", done.status),
        hint: format!("its log tells more: {}", log_hint(places, None)),
    })
}

fn log_hint(places: &Places, service: Option<Service>) -> String {
    match service {
        Some(Service::System) => "journalctl -u homied".into(),
        Some(Service::User) => "journalctl --user -u homied".into(),
        None => places.state.join("homied.log").display().to_string(),
    }
}
