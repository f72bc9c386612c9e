//! `homie completions SHELL`: what the shell needs to complete Homie's verbs and flags.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::ctl::args::{Cli, CompletionsArgs};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;

/// Prints it; the user puts it where the shell looks.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(ctx: &Context, args: CompletionsArgs) -> Result<ExitCode, CtlError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "homie", &mut script);
    ctx.print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
