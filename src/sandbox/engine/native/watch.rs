//! Weaker stand-ins for control groups an ordinary user often does not get: memory is looked at twice a second, and
//! processors are limited to whole ones. Processes are limited by RLIMIT_NPROC (see [`super::child`]).

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
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
            if memory(&tree(init), limit) > limit {
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
    field(pid, "status", "RssAnon:")
}

/// Bytes that these processes hold together. Libraries and files in the page cache do not count; `/tmp` and `/dev/shm`
/// have sizes of their own. `limit` is what is worth an exact look.
fn memory(pids: &[i32], limit: u64) -> u64 {
    let sum = |what: fn(i32) -> u64| pids.iter().map(|pid| what(*pid)).sum::<u64>();
    let own = sum(anonymous_memory);
    let files = memory_files(pids);
    // What several processes share is counted once by the proportional size only, which takes the kernel longer to tell.
    let shared = match sum(|pid| field(pid, "status", "RssShmem:")) {
        most if own + most.max(files) <= limit => most,
        _ => sum(|pid| field(pid, "smaps_rollup", "Pss_Shmem:")),
    };
    own + shared.max(files)
}

/// A line of kilobytes in a file of `/proc/PID`, in bytes.
fn field(pid: i32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let kb = text.lines().find_map(|l| l.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// Bytes in files made by `memfd_create`, which need not be mapped to be there.
fn memory_files(pids: &[i32]) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let of_memory = |path: PathBuf| path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:");
            if !fs::read_link(entry.path()).is_ok_and(of_memory) {
                continue;
            }
            if let Ok(meta) = fs::metadata(entry.path())
                && seen.insert((meta.dev(), meta.ino()))
            {
                bytes += meta.blocks() * 512;
            }
        }
    }
    bytes
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
        assert!(memory(&[own], u64::MAX) > 100 << 10);
        // Both roads count what is not mapped.
        let file = nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("made");
        let before = memory_files(&[own]);
        nix::unistd::write(&file, &[1; 1 << 20]).expect("written");
        assert!(memory_files(&[own]) >= before + (1 << 20));
        assert!(memory(&[own], 0) >= 1 << 20);
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(memory(&[i32::MAX], 0), 0);
    }
}
