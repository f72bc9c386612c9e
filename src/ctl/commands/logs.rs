//! `homie logs`: what a job wrote.

use std::process::ExitCode;

use crate::ctl::args::LogsArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::follow::{Look, Watch};
use crate::model::JobRecord;
use crate::wire::ipc::{JobRef, method};

/// Prints the output so far; with `--follow` until the job ends.
///
/// # Errors
/// There is no such job, or its output is no longer kept.
pub async fn run(ctx: &Context, args: LogsArgs) -> Result<ExitCode, CtlError> {
    if args.raw && ctx.json {
        return Err(CtlError::usage_hint(
            "--raw and --json exclude each other",
            "--json gives text by lines; without it --raw gives the bytes",
        ));
    }
    let record: JobRecord = ctx.connect().await?.call(method::JOB_GET, &JobRef { job: args.job }).await?;
    let look = Look { story: false, raw: args.raw, document: true };
    let mut watch = Watch::new(ctx, record.id, look, args.follow);
    watch.run().await?;
    Ok(ExitCode::SUCCESS)
}
