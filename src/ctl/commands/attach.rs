//! `homie attach`: come back to a job, from its first line on.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::ctl::args::AttachArgs;
use crate::ctl::commands::run::see_through;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::follow::{Look, Watch};
use crate::model::JobRecord;
use crate::wire::ipc::{JobRef, method};

/// Shows everything the job wrote, watches it to its end, and brings its files home if they still wait.
///
/// # Errors
/// There is no such job, or its results cannot be written.
pub async fn run(ctx: &Context, args: AttachArgs) -> Result<ExitCode, CtlError> {
    let record: JobRecord = ctx.connect().await?.call(method::JOB_GET, &JobRef { job: args.job }).await?;
    let dest = destination(&record, args.output_dir)?;
    let mut watch = Watch::new(ctx, record.id, Look { story: true, raw: args.raw, document: false }, true);
    watch.ask_on_interrupt()?;
    see_through(ctx, watch, dest, None).await
}

/// Where results go: where the user says, else where `run` was called.
///
/// # Errors
/// The present directory cannot be told.
pub(super) fn destination(record: &JobRecord, asked: Option<PathBuf>) -> Result<PathBuf, CtlError> {
    let cwd = std::env::current_dir().map_err(|e| CtlError::io("cannot tell the present directory", e))?;
    Ok(match (asked, &record.home_dir) {
        (Some(dir), _) => cwd.join(dir),
        (None, Some(home)) => PathBuf::from(home),
        (None, None) => cwd,
    })
}
