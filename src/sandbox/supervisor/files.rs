//! The files by which a supervisor and homied know of each other.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sandbox::clocks::Clocks;
use crate::sandbox::engine::{ExitReport, Meter};

pub(in crate::sandbox) const LAUNCH: &str = "launch.json";
pub(in crate::sandbox) const SUPERVISOR: &str = "supervisor.json";
pub(in crate::sandbox) const STARTED: &str = "started.json";
pub(in crate::sandbox) const OUTPUT: &str = "output";
pub(in crate::sandbox) const EXIT: &str = "exit.json";
const LOCK: &str = "lock";
/// Where `exit.json` grows before it is renamed.
const EXIT_RESERVED: &str = "exit.json.new";

/// `supervisor.json`: which process stands by the job. The start time tells it from a later process of that number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct SupervisorNote {
    pub(in crate::sandbox) pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub(in crate::sandbox) start_ticks: u64,
    /// The kernel's boot id.
    pub(in crate::sandbox) boot: String,
}

/// `started.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct StartedNote {
    /// When the program started, milliseconds since 1970.
    pub(in crate::sandbox) started_ms: u64,
    /// What all clocks said then.
    #[serde(default)]
    pub(in crate::sandbox) clocks: Option<Clocks>,
    /// Where its counters are.
    #[serde(default)]
    pub(in crate::sandbox) meter: Meter,
}

/// Whether a file that this job changed may be stamped earlier than `before` (nanoseconds since 1970), which something was
/// shortly before the job: since the date was put back meanwhile, or nobody noted what it was.
pub(in crate::sandbox) fn date_in_doubt(dir: &Path, before: i128) -> bool {
    let noted = read_json::<StartedNote>(&dir.join(STARTED)).ok().and_then(|note| note.clocks);
    let before_ms = before / 1_000_000;
    noted.is_none_or(|then| i128::from(then.wall_ms()) < before_ms || Clocks::now().put_back_since(&then))
}

/// Which run of the kernel this is.
pub(in crate::sandbox) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When a process started, in clock ticks since boot; `None` when there is none.
pub(in crate::sandbox) fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also spaces and parentheses; what follows the last one is plain.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Takes the lock of a job's directory, to be handed to its supervisor; `None` when a supervisor holds it. It is freed
/// when the last copy of the descriptor is closed, so also by a kill.
pub(in crate::sandbox) fn try_lock(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(named(&path, e)),
    }
}

pub(in crate::sandbox) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path).map_err(|e| named(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| named(path, e.into()))
}

/// Writes beside and renames, so that a reader sees all or nothing.
pub(in crate::sandbox) fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    fs::write(&beside, serde_json::to_vec(value)?).and_then(|()| fs::rename(&beside, path)).map_err(|e| named(path, e))
}

/// The same, on disk before it appears.
pub(in crate::sandbox) fn write_json_durably<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_data()?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| named(path, e))
}

/// Room for `exit.json` while there is some: the report must be written even after the job has filled the disk.
pub(super) fn reserve_exit(dir: &Path) -> io::Result<()> {
    const BYTES: usize = 8 << 10;
    let path = dir.join(EXIT_RESERVED);
    fs::write(&path, [b' '; BYTES]).map_err(|e| named(&path, e))
}

/// Writes `exit.json`. It is not forced to the disk, which could keep every job's end waiting behind whatever else the
/// disk has to write: a power cut makes it worthless anyway (see [`read_exit`]).
pub(super) fn write_exit(dir: &Path, report: &ExitReport) -> io::Result<()> {
    let path = dir.join(EXIT_RESERVED);
    let bytes = serde_json::to_vec(report)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)?;
    fs::rename(&path, dir.join(EXIT))
}

/// The report in `exit.json`. `None` when a power cut came after it: the output and the results it speaks of may be older
/// than it, and it may itself be there in name only.
///
/// # Errors
/// It is not there, or it cannot be read though its supervisor still lives.
pub(in crate::sandbox) fn read_exit(dir: &Path) -> io::Result<Option<ExitReport>> {
    match read_json::<ExitReport>(&dir.join(EXIT)) {
        Ok(report) => Ok(Some(report).filter(|report| report.boot == boot_id())),
        // It got its name when it was whole: without a supervisor it is in pieces only after a power cut.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            try_lock(dir)?.map(|_| None).ok_or(e)
        }
        Err(e) => Err(e),
    }
}

fn named(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, Usage};

    #[test]
    fn a_lock_is_held_by_one_and_free_after_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let held = try_lock(dir.path()).expect("io").expect("free");
        assert!(try_lock(dir.path()).expect("io").is_none());
        drop(held);
        assert!(try_lock(dir.path()).expect("io").is_some());
    }

    #[test]
    fn an_exit_report_replaces_the_room_kept_for_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        reserve_exit(dir.path()).expect("reserved");
        let report = ExitReport {
            outcome: Outcome::Exited { code: 7 },
            usage: Usage::default(),
            output_bytes: 3,
            ended_ms: 4,
            boot: boot_id(),
        };
        write_exit(dir.path(), &report).expect("written");
        assert_eq!(read_exit(dir.path()).expect("read"), Some(report));
        assert!(!dir.path().join(EXIT_RESERVED).exists());
    }

    #[test]
    fn of_a_report_before_a_power_cut_nothing_counts() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert!(read_exit(dir.path()).is_err(), "there is none");
        let report = ExitReport {
            outcome: Outcome::Exited { code: 0 },
            usage: Usage::default(),
            output_bytes: 3,
            ended_ms: 4,
            boot: "another".to_owned(),
        };
        write_exit(dir.path(), &report).expect("written");
        assert_eq!(read_exit(dir.path()).expect("read"), None);
        // What file systems leave of a name whose content was still in memory.
        for left in [&b""[..], &[0; 211], &[b' '; 8 << 10]] {
            fs::write(dir.path().join(EXIT), left).expect("written");
            assert_eq!(read_exit(dir.path()).expect("read"), None);
            let alive = try_lock(dir.path()).expect("io").expect("free");
            assert!(read_exit(dir.path()).is_err(), "its supervisor would go on unseen");
            drop(alive);
        }
    }

    #[test]
    fn a_date_that_was_put_back_or_not_noted_is_in_doubt() {
        let dir = tempfile::tempdir().expect("tempdir");
        let stamp = i128::from(Clocks::now().wall_ms()) * 1_000_000;
        let noted = |note: &StartedNote| {
            write_json(&dir.path().join(STARTED), note).expect("written");
            date_in_doubt(dir.path(), stamp)
        };
        assert!(date_in_doubt(dir.path(), stamp), "nothing is noted");
        let note = |clocks| StartedNote { started_ms: 1, clocks, meter: Meter::default() };
        assert!(noted(&note(None)), "by an earlier homied");
        assert!(!noted(&note(Some(Clocks::now()))));
        let hour_ahead: Clocks = {
            let mut json = serde_json::to_value(Clocks::now()).expect("plain");
            json["wall"] = (json["wall"].as_i64().expect("a number") + 3_600_000).into();
            serde_json::from_value(json).expect("plain")
        };
        assert!(noted(&note(Some(hour_ahead))), "and put back since");
        noted(&note(Some(Clocks::now())));
        assert!(date_in_doubt(dir.path(), stamp + 3_600_000_000_000), "put back between the stamp and the note");
    }

    #[test]
    fn the_start_of_a_process_is_told_from_its_absence() {
        let own = start_ticks(std::process::id() as i32);
        assert!(own.is_some_and(|t| t > 0));
        assert_eq!(start_ticks(i32::MAX), None);
    }
}
