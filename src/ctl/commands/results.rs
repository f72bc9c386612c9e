//! `homie results`: bring the files of a finished job home.

use std::process::ExitCode;

use serde_json::json;

use super::attach::destination;
use crate::ctl::args::ResultsArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Progress, job_json};
use crate::ctl::results::bring_home;
use crate::model::{Delivery, JobRecord, visible_controls};
use crate::wire::ipc::{JobRef, method};

/// Brings them home, and says where they are.
///
/// # Errors
/// The job still runs, left nothing, or its results are no longer kept or cannot be written.
pub async fn run(ctx: &Context, args: ResultsArgs) -> Result<ExitCode, CtlError> {
    let record: JobRecord = ctx.connect().await?.call(method::JOB_GET, &JobRef { job: args.job }).await?;
    let job = record.id.short();
    if !record.is_terminal() {
        return Err(CtlError::usage_hint(
            format!("job {job} is {}, so it has no results yet", record.state.as_str()),
            format!("`homie attach {job}` waits for them"),
        ));
    }
    match record.delivery {
        Delivery::None => return Err(CtlError::usage(format!("job {job} left no files"))),
        Delivery::Expired => {
            return Err(CtlError::usage(format!(
                "the results of job {job} were dropped: nobody came for them in time"
            )));
        }
        Delivery::Waiting | Delivery::Delivered => {}
    }
    let dest = destination(&record, args.output_dir)?;
    let outputs: Vec<String> = record.spec.outputs.iter().cloned().chain(args.output).collect();
    let progress = Progress::new(ctx);
    let home = bring_home(ctx, &record, &dest, &outputs, &progress).await?;
    drop(progress);
    if ctx.json {
        let mut shown = job_json(&record);
        shown["downloaded"] = json!(home.files);
        shown["warnings"] = json!(home.warnings);
        ctx.print_list("jobs", &[shown])?;
    } else {
        ctx.print(&home.files.iter().map(|f| visible_controls(f.as_bytes()) + "\n").collect::<String>())?;
        for warning in &home.warnings {
            ctx.note(&format!("{} {}", ctx.err.yellow("warning:"), visible_controls(warning.as_bytes())));
        }
        ctx.note(&format!("{} files in {}", home.files.len(), dest.display()));
    }
    Ok(ExitCode::SUCCESS)
}
