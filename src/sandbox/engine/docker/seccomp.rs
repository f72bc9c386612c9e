//! The system calls a job may make in a container: an allowlist of our own, sent inline with each container.
//!
//! Engines ship a default list, but it differs from release to release (Docker 20.10 lets AF_VSOCK and io_uring
//! through, AF_ALG was closed only in 29), so a job's jail would depend on the owner's package manager. What is not
//! named here gets EPERM. Calls that are newer than the engine's seccomp library get ENOSYS from runc itself.

use serde_json::{Value, json};

/// Namespace flags of `clone(2)`: a user namespace is where most kernel escapes of recent years begin.
/// NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET; NEWTIME shares its bit with the exit signal there.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;

/// `ENOSYS`: the answer that makes a C library fall back to an older call, where EPERM would make it give up.
const ENOSYS: u64 = 38;

/// (why these are allowed, the calls).
const ALLOWED: &[(&str, &str)] = &[
    (
        "start and end of processes and threads; clone is limited below",
        "arch_prctl execve execveat exit exit_group fork get_robust_list membarrier prctl restart_syscall \
         rseq set_robust_list set_thread_area set_tid_address vfork wait4 waitid waitpid",
    ),
    (
        "memory of the process itself; process_madvise and memfd_secret are left out",
        "brk madvise memfd_create mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap msync munlock \
         munlockall munmap pkey_alloc pkey_free pkey_mprotect",
    ),
    (
        "files and directories; the mount namespace and the read-only root decide what they reach",
        "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 \
         fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fcntl64 fdatasync \
         fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd \
         getdents getdents64 getxattr lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek \
         lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 \
         pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat \
         renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync_file_range tee \
         truncate umask unlink unlinkat utime utimensat utimes write writev",
    ),
    (
        "waiting for descriptors and changes of files",
        "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 \
         inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl pipe pipe2 poll ppoll pselect6 \
         select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime",
    ),
    (
        "asynchronous file IO of databases; io_uring, its successor, is a family of kernel escapes and left out",
        "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit",
    ),
    (
        "sockets that exist already; which ones can be made is limited below",
        "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg \
         sendmmsg sendmsg sendto setsockopt shutdown",
    ),
    (
        "signals, timers, clocks (reading), sleeping and locks",
        "alarm clock_getres clock_gettime clock_nanosleep futex futex_requeue futex_wait futex_waitv \
         futex_wake getitimer gettimeofday kill nanosleep pause pidfd_open pidfd_send_signal rt_sigaction \
         rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
         rt_tgsigqueueinfo setitimer sigaltstack tgkill time timer_create timer_delete timer_getoverrun \
         timer_gettime timer_settime times tkill",
    ),
    (
        "who am I: reading is free; setting fails without capabilities, but programs try it on their way",
        "capget capset getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getresgid getresuid \
         getsid gettid getuid setfsgid setfsuid setgid setgroups setpgid setregid setresgid setresuid \
         setreuid setsid setuid",
    ),
    (
        "scheduling and limits, downwards only without capabilities",
        "getcpu getpriority getrandom getrlimit getrusage ioprio_get ioprio_set prlimit64 \
         sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
         sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam \
         sched_setscheduler sched_yield setpriority setrlimit sysinfo uname",
    ),
    (
        "System V and POSIX queues, semaphores and shared memory, inside the job's own ipc namespace",
        "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd \
         semctl semget semop semtimedop shmat shmctl shmdt shmget",
    ),
    (
        "a process may lock itself in further (file(1) and man(1) do)",
        "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp",
    ),
];

/// The profile as the engine's API takes it.
///
/// No architecture is named: the engine then filters for the machine's own, and a 32-bit or x32 call, whose arguments
/// mean other things, ends the process.
pub(super) fn profile() -> Value {
    let mut rules: Vec<Value> = ALLOWED.iter().map(|(why, calls)| allow(&names(calls), &[], why)).collect();
    rules.push(allow(
        &["clone"],
        &[json!({"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": CLONE_NAMESPACES, "valueTwo": 0})],
        "processes and threads, in no namespace of their own",
    ));
    rules.push(json!({
        "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS,
        "comment": "its flags lie in memory, out of a filter's reach; the C library then takes clone",
    }));
    // TCP and UDP, given by number or as the default (0). No SCTP, DCCP, MPTCP: parsers nobody here needs.
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP] {
            rules.push(allow(&["socket"], &[equals(0, family), equals(2, protocol)], "internet sockets (loopback)"));
        }
    }
    rules.push(allow(&["socket"], &[equals(0, libc::AF_UNIX)], "sockets inside the container"));
    rules.push(allow(
        &["socket"],
        &[equals(0, libc::AF_NETLINK), equals(2, libc::NETLINK_ROUTE)],
        "getifaddrs asks for the interfaces",
    ));
    rules.push(allow(&["socketpair"], &[equals(0, libc::AF_UNIX)], "pairs between a job's processes"));
    for persona in [0, 0xffff_ffff_u32] {
        rules.push(allow(&["personality"], &[equals(0, persona)], "plain Linux, and asking which one it is"));
    }
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules })
}

fn names(calls: &str) -> Vec<&str> {
    calls.split_whitespace().collect()
}

fn allow(names: &[&str], args: &[Value], why: &str) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args, "comment": why })
}

fn equals(index: u8, value: impl Into<i64>) -> Value {
    json!({ "index": index, "op": "SCMP_CMP_EQ", "value": value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_escapes_are_made_of_is_not_in_the_list() {
        let allowed: Vec<&str> = ALLOWED.iter().flat_map(|(_, calls)| names(calls)).collect();
        let unique: BTreeSet<&str> = allowed.iter().copied().collect();
        assert_eq!(unique.len(), allowed.len(), "a call is named twice");
        for call in names(
            "acct add_key bpf chroot clock_settime clone clone3 delete_module fanotify_init finit_module fsconfig \
             fsmount fsopen init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp \
             kexec_load keyctl memfd_secret mount mount_setattr move_mount move_pages name_to_handle_at \
             open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root process_madvise \
             process_vm_readv process_vm_writev ptrace quotactl reboot request_key setdomainname sethostname \
             setns settimeofday socket socketpair swapon syslog umount2 unshare userfaultfd vmsplice",
        ) {
            assert!(!unique.contains(call), "{call}");
        }
    }

    #[test]
    fn calls_with_two_faces_are_allowed_by_argument_only() {
        let profile = profile();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = profile["syscalls"].as_array().expect("rules");
        for name in ["clone", "socket", "socketpair", "personality"] {
            let named: Vec<_> =
                rules.iter().filter(|r| r["names"].as_array().expect("names").contains(&json!(name))).collect();
            assert!(!named.is_empty(), "{name}");
            assert!(named.iter().all(|r| !r["args"].as_array().expect("args").is_empty()), "{name}");
        }
        let families: BTreeSet<i64> = rules
            .iter()
            .filter(|r| r["names"] == json!(["socket"]))
            .map(|r| r["args"][0]["value"].as_i64().expect("family"))
            .collect();
        assert_eq!(families, BTreeSet::from([1, 2, 10, 16]));
        let clone3 = rules.iter().find(|r| r["names"] == json!(["clone3"])).expect("clone3");
        assert_eq!((&clone3["action"], &clone3["errnoRet"]), (&json!("SCMP_ACT_ERRNO"), &json!(38)));
    }
}
