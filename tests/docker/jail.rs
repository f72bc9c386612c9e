//! What a job cannot reach: the network, other users' rights, the host's files, the kernel's dangerous corners.

use crate::engine::{HOWS, TestJob, is_podman, shared};

#[tokio::test]
async fn there_is_no_network_but_its_own_loopback() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        let program = "import os, socket\n\
                   print(sorted(os.listdir('/sys/class/net')))\n\
                   for target in [('1.1.1.1', 53), ('172.17.0.1', 80), ('10.0.0.1', 22)]:\n\
                   \x20 try: socket.create_connection(target, 2); print('REACHED', target)\n\
                   \x20 except OSError as e: print(e.errno)\n\
                   try: socket.getaddrinfo('deb.debian.org', 80); print('RESOLVED')\n\
                   except OSError: print('no names')\n";
        let (done, _) = TestJob::python(&docker, program).run_as(&docker, how).await;
        let lines: Vec<&str> = done.stdout.lines().collect();
        // 101 is ENETUNREACH.
        assert_eq!(lines, ["['lo']", "101", "101", "101", "no names"], "{}", done.stderr);
    }
}

#[tokio::test]
async fn every_namespace_is_its_own() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        let mut kinds = vec!["ipc", "mnt", "net", "pid", "uts"];
        // Podman makes none of these on version 1 of cgroups; the files there are read-only for the job all the same.
        if !is_podman(&docker).await || std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            kinds.push("cgroup");
        }
        let program = format!("import os\nfor k in {kinds:?}: print(os.readlink('/proc/self/ns/' + k))");
        let (done, _) = TestJob::python(&docker, &program).run_as(&docker, how).await;
        let inside: Vec<&str> = done.stdout.lines().collect();
        assert_eq!(inside.len(), kinds.len(), "{}", done.stderr);
        for (kind, inside) in kinds.iter().zip(inside) {
            let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("own namespace");
            assert_ne!(inside, host.to_string_lossy(), "{kind}");
        }
    }
}

#[tokio::test]
async fn it_is_nobody_with_no_rights_and_a_filter() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        let job = TestJob::new(&docker, &["sh", "-c", "id -u; id -g; id -G; cat /proc/self/status"]);
        let (done, job) = job.run_as(&docker, how).await;
        let lines: Vec<&str> = done.stdout.lines().collect();
        let uid = job.launch.uid.to_string();
        assert_eq!(lines[..3], [&uid[..], &job.launch.gid.to_string(), &job.launch.gid.to_string()], "{}", done.stderr);
        let field = |name: &str| {
            let line = lines.iter().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name} is missing"));
            line.split_whitespace().nth(1).expect("value").to_owned()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Seccomp:"), "2");
    }
}

#[tokio::test]
async fn only_its_directory_and_tmp_can_be_written() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        let program = "import os\n\
                   for place in ['/', '/usr', '/etc', '/var', '/proc/sys/kernel', '/sys', '/dev']:\n\
                   \x20 try: open(place + '/x', 'w'); print('WROTE', place)\n\
                   \x20 except OSError as e: pass\n\
                   open('/work/x', 'w').write('w'); open('/tmp/x', 'w').write('t')\n\
                   try:\n\
                   \x20 with open('/tmp/big', 'wb') as f:\n\
                   \x20   for _ in range(64): f.write(bytes(1 << 20))\n\
                   \x20 print('NO BOUND')\n\
                   except OSError as e: print('tmp is full:', e.errno)\n\
                   print([l.split()[3] for l in open('/proc/mounts') if l.split()[1] == '/tmp'])\n\
                   print(os.environ.get('HOSTNAME', ''), os.path.exists('/var/run/docker.sock'))\n\
                   print(open('/etc/resolv.conf').read().strip() or 'no resolver')\n";
        let job = TestJob::python(&docker, program);
        let (done, job) = job.run_as(&docker, how).await;
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert_eq!(lines[0], "tmp is full: 28", "{}{}", done.stdout, done.stderr);
        assert!(
            lines[1].contains("nosuid") && lines[1].contains("nodev") && !lines[1].contains("noexec"),
            "{}",
            lines[1]
        );
        assert!(lines[2].ends_with("False"), "{}", lines[2]);
        assert_eq!(job.result("x"), b"w");
    }
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        if std::env::consts::ARCH != "x86_64" {
            return crate::engine::absent("the numbers of the calls are those of x86_64");
        }
        // (name, number, arguments). Arguments are such that the call would succeed, or fail otherwise than by EPERM.
        let calls = "[('unshare user ns', 272, 0x10000000), ('unshare net', 272, 0x40000000), ('clone user ns', 56, 0x10000011),\n\
                 ('setns', 308, -1, 0), ('mount', 165, 0, 0, 0, 0, 0), ('umount2', 166, 0, 0), ('pivot_root', 155, 0, 0),\n\
                 ('fsopen', 430, 0, 0), ('open_tree', 428, -100, 0, 0), ('move_mount', 429, -1, 0, -1, 0, 0),\n\
                 ('mount_setattr', 442, -1, 0, 0, 0, 0), ('ptrace traceme', 101, 0, 0, 0, 0),\n\
                 ('process_vm_readv', 310, 1, 0, 0, 0, 0, 0), ('process_vm_writev', 311, 1, 0, 0, 0, 0, 0),\n\
                 ('userfaultfd', 323, 1), ('bpf', 321, 0, 0, 0), ('perf_event_open', 298, 0, 0, -1, -1, 0),\n\
                 ('keyctl', 250, 0, -3, 0, 0, 0), ('add_key', 248, 0, 0, 0, 0, 0), ('request_key', 249, 0, 0, 0, 0),\n\
                 ('io_uring_setup', 425, 1, 0), ('io_uring_enter', 426, -1, 0, 0, 0, 0, 0), ('io_uring_register', 427, -1, 0, 0, 0),\n\
                 ('open_by_handle_at', 304, -1, 0, 0), ('name_to_handle_at', 303, -100, 0, 0, 0, 0), ('kcmp', 312, 1, 1, 0, 0, 0),\n\
                 ('chroot', 161, 0), ('syslog', 103, 3, 0, 0), ('quotactl', 179, 0, 0, 0, 0), ('pidfd_getfd', 438, -1, 0, 0),\n\
                 ('vmsplice', 278, -1, 0, 0, 0), ('personality', 135, 0x40000), ('fanotify_init', 300, 0, 0),\n\
                 ('socket vsock', 41, 40, 1, 0), ('socket alg', 41, 38, 5, 0), ('socket packet', 41, 17, 3, 0),\n\
                 ('socket bluetooth', 41, 31, 1, 0), ('socket netlink audit', 41, 16, 3, 9), ('socket sctp', 41, 2, 1, 132),\n\
                 ('socket mptcp', 41, 2, 1, 262), ('socketpair inet', 53, 2, 1, 0, 0), ('modify_ldt', 154, 0, 0, 0), ('acct', 163, 0)]";
        let program = format!(
            "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         for name, number, *args in {calls}:\n\
         \x20 ctypes.set_errno(0)\n\
         \x20 r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])\n\
         \x20 if r == 0 and name.startswith('clone'): __import__('os')._exit(0)\n\
         \x20 if r != -1 or ctypes.get_errno() != 1: print('LET THROUGH', name, r, ctypes.get_errno())\n\
         ctypes.set_errno(0); r = libc.syscall(ctypes.c_long(435), 0, 0); print('clone3', r, ctypes.get_errno())\n\
         for ok in [(1, 1, 0), (2, 1, 0), (2, 2, 17), (10, 1, 6), (16, 3, 0)]:\n\
         \x20 if libc.syscall(ctypes.c_long(41), *[ctypes.c_long(a) for a in ok]) < 0: print('REFUSED', ok)\n"
        );
        let (done, _) = TestJob::python(&docker, &program).run_as(&docker, how).await;
        // 38 is ENOSYS: what makes the C library fall back to clone.
        assert_eq!(done.stdout, "clone3 -1 38\n", "{}", done.stderr);
    }
}

#[tokio::test]
async fn thirty_two_bit_calls_do_not_get_round_the_filter() {
    let Some(docker) = shared().await else { return };
    for how in HOWS {
        if std::env::consts::ARCH != "x86_64" {
            return crate::engine::absent("only x86_64 has a second table of calls");
        }
        // getpid by the 32-bit entry: number 20 there, harmless, but unfiltered it would open the whole table.
        let source = "#include <stdio.h>\nint main(void) { long r; __asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(20));\n\
                  printf(\"REACHED %ld\\n\", r); return 0; }\n";
        let job = TestJob::new(&docker, &["sh", "-c", "cc -o a main.c && ./a"]).with_file("main.c", source);
        let (done, _) = job.run_as(&docker, how).await;
        assert!(!done.stdout.contains("REACHED"), "{}", done.stdout);
    }
}
