//! One look at this machine: processors, memory, disk. Blocks; runs on a blocking thread.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::model::Facts;

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub at: Instant,
    pub cores: u16,
    pub cpu_percent: f32,
    pub memory_bytes: u64,
    pub memory_free_bytes: u64,
    pub disk_free_bytes: u64,
}

/// Looks at this machine, and remembers what the next look needs (processor use is a difference of two).
pub(super) struct Sampler {
    system: System,
    disk: PathBuf,
}

impl Sampler {
    /// `disk` is a directory on the file system where jobs live.
    ///
    /// Only processors and memory are looked at: a walk over all processes would cost more than the rest of homied.
    pub(super) fn new(disk: PathBuf) -> Result<Self, String> {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what).map_err(|e| e.to_string())?;
        Ok(Self { system, disk })
    }

    pub(super) fn sample(&mut self) -> Sample {
        let at = Instant::now();
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let (memory_bytes, memory_free_bytes) = self.memory();
        Sample {
            at,
            // Respects affinity and the quota of a container's cgroup, as the number of processors does not.
            cores: std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(u16::MAX)),
            cpu_percent: self.system.global_cpu_usage(),
            memory_bytes,
            memory_free_bytes,
            disk_free_bytes: self.disk_free(),
        }
    }

    /// All memory, and what a new job could have: what is available, not what is free, since the cache gives way. In
    /// a container its limit counts, less what is really held there.
    fn memory(&self) -> (u64, u64) {
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        match self.system.cgroup_limits() {
            Some(limits) if limits.total_memory > 0 && limits.total_memory < total => {
                let free = limits.total_memory.saturating_sub(limits.rss);
                (limits.total_memory, free.min(available))
            }
            _ => (total, available),
        }
    }

    /// Asked of the one file system that matters: a list of all disks would hang on a dead network mount.
    fn disk_free(&self) -> u64 {
        nix::sys::statvfs::statvfs(&self.disk).map_or(0, |s| {
            // The types differ between systems.
            #[allow(clippy::useless_conversion)]
            let (blocks, size) = (u64::from(s.blocks_available()), u64::from(s.fragment_size()));
            blocks.saturating_mul(size)
        })
    }
}

/// The size of this machine, without its GPUs and its load.
pub(super) fn size(disk: &Path) -> Result<Facts, String> {
    let mut sampler = Sampler::new(disk.to_owned())?;
    let seen = sampler.sample();
    Ok(Facts {
        cores: seen.cores,
        memory_bytes: seen.memory_bytes,
        memory_free_bytes: seen.memory_free_bytes,
        disk_free_bytes: seen.disk_free_bytes,
        ..Facts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn this_machine_is_seen_as_the_kernel_shows_it() {
        let mut sampler = Sampler::new(std::env::temp_dir()).expect("sampler");
        let sample = sampler.sample();
        assert!(sample.cores >= 1 && usize::from(sample.cores) <= sampler.system.cpus().len());
        assert!(sample.memory_free_bytes > 0 && sample.memory_free_bytes <= sample.memory_bytes, "{sample:?}");
        let meminfo = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
        let kib = |key: &str| -> u64 {
            let line = meminfo.lines().find(|l| l.starts_with(key)).expect(key);
            line.split_whitespace().nth(1).expect("number").parse().expect("number")
        };
        assert!(sample.memory_bytes <= kib("MemTotal:") * 1024);
        let df = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(std::env::temp_dir()).output();
        let df = String::from_utf8(df.expect("df").stdout).expect("utf-8");
        let avail: u64 = df.lines().nth(1).expect("line").trim().parse().expect("number");
        assert!(sample.disk_free_bytes.abs_diff(avail) < 1 << 30, "{} {avail}", sample.disk_free_bytes);
    }

    #[test]
    fn a_busy_machine_is_seen_as_busy() {
        let mut sampler = Sampler::new(std::env::temp_dir()).expect("sampler");
        let start = Instant::now();
        // Two looks must be apart for a difference; one core is kept busy in between.
        while start.elapsed() < Duration::from_millis(500) {
            std::hint::spin_loop();
        }
        let busy = sampler.sample().cpu_percent;
        let least = 50.0 / sampler.system.cpus().len() as f32;
        assert!(busy > least && busy <= 100.0, "{busy}");
    }
}
