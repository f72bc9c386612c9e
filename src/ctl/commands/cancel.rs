//! `homie cancel JOB...`

use std::process::ExitCode;

use crate::ctl::args::CancelArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::model::JobRecord;
use crate::wire::ipc::{JobRef, method};

/// Cancels the named jobs; a job that has ended stays as it is.
///
/// # Errors
/// One of them does not exist or is not the user's.
pub async fn run(ctx: &Context, args: CancelArgs) -> Result<ExitCode, CtlError> {
    let mut homied = ctx.connect().await?;
    let mut records = Vec::new();
    for job in args.jobs {
        let record: JobRecord = homied.call(method::JOB_CANCEL, &JobRef { job }).await?;
        if !ctx.json {
            let what = if record.is_terminal() { record.state.as_str() } else { "cancelling" };
            ctx.print(&format!("{} {what}\n", record.id.short()))?;
        }
        records.push(record);
    }
    if ctx.json {
        ctx.print_list("jobs", &records.iter().map(crate::ctl::render::job_json).collect::<Vec<_>>())?;
    }
    Ok(ExitCode::SUCCESS)
}
