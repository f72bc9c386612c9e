//! Whether a GPU's owner uses it: somebody is on it who belongs to no hosted job.
//!
//! A job's processes all descend from the first process of its namespace, in every engine, so the way up from a
//! process leads to a job or to nobody's.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::model::{JobId, SeenGpu};
use crate::monitor::messages::GpuHolder;

/// A program that only draws (a desktop, a browser) shares a GPU with a job well enough; one that holds so much
/// memory (a game, an editor of films) does not.
const HEAVY_BYTES: u64 = 1 << 30;
/// Nor does one that keeps it this busy, in percent.
const HEAVY_PERCENT: u8 = 30;
/// Deeper than any tree of processes; ends the way up should `/proc` ever turn in a circle.
const GENERATIONS: usize = 1000;

/// Whose a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Job(JobId),
    Others,
    /// It has ended since the driver was asked.
    Gone,
    /// It lives outside the namespace homied sees (in a rented container).
    Hidden,
}

/// Says of each process which job it belongs to, and whether somebody who is no hosted job uses the GPU.
pub(super) fn uses(seen: &mut SeenGpu, jobs: &[GpuHolder]) -> bool {
    judge(seen, jobs, |pid| whose(pid, jobs))
}

fn judge(seen: &mut SeenGpu, jobs: &[GpuHolder], whose: impl Fn(u32) -> Whose) -> bool {
    let holder = jobs.iter().find(|j| j.gpus.contains(&seen.gpu.index)).map(|j| j.job);
    let busy = holder.is_none() && seen.gpu.busy_percent >= HEAVY_PERCENT;
    let mut used = false;
    for process in &mut seen.processes {
        let foreign;
        (process.job, foreign) = match whose(process.pid) {
            Whose::Job(job) => (Some(job), false),
            Whose::Gone => (None, false),
            // Of two possible owners, the job that was given the GPU is the likely one.
            Whose::Hidden => (holder, holder.is_none()),
            Whose::Others => (None, true),
        };
        used |= foreign && (process.compute || process.memory_bytes >= HEAVY_BYTES || busy);
    }
    used
}

fn whose(pid: u32, jobs: &[GpuHolder]) -> Whose {
    let Ok(pid) = i32::try_from(pid) else { return Whose::Hidden };
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return if sees_every_process() { Whose::Gone } else { Whose::Hidden };
    }
    let mut at = pid;
    for _ in 0..GENERATIONS {
        if let Some(holder) = jobs.iter().find(|j| j.init == Some(at)) {
            return Whose::Job(holder.job);
        }
        match parent(at) {
            Some(above) if above > 1 => at = above,
            _ => break,
        }
    }
    Whose::Others
}

/// Field 4 of `/proc/PID/stat`. The name in parentheses may hold anything; what follows the last one is plain.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether this is the machine's own pid namespace; its number is fixed (PROC_PID_INIT_INO in include/linux/proc_ns.h).
fn sees_every_process() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Gpu, GpuDevice, GpuProcess};

    const JOB: JobId = JobId([1; 16]);

    fn holder(gpus: &[u32], init: Option<i32>) -> GpuHolder {
        GpuHolder { job: JOB, gpus: gpus.to_vec(), init }
    }

    fn seen(processes: &[(u32, u64, bool)], busy_percent: u8) -> SeenGpu {
        SeenGpu {
            gpu: Gpu { index: 0, busy_percent, ..Gpu::default() },
            device: GpuDevice { index: 0, minor: 0, uuid: String::new() },
            processes: processes
                .iter()
                .map(|&(pid, memory_bytes, compute)| GpuProcess { pid, memory_bytes, compute, job: None })
                .collect(),
        }
    }

    #[test]
    fn desktops_share_and_programs_that_compute_or_take_much_do_not() {
        let others = |_| Whose::Others;
        for (mut gpu, used) in [
            (seen(&[], 90), false),
            (seen(&[(5, 300 << 20, false)], 10), false),
            (seen(&[(5, 300 << 20, false)], 60), true),
            (seen(&[(5, 3 << 30, false)], 0), true),
            (seen(&[(5, 0, true)], 0), true),
        ] {
            assert_eq!(judge(&mut gpu, &[], others), used, "{gpu:?}");
        }
    }

    #[test]
    fn jobs_the_dead_and_the_hidden_are_told_from_the_owner() {
        let mut gpu = seen(&[(5, 1 << 30, true)], 99);
        let job = [holder(&[0], None)];
        for (whose, jobs, used) in [
            (Whose::Job(JOB), &job[..], (false, Some(JOB))),
            (Whose::Gone, &[], (false, None)),
            (Whose::Hidden, &[], (true, None)),
            (Whose::Hidden, &job, (false, Some(JOB))),
            (Whose::Others, &job, (true, None)),
        ] {
            let judged = judge(&mut gpu, jobs, |_| whose);
            assert_eq!((judged, gpu.processes[0].job), used, "{whose:?} {jobs:?}");
        }
    }

    #[test]
    fn a_process_below_the_first_one_of_a_job_is_the_jobs() {
        let own = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep exists");
        assert_eq!(whose(child.id(), &[holder(&[0], Some(own))]), Whose::Job(JOB));
        assert_eq!(whose(child.id(), &[holder(&[0], Some(i32::MAX))]), Whose::Others);
        let pid = child.id();
        child.kill().expect("ours");
        child.wait().expect("ours");
        let gone = if sees_every_process() { Whose::Gone } else { Whose::Hidden };
        assert_eq!(whose(pid, &[]), gone);
    }
}
