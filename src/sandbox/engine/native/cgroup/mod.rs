//! Control groups, version 1 and 2: limits of a job's memory, processor and processes, and what it used.
//!
//! A small writer of our own: the crates for this speak D-Bus to systemd or know one version only, while homied must
//! run under systemd, in a container, and on machines with the old layout (or both at once).

mod place;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::model::{Lack, Limits};
use crate::sandbox::engine::Meter;

pub(super) use place::{Hierarchies, settle};

/// Period of the processor quota in microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// The control group of one job: one directory in each hierarchy that could be used.
#[derive(Debug)]
pub(super) struct Group {
    dirs: Vec<Dir>,
    /// What could not be limited, and why.
    pub(super) missing: Vec<String>,
}

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    controllers: Vec<&'static str>,
    unified: bool,
    /// The job was born here.
    entered: bool,
}

/// The controllers a job needs, and what is missing without them.
const WANTED: [(&str, &str, Lack); 3] = [
    ("memory", "memory limit", Lack::Memory),
    ("cpu", "processor limit", Lack::Cpu),
    ("pids", "limit of processes", Lack::Pids),
];

/// What a line of [`Group::missing`] speaks of.
pub(super) fn lacking(missing: &str) -> Option<Lack> {
    WANTED.into_iter().find(|(_, what, _)| missing.starts_with(&format!("no {what}:"))).map(|(.., lack)| lack)
}

impl Group {
    /// Makes the group `name` below `parent` (a name too) in version 2 only, where a process can be born into it; no limit
    /// is written. [`Group::complete`] does the rest.
    pub(super) fn unified(places: &Hierarchies, parent: &str, name: &str) -> Self {
        let mut group = Self { dirs: vec![], missing: vec![] };
        group.make(places.bases().filter(|base| base.unified), parent, name);
        group
    }

    /// Makes it everywhere else and writes the limits. What cannot be limited is listed in `missing`: an unprivileged user
    /// often gets no groups at all.
    pub(super) fn complete(&mut self, places: &Hierarchies, parent: &str, name: &str, limits: &Limits) {
        self.make(places.bases().filter(|base| !base.unified), parent, name);
        for (controller, what, _) in WANTED {
            if let Err(e) = self.limit(controller, limits) {
                self.missing.push(format!("no {what}: {e}"));
            }
        }
    }

    fn make<'a>(&mut self, bases: impl Iterator<Item = &'a place::Base>, parent: &str, name: &str) {
        for base in bases {
            let path = base.dir.join(parent).join(name);
            match create_below(base, parent, name) {
                Ok(()) => self.dirs.push(Dir {
                    path,
                    controllers: base.controllers.clone(),
                    unified: base.unified,
                    entered: false,
                }),
                Err(e) => tracing::debug!(path = %path.display(), error = %e, "no control group"),
            }
        }
    }

    fn dir(&self, controller: &str) -> Option<&Dir> {
        self.dirs.iter().find(|d| d.controllers.contains(&controller))
    }

    /// Another memory limit for a group in use. Version 1 has two, of which the one with swap may never be the smaller, so
    /// the order of writing depends on the direction; version 2 kills rather than refuses, so what is used is compared
    /// first.
    ///
    /// # Errors
    /// More than that is in use, or the kernel refuses.
    pub(super) fn relimit_memory(&self, limits: &Limits) -> io::Result<()> {
        let Some(dir) = self.dir("memory") else { return Ok(()) };
        if dir.unified {
            let used = fs::read_to_string(dir.path.join("memory.current")).unwrap_or_default();
            if used.trim().parse().is_ok_and(|used: u64| used > limits.memory_bytes) {
                return Err(io::Error::other("more than that is in use"));
            }
        } else {
            // Refused where swap is not counted, and when the limit is lowered: then it comes second.
            let _ = write(&dir.path.join("memory.memsw.limit_in_bytes"), &limits.memory_bytes.to_string());
        }
        self.limit("memory", limits)
    }

    /// Writes the limit that `controller` enforces.
    ///
    /// # Errors
    /// There is no group for it, or the kernel refuses.
    pub(super) fn limit(&self, controller: &str, limits: &Limits) -> io::Result<()> {
        let dir = self
            .dir(controller)
            .ok_or_else(|| io::Error::other(format!("control group {controller} is not ours to use")))?;
        let put = |file: &str, value: String| write(&dir.path.join(file), &value);
        let quota = (u64::from(limits.cpu_millis) * PERIOD_US / 1000).max(1000);
        match (controller, dir.unified) {
            ("memory", true) => {
                put("memory.max", limits.memory_bytes.to_string())?;
                // A job that loses one process to the limit loses all: half a job only confuses its owner.
                let _ = put("memory.oom.group", "1".into());
                optional(put("memory.swap.max", "0".into()))
            }
            ("memory", false) => {
                put("memory.limit_in_bytes", limits.memory_bytes.to_string())?;
                optional(put("memory.memsw.limit_in_bytes", limits.memory_bytes.to_string()))
            }
            ("cpu", true) => put("cpu.max", format!("{quota} {PERIOD_US}")),
            ("cpu", false) => {
                put("cpu.cfs_period_us", PERIOD_US.to_string())?;
                put("cpu.cfs_quota_us", quota.to_string())
            }
            _ => put("pids.max", limits.pids.to_string()),
        }
    }

    /// Makes a process by `clone`, in the version 2 group if there is one and the kernel lets us.
    ///
    /// # Errors
    /// Those of `clone` without a group.
    pub(super) fn clone_into<T>(&mut self, clone: impl Fn(Option<BorrowedFd<'_>>) -> io::Result<T>) -> io::Result<T> {
        if let Some(dir) = self.dirs.iter_mut().find(|d| d.unified)
            && let Ok(handle) = fs::File::open(&dir.path)
            && let Ok(made) = clone(Some(handle.as_fd()))
        {
            dir.entered = true;
            return Ok(made);
        }
        clone(None)
    }

    /// Puts a process, and with it all that it will start, into the group where only others can do that.
    ///
    /// # Errors
    /// The group refused it.
    pub(super) fn add(&self, pid: i32) -> io::Result<()> {
        let mut to_enter = self.dirs.iter().filter(|d| d.unified && !d.entered);
        to_enter.try_for_each(|d| write(&d.path.join("cgroup.procs"), &pid.to_string()))
    }

    /// Files by which a process enters the rest of the group itself: see [`Doors`].
    pub(super) fn tasks(&self) -> Vec<PathBuf> {
        self.dirs.iter().filter(|d| !d.unified).map(|d| d.path.join("tasks")).collect()
    }

    /// Whether the kernel accounts the job's memory here.
    pub(super) fn limits_memory(&self) -> bool {
        self.dir("memory").is_some()
    }

    /// Where the kernel counts what the processes below `init` use.
    pub(super) fn meter(&self, init: i32) -> Meter {
        let counted = |controller: &str| self.dir(controller).map(|d| d.path.clone());
        Meter {
            init: Some(init),
            // Version 1 counts processor time in a hierarchy that need not be the one that limits it.
            cpu: counted("cpuacct").or_else(|| self.dir("cpu").filter(|d| d.unified).map(|d| d.path.clone())),
            memory: counted("memory"),
            io: None,
            pids: counted("pids"),
        }
    }

    /// The processes in it. Those that have ended and are not yet waited for do not count.
    pub(super) fn processes(&self) -> Vec<i32> {
        let mut all: Vec<i32> = self.dirs.iter().flat_map(|d| processes(&d.path)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Removes the directories.
    ///
    /// # Errors
    /// A process is still in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.dirs.iter().try_for_each(|d| remove(&d.path))?;
        for above in self.dirs.iter().filter_map(|d| d.path.parent()) {
            // Other jobs keep it; the last one takes it along.
            let _ = fs::remove_dir(above);
        }
        Ok(())
    }
}

/// The ways into version 1 groups, held open by a process that leaves the host's root before it enters them.
///
/// Moving another process, or one with threads, takes a lock of the whole machine for which the kernel first waits until
/// every processor has passed a quiet state: 8 ms and more, unless somebody else did the same just before. A process with
/// one thread that moves itself takes no lock (since Linux 5.4; before, it costs what the other way costs).
#[derive(Debug)]
pub(super) struct Doors(Vec<(PathBuf, OwnedFd)>);

impl Doors {
    /// Those of `places`.
    pub(super) fn hold(places: &Hierarchies) -> Self {
        let dirs = places.bases().filter(|base| !base.unified).map(|base| base.dir.clone());
        let way = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self(dirs.filter_map(|dir| Some((dir.clone(), nix::fcntl::open(&dir, way, Mode::empty()).ok()?))).collect())
    }

    /// Puts this process, which has one thread, into the group of the file `tasks`.
    ///
    /// # Errors
    /// The group refused it.
    pub(super) fn enter(&self, tasks: &Path) -> io::Result<()> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", tasks.display()));
        let found = self.0.iter().find_map(|(dir, held)| Some((held, tasks.strip_prefix(dir).ok()?)));
        let (held, below) = found.ok_or_else(|| named(io::ErrorKind::NotFound.into()))?;
        let file = nix::fcntl::openat(held, below, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
        file.and_then(|file| nix::unistd::write(file, b"0")).map_err(|e| named(e.into())).map(drop)
    }
}

/// Jobs that have a group below `parent`, by name.
pub(super) fn names_below(places: &Hierarchies, parent: &str) -> Vec<String> {
    let mut names: Vec<String> = places
        .bases()
        .filter_map(|b| fs::read_dir(b.dir.join(parent)).ok())
        .flatten()
        .filter_map(|e| e.ok().filter(|e| e.path().is_dir())?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Kills whatever is in the groups `name` below `parent` and removes them.
///
/// # Errors
/// A process does not go away (it sleeps in the kernel).
pub(super) fn destroy(places: &Hierarchies, parent: &str, name: &str) -> io::Result<()> {
    for base in places.bases() {
        let dir = base.dir.join(parent).join(name);
        for pid in processes(&dir) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        remove(&dir)?;
        // Other jobs keep it; the last one takes it along.
        let _ = fs::remove_dir(base.dir.join(parent));
    }
    Ok(())
}

fn processes(dir: &Path) -> Vec<i32> {
    let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Makes both levels. Another job's end may remove the upper one in between, hence the second try.
fn create_below(base: &place::Base, parent: &str, name: &str) -> io::Result<()> {
    let above = base.dir.join(parent);
    base.delegate(&base.dir);
    let mut made = Ok(());
    for _ in 0..2 {
        made = create_or_reuse(&above).and_then(|()| {
            base.delegate(&above);
            create_or_reuse(&above.join(name))
        });
        if made.is_ok() {
            break;
        }
    }
    made
}

fn create_or_reuse(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// A control group's directory goes by rmdir; its files are not ours to unlink.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::write(path, value).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// Files that a kernel without swap accounting does not have.
fn optional(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_to_others_by_its_kind() {
        let places = Hierarchies::default();
        let mut group = Group::unified(&places, "homie", "x");
        group.complete(&places, "homie", "x", &Limits::default());
        let missing = group.missing;
        let told: Vec<Lack> = missing.iter().filter_map(|line| lacking(line)).collect();
        assert_eq!(told, [Lack::Memory, Lack::Cpu, Lack::Pids], "{missing:?}");
        assert_eq!(lacking("no python3 in /usr/bin"), None);
    }

    #[test]
    fn a_group_is_entered_by_way_of_the_hierarchy_it_lies_in() {
        let dir = tempfile::tempdir().expect("tempdir");
        let held = ["cpu", "cpuacct"].map(|name| {
            let base = dir.path().join(name);
            fs::create_dir_all(base.join("job")).expect("made");
            fs::write(base.join("job/tasks"), "").expect("made");
            (base.clone(), nix::fcntl::open(&base, OFlag::O_PATH, Mode::empty()).expect("opened"))
        });
        let doors = Doors(held.into());
        let tasks = |name: &str| dir.path().join(name).join("job/tasks");
        doors.enter(&tasks("cpuacct")).expect("entered");
        let read = |name| fs::read_to_string(tasks(name)).expect("there");
        assert_eq!((read("cpu"), read("cpuacct")), (String::new(), "0".to_owned()));
        let refused = doors.enter(&tasks("memory")).expect_err("no way there").to_string();
        assert!(refused.contains("memory/job/tasks"), "{refused}");
    }

    #[test]
    fn version_2_files_get_the_limits() {
        let dir = tempfile::tempdir().expect("tempdir");
        let group = Group {
            dirs: vec![Dir {
                path: dir.path().into(),
                controllers: vec!["memory", "cpu", "pids"],
                unified: true,
                entered: false,
            }],
            missing: vec![],
        };
        let limits = Limits { cpu_millis: 1500, memory_bytes: 1 << 20, ..Limits::default() };
        for (controller, ..) in WANTED {
            group.limit(controller, &limits).expect("written");
        }
        let read = |f: &str| fs::read_to_string(dir.path().join(f)).expect("there");
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("pids.max"), "256");
    }
}
