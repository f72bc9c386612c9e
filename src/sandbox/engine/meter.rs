//! What a job uses, read from outside: control groups of both versions, else its processes in `/proc`.
//!
//! Plain data, so that a supervisor can tell homied where to look: it does not need to ask for a live picture then.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::native::watch::{anonymous_memory, tree};
use crate::model::Usage;

/// Where the counters of a job are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meter {
    /// The job's first process, as this machine numbers it; all others descend from it.
    pub init: Option<i32>,
    /// The control group that counts processor time.
    pub cpu: Option<PathBuf>,
    /// The one that counts memory.
    pub memory: Option<PathBuf>,
    /// The one that counts what goes to and comes from disks.
    pub io: Option<PathBuf>,
    /// The one that counts processes.
    pub pids: Option<PathBuf>,
}

/// One look at the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Since the start. Peak memory only where the kernel keeps it (version 2: Linux 5.19); no run time.
    pub usage: Usage,
    /// Memory now, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads now.
    pub processes: u32,
    /// How often the kernel killed in the group for its memory limit.
    pub out_of_memory_kills: u64,
}

impl Meter {
    /// Looks. Zeros where nothing is (any more).
    pub fn read(&self) -> Reading {
        let mut reading = Reading::default();
        // Without groups the processes tell, but only while they are there.
        let procs = if self.cpu.is_none() || self.memory.is_none() { self.processes() } else { Vec::new() };
        reading.usage.cpu_ms =
            self.cpu.as_deref().map_or_else(|| procs.iter().map(|p| processor_ms(*p)).sum(), group_cpu_ms);
        match self.memory.as_deref() {
            Some(dir) => {
                reading.memory_bytes = first_number(dir, &["memory.usage_in_bytes", "memory.current"]);
                reading.usage.peak_memory_bytes = first_number(dir, &["memory.max_usage_in_bytes", "memory.peak"]);
                reading.out_of_memory_kills = ["memory.oom_control", "memory.events"]
                    .iter()
                    .find_map(|file| field(&text(dir, file), "oom_kill"))
                    .unwrap_or_default();
            }
            None => reading.memory_bytes = procs.iter().map(|p| anonymous_memory(*p)).sum(),
        }
        (reading.usage.io_read_bytes, reading.usage.io_write_bytes) = match self.io.as_deref() {
            Some(dir) => group_io(dir),
            None => (0, 0),
        };
        reading.processes = match self.pids.as_deref() {
            Some(dir) => u32::try_from(first_number(dir, &["pids.current"])).unwrap_or(u32::MAX),
            None => procs.len() as u32,
        };
        reading
    }

    /// The processor time that its control group has counted alone: one file instead of seven.
    pub fn group_cpu_ms(&self) -> u64 {
        self.cpu.as_deref().map(group_cpu_ms).unwrap_or_default()
    }

    fn processes(&self) -> Vec<i32> {
        self.init.filter(|pid| Path::new("/proc").join(pid.to_string()).exists()).map(tree).unwrap_or_default()
    }
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap_or_default()
}

fn first_number(dir: &Path, files: &[&str]) -> u64 {
    files.iter().find_map(|file| text(dir, file).trim().parse().ok()).unwrap_or_default()
}

/// The number after `name ` in a file of such lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn group_cpu_ms(dir: &Path) -> u64 {
    let v1 = text(dir, "cpuacct.usage").trim().parse::<u64>().ok().map(|ns| ns / 1_000_000);
    v1.or_else(|| field(&text(dir, "cpu.stat"), "usage_usec").map(|us| us / 1000)).unwrap_or_default()
}

/// Bytes read and written over all disks. Version 1 has lines `8:0 Read 123`, version 2 `8:0 rbytes=123 wbytes=4 …`.
fn group_io(dir: &Path) -> (u64, u64) {
    let (mut read, mut written) = (0u64, 0u64);
    for line in text(dir, "io.stat").lines() {
        for word in line.split_whitespace() {
            if let Some((name, value)) = word.split_once('=')
                && let Ok(bytes) = value.parse::<u64>()
            {
                match name {
                    "rbytes" => read = read.saturating_add(bytes),
                    "wbytes" => written = written.saturating_add(bytes),
                    _ => {}
                }
            }
        }
    }
    let v1 = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"];
    let v1 = v1.iter().map(|file| text(dir, file)).find(|t| !t.is_empty()).unwrap_or_default();
    for line in v1.lines() {
        let mut words = line.split_whitespace().skip(1);
        if let (Some(what), Some(bytes)) = (words.next(), words.next().and_then(|n| n.parse::<u64>().ok())) {
            match what {
                "Read" => read = read.saturating_add(bytes),
                "Write" => written = written.saturating_add(bytes),
                _ => {}
            }
        }
    }
    (read, written)
}

/// Processor time of a process and of its children that it has waited for: fields 14 to 17 of `/proc/PID/stat`.
fn processor_ms(pid: i32) -> u64 {
    /// USER_HZ is 100 in every Linux that a program can tell.
    const MS_PER_TICK: u64 = 10;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, plain)) = stat.rsplit_once(')') else { return 0 };
    plain.split_whitespace().skip(11).take(4).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>() * MS_PER_TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(dir: &Path) -> Meter {
        let all = Some(dir.to_owned());
        Meter { init: None, cpu: all.clone(), memory: all.clone(), io: all.clone(), pids: all }
    }

    #[test]
    fn counters_of_both_versions_are_read() {
        let dir = tempfile::tempdir().expect("tempdir");
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("write");
        assert_eq!(meter(dir.path()).read(), Reading::default());
        put("cpu.stat", "usage_usec 1234567\nuser_usec 1\n");
        put("memory.peak", "7340032\n");
        put("memory.current", "5242880\n");
        put("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n");
        put("pids.current", "3\n");
        put("io.stat", "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n253:0 rbytes=1 wbytes=2\n");
        let usage = Usage {
            cpu_ms: 1234,
            peak_memory_bytes: 7 << 20,
            io_read_bytes: 101,
            io_write_bytes: 22,
            ..Usage::default()
        };
        let new = Reading { usage, memory_bytes: 5 << 20, processes: 3, out_of_memory_kills: 1 };
        assert_eq!(meter(dir.path()).read(), new);

        let old = tempfile::tempdir().expect("tempdir");
        let put = |name: &str, text: &str| fs::write(old.path().join(name), text).expect("write");
        put("memory.max_usage_in_bytes", "8388608\n");
        put("memory.usage_in_bytes", "4096\n");
        put("cpuacct.usage", "2000000000\n");
        put("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
        put("blkio.throttle.io_service_bytes", "8:0 Read 50\n8:0 Write 7\n8:0 Sync 9\n8:0 Total 57\nTotal 57\n");
        let reading = meter(old.path()).read();
        let usage = reading.usage;
        assert_eq!((usage.cpu_ms, usage.peak_memory_bytes), (2000, 8 << 20));
        assert_eq!((usage.io_read_bytes, usage.io_write_bytes, reading.memory_bytes), (50, 7, 4096));
    }

    #[test]
    fn without_groups_the_processes_tell() {
        let own = Meter { init: Some(std::process::id() as i32), ..Meter::default() };
        // A test's own start takes some ticks of processor time.
        let mut n = 0u64;
        while own.read().usage.cpu_ms < 30 {
            n = std::hint::black_box(n.wrapping_add(1));
        }
        let reading = own.read();
        assert!(reading.memory_bytes > 100 << 10 && reading.processes >= 1, "{reading:?}");
        let gone = Meter { init: Some(i32::MAX), ..Meter::default() };
        assert_eq!(gone.read(), Reading::default());
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        assert_eq!(field("oom 3\noom_kill 2\noom_kill_group 9\n", "oom_kill"), Some(2));
        assert_eq!(field("under_oom 0\noom_kill 0", "oom_kill"), Some(0));
        assert_eq!(field("x 1", "oom_kill"), None);
    }
}
