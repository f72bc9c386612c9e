//! Weaker stand-ins for control groups an ordinary user often does not get: memory is looked at twice a second, and
//! processors are limited to whole ones. Processes are limited by RLIMIT_NPROC (see [`super::child`]).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::time::Duration;

/// A Python that allocates as fast as it can gains about 1 GiB in this time: the overshoot that must be accepted.
const TICK: Duration = Duration::from_millis(500);

/// Watches the memory of a job that has no group for it.
#[derive(Debug)]
pub(super) struct Watch {
    limit: Option<u64>,
    killed: bool,
}

impl Watch {
    /// With `None` it never fires.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, killed: false }
    }

    /// Another limit from now on, if there is one at all.
    pub(super) fn set_limit(&mut self, bytes: u64) {
        self.limit = self.limit.map(|_| bytes);
    }

    /// Whether it has fired.
    pub(super) fn killed(&self) -> bool {
        self.killed
    }

    /// Resolves once the processes below `init` use more than the limit. Cancel-safe.
    pub(super) async fn over_memory(&mut self, init: i32) {
        let Some(limit) = self.limit else { return std::future::pending().await };
        loop {
            tokio::time::sleep(TICK).await;
            if tree(init).into_iter().map(anonymous_memory).sum::<u64>() > limit {
                self.killed = true;
                return;
            }
        }
    }
}

/// `init` and everything below it; orphans come back to init, so none is missed.
pub(in crate::sandbox) fn tree(init: i32) -> Vec<i32> {
    let mut all = vec![];
    let mut queue = VecDeque::from([init]);
    while let Some(pid) = queue.pop_front() {
        all.push(pid);
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            queue.extend(children.split_whitespace().filter_map(|p| p.parse::<i32>().ok()));
        }
    }
    all
}

/// Bytes that belong to one process alone; shared libraries and files in the page cache do not count.
pub(in crate::sandbox) fn anonymous_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb = status.lines().find_map(|l| l.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// Without a processor group, the job gets as many whole processors as its share needs: `init` and all below it, of
/// those that this process may use.
///
/// # Errors
/// The kernel refuses, or there is a group that should have done it.
pub(super) fn limit_processors(init: i32, missing: &[String], cpu_millis: u32) -> io::Result<()> {
    if !missing.iter().any(|m| m.starts_with("no processor limit")) {
        return Ok(());
    }
    let may = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    let wanted = cpu_millis.div_ceil(1000).max(1) as usize;
    let mut set = nix::sched::CpuSet::new();
    let cpus = (0..nix::sched::CpuSet::count()).filter(|c| may.is_set(*c).unwrap_or(false));
    for cpu in cpus.take(wanted) {
        let _ = set.set(cpu);
    }
    for pid in tree(init) {
        // Every thread has an affinity of its own.
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let Some(thread) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(thread), &set) {
                // It has just ended.
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_tree_of_processes_is_seen() {
        let own = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep exists");
        let seen = tree(own);
        assert!(seen.contains(&own) && seen.contains(&(child.id() as i32)), "{seen:?}");
        assert!(anonymous_memory(own) > 100 << 10);
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(anonymous_memory(i32::MAX), 0);
    }
}
