/* Devices, and rights that a job must not have. */
#include "probe.h"
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

static int make_device(void)
{
    char name[64], byte = 1;
    snprintf(name, sizeof name, "device-%d", getpid());
    if (mknod(name, S_IFCHR | 0600, makedev(1, 5)) < 0)
        return refused("mknod");
    int fd = open(name, O_RDONLY);
    int works = fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0;
    int error = errno;
    unlink(name);
    errno = error;
    return works ? reached("made a device that works") : refused("open the new device");
}

static int open_any(const char *const *paths, int flags)
{
    int last = ENOENT;
    for (; *paths; paths++) {
        if (open(*paths, flags | O_NONBLOCK) >= 0)
            return reached("opened %s", *paths);
        if (errno != ENOENT)
            last = errno;
    }
    errno = last;
    return refused("open the device");
}

static int disk(void)
{
    FILE *partitions = fopen("/proc/partitions", "r");
    char line[256], name[128], path[160];
    int last = ENOENT;
    while (partitions && fgets(line, sizeof line, partitions)) {
        if (sscanf(line, "%*d %*d %*d %127s", name) != 1)
            continue;
        snprintf(path, sizeof path, "/dev/%s", name);
        if (open(path, O_RDONLY | O_NONBLOCK) >= 0)
            return reached("opened %s", path);
        if (errno != ENOENT)
            last = errno;
    }
    errno = last;
    return refused("open a disk");
}

static int memory(void) { return open_any((const char *const[]){ "/dev/mem", "/dev/kmem", "/dev/port", 0 }, O_RDONLY); }
static int kmsg(void) { return open_any((const char *const[]){ "/dev/kmsg", 0 }, O_WRONLY); }
static int kvm(void) { return open_any((const char *const[]){ "/dev/kvm", 0 }, O_RDWR); }
static int fuse(void) { return open_any((const char *const[]){ "/dev/fuse", 0 }, O_RDWR); }
static int tun(void) { return open_any((const char *const[]){ "/dev/net/tun", 0 }, O_RDWR); }
static int loop(void) { return open_any((const char *const[]){ "/dev/loop-control", "/dev/loop0", 0 }, O_RDWR); }

static int console(void)
{
    return open_any((const char *const[]){ "/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0", 0 }, O_WRONLY);
}

static int controlling_terminal(void)
{
    /* Outside, a terminal of our own stands for the owner's. */
    if (!jailed()) {
        int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0;
        if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || setsid() < 0)
            return refused("a terminal");
        int slave = ioctl(master, TIOCGPTPEER, O_RDWR);
        if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
            return refused("a terminal");
    }
    int fd = open("/dev/tty", O_RDWR);
    if (fd < 0)
        return refused("/dev/tty");
    return reached("has a terminal to type into");
}

static int is_root(void)
{
    if (geteuid() == 0 || getegid() == 0)
        return reached("uid %d, gid %d", geteuid(), getegid());
    return jailed() ? held("uid %d, gid %d", geteuid(), getegid()) : unsupported("homied is an ordinary user itself");
}

static int become_root(void)
{
    if (geteuid() != 0 && (setuid(0) < 0 || geteuid() != 0))
        return refused("setuid 0");
    return reached("became root");
}

static int give_away(void)
{
    char name[64];
    snprintf(name, sizeof name, "owned-%d", getpid());
    int fd = open(name, O_CREAT | O_WRONLY, 0755);
    int result = fchown(fd, geteuid() ? 0 : 1, -1), error = errno;
    unlink(name);
    errno = error;
    return verdict_of(result, "gave a file to another user");
}

static int map_users(void)
{
    int fd = open("/proc/self/uid_map", O_WRONLY);
    /* Outside, a namespace is made first, which is what makes the map writable. */
    if (!jailed() && unshare(CLONE_NEWUSER) == 0)
        fd = open("/proc/self/uid_map", O_WRONLY);
    char text[64];
    int length = snprintf(text, sizeof text, "0 %d 1", geteuid());
    if (!jailed() && fd >= 0)
        length = snprintf(text, sizeof text, "0 %s 1", number("CANARY_UID") ? setting("CANARY_UID") : "0");
    return verdict_of(fd < 0 ? -1 : write(fd, text, length), "uid_map");
}

static int capabilities(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long set;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "CapPrm: %llx", &set) == 1 && set)
            return reached("permitted: %#llx", set);
    return jailed() ? held("none") : unsupported("an ordinary user has none either");
}

/* Runs a program whose file says setuid root and looks at what it became. It asks for a password, which never comes. */
static int setuid_program(void)
{
    const char *const programs[] = { "/usr/bin/su", "/bin/su", "/usr/bin/newgrp", "/usr/bin/passwd", 0 };
    const char *program = NULL;
    struct stat stat_of;
    for (int i = 0; programs[i] && !program; i++)
        if (stat(programs[i], &stat_of) == 0 && stat_of.st_mode & S_ISUID && stat_of.st_uid == 0)
            program = programs[i];
    if (!program)
        return unsupported("no setuid program is here");
    int in[2];
    if (pipe(in) < 0)
        return refused("pipe");
    pid_t child = fork();
    if (child == 0) {
        become_nobody();
        int null = open("/dev/null", O_WRONLY);
        dup2(in[0], 0);
        dup2(null, 1);
        dup2(null, 2);
        /* Nobody is asked for a password in a session without a terminal; it waits for the pipe. */
        setsid();
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    char path[64], line[256];
    int euid = -1, exited = 0;
    /* Looks until it has become another program. */
    for (int i = 0; i < 400 && !exited; i++) {
        char exe[64] = { 0 };
        struct timespec pause = { .tv_nsec = 5000000 };
        snprintf(path, sizeof path, "/proc/%d/exe", child);
        ssize_t n = readlink(path, exe, sizeof exe - 1);
        snprintf(path, sizeof path, "/proc/%d/status", child);
        FILE *status = fopen(path, "r");
        int now = -1;
        while (status && fgets(line, sizeof line, status))
            sscanf(line, "Uid: %*d %d", &now);
        if (status)
            fclose(status);
        /* Who became root is hidden from us: its exe cannot be read any more. */
        if (now == 0 || (n > 0 && strcmp(exe, program) == 0))
            euid = now;
        if (euid == 0)
            break;
        exited = waitpid(child, NULL, WNOHANG) != 0;
        nanosleep(&pause, NULL);
    }
    kill(child, SIGKILL);
    if (euid != 0 && !jailed() && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return unsupported("homied itself gains no rights by any program (NoNewPrivileges)");
    return euid == 0 ? reached("%s ran as root", program) : held("%s ran as %d", program, euid);
}

static int oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0)
        return refused("oom_score_adj");
    return verdict_of(write(fd, "-1000", 5), "never to be killed for want of memory");
}

static int priority(void) { return verdict_of(setpriority(PRIO_PROCESS, 0, -20), "priority -20"); }

static int real_time(void)
{
    struct sched_param param = { .sched_priority = 1 };
    return verdict_of(sched_setscheduler(0, SCHED_FIFO, &param), "real-time priority");
}

static int raise_limits(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max += 1;
    return verdict_of(setrlimit(RLIMIT_NOFILE, &limit), "raised a hard limit");
}

static int lock_memory(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_max > 64UL << 20)
        return reached("may lock %lu MiB", (unsigned long)(limit.rlim_max >> 20));
    return jailed() ? held("%lu KiB", (unsigned long)(limit.rlim_max >> 10)) : unsupported("this user may not either");
}

static int core_dump(void)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
    if (setrlimit(RLIMIT_CORE, &limit) == 0)
        return reached("cores of any size");
    getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_max > 0 ? reached("cores of %lu bytes", (unsigned long)limit.rlim_max) : refused("core dumps");
}

const struct probe device_probes[] = {
    { "make-device", TRY, "make a device file and use it", make_device },
    { "disk", TRY, "read the machine's disk under its file system", disk },
    { "physical-memory", TRY, "read the machine's memory (/dev/mem)", memory },
    { "kernel-messages", TRY, "write into the kernel's log (/dev/kmsg)", kmsg },
    { "kvm", TRY, "start virtual machines (/dev/kvm)", kvm },
    { "fuse", TRY, "mount a file system that answers as it likes (/dev/fuse)", fuse },
    { "tun", TRY, "make a network interface (/dev/net/tun)", tun },
    { "loop-device", TRY, "turn a file into a disk", loop },
    { "console", TRY, "write to the machine's console", console },
    { "terminal", TRY, "type into the terminal it was started from (TIOCSTI)", controlling_terminal },
    { "root", TRY, "be root", is_root },
    { "become-root", TRY, "become root", become_root },
    { "give-away", TRY, "make a file that belongs to another user", give_away },
    { "map-users", TRY, "map itself to root", map_users },
    { "capabilities", TRY, "keep a capability", capabilities },
    { "setuid-program", TRY, "get root by a setuid program of the image", setuid_program },
    { "oom-score", TRY, "have the owner's programs killed instead when memory runs out", oom_score },
    { "priority", TRY, "run before the owner's programs", priority },
    { "real-time", TRY, "run before everything else", real_time },
    { "raise-limits", TRY, "raise its own limits", raise_limits },
    { "lock-memory", TRY, "lock memory that the owner needs", lock_memory },
    { "core-dumps", TRY, "leave core dumps as large as its memory", core_dump },
    { 0 },
};
