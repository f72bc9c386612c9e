//! `homie down`: stops homied in order and says what runs on.

use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::ctl::args::DownArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::{Service, until};
use crate::ctl::render::Progress;
use crate::paths::{Kind, Places, Surroundings};
use crate::wire::ipc::{StatusView, method};

/// How long the ordered end may take: homied itself gives its rooms less.
const END: Duration = Duration::from_secs(45);

/// Runs it.
///
/// # Errors
/// homied refuses, or does not end.
pub async fn run(ctx: &Context, _args: DownArgs) -> Result<ExitCode, CtlError> {
    let mut homied = match ctx.connect().await {
        Ok(homied) => homied,
        Err(CtlError::NoDaemon { .. }) => {
            ctx.note("homied is not running.");
            return Ok(ExitCode::SUCCESS);
        }
        Err(e) => return Err(e),
    };
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    let progress = Progress::new(ctx);
    progress.spin("Stopping homied");
    match service_of(&status, &homied.socket).await {
        // systemd would start it again if it ended by itself.
        Some(service) => service.stop().await?,
        None => match homied.call::<_, serde_json::Value>(method::SHUTDOWN, &()).await {
            // It may well be gone before its answer is read.
            Ok(_) | Err(CtlError::Broken(_)) => {}
            Err(e) => return Err(e),
        },
    }
    drop(homied);
    let ended = until(END, || async { (!is_alive(status.pid)).then_some(()) }).await;
    progress.clear();
    if ended.is_none() {
        return Err(CtlError::Broken(format!("homied (pid {}) has not ended after {} s", status.pid, END.as_secs())));
    }
    if ctx.json {
        ctx.print_json(&serde_json::json!({
            "version": 1,
            "down": { "pid": status.pid, "jobs_hosted": status.jobs_hosted, "jobs_sent": status.jobs_sent },
        }))?;
    } else {
        ctx.print(&format!("{} homied has stopped\n", ctx.out.tick()))?;
        ctx.note(remainder(&status).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// What goes on without homied.
fn remainder(status: &StatusView) -> String {
    let jobs = |n: u32| if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") };
    let go = |n: u32| if n == 1 { "goes" } else { "go" };
    let mut text = String::new();
    if status.jobs_hosted > 0 {
        let n = status.jobs_hosted;
        text.push_str(&format!("{} here {} on; `homie up` takes up the results.\n", jobs(n), go(n)));
    }
    if status.jobs_sent > 0 {
        let n = status.jobs_sent;
        text.push_str(&format!(
            "{} of yours {} on elsewhere; the results come when homied is up again.\n",
            jobs(n),
            go(n)
        ));
    }
    text
}

/// The systemd that looks after this very process.
async fn service_of(status: &StatusView, socket: &std::path::Path) -> Option<Service> {
    let around = Surroundings::current();
    let system =
        Places::of(&Surroundings { system: true, homie_home: None, homie_socket: None, ..around.clone() }).ok()?;
    let kind = if socket == system.socket { Kind::System } else { Places::of(&around).ok()?.kind };
    let service = Service::fitting(kind)?;
    (service.main_pid().await == Some(status.pid)).then_some(service)
}

/// Whether there is such a process; one that belongs to somebody else is there too.
fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    !matches!(kill(Pid::from_raw(pid), None), Err(nix::errno::Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::sample;

    #[test]
    fn what_runs_on_is_said() {
        let mut status = sample::status();
        (status.jobs_sent, status.jobs_hosted) = (0, 0);
        assert_eq!(remainder(&status), "");
        (status.jobs_sent, status.jobs_hosted) = (1, 2);
        assert_eq!(
            remainder(&status),
            "2 jobs here go on; `homie up` takes up the results.\n\
             1 job of yours goes on elsewhere; the results come when homied is up again.\n"
        );
    }

    #[test]
    fn a_process_that_ended_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = child.id();
        child.wait().expect("ended");
        assert!(!is_alive(pid));
        assert!(is_alive(std::process::id()));
    }
}
