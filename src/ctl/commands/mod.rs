//! One file a verb. Each is `run(ctx, args)`: it asks homied and prints, and gives the exit code.

pub mod cancel;

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
        Command::Cancel(args) => cancel::run(ctx, args).await,
        // Goes when every verb has its file.
        other => Err(CtlError::usage(format!("this build cannot do that yet: {other:?}"))),
    }
}
