//! The system calls a job may make, on every engine: an allowlist, so that what a later kernel adds stays closed until
//! somebody has looked at it.
//!
//! Engines ship a default list of their own, but it differs from release to release (Docker 20.10 lets AF_VSOCK and
//! io_uring through, AF_ALG was closed only in 29), so a job's jail would depend on the owner's package manager.
//!
//! Left out on purpose: io_uring, ptrace, process_vm_*, process_madvise, pidfd_getfd, kcmp, userfaultfd, bpf,
//! perf_event_open, keyctl and its family, unshare, setns, new namespaces, mount and its family, chroot,
//! open_by_handle_at, fanotify, kexec, modules, swap, quotas, accounting, clocks (setting), memfd_secret, vmsplice, and
//! sync and syncfs, which would flush the owner's disks.

/// A call: its name and its number on this processor.
pub(super) type Call = (&'static str, i64);

/// Calls that are allowed whatever their arguments.
pub(super) struct Group {
    /// What a job needs them for.
    pub(super) why: &'static str,
    /// Which.
    pub(super) calls: &'static [Call],
}

/// A call that is allowed with some arguments only.
pub(super) struct Limited {
    /// Why these.
    pub(super) why: &'static str,
    /// Which.
    pub(super) call: Call,
    /// Allowed if all conditions of one of these hold.
    pub(super) if_any: &'static [&'static [Argument]],
}

/// `args[index] & mask == value`, looking at 32 bits: what the kernel itself looks at for the calls below.
pub(super) struct Argument {
    pub(super) index: u8,
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// What a refused call answers where the engine can choose: libraries then take their older road (`io_uring` ->
/// epoll) instead of failing.
pub(super) const UNKNOWN: u32 = libc::ENOSYS as u32;

/// Answered as unknown on every engine: its flags lie in memory, out of a filter's reach; the C library then takes clone.
pub(super) const NEVER: Call = ("clone3", libc::SYS_clone3);

/// Commands of `ioctl` that type into a terminal on behalf of whoever sits there. A filter of the native engine
/// refuses them; a container has no terminal, and its engine's filters cannot say "neither of two".
pub(super) const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];
/// The call they belong to.
pub(super) const IOCTL: Call = ("ioctl", libc::SYS_ioctl);

/// A group of calls by libc's names for them.
macro_rules! group {
    ($why:literal: $($call:ident)*) => {
        Group { why: $why, calls: &[$((stringify!($call), libc::$call)),*] }
    };
}

/// What every job may do.
pub(super) const ALLOWED: &[Group] = &[
    group! {
        "start and end of processes and threads; clone is limited, see LIMITED":
        SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_get_robust_list SYS_membarrier SYS_prctl
        SYS_restart_syscall SYS_rseq SYS_set_robust_list SYS_set_tid_address SYS_wait4 SYS_waitid
    },
    group! {
        "memory of the process itself; process_madvise and memfd_secret are left out":
        SYS_brk SYS_madvise SYS_memfd_create SYS_mincore SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap SYS_mprotect
        SYS_mremap SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_pkey_alloc SYS_pkey_free
        SYS_pkey_mprotect
    },
    group! {
        "files and directories; the mount namespace and the read-only root decide what they reach":
        SYS_chdir SYS_close SYS_close_range SYS_copy_file_range SYS_dup SYS_dup3 SYS_faccessat SYS_faccessat2
        SYS_fadvise64 SYS_fallocate SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl
        SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat
        SYS_fstatfs SYS_fsync SYS_ftruncate SYS_getcwd SYS_getdents64 SYS_getxattr SYS_lgetxattr SYS_linkat
        SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_mkdirat SYS_mknodat
        SYS_newfstatat SYS_openat SYS_openat2 SYS_pread64 SYS_preadv SYS_preadv2 SYS_pwrite64 SYS_pwritev
        SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_removexattr SYS_renameat SYS_renameat2
        SYS_sendfile SYS_setxattr SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync_file_range SYS_tee
        SYS_truncate SYS_umask SYS_unlinkat SYS_utimensat SYS_write SYS_writev
    },
    group! {
        "waiting for descriptors and changes of files":
        SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_inotify_add_watch
        SYS_inotify_init1 SYS_inotify_rm_watch SYS_pipe2 SYS_ppoll SYS_pselect6 SYS_signalfd4 SYS_timerfd_create
        SYS_timerfd_gettime SYS_timerfd_settime
    },
    group! {
        "asynchronous file IO of databases; io_uring, its successor, is a family of kernel escapes and left out":
        SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_setup SYS_io_submit
    },
    group! {
        "sockets that exist already; which ones can be made is limited, see LIMITED":
        SYS_accept SYS_accept4 SYS_bind SYS_connect SYS_getpeername SYS_getsockname SYS_getsockopt SYS_listen
        SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_setsockopt SYS_shutdown
    },
    group! {
        "signals, timers, clocks (reading), sleeping and locks":
        SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_futex SYS_futex_waitv SYS_getitimer
        SYS_gettimeofday SYS_kill SYS_nanosleep SYS_pidfd_open SYS_pidfd_send_signal SYS_rt_sigaction
        SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend
        SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_setitimer SYS_sigaltstack SYS_tgkill SYS_timer_create
        SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_times SYS_tkill
    },
    group! {
        "who am I: reading is free; setting fails without capabilities, but programs try it on their way":
        SYS_capget SYS_capset SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getpgid SYS_getpid
        SYS_getppid SYS_getresgid SYS_getresuid SYS_getsid SYS_gettid SYS_getuid SYS_setfsgid SYS_setfsuid
        SYS_setgid SYS_setgroups SYS_setpgid SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setsid
        SYS_setuid
    },
    group! {
        "scheduling and limits, downwards only without capabilities":
        SYS_getcpu SYS_getpriority SYS_getrandom SYS_getrlimit SYS_getrusage SYS_ioprio_get SYS_ioprio_set
        SYS_prlimit64 SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_getaffinity
        SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler SYS_sched_rr_get_interval
        SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler SYS_sched_yield
        SYS_setpriority SYS_setrlimit SYS_sysinfo SYS_uname
    },
    group! {
        "System V and POSIX queues, semaphores and shared memory, inside the job's own ipc namespace":
        SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink
        SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_shmat
        SYS_shmctl SYS_shmdt SYS_shmget
    },
    group! {
        "a process may lock itself in further (file(1) and man(1) do)":
        SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_seccomp
    },
    LEGACY,
    RECENT,
];

/// Calls of the same kinds that only the older table of x86-64 has.
#[cfg(target_arch = "x86_64")]
const LEGACY: Group = group! {
    "older forms of the calls above":
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create
    SYS_epoll_wait SYS_eventfd SYS_fork SYS_futimesat SYS_getdents SYS_getpgrp SYS_inotify_init SYS_lchown
    SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename
    SYS_rmdir SYS_select SYS_set_thread_area SYS_signalfd SYS_stat SYS_symlink SYS_time SYS_unlink SYS_utime
    SYS_utimes SYS_vfork
};
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: Group = Group { why: "older forms of the calls above", calls: &[] };

/// Calls that libc does not know yet. Since Linux 5.1 a call has one number on every processor.
const RECENT: Group = Group {
    why: "newer forms of the calls above; map_shadow_stack is the C library's own protection of return addresses",
    calls: &[
        ("SYS_fchmodat2", 452),
        ("SYS_map_shadow_stack", 453),
        ("SYS_futex_wake", 454),
        ("SYS_futex_wait", 455),
        ("SYS_futex_requeue", 456),
        ("SYS_mseal", 462),
    ],
};

/// What a job may do with some arguments only.
pub(super) const LIMITED: &[Limited] = &[
    Limited {
        why: "processes and threads, in no namespace of their own",
        call: ("clone", libc::SYS_clone),
        if_any: &[&[Argument { index: 0, mask: NEW_NAMESPACES, value: 0 }]],
    },
    Limited {
        why: "TCP and UDP (loopback), and sockets inside the jail",
        call: ("socket", libc::SYS_socket),
        if_any: SOCKETS,
    },
    Limited {
        why: "pairs between a job's processes",
        call: ("socketpair", libc::SYS_socketpair),
        if_any: &[&[whole(0, libc::AF_UNIX)]],
    },
    Limited {
        why: "plain Linux, and asking which one it is",
        call: ("personality", libc::SYS_personality),
        if_any: &[&[whole(0, 0)], &[whole(0, -1)]],
    },
];

/// Namespace flags of `clone(2)`: a user namespace is where most kernel escapes of recent years begin. CLONE_NEWTIME
/// shares its bit with the exit signal there.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// TCP and UDP are given by number or as the default (0). No SCTP, DCCP, MPTCP: parsers nobody here needs. Netlink only
/// for getifaddrs, which asks for the interfaces.
const SOCKETS: &[&[Argument]] = &[
    &[whole(0, libc::AF_UNIX)],
    &[whole(0, libc::AF_INET), whole(2, 0)],
    &[whole(0, libc::AF_INET), whole(2, libc::IPPROTO_TCP)],
    &[whole(0, libc::AF_INET), whole(2, libc::IPPROTO_UDP)],
    &[whole(0, libc::AF_INET6), whole(2, 0)],
    &[whole(0, libc::AF_INET6), whole(2, libc::IPPROTO_TCP)],
    &[whole(0, libc::AF_INET6), whole(2, libc::IPPROTO_UDP)],
    &[whole(0, libc::AF_NETLINK), whole(2, libc::NETLINK_ROUTE)],
];

const fn whole(index: u8, value: i32) -> Argument {
    Argument { index, mask: u32::MAX, value: value as u32 }
}

/// The kernel's name of a call.
pub(super) fn name(call: &Call) -> &'static str {
    call.0.strip_prefix("SYS_").unwrap_or(call.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_escapes_are_made_of_is_not_in_the_list() {
        let all = ALLOWED.iter().flat_map(|group| group.calls);
        let allowed: Vec<&str> = all.clone().map(name).collect();
        let unique: BTreeSet<&str> = allowed.iter().copied().collect();
        assert_eq!(unique.len(), allowed.len(), "a call is named twice");
        let numbers: BTreeSet<i64> = all.map(|call| call.1).collect();
        assert_eq!(numbers.len(), allowed.len(), "a number is given twice");
        let denied = "acct add_key bpf chroot clock_settime clone clone3 delete_module fanotify_init finit_module \
             fsconfig fsmount fsopen init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp \
             kexec_load keyctl memfd_secret mount mount_setattr move_mount move_pages name_to_handle_at \
             open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root process_madvise \
             process_vm_readv process_vm_writev ptrace quotactl reboot request_key setdomainname sethostname \
             setns settimeofday socket socketpair swapon syslog umount2 unshare userfaultfd vmsplice";
        for call in denied.split_whitespace() {
            assert!(!unique.contains(call), "{call}");
        }
    }

    #[test]
    fn only_four_families_of_sockets_can_be_made() {
        let sockets = LIMITED.iter().find(|l| l.call.0 == "socket").expect("limited");
        let families: BTreeSet<u32> = sockets.if_any.iter().map(|all| all[0].value).collect();
        assert_eq!(families, BTreeSet::from([1, 2, 10, 16]));
        assert!(LIMITED.iter().all(|l| l.if_any.iter().all(|all| !all.is_empty())));
    }
}
