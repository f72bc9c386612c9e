//! System calls that no safe crate wraps. The only file of Homie with `unsafe` in it: each function is one call (or
//! one family), takes owned or borrowed descriptors, and returns `io::Result`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;

/// Which process this is after [`clone_process`].
#[derive(Debug)]
pub(super) enum Cloned {
    /// The new one.
    Child,
    /// The old one, with a descriptor of the new one.
    Parent {
        /// The new process.
        pid: i32,
        /// A descriptor of it that cannot come to mean another process.
        pidfd: OwnedFd,
    },
}

/// fork() into the new namespaces named by `flags` (`CLONE_NEW*`), and into the version 2 control group whose directory
/// `group` is: being born there costs nothing, while being moved waits for the kernel's grace periods (10 ms and more).
///
/// # Errors
/// A namespace is not permitted or a limit is reached (see clone3(2)), or this process has threads: the child would
/// then inherit locks that nobody opens.
pub(super) fn clone_process(flags: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    /// CLONE_INTO_CGROUP (Linux 5.7), which does not fit the type of the other flags.
    const INTO_GROUP: u64 = 0x2_0000_0000;
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with threads must not fork"));
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers; zero means "none" for each.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags | libc::CLONE_PIDFD) as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        args.flags |= INTO_GROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and with no stack given this is fork(): the child has its own copy of all memory, and
    // the check above says that no other thread could have held a lock. `args` outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        // SAFETY: the kernel stored a new descriptor there, which nobody else owns.
        _ => Ok(Cloned::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

/// A descriptor of the process `pid`; readable once it has ended.
///
/// # Errors
/// There is no such process.
pub(in crate::sandbox) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two integers in, a new descriptor (or -1) out.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: it is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Lets the runtime wait for a descriptor.
///
/// # Errors
/// The descriptor is of a kind that cannot be waited for.
pub(in crate::sandbox) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor stays open and the same for as long as the AsyncFd owns it, which is what is asked.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// Sends a signal to exactly the process the descriptor is of. One that is gone is fine.
///
/// # Errors
/// Not permitted.
pub(in crate::sandbox) fn pidfd_signal(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: integers and a null siginfo, which the call permits.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, std::ptr::null::<u8>(), 0) };
    match check(done) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.map(drop),
    }
}

/// What wait4 tells of an ended child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reaped {
    /// Its process id.
    pub(super) pid: i32,
    /// Its wait status.
    pub(super) status: i32,
    /// Processor time of it and of the children it waited for.
    pub(super) cpu: Duration,
    /// The largest memory one of them used, in bytes.
    pub(super) peak_memory: u64,
    /// Bytes they read from disks.
    pub(super) read: u64,
    /// Bytes they wrote to disks.
    pub(super) written: u64,
}

/// Waits for a child (`-1`: any).
///
/// # Errors
/// There is no such child.
pub(super) fn wait_child(pid: i32) -> io::Result<Reaped> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals.
        let pid = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if pid >= 0 {
            let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
            let cpu = time(usage.ru_utime) + time(usage.ru_stime);
            /// The unit of ru_inblock and ru_oublock, whatever the disk's.
            const BLOCK: u64 = 512;
            return Ok(Reaped {
                pid,
                status,
                cpu,
                peak_memory: usage.ru_maxrss as u64 * 1024,
                read: usage.ru_inblock as u64 * BLOCK,
                written: usage.ru_oublock as u64 * BLOCK,
            });
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
}

/// Closes every descriptor but `keep`. For a process that never returns to code that owns others.
///
/// # Errors
/// A kernel before 5.9.
pub(in crate::sandbox) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| *fd as u32).collect();
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if fd > first {
            // SAFETY: integers only; that nobody uses the closed ones afterwards is the contract above.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) })?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Marks every descriptor above the standard three to be closed by exec.
///
/// # Errors
/// A kernel before 5.11.
pub(super) fn close_on_exec_above_stdio() -> io::Result<()> {
    // SAFETY: integers only, nothing is closed now.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Puts every signal back to its default action and unblocks all: Rust ignores SIGPIPE, a runtime has handlers, and a
/// program expects neither.
///
/// # Errors
/// None that the kernel is known to give.
pub(super) fn default_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no code of ours. SIGKILL, SIGSTOP and libc's own two answer EINVAL.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = nix::sys::signal::SigSet::empty();
    Ok(nix::sys::signal::sigprocmask(nix::sys::signal::SigmaskHow::SIG_SETMASK, Some(&none), None)?)
}

/// A detached copy of the mounts at `path` and below.
///
/// # Errors
/// No such path, or not permitted.
pub(super) fn open_tree(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE as i32 | libc::O_CLOEXEC | libc::AT_RECURSIVE;
    // SAFETY: `path` is a C string that outlives the call; a new descriptor (or -1) comes out.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: it is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets mount attributes (`MOUNT_ATTR_*`) on a detached tree or on the mount that `fd` is the root of.
///
/// # Errors
/// Not permitted, or a kernel before 5.12 (ENOSYS).
pub(super) fn mount_setattr(fd: impl AsFd, attributes: u64, recursive: bool) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the pointers are to an empty C string and a live local of the size given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(done).map(drop)
}

/// Attaches a detached tree at `path`.
///
/// # Errors
/// No such path, a directory over a file or the reverse, or not permitted.
pub(super) fn move_mount(tree: impl AsFd, path: &CStr) -> io::Result<()> {
    let from = tree.as_fd().as_raw_fd();
    // SAFETY: both paths are C strings that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    check(done).map(drop)
}

/// Brings the loopback interface of this network namespace up.
///
/// # Errors
/// Not permitted.
pub(super) fn loopback_up() -> io::Result<()> {
    // SAFETY: integers in, a new descriptor (or -1) out.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    // SAFETY: it is new and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(socket as RawFd) };
    // SAFETY: ifreq is plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives through the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into()).map(drop)
}

/// Takes every capability out of the bounding set, so that no program can bring one back. To be called while the
/// process still has CAP_SETPCAP, that is before it changes its user; without that capability nothing happens, and the
/// empty sets of [`drop_capabilities`] with no-new-privileges have to do.
pub(super) fn drop_bounding_set() {
    for cap in 0..64 {
        // SAFETY: integers only. The first unknown capability answers EINVAL.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0) } != 0 {
            break;
        }
    }
}

/// Gives up every capability: ambient, inheritable, permitted and effective set.
///
/// # Errors
/// The kernel refused, which it never should.
pub(super) fn drop_capabilities() -> io::Result<()> {
    /// Version 3 of capset(2): two words of 32 capabilities for each set.
    const VERSION_3: u32 = 0x2008_0522;
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let header = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: the layouts of header (version, pid) and data (two times three words) are those of capset(2).
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }).map(drop)
}

/// Ends this process at once, without running exit handlers that belong to the process it was forked from.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
