//! The part of a start that needs nothing but the order: init is made, and builds the jail while the supervisor starts its
//! runtime and writes its files. No program runs before [`NativeEngine::go_on`] lets init go on.
//!
//! [`NativeEngine::go_on`]: super::NativeEngine::go_on

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use tokio::io::BufReader;
use tokio::net::unix::pipe;

use super::cgroup::{Group, Hierarchies};
use super::child::{self, Wires};
use super::sys::{self, Cloned};
use super::{NativeJob, group_parent, root, watch};
use crate::sandbox::engine::{EngineError, JobLaunch};

/// What an ordinary user may have (pipe(7)). Reads of 64 KiB want a pipe that holds many of them, so that job and
/// supervisor need not take turns.
const PIPE_BYTES: i32 = 1 << 20;

/// A jail that is being built. Dropped, it is torn down.
#[derive(Debug)]
pub(in crate::sandbox) struct Ahead(Option<Begun>);

#[derive(Debug)]
struct Begun {
    pid: i32,
    pidfd: OwnedFd,
    news: OwnedFd,
    release: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    mounts: Option<std::fs::File>,
    group: Group,
    places: Hierarchies,
}

impl Ahead {
    /// Makes init in its namespaces. To be called while this process has one thread.
    ///
    /// # Errors
    /// The machine gives no namespaces, or not the rights in them.
    pub(in crate::sandbox) fn make(launch: &JobLaunch) -> Result<Self, EngineError> {
        let failed = |what: &'static str| move |e: io::Error| EngineError::Failed(format!("{what}: {e}"));
        let places = Hierarchies::discover();
        let mut group = Group::unified(&places, &group_parent(&launch.node), &launch.name());
        let (out, stdout) = output_pipe(launch).map_err(failed("pipe"))?;
        let (err, stderr) = output_pipe(launch).map_err(failed("pipe"))?;
        let (news, report) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| failed("pipe")(e.into()))?;
        let (go, release) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| failed("pipe")(e.into()))?;
        let wires = Wires { go, report, stdout, stderr };
        let rootless = !nix::unistd::Uid::effective().is_root();
        // The network's, which takes longest, init makes itself while we go on here.
        let mut namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        if rootless {
            namespaces |= libc::CLONE_NEWUSER;
        }
        let cloned = group.clone_into(|dir| sys::clone_process(namespaces, dir)).map_err(no_namespaces)?;
        let (pid, pidfd) = match cloned {
            Cloned::Child => {
                // The writing end must live in the supervisor alone, or its death would not be noticed.
                drop((release, news));
                child::run(launch, &places, &wires)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(wires);
        // One that cannot be had is let go when the job ends, as it would be anyway.
        let mounts = std::fs::File::open(format!("/proc/{pid}/ns/mnt")).ok();
        let ahead = Self(Some(Begun { pid, pidfd, news, release, stdout: out, stderr: err, mounts, group, places }));
        ahead.let_build(launch, rootless)?;
        Ok(ahead)
    }

    fn let_build(&self, launch: &JobLaunch, rootless: bool) -> Result<(), EngineError> {
        let failed = |what: &'static str| move |e: io::Error| EngineError::Failed(format!("{what}: {e}"));
        let Some(begun) = &self.0 else { return Ok(()) };
        if rootless {
            map_ids(begun.pid, launch).map_err(failed("user namespace"))?;
        }
        nix::unistd::write(&begun.release, &[child::GO]).map_err(|e| failed("jail")(e.into())).map(drop)
    }

    /// The job to be, what it will write to its two outputs, and where control groups are made. To be called within the
    /// runtime.
    ///
    /// # Errors
    /// The runtime has no room for its descriptors.
    pub(super) fn take(mut self) -> io::Result<(NativeJob, pipe::Receiver, pipe::Receiver, Hierarchies)> {
        let Some(begun) = self.0.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let Begun { pid, pidfd, news, release, stdout, stderr, mounts, group, places } = begun;
        let receive = pipe::Receiver::from_owned_fd;
        let news = BufReader::new(receive(news)?);
        let watch = watch::Watch::new(None);
        let job = NativeJob { pid, pidfd: sys::watch(pidfd)?, news, release, group, mounts, watch, reaped: None };
        Ok((job, receive(stdout)?, receive(stderr)?, places))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let Some(begun) = self.0.take() else { return };
        // What fails here is looked after by a later homied, as after a kill.
        if sys::pidfd_signal(&begun.pidfd, Signal::SIGKILL).is_ok() && sys::wait_child(begun.pid).is_ok() {
            let _ = begun.group.remove();
        }
    }
}

/// Maps exactly the user and group of the job onto themselves.
fn map_ids(pid: i32, launch: &JobLaunch) -> io::Result<()> {
    let put = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    put("setgroups", "deny".into())?;
    put("uid_map", format!("{0} {0} 1", launch.uid))?;
    put("gid_map", format!("{0} {0} 1", launch.gid))
}

/// Why there are no namespaces, and what to do about it.
pub(super) fn no_namespaces(e: io::Error) -> EngineError {
    let hint = match e.raw_os_error() {
        Some(libc::EPERM) => {
            "; an ordinary user needs unprivileged user namespaces (Ubuntu: sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0, or install Homie's AppArmor profile), else run homied as root"
        }
        Some(libc::ENOSPC) => "; raise /proc/sys/user/max_*_namespaces",
        _ => "",
    };
    EngineError::NotReady(format!("no namespaces for jobs: {e}{hint}"))
}

fn output_pipe(launch: &JobLaunch) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Over the user's share of pipe memory it stays at the default of 64 KiB, which works too.
    let _ = nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    // Not permitted to an ordinary user, who needs no change either: the job runs as itself.
    let _ = root::give(&write, launch.uid, launch.gid);
    Ok((read, write))
}
