//! The client: `homie-ctl`, installed also as `homie`.
//!
//! It owns the command line, what the user sees, and every path in the user's tree: it walks, hashes and streams
//! inputs to homied over the local socket and writes results itself. It calls `wire` and `transfer`, nothing of the
//! daemon; `bin/homie-ctl.rs` calls [`main`].

pub mod args;
pub mod cells;
pub mod commands;
pub mod config_file;
pub mod connect;
pub mod context;
pub mod exit;
pub mod follow;
pub mod glob;
pub mod homied;
pub mod render;
pub mod results;
pub mod tui;
pub mod upload;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod sample;

use std::ffi::OsString;
use std::process::ExitCode;

use self::args::Cli;
use self::context::Context;
use self::exit::CtlError;

/// Runs one command line, program name first, to its end.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(done) = commands::completions::answer(&argv) {
        return done;
    }
    let cli = match Cli::read(argv.iter().cloned()) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() && Cli::wants_json(&argv) => {
            let error = CtlError::from(e);
            error.report(&Context::detect(true, true, false));
            return ExitCode::from(error.exit_code());
        }
        Err(e) => {
            // Help and version come this way too, with exit code 0 and on standard output.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let ctx = Context::detect(cli.json, cli.no_color, cli.quiet);
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CtlError::io("cannot start", e))
        .and_then(|runtime| {
            let done = runtime.block_on(commands::dispatch(&ctx, cli.command));
            // A thread that still waits in a read (standard input) must not hold up the end.
            runtime.shutdown_background();
            done
        });
    done.unwrap_or_else(|error| {
        error.report(&ctx);
        ExitCode::from(error.exit_code())
    })
}
