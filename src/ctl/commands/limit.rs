//! `homie limit JOB`: other limits for a job that runs here, as its machine's owner wishes.

use std::process::ExitCode;

use crate::ctl::args::LimitArgs;
use crate::ctl::cells::clean;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::job_json;
use crate::model::{LimitChange, describe_change};
use crate::wire::ipc::{LimitParams, LimitedJob, method};

/// Makes the change and says what it came to.
///
/// # Errors
/// The job does not run here, the machine or the job cannot live with the limits, or the engine refuses.
pub async fn run(ctx: &Context, args: LimitArgs) -> Result<ExitCode, CtlError> {
    let change =
        LimitChange { cpu_millis: args.cpu, memory_bytes: args.memory, timeout_s: args.timeout, pids: args.pids };
    let params = LimitParams { job: args.job, change };
    let limited: LimitedJob = ctx.connect().await?.call(method::JOB_LIMIT, &params).await?;
    if ctx.json {
        ctx.print_list("jobs", &[job_json(&limited.record)])?;
    } else {
        let (record, what) = (&limited.record, describe_change(&limited.before, &limited.after));
        let whose = record.peer_name.as_deref().map(|name| format!(", of {}", clean(name))).unwrap_or_default();
        ctx.print(&format!("{} ({}{whose}): {what}\n", record.id.short(), clean(&record.spec.name)))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use crate::ctl::args::{Cli, Command};
    use crate::model::{Amount, LimitChange};

    fn read(line: &[&str]) -> Result<LimitChange, i32> {
        let argv = ["homie", "limit"].iter().chain(line).map(|w| (*w).into());
        match Cli::read(argv).map_err(|e| e.exit_code())?.command {
            Command::Limit(a) => {
                Ok(LimitChange { cpu_millis: a.cpu, memory_bytes: a.memory, timeout_s: a.timeout, pids: a.pids })
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn amounts_are_read_as_everywhere_with_a_plus_for_more() {
        let change = read(&["ab12", "--memory", "8g", "--timeout", "+2h", "--cpu", "0.5", "--pids", "+10"]);
        let want = LimitChange {
            memory_bytes: Some(Amount::To(8 << 30)),
            timeout_s: Some(Amount::More(7200)),
            cpu_millis: Some(Amount::To(500)),
            pids: Some(Amount::More(10)),
        };
        assert_eq!(change, Ok(want));
        for bad in [&["ab12"][..], &["--memory", "8g"], &["ab12", "--memory", "much"], &["ab12", "--pids", "-1"]] {
            assert_eq!(read(bad), Err(2), "{bad:?}");
        }
    }
}
