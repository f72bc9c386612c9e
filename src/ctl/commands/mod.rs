//! One file a verb. Each is `run(ctx, args)`: it asks homied and prints, and gives the exit code.

pub mod add;
pub mod attach;
pub mod cancel;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod down;
pub mod env;
pub mod history;
pub mod invite;
pub mod jobs;
pub mod join;
pub mod kick;
pub mod limit;
pub mod list_direct;
pub mod logs;
pub mod man;
pub mod net;
pub mod peers;
pub mod remove;
pub mod results;
pub mod run;
pub mod setup;
pub mod status;
pub mod top;
pub mod trust;
pub mod up;
pub mod whoami;

use std::process::ExitCode;

use super::args::Command;
use super::context::Context;
use super::exit::CtlError;

/// Runs one command.
///
/// # Errors
/// Why it cannot be done; the caller prints it.
pub async fn dispatch(ctx: &Context, command: Command) -> Result<ExitCode, CtlError> {
    match command {
        Command::Run(args) => run::run(ctx, *args).await,
        Command::Jobs(args) => jobs::run(ctx, args).await,
        Command::Logs(args) => logs::run(ctx, args).await,
        Command::Attach(args) => attach::run(ctx, args).await,
        Command::Results(args) => results::run(ctx, args).await,
        Command::Cancel(args) => cancel::run(ctx, args).await,
        Command::Top(args) => top::run(ctx, args).await,
        Command::Limit(args) => limit::run(ctx, args).await,
        Command::Setup(args) => setup::run(ctx, args).await,
        Command::Up(args) => up::run(ctx, args).await,
        Command::Down(args) => down::run(ctx, args).await,
        Command::Status(args) => status::run(ctx, args).await,
        Command::Peers(args) => peers::run(ctx, args).await,
        Command::Whoami(args) => whoami::run(ctx, args).await,
        Command::Config(args) => config::run(ctx, args).await,
        Command::History(args) => history::run(ctx, args).await,
        Command::Add(args) => add::run(ctx, args).await,
        Command::Remove(args) => remove::run(ctx, args).await,
        Command::Invite(args) => invite::run(ctx, args).await,
        Command::Join(args) => join::run(ctx, args).await,
        Command::Kick(args) => kick::run(ctx, args).await,
        Command::Trust(args) => trust::run(ctx, args).await,
        Command::ListDirect(args) => list_direct::run(ctx, args).await,
        Command::Net(args) => net::run(ctx, args).await,
        Command::Env(args) => env::run(ctx, args).await,
        Command::Doctor(args) => doctor::run(ctx, args).await,
        Command::Demo(args) => demo::run(ctx, args).await,
        Command::Completions(args) => completions::run(ctx, args),
        Command::Man(args) => man::run(ctx, args),
    }
}
