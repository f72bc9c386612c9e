//! `homie up`: starts homied and shows the card; `-f` stays with the dashboard.

mod start;

use std::process::ExitCode;

use super::status::up_card;
use crate::ctl::args::{SetupArgs, UpArgs};
use crate::ctl::commands::setup;
use crate::ctl::config_file;
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::Service;
use crate::ctl::render::Progress;
use crate::ctl::tui;
use crate::paths::{Kind, Places, Surroundings};
use crate::wire::ipc::{StatusView, method};

/// Runs it.
///
/// # Errors
/// This machine is not set up, or homied cannot be started.
pub async fn run(ctx: &Context, args: UpArgs) -> Result<ExitCode, CtlError> {
    let (status, already) = match ctx.connect().await {
        Ok(mut homied) => (homied.call(method::STATUS, &()).await?, true),
        Err(CtlError::NoDaemon { .. }) => (begin(ctx).await?, false),
        Err(e) => return Err(e),
    };
    if args.foreground {
        return tui::run(ctx).await;
    }
    show(ctx, &status, already)?;
    Ok(ExitCode::SUCCESS)
}

/// Sets up if that was never done, then starts.
async fn begin(ctx: &Context) -> Result<StatusView, CtlError> {
    let mut places = places()?;
    if !is_set_up(&places)? {
        refuse_beside_service(&places).await?;
        if !setup::can_ask() {
            return Err(CtlError::usage_hint(
                format!("this machine is not set up yet: {} has no group_secret", places.config.display()),
                "`homie setup` does it (with --yes it asks nothing)",
            ));
        }
        let args = SetupArgs { no_service: true, ..SetupArgs::default() };
        setup::set_up(ctx, &args, setup::Next::Up).await?;
        places = self::places()?;
    }
    // The short animation of the sources: a spinner, where somebody watches.
    let progress = Progress::new(ctx);
    progress.spin("Waking homied");
    let started = start::start(ctx, &places).await;
    progress.clear();
    started
}

/// Starts homied on a machine that is in no group yet, for `homie join`.
///
/// # Errors
/// It is a service that is not running, or it cannot be started.
pub async fn wake(ctx: &Context) -> Result<Connection, CtlError> {
    let places = places()?;
    if !is_set_up(&places)? {
        refuse_beside_service(&places).await?;
    }
    let progress = Progress::new(ctx);
    progress.spin("Waking homied");
    let started = start::start(ctx, &places).await;
    progress.clear();
    started?;
    ctx.connect().await
}

/// A homied of one's own beside that of the machine is not what anybody means who never set one up.
async fn refuse_beside_service(places: &Places) -> Result<(), CtlError> {
    if places.kind == Kind::User && has_system_service().await {
        return Err(CtlError::usage_hint(
            "homied is a service of this machine, and it is not running",
            "`sudo systemctl start homied` starts it; `homie setup` makes one of your own instead",
        ));
    }
    Ok(())
}

async fn has_system_service() -> bool {
    match Service::fitting(Kind::System) {
        Some(service) => service.is_installed().await,
        None => false,
    }
}

fn places() -> Result<Places, CtlError> {
    Places::of(&Surroundings::current()).map_err(|e| CtlError::usage(e.to_string()))
}

/// A machine without a secret has no friends; the secret may also come from the environment.
fn is_set_up(places: &Places) -> Result<bool, CtlError> {
    if std::env::var_os("HOMIE_GROUP_SECRET").is_some_and(|s| !s.is_empty()) {
        return Ok(true);
    }
    let text = config_file::read(&places.config).map_err(setup::store_error)?;
    // A file that cannot be edited by line can still be read by homied, which knows more YAML.
    Ok(text.is_some_and(|t| !matches!(config_file::get(&t, "group_secret"), Ok(None))))
}

fn show(ctx: &Context, status: &StatusView, already: bool) -> Result<(), CtlError> {
    if ctx.json {
        return ctx.print_json(&super::status::document(status));
    }
    if already {
        ctx.note(&format!("Homie is already up (pid {}).", status.pid));
    }
    if ctx.quiet {
        return Ok(());
    }
    ctx.print(&up_card(&ctx.out, status))
}
