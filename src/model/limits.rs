//! Amounts a job asks for and the limits an owner sets: cpu, memory, time, processes, disk.

use serde::{Deserialize, Serialize};

use super::resources::Isolation;

/// A text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}; write {example}")]
pub struct ParseAmountError {
    kind: &'static str,
    text: String,
    example: &'static str,
}

/// What a job asks of the machine that runs it. `None` means: whatever the owner's limits give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// Memory in bytes; swap is never added to it.
    pub memory_bytes: Option<u64>,
    /// Wall time in seconds, after which the job is killed.
    pub timeout_s: Option<u64>,
    /// Free disk for the job's directory, in bytes.
    pub disk_bytes: Option<u64>,
    /// Number of whole GPUs.
    pub gpus: u32,
    /// The least memory that each of these GPUs must have, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_bytes: Option<u64>,
    /// What the name of each must contain, whatever the case (`rtx 3080`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// The weakest jail this job may be put in.
    pub isolation: Option<Isolation>,
}

/// What a job gets: the owner's caps after the job's wishes were clamped to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in bytes, swap included.
    pub memory_bytes: u64,
    /// Wall time in seconds, on a monotonic clock.
    pub timeout_s: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Bytes that the job's directory may grow by.
    pub disk_bytes: u64,
    /// Bytes of output (stdout and stderr together) that are kept.
    pub output_bytes: u64,
    /// Bytes of the tmpfs at /tmp; they count as memory.
    pub tmp_bytes: u64,
    /// GPUs; `None` is as many as the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
}

impl Default for Limits {
    /// The defaults of the sources: 2 cores, 4 GiB, 600 s. The rest: 256 processes (plenty for make -j and thread
    /// pools, death to a fork bomb), 10 GiB of disk, 256 MiB of output, 1 GiB of /tmp.
    fn default() -> Self {
        Self {
            cpu_millis: 2000,
            memory_bytes: 4 << 30,
            timeout_s: 600,
            pids: 256,
            disk_bytes: 10 << 30,
            output_bytes: 256 << 20,
            tmp_bytes: 1 << 30,
            gpus: None,
        }
    }
}

/// Bytes from Docker's notation: `512`, `512b`, `300k`, `4g`, `1.5g`, `4GiB`. Units are binary, as Docker's are.
///
/// # Errors
/// The text is not a positive number with one of these units.
pub fn parse_size(text: &str) -> Result<u64, ParseAmountError> {
    let fail = || ParseAmountError { kind: "size", text: text.chars().take(40).collect(), example: "512m or 4g" };
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(fail()),
    };
    let number: f64 = number.trim().parse().map_err(|_| fail())?;
    let bytes = number * f64::from(shift).exp2();
    // 2^63 keeps the value inside SQLite's and JSON readers' signed integers.
    if !(bytes >= 1.0 && bytes < 63f64.exp2()) {
        return Err(fail());
    }
    Ok(bytes as u64)
}

/// The least memory that a program could be started in (Docker refuses under 6 MiB, older ones under 4).
pub const LEAST_MEMORY: u64 = 4 << 20;

/// Like [`parse_size`], for an amount of at least `least` bytes: a bare `4` means four bytes, as it does to Docker, and
/// is nearly always a forgotten unit.
///
/// # Errors
/// The text is no size, or too small; the message says what it means and what to write.
pub fn parse_size_from(text: &str, least: u64) -> Result<u64, String> {
    let bytes = parse_size(text).map_err(|e| e.to_string())?;
    if bytes >= least {
        return Ok(bytes);
    }
    let text: String = text.trim().chars().take(40).collect();
    Err(if text.ends_with(|c: char| c.is_ascii_digit()) {
        format!("{text:?} without a unit means {text} bytes; write a unit, such as {text}m or {text}g")
    } else {
        format!("{text:?} is too little; {} is the least", format_bytes(least))
    })
}

/// The memory a job asks for.
///
/// # Errors
/// See [`parse_size_from`].
pub fn parse_memory(text: &str) -> Result<u64, String> {
    parse_size_from(text, LEAST_MEMORY)
}

/// The disk a job asks for; less than a block of it (4 KiB) could not even hold a directory.
///
/// # Errors
/// See [`parse_size_from`].
pub fn parse_disk(text: &str) -> Result<u64, String> {
    parse_size_from(text, 4 << 10)
}

/// What to say of a cap of `key` that is above what this machine has; its jobs get what there is. A number of cores or
/// bytes that is not known is 0.
pub fn beyond_machine(key: &str, cap: &str, cores: u16, memory_bytes: u64) -> Option<String> {
    match key {
        "container_cpu_limit" if cores > 0 => (parse_cpus(cap).ok()? > u32::from(cores) * 1000).then(|| {
            let s = if cores == 1 { "" } else { "s" };
            format!("this machine has {cores} core{s}, so a job gets at most {cores}, not {cap}")
        }),
        "container_memory_limit" if memory_bytes > 0 => (parse_size(cap).ok()? > memory_bytes).then(|| {
            let has = format_bytes(memory_bytes);
            format!("this machine has {has} of memory, so a job gets at most that, not {cap}")
        }),
        _ => None,
    }
}

/// Seconds from `600`, `90s`, `10m`, `2h`, `1d` or a sum such as `1h30m`.
///
/// # Errors
/// The text is not such a time, or is zero or more than a year.
pub fn parse_duration(text: &str) -> Result<u64, ParseAmountError> {
    let fail = || ParseAmountError { kind: "time", text: text.chars().take(40).collect(), example: "600, 10m or 2h" };
    let lower = text.trim().to_ascii_lowercase();
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in lower.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(fail()),
        };
        let n: u64 = digits.parse().map_err(|_| fail())?;
        digits.clear();
        total = n.checked_mul(unit).and_then(|s| total.checked_add(s)).ok_or_else(fail)?;
    }
    if !digits.is_empty() {
        // A bare number is seconds; after a unit (`1h30`) it would be ambiguous.
        if total > 0 {
            return Err(fail());
        }
        total = digits.parse().map_err(|_| fail())?;
    }
    const YEAR_S: u64 = 366 * 86_400;
    if total == 0 || total > YEAR_S { Err(fail()) } else { Ok(total) }
}

/// A number from 1 to a million: of processes, say.
///
/// # Errors
/// The text is none.
pub fn parse_count(text: &str) -> Result<u64, ParseAmountError> {
    const MOST: u64 = 1_000_000;
    let fail = || ParseAmountError { kind: "number", text: text.chars().take(40).collect(), example: "256" };
    text.trim().parse().ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(fail)
}

/// Thousandths of a core from `2`, `0.5` or `1.5`.
///
/// # Errors
/// The text is not a number between 0.01 and 4096.
pub fn parse_cpus(text: &str) -> Result<u32, ParseAmountError> {
    let fail =
        || ParseAmountError { kind: "number of cores", text: text.chars().take(40).collect(), example: "2 or 0.5" };
    let cores: f64 = text.trim().parse().map_err(|_| fail())?;
    if !(0.01..=4096.0).contains(&cores) {
        return Err(fail());
    }
    Ok((cores * 1000.0).round() as u32)
}

/// Bytes for people: `999 B`, `1.4 KB`, `24.1 GB`. Binary units with the short names that the sources draw.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be printed as 1024.0, hence the small margin.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A run time for people: `1.1s`, `3m 24s`, `2h 05m`.
pub fn format_duration(ms: u64) -> String {
    let s = ms / 1000;
    if ms < 59_950 {
        format!("{:.1}s", ms as f64 / 1000.0)
    } else if s < 3600 {
        let s = (ms + 500) / 1000;
        format!("{}m {:02}s", s / 60, s % 60)
    } else {
        format!("{}h {:02}m", s / 3600, s % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_forgotten_unit_is_told_with_what_the_number_means() {
        assert_eq!(parse_memory("4g"), Ok(4 << 30));
        let told = parse_memory("4").expect_err("four bytes");
        assert!(told.contains("means 4 bytes") && told.contains("4g"), "{told}");
        let told = parse_memory("300k").expect_err("too little");
        assert!(told.contains("4.0 MB is the least"), "{told}");
        assert!(parse_memory("lots").expect_err("no size").contains("not a size"));
        assert!(parse_disk("10").is_err() && parse_disk("10g").is_ok());
    }

    #[test]
    fn a_cap_above_the_machine_is_told_with_both_numbers() {
        let told = |key, cap| beyond_machine(key, cap, 2, 8 << 30);
        let cpu = told("container_cpu_limit", "64.0").expect("too many");
        assert!(cpu.contains("2 cores") && cpu.contains("64.0"), "{cpu}");
        let memory = told("container_memory_limit", "9g").expect("too much");
        assert!(memory.contains("8.0 GB") && memory.contains("9g"), "{memory}");
        for (key, cap) in [("container_cpu_limit", "2.0"), ("container_memory_limit", "8g"), ("job_slots", "64")] {
            assert_eq!(told(key, cap), None, "{key}");
        }
        assert_eq!(beyond_machine("container_cpu_limit", "64.0", 0, 0), None);
    }

    #[test]
    fn sizes_are_binary_as_dockers_are() {
        for (text, want) in [
            ("4g", 4 << 30),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("100", 100),
            ("2GiB", 2 << 30),
            ("7 kb", 7 << 10),
        ] {
            assert_eq!(parse_size(text), Ok(want), "{text}");
        }
        for text in ["", "g", "4x", "-1g", "0", "nan", "inf", "1e30", "4g4"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        for (text, want) in [("600", 600), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("1d", 86_400)] {
            assert_eq!(parse_duration(text), Ok(want), "{text}");
        }
        for text in ["", "0", "m", "10x", "1h30", "-5", "99999999999999999999", "400d", "1.5h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn run_times_read_as_the_sources_draw_them() {
        for (ms, want) in [(1100, "1.1s"), (204_000, "3m 24s"), (59_960, "1m 00s"), (7_500_000, "2h 05m"), (0, "0.0s")]
        {
            assert_eq!(format_duration(ms), want);
        }
    }

    #[test]
    fn bytes_read_well_at_the_borders() {
        for (n, want) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), ((1 << 20) - 1, "1.0 MB"), (25_877_807_923, "24.1 GB")]
        {
            assert_eq!(format_bytes(n), want);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*") {
            let _ = (parse_size(&text), parse_duration(&text), parse_cpus(&text));
        }
    }
}
