//! A container's cgroup, seen from outside the engine: what the job used, whether anything is left of it, and a way
//! to end it when the engine itself is gone.
//!
//! Reachable when the engine runs on this kernel (not in Docker Desktop's machine). Both versions of cgroups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::model::Usage;
use crate::sandbox::engine::Meter;

/// Where Linux has its control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// One container's cgroup: a directory in version 2, one a controller in version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cgroup {
    /// Its counters.
    pub(super) meter: Meter,
    /// Lists processes.
    procs: PathBuf,
}

/// One look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sample {
    /// Processor time and largest memory use.
    pub(super) usage: Usage,
    /// The kernel has killed a process of the job for its memory limit.
    pub(super) oom_killed: bool,
}

impl Sample {
    /// Both counters only grow; a look that came too late to see anything changes nothing.
    pub(super) fn merge(&mut self, later: Self) {
        self.usage.cpu_ms = self.usage.cpu_ms.max(later.usage.cpu_ms);
        self.usage.peak_memory_bytes = self.usage.peak_memory_bytes.max(later.usage.peak_memory_bytes);
        self.usage.io_read_bytes = self.usage.io_read_bytes.max(later.usage.io_read_bytes);
        self.usage.io_write_bytes = self.usage.io_write_bytes.max(later.usage.io_write_bytes);
        self.oom_killed |= later.oom_killed;
    }
}

impl Cgroup {
    /// The cgroup of process `pid`, which must be the first of container `id`; `None` if it cannot be seen.
    pub(super) fn of(pid: i32, id: &str) -> Option<Self> {
        let mut found = Self::parse(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?, id, Path::new(ROOT))?;
        found.meter.init = Some(pid);
        found.procs.exists().then_some(found)
    }

    /// `membership` is `/proc/PID/cgroup`. The container's id must be part of each path: a process that has just ended,
    /// and whose number was given to another, must not lend us the wrong cgroup.
    fn parse(membership: &str, id: &str, root: &Path) -> Option<Self> {
        let path_of = |controller: &str| {
            membership.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
                let hit = controllers.split(',').any(|c| c == controller) && path.contains(id);
                hit.then(|| path.trim_start_matches('/').to_owned())
            })
        };
        if let (Some(memory), Some(cpu)) = (path_of("memory"), path_of("cpuacct")) {
            let memory = root.join("memory").join(memory);
            let meter = Meter {
                init: None,
                cpu: Some(root.join("cpuacct").join(cpu)),
                io: path_of("blkio").map(|path| root.join("blkio").join(path)),
                pids: path_of("pids").map(|path| root.join("pids").join(path)),
                memory: Some(memory.clone()),
            };
            return Some(Self { procs: memory.join("cgroup.procs"), meter });
        }
        // Version 2 has one line, whose list of controllers is empty.
        let unified = root.join(path_of("")?);
        let all = || Some(unified.clone());
        let meter = Meter { init: None, cpu: all(), memory: all(), io: all(), pids: all() };
        Some(Self { procs: unified.join("cgroup.procs"), meter })
    }

    /// The counters now; zeros once the cgroup is gone.
    pub(super) fn sample(&self) -> Sample {
        let seen = self.meter.read();
        // Linux before 5.19 keeps no peak in version 2, so the looks do.
        let peak_memory_bytes = seen.usage.peak_memory_bytes.max(seen.memory_bytes);
        Sample { usage: Usage { peak_memory_bytes, ..seen.usage }, oom_killed: seen.out_of_memory_kills > 0 }
    }

    /// The file that lists its processes.
    pub(super) fn roster(&self) -> PathBuf {
        self.procs.clone()
    }

    /// Whether no process is in it any more.
    pub(super) fn is_empty(&self) -> bool {
        self.pids().is_ok_and(|pids| pids.is_empty())
    }

    /// SIGKILL to everything in it. For when the engine cannot be asked; may need the rights of root.
    ///
    /// # Errors
    /// Something is in it that may not be killed.
    pub(super) fn kill_all(&self) -> io::Result<()> {
        if self.meter.memory.as_ref().is_some_and(|dir| fs::write(dir.join("cgroup.kill"), "1").is_ok()) {
            return Ok(());
        }
        for pid in self.pids()? {
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn pids(&self) -> io::Result<Vec<i32>> {
        match fs::read_to_string(&self.procs) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f3c";

    #[test]
    fn both_versions_are_understood_and_strangers_are_not() {
        let v1 = "12:pids:/docker/4f3c\n5:cpu,cpuacct:/docker/4f3c\n4:memory:/docker/4f3c\n1:name=systemd:/docker/4f3c\n0::/\n";
        let found = Cgroup::parse(v1, ID, Path::new("/cg")).expect("version 1");
        assert_eq!(found.meter.memory.as_deref(), Some(Path::new("/cg/memory/docker/4f3c")));
        assert_eq!(found.meter.cpu.as_deref(), Some(Path::new("/cg/cpuacct/docker/4f3c")));
        assert_eq!(found.meter.io, None);
        let v2 = "0::/system.slice/docker-4f3c.scope\n";
        let found = Cgroup::parse(v2, ID, Path::new("/cg")).expect("version 2");
        assert_eq!(found.procs, Path::new("/cg/system.slice/docker-4f3c.scope/cgroup.procs"));
        for other in ["0::/user.slice/session-2.scope\n", "4:memory:/\n5:cpuacct:/\n", "", "nonsense"] {
            assert_eq!(Cgroup::parse(other, ID, Path::new("/cg")), None, "{other}");
        }
    }

    #[test]
    fn a_peak_that_the_kernel_does_not_keep_is_kept_here() {
        let dir = tempfile::tempdir().expect("tempdir");
        let all = || Some(dir.path().to_owned());
        let meter = Meter { init: None, cpu: all(), memory: all(), io: all(), pids: all() };
        let cgroup = Cgroup { meter, procs: dir.path().join("cgroup.procs") };
        assert_eq!(cgroup.sample(), Sample::default());
        assert!(cgroup.is_empty());
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("write");
        put("memory.current", "7340032\n");
        put("cpu.stat", "usage_usec 5000\n");
        let mut seen = cgroup.sample();
        put("memory.current", "0\n");
        put("memory.events", "oom_kill 1\n");
        seen.merge(cgroup.sample());
        assert_eq!((seen.usage.peak_memory_bytes, seen.usage.cpu_ms, seen.oom_killed), (7 << 20, 5, true));
        put("cgroup.procs", "1\n");
        assert!(!cgroup.is_empty());
    }
}
