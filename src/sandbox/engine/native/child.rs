//! The inside of the jail: what the first process of the new namespaces does until the job's program runs, and after.
//!
//! ```text
//! supervisor --clone3--> init (pid 1): network, hostname, root; then, let on by the supervisor, into the control groups
//!                          --fork--> job: limits, no privileges, seccomp, exec
//!                        init then drops everything too, reaps orphans, reports the job's end and exits, whereupon
//!                        the kernel kills whatever is left in the pid namespace
//! ```
//! If the supervisor dies, init gets SIGKILL and the namespace dies with it: no job runs unwatched.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

use super::cgroup::{Doors, Hierarchies};
use super::sys::{self, Cloned};
use super::{files, root, seccomp};
use crate::sandbox::engine::JobLaunch;

/// What a pipe takes and gives in one piece (pipe(7)); the paths of four groups are a quarter of it.
pub(super) const PIPE_BUF: usize = libc::PIPE_BUF;

/// What init tells the supervisor, one JSON line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program runs.
    Started,
    /// The kernel gives no network namespace, with this error number.
    NoNetwork(i32),
    /// The jail could not be built.
    Jail(String),
    /// The program could not be started.
    Spawn(String),
    /// The program ended with this wait status.
    Ended(i32),
}

/// The supervisor's first word: ids are mapped.
pub(super) const GO: u8 = b'g';

/// Its second, one JSON line in one write: limits are set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Admission {
    /// Whether one of them counts the job's memory.
    pub(super) memory_is_limited: bool,
    /// Control groups that init is to enter, by their files.
    pub(super) tasks: Vec<PathBuf>,
}

/// The descriptors init gets. Everything else it inherits is closed.
#[derive(Debug)]
pub(super) struct Wires {
    /// [`GO`], then an [`Admission`]; hung up when the supervisor is gone.
    pub(super) go: OwnedFd,
    /// Where [`Report`]s go.
    pub(super) report: OwnedFd,
    /// The job's standard output.
    pub(super) stdout: OwnedFd,
    /// The job's standard error.
    pub(super) stderr: OwnedFd,
}

/// Runs as init; never returns.
pub(super) fn run(launch: &JobLaunch, places: &Hierarchies, wires: &Wires) -> ! {
    let failed = match prepare(launch, places, &wires.go) {
        Ok(filter) => match start(launch, &filter, wires) {
            Ok(job) => {
                tell(&wires.report, &Report::Started);
                // The supervisor's pipe may have hung up meanwhile: then it is dead, and its job must not outlive it.
                let code = confine_init(launch, &filter, wires).map_or(1, |()| reap(job, &wires.report));
                sys::exit_now(code);
            }
            Err(report) => report,
        },
        Err(report) => report,
    };
    tell(&wires.report, &failed);
    sys::exit_now(1)
}

fn tell(to: impl AsFd, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        // A line is far shorter than PIPE_BUF, so it is written whole. Nobody is left to hear of an error here; the
        // supervisor sees the hang-up.
        let _ = nix::unistd::write(to, &line);
    }
}

fn prepare(launch: &JobLaunch, places: &Hierarchies, go: &OwnedFd) -> Result<BpfProgram, Report> {
    let jail = |e: io::Error| Report::Jail(e.to_string());
    let failed = |what: &'static str| move |e: io::Error| Report::Jail(format!("{what}: {e}"));
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| jail(e.into()))?;
    sys::default_signals().map_err(jail)?;
    hear(go, &mut [0]).map_err(jail)?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Report::NoNetwork(e as i32))?;
    nix::unistd::sethostname("homie").map_err(|e| jail(e.into()))?;
    sys::loopback_up().map_err(failed("loopback interface"))?;
    let doors = Doors::hold(places);
    root::enter(launch).map_err(failed("file system"))?;
    sys::drop_bounding_set();
    // Meanwhile the supervisor has written its files and made control groups, which takes it as long as all of the above.
    let mut line = [0; PIPE_BUF];
    let len = hear(go, &mut line).map_err(jail)?;
    let admission: Admission = serde_json::from_slice(&line[..len]).map_err(|e| jail(e.into()))?;
    admission.tasks.iter().try_for_each(|tasks| doors.enter(tasks)).map_err(failed("control group"))?;
    seccomp::program(admission.memory_is_limited).map_err(|e| jail(io::Error::other(e)))
}

/// One word of the supervisor.
fn hear(go: &OwnedFd, word: &mut [u8]) -> io::Result<usize> {
    match nix::unistd::read(go, word)? {
        0 => Err(io::Error::other("the supervisor gave up")),
        len => Ok(len),
    }
}

/// Forks the job and waits until its program runs (its error pipe is closed by exec).
fn start(launch: &JobLaunch, filter: &BpfProgram, wires: &Wires) -> Result<i32, Report> {
    let jail = |e: io::Error| Report::Jail(e.to_string());
    let (mut news, tell_news) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map(|(r, w)| (fs::File::from(r), fs::File::from(w)))
        .map_err(|e| jail(e.into()))?;
    // Before the job exists: for an ordinary user it runs as the same user as init, and must not look into it while that
    // still has rights. The child may be looked into again; it has none of them left when it becomes the program.
    prctl::set_dumpable(false).map_err(|e| jail(e.into()))?;
    match sys::clone_process(0, None).map_err(jail)? {
        Cloned::Child => {
            let failed = match prctl::set_dumpable(true).map_err(Into::into).and_then(|()| confine_job(launch, wires)) {
                Ok(()) => exec(launch, filter),
                Err(e) => Report::Jail(e.to_string()),
            };
            tell(&tell_news, &failed);
            sys::exit_now(127)
        }
        Cloned::Parent { pid, .. } => {
            drop(tell_news);
            let mut text = String::new();
            news.read_to_string(&mut text).map_err(jail)?;
            if text.is_empty() {
                return Ok(pid);
            }
            Err(serde_json::from_str(&text).unwrap_or_else(|e| Report::Jail(e.to_string())))
        }
    }
}

/// Everything of the job's own process that must hold before its program runs, but for seccomp (which would forbid it).
fn confine_job(launch: &JobLaunch, wires: &Wires) -> io::Result<()> {
    let null = fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&wires.stdout)?;
    nix::unistd::dup2_stderr(&wires.stderr)?;
    nix::unistd::setsid()?;
    // Even those that homied's own parent may have left open without the mark.
    sys::close_on_exec_above_stdio()?;
    for (resource, limit) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, 1024),
        (Resource::RLIMIT_FSIZE, launch.limits.disk_bytes),
        (Resource::RLIMIT_MEMLOCK, 8 << 20),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ] {
        lower(resource, limit)?;
    }
    if !Uid::effective().is_root() {
        // Without a pids group this is what stops a fork bomb; it counts per user namespace, so only this job.
        lower(Resource::RLIMIT_NPROC, u64::from(launch.limits.pids))?;
    }
    // The kernel should choose the guest, not the owner's programs, when the machine runs out of memory.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    drop_privileges(launch)?;
    files::restrict().map(drop)
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let (_, hard) = nix::sys::resource::getrlimit(resource)?;
    let limit = limit.min(hard);
    Ok(setrlimit(resource, limit, limit)?)
}

/// Becomes the job's user, with no capability and, as the bounding set is empty already, no way to one.
fn drop_privileges(launch: &JobLaunch) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(launch.uid), Gid::from_raw(launch.gid));
    if Uid::effective().is_root() {
        nix::unistd::setgroups(&[])?;
    }
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    sys::drop_capabilities()?;
    Ok(prctl::set_no_new_privs()?)
}

/// Looks the program up along PATH and becomes it. Returns only what went wrong.
fn exec(launch: &JobLaunch, filter: &BpfProgram) -> Report {
    let spawn = |text: String| Report::Spawn(text);
    let Some(program) = launch.command.first() else { return spawn("the command is empty".into()) };
    let strings = |list: Vec<String>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let vars = launch.environment().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    let (Ok(args), Ok(vars)) = (strings(launch.command.clone()), strings(vars)) else {
        return spawn("an argument or variable has a NUL byte".into());
    };
    if let Err(e) = seccompiler::apply_filter(filter) {
        return Report::Jail(format!("seccomp: {e}"));
    }
    let candidates: Vec<String> = if program.contains('/') {
        vec![program.clone()]
    } else {
        launch.search_path().split(':').map(|dir| format!("{dir}/{program}")).collect()
    };
    let mut worst = nix::errno::Errno::ENOENT;
    for path in &candidates {
        let Ok(path) = CString::new(path.as_str()) else { continue };
        let Err(e) = nix::unistd::execve(&path, &args, &vars);
        if e != nix::errno::Errno::ENOENT && e != nix::errno::Errno::ENOTDIR {
            worst = e;
            break;
        }
    }
    spawn(why_not(program, worst, &candidates, launch.search_path()))
}

/// Why a program cannot be started, in words that say what to do.
fn why_not(program: &str, error: nix::errno::Errno, candidates: &[String], path: &str) -> String {
    use nix::errno::Errno;
    let script = candidates.iter().find_map(|p| interpreter(Path::new(p)));
    match (error, script) {
        (Errno::ENOENT, Some(interpreter)) => {
            format!("{program} wants {interpreter}, which is not on this machine")
        }
        (Errno::ENOENT, None) if program.contains('/') => {
            format!("{program} is not there: send it with -f, or check its path in the job's directory")
        }
        (Errno::ENOENT, None) => format!("{program} is not on this machine (looked in {path})"),
        (Errno::EACCES, _) => format!("{program} is not executable (chmod +x it, or name its interpreter)"),
        (Errno::ENOEXEC, _) => {
            format!("{program} is no program of this machine: no #! line, or built for another processor")
        }
        (e, _) => format!("{program} cannot be started: {}", e.desc()),
    }
}

/// The interpreter that the first line of a script names.
fn interpreter(path: &Path) -> Option<String> {
    let mut head = [0; 256];
    let n = fs::File::open(path).ok()?.read(&mut head).ok()?;
    let line = head[..n].strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}

/// Init gives up what it had to build the jail, and gets the job's own filter: a job that took it over would gain nothing.
fn confine_init(launch: &JobLaunch, filter: &BpfProgram, wires: &Wires) -> io::Result<()> {
    sys::close_all_but(&[wires.go.as_raw_fd(), wires.report.as_raw_fd()])?;
    drop_privileges(launch)?;
    // Changing the user has set it again.
    prctl::set_dumpable(false)?;
    // Changing the user has cleared it; if the supervisor died in between, its pipe tells.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut fds = [PollFd::new(wires.go.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO)?;
    if fds[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP)) {
        return Err(io::Error::other("the supervisor is gone"));
    }
    seccompiler::apply_filter(filter).map_err(io::Error::other)
}

/// Waits for the job and for every orphan that comes to pid 1. Ends with the job.
fn reap(job: i32, report: &OwnedFd) -> i32 {
    loop {
        match sys::wait_child(-1) {
            Ok(gone) if gone.pid == job => {
                tell(report, &Report::Ended(gone.status));
                return 0;
            }
            Ok(_) => {}
            Err(_) => return 1,
        }
    }
}
