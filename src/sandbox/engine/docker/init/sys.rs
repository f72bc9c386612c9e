//! The few system calls that init needs and the standard library does not have. The only other place with `unsafe`
//! beside `native/sys.rs`: init is a program of its own and has no crates.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_ulong, c_void};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, RawFd};

pub(super) const O_NONBLOCK: i32 = 0o4000;
const SFD_CLOEXEC: c_int = 0o2_000_000;
const SIG_BLOCK: c_int = 0;
const SIGCHLD: c_int = 17;
const WNOHANG: c_int = 1;
const POLLIN: c_short = 1;
const PR_SET_DUMPABLE: c_int = 4;
const EINTR: i32 = 4;
/// Bytes of the C library's `sigset_t`; what the kernel uses of it comes first.
const SIGSET_WORDS: usize = 128 / size_of::<c_ulong>();

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

unsafe extern "C" {
    fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int;
    fn sigprocmask(how: c_int, set: *const c_void, old: *mut c_void) -> c_int;
    fn signalfd(fd: c_int, set: *const c_void, flags: c_int) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// Keeps others of our user from looking at us by /proc or ptrace(2).
pub(super) fn be_opaque() -> io::Result<()> {
    // SAFETY: integers only.
    check(unsafe { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// A descriptor that becomes readable when a child has ended.
pub(super) fn children() -> io::Result<File> {
    let mut set: [c_ulong; SIGSET_WORDS] = [0; SIGSET_WORDS];
    set[0] = 1 << (SIGCHLD - 1);
    let set = set.as_ptr().cast();
    // SAFETY: `set` is as large as a sigset_t and outlives both calls; no old set is asked for.
    let fd = unsafe {
        check(sigprocmask(SIG_BLOCK, set, std::ptr::null_mut()))?;
        check(signalfd(-1, set, SFD_CLOEXEC | O_NONBLOCK))?
    };
    // SAFETY: it is new and ours.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Takes what lies in the descriptor of [`children`]; who has ended is asked of the kernel.
pub(super) fn drain(mut children: &File) {
    let mut buffer = [0; 1024];
    while children.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

/// Which of `fds` can be read, or have lost their writers. All false once `seconds` have passed.
pub(super) fn wait_readable<const N: usize>(fds: &[RawFd; N], seconds: Option<u32>) -> io::Result<[bool; N]> {
    let mut all = fds.map(|fd| PollFd { fd, events: POLLIN, revents: 0 });
    let limit = seconds.map_or(-1, |s| c_int::try_from(u64::from(s) * 1000).unwrap_or(c_int::MAX));
    loop {
        // SAFETY: the array lives through the call and N is its length.
        match check(unsafe { poll(all.as_mut_ptr(), N as c_ulong, limit) }) {
            Err(e) if e.raw_os_error() == Some(EINTR) => {}
            other => break other.map(|_| all.map(|p| p.revents != 0)),
        }
    }
}

/// A child that has ended, and its wait status; `None` when there is none.
pub(super) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is ours.
    let pid = unsafe { waitpid(-1, &raw mut status, WNOHANG) };
    (pid > 0).then_some((pid, status))
}

fn check(returned: c_int) -> io::Result<c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
