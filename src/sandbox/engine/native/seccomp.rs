//! The system calls a job may make: an allowlist, so that what a later kernel adds stays closed until somebody has
//! looked at it.
//!
//! Anything else gets ENOSYS, not EPERM: libraries then take their older road (`clone3` -> `clone`, `io_uring` ->
//! epoll) instead of failing. Left out on purpose: io_uring, ptrace, process_vm_*, pidfd_getfd, kcmp, userfaultfd, bpf,
//! perf_event_open, keyctl and its family, unshare, setns, new namespaces by clone, mount and its family,
//! open_by_handle_at, fanotify, kexec, modules, swap, quotas, clocks, and sockets of any other family than
//! AF_UNIX, AF_INET, AF_INET6 and NETLINK_ROUTE (which getifaddrs needs): AF_ALG and AF_VSOCK have cost kernels dearly.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// The compiled filter.
///
/// # Errors
/// An impossible rule, or a processor seccompiler does not know.
pub(super) fn program() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|nr| (*nr, vec![])).collect();
    rules.extend(LEGACY.iter().map(|nr| (*nr, vec![])));
    // System calls since 5.1 have one number on every architecture.
    rules.extend(RECENT.iter().map(|nr| (*nr, vec![])));
    rules.insert(libc::SYS_clone, vec![rule(vec![masked(0, NEW_NAMESPACES, 0)?])?]);
    for nr in [libc::SYS_socket, libc::SYS_socketpair] {
        let family = |f: i32| equal(0, f as u64);
        let mut families = vec![];
        for f in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            families.push(rule(vec![family(f)?])?);
        }
        families.push(rule(vec![family(libc::AF_NETLINK)?, equal(2, libc::NETLINK_ROUTE as u64)?])?);
        rules.insert(nr, families);
    }
    // TIOCSTI and TIOCLINUX type into a terminal on behalf of whoever sits there.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX];
    let not_typing = typing.iter().map(|n| SeccompCondition::new(1, Dword, SeccompCmpOp::Ne, *n));
    rules.insert(libc::SYS_ioctl, vec![rule(not_typing.collect::<Result<_, _>>()?)?]);
    let mut personalities = vec![];
    for p in PERSONALITIES {
        personalities.push(rule(vec![equal(0, p)?])?);
    }
    rules.insert(libc::SYS_personality, personalities);
    SeccompFilter::new(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow, ARCH)?.try_into()
}

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// CLONE_NEWTIME (0x80) is left out: in clone(2) that bit belongs to the exit signal.
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Linux, the same without address randomisation (sanitizers ask for it), and "tell me".
const PERSONALITIES: [u64; 3] = [0, 0x0004_0000, 0xffff_ffff];

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn equal(arg: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(arg, Dword, SeccompCmpOp::Eq, value)
}

fn masked(arg: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(arg, Qword, SeccompCmpOp::MaskedEq(mask), value)
}

/// pidfd_send_signal, pidfd_open, close_range, openat2, faccessat2, epoll_pwait2, landlock (3), futex_waitv, cachestat,
/// fchmodat2, map_shadow_stack, futex_wake, futex_wait, futex_requeue, mseal.
const RECENT: [i64; 17] = [424, 434, 436, 437, 439, 441, 444, 445, 446, 449, 451, 452, 453, 454, 455, 456, 462];

use libc::*;

#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // files
    SYS_chdir, SYS_close, SYS_copy_file_range, SYS_dup, SYS_dup3, SYS_faccessat, SYS_fadvise64, SYS_fallocate,
    SYS_fchdir, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync, SYS_fgetxattr,
    SYS_flistxattr, SYS_flock, SYS_fremovexattr, SYS_fsetxattr, SYS_fstat, SYS_fstatfs, SYS_fsync, SYS_ftruncate,
    SYS_getcwd, SYS_getdents64, SYS_getxattr, SYS_inotify_add_watch, SYS_inotify_init1, SYS_inotify_rm_watch,
    SYS_lgetxattr, SYS_linkat, SYS_listxattr, SYS_llistxattr, SYS_lremovexattr, SYS_lseek, SYS_lsetxattr,
    SYS_mkdirat, SYS_mknodat, SYS_newfstatat, SYS_openat, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_pwrite64,
    SYS_pwritev, SYS_pwritev2, SYS_read, SYS_readahead, SYS_readlinkat, SYS_readv, SYS_removexattr, SYS_renameat,
    SYS_renameat2, SYS_sendfile, SYS_setxattr, SYS_splice, SYS_statfs, SYS_statx, SYS_symlinkat, SYS_sync,
    SYS_sync_file_range, SYS_syncfs, SYS_tee, SYS_truncate, SYS_umask, SYS_unlinkat, SYS_utimensat, SYS_vmsplice,
    SYS_write, SYS_writev,
    // memory
    SYS_brk, SYS_madvise, SYS_membarrier, SYS_memfd_create, SYS_mincore, SYS_mlock, SYS_mlock2, SYS_mlockall, SYS_mmap,
    SYS_mprotect, SYS_mremap, SYS_msync, SYS_munlock, SYS_munlockall, SYS_munmap, SYS_pkey_alloc, SYS_pkey_free,
    SYS_pkey_mprotect, SYS_remap_file_pages,
    // processes
    SYS_capget, SYS_capset, SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_getcpu, SYS_getegid, SYS_geteuid,
    SYS_getgid, SYS_getgroups, SYS_getpgid, SYS_getpid, SYS_getppid, SYS_getpriority, SYS_getresgid, SYS_getresuid,
    SYS_getrlimit, SYS_getrusage, SYS_getsid, SYS_gettid, SYS_getuid, SYS_get_robust_list, SYS_ioprio_get,
    SYS_ioprio_set, SYS_kill, SYS_prctl, SYS_prlimit64, SYS_rseq, SYS_rt_sigaction, SYS_rt_sigpending,
    SYS_rt_sigprocmask, SYS_rt_sigqueueinfo, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
    SYS_rt_tgsigqueueinfo, SYS_sched_getaffinity, SYS_sched_getattr, SYS_sched_getparam, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_sched_getscheduler, SYS_sched_rr_get_interval, SYS_sched_setaffinity,
    SYS_sched_setattr, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_yield, SYS_seccomp, SYS_setfsgid,
    SYS_setfsuid, SYS_setgid, SYS_setgroups, SYS_setpgid, SYS_setpriority, SYS_setregid, SYS_setresgid, SYS_setresuid,
    SYS_setreuid, SYS_setrlimit, SYS_setsid, SYS_setuid, SYS_set_robust_list, SYS_set_tid_address, SYS_sigaltstack,
    SYS_sysinfo, SYS_tgkill, SYS_times, SYS_tkill, SYS_uname, SYS_wait4, SYS_waitid,
    // waiting and time
    SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_eventfd2, SYS_futex, SYS_getitimer, SYS_getrandom, SYS_gettimeofday, SYS_nanosleep, SYS_pipe2, SYS_ppoll,
    SYS_pselect6, SYS_restart_syscall, SYS_setitimer, SYS_signalfd4, SYS_timer_create, SYS_timer_delete,
    SYS_timer_getoverrun, SYS_timer_gettime, SYS_timer_settime, SYS_timerfd_create, SYS_timerfd_gettime,
    SYS_timerfd_settime,
    // talking, inside the job only: its network namespace has nothing but a loopback
    SYS_accept, SYS_accept4, SYS_bind, SYS_connect, SYS_getpeername, SYS_getsockname, SYS_getsockopt, SYS_listen,
    SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_recvfrom, SYS_recvmmsg, SYS_recvmsg, SYS_semctl, SYS_semget,
    SYS_semop, SYS_semtimedop, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_setsockopt, SYS_shmat, SYS_shmctl, SYS_shmdt,
    SYS_shmget, SYS_shutdown,
];

/// Calls that only the old table of x86-64 has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const LEGACY: &[i64] = &[
    SYS_access, SYS_alarm, SYS_arch_prctl, SYS_chmod, SYS_chown, SYS_creat, SYS_dup2, SYS_epoll_create, SYS_epoll_wait,
    SYS_eventfd, SYS_fork, SYS_futimesat, SYS_getdents, SYS_getpgrp, SYS_inotify_init, SYS_lchown, SYS_link, SYS_lstat,
    SYS_mkdir, SYS_mknod, SYS_open, SYS_pause, SYS_pipe, SYS_poll, SYS_readlink, SYS_rename, SYS_rmdir, SYS_select,
    SYS_signalfd, SYS_stat, SYS_symlink, SYS_time, SYS_unlink, SYS_utime, SYS_utimes, SYS_vfork,
];
#[cfg(target_arch = "aarch64")]
const LEGACY: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_dangerous_is_on_the_list_and_the_filter_fits_the_kernel() {
        let denied = [
            SYS_ptrace,
            SYS_process_vm_readv,
            SYS_process_vm_writev,
            SYS_userfaultfd,
            SYS_bpf,
            SYS_perf_event_open,
            SYS_keyctl,
            SYS_add_key,
            SYS_request_key,
            SYS_unshare,
            SYS_setns,
            SYS_mount,
            SYS_umount2,
            SYS_pivot_root,
            SYS_chroot,
            SYS_open_by_handle_at,
            SYS_name_to_handle_at,
            SYS_kexec_load,
            SYS_init_module,
            SYS_finit_module,
            SYS_delete_module,
            SYS_kcmp,
            SYS_io_uring_setup,
            SYS_io_uring_enter,
            SYS_io_uring_register,
            SYS_open_tree,
            SYS_move_mount,
            SYS_fsopen,
            SYS_mount_setattr,
            SYS_clone3,
            SYS_pidfd_getfd,
            SYS_reboot,
            SYS_swapon,
            SYS_acct,
            SYS_settimeofday,
            SYS_clock_settime,
            SYS_quotactl,
            SYS_fanotify_init,
            SYS_setdomainname,
            SYS_sethostname,
            SYS_syslog,
        ];
        for nr in denied {
            assert!(!ALLOWED.contains(&nr) && !LEGACY.contains(&nr) && !RECENT.contains(&nr), "{nr}");
        }
        let length = program().expect("compiles").len();
        assert!(length < 4096, "BPF_MAXINSNS is 4096, the filter has {length}");
    }
}
