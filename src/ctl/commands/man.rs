//! `homie man DIR`: the manual pages, one for each verb, for `make install` and the packages.

use std::fs;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::ctl::args::{Cli, ManArgs};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;

/// Writes them.
///
/// # Errors
/// The directory cannot be made or written.
pub fn run(ctx: &Context, args: ManArgs) -> Result<ExitCode, CtlError> {
    let dir = &args.dir;
    let failed = |e| CtlError::io(format!("cannot write manual pages to {}", dir.display()), e);
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    ctx.note(&format!("manual pages written to {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}
