/* The machine owner's files. */
#include "probe.h"
#include <stdarg.h>

static int host_file_read(void)
{
    const char *path = setting("CANARY_FILE");
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return refused("open");
    return fd_has_token(fd) ? reached("read %s", path) : held("another file lies there");
}

static int host_file_write(void)
{
    int fd = open(setting("CANARY_FILE"), O_WRONLY | O_APPEND);
    if (fd < 0)
        return refused("open for writing");
    return path_has_token(setting("CANARY_FILE")) ? reached("opened for writing") : held("another file lies there");
}

static int through(const char *format, ...)
{
    char path[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(path, sizeof path, format, list);
    va_end(list);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return refused(path);
    return fd_has_token(fd) ? reached("read %s", path) : held("%s is another file", path);
}

static int proc_root(void)
{
    return through("/proc/%ld/root%s", jailed() ? 1 : number("CANARY_PID"), setting("CANARY_FILE"));
}

static int proc_cwd(void)
{
    return through("/proc/%ld/cwd/canary", number("CANARY_PID"));
}

static int descriptors(void)
{
    int seen = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat stat;
        if (fstat(fd, &stat) < 0 || !S_ISDIR(stat.st_mode))
            continue;
        seen++;
        int file = openat(fd, "canary", O_RDONLY);
        if (file >= 0 && fd_has_token(file))
            return reached("descriptor %d leads out", fd);
    }
    return held("%d directories are open", seen);
}

static int chroot_walk(void)
{
    char dir[] = "chroot-XXXXXX";
    if (!mkdtemp(dir))
        return refused("mkdtemp");
    int result;
    if (chroot(dir) < 0 && (errno != EPERM || unshare_as_root(0) < 0 || chroot(dir) < 0)) {
        result = refused("chroot");
    } else {
        for (int i = 0; i < 64; i++)
            if (chdir("..") < 0)
                break;
        result = chroot(".") == 0 && path_has_token(setting("CANARY_FILE")) ? reached("walked out of the root")
                                                                            : held("the walk ends inside");
    }
    rmdir(dir);
    return result;
}

static int by_handle(void)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle;
    char hex[2 * MAX_HANDLE_SZ + 1];
    if (sscanf(setting("CANARY_HANDLE"), "%d:%256s", &handle.head.handle_type, hex) != 2)
        return unsupported("the file system of the jobs has no handles");
    handle.head.handle_bytes = strlen(hex) / 2;
    for (unsigned i = 0; i < handle.head.handle_bytes; i++)
        sscanf(hex + 2 * i, "%2hhx", &handle.bytes[i]);
    int mount = open(".", O_RDONLY | O_DIRECTORY);
    int fd = open_by_handle_at(mount, &handle.head, O_RDONLY);
    if (fd < 0)
        return refused("open_by_handle_at");
    return fd_has_token(fd) ? reached("opened by its number") : held("another file has that number");
}

static int system_write(void)
{
    const char *const places[] = { "/usr/bin", "/etc", "/usr/lib", "/" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int fd = open(places[i], O_TMPFILE | O_WRONLY, 0600);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
            char path[64];
            snprintf(path, sizeof path, "%s/.homie-probe", places[i]);
            fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
            if (fd >= 0)
                unlink(path);
        }
        if (fd >= 0)
            return reached("made a file in %s", places[i]);
    }
    return refused("make a file in /usr, /etc or /");
}

static int opens(const char *path, int flags)
{
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return refused(path);
    char byte;
    if ((flags & O_ACCMODE) == O_RDONLY && read(fd, &byte, 1) < 1)
        return refused(path);
    /* A jail may put the device that swallows everything over what it hides. */
    struct stat found, null;
    if (jailed() && fstat(fd, &found) == 0 && stat("/dev/null", &null) == 0 && S_ISCHR(found.st_mode) &&
        found.st_rdev == null.st_rdev)
        return held("%s is covered by /dev/null", path);
    return reached("opened %s", path);
}

static int core_pattern(void) { return opens("/proc/sys/kernel/core_pattern", O_WRONLY); }
static int sysrq(void) { return opens("/proc/sysrq-trigger", O_WRONLY); }
static int kcore(void) { return opens("/proc/kcore", O_RDONLY); }
static int shadow(void) { return opens("/etc/shadow", O_RDONLY); }
static int drop_caches(void) { return opens("/proc/sys/vm/drop_caches", O_WRONLY); }

/* Reached if one of them opens for writing; otherwise the refusal that says most is given: any but that it is not there. */
static int one_opens(const char *const *places, size_t count, const char *what)
{
    int last = ENOENT;
    for (size_t i = 0; i < count; i++) {
        if (open(places[i], O_WRONLY) >= 0)
            return reached("opened %s for writing", places[i]);
        if (errno != ENOENT)
            last = errno;
    }
    errno = last;
    return refused(what);
}

static int cgroup_files(void)
{
    const char *const places[] = { "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs",
        "/sys/fs/cgroup/memory/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs" };
    return one_opens(places, sizeof places / sizeof *places, "cgroup.procs");
}

static int sys_write(void)
{
    const char *const places[] = { "/sys/kernel/mm/ksm/run", "/sys/power/state", "/sys/kernel/uevent_helper",
        "/sys/module/kernel/parameters/panic", "/sys/kernel/mm/transparent_hugepage/enabled" };
    return one_opens(places, sizeof places / sizeof *places, "/sys for writing");
}

static int job_file(const char *name)
{
    char path[4096];
    int fd = open(name, O_WRONLY | O_APPEND);
    if (fd >= 0)
        return path_has_token(name) ? reached("opened %s for writing", name) : held("%s is another file", name);
    snprintf(path, sizeof path, "%s/%s", setting("CANARY_JOB"), strrchr(name, '/') + 1);
    fd = open(path, O_WRONLY | O_APPEND);
    if (fd >= 0)
        return path_has_token(path) ? reached("opened %s for writing", path) : held("%s is another file", path);
    return refused(path);
}

static int output_file(void) { return job_file("../output"); }
static int launch_file(void) { return job_file("../launch.json"); }

static int exit_report(void)
{
    int fd = open("../exit.json", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return refused("../exit.json");
    unlink("../exit.json");
    return reached("wrote an exit report beside the job's directory");
}

const struct probe file_probes[] = {
    { "host-file-read", TRY, "open a file of the owner by its path", host_file_read },
    { "host-file-write", TRY, "open a file of the owner for writing", host_file_write },
    { "host-shadow", TRY, "read the owner's password hashes", shadow },
    { "proc-root", TRY, "walk to the owner's files by /proc/PID/root of another process", proc_root },
    { "proc-cwd", TRY, "walk to the owner's files by /proc/PID/cwd of another process", proc_cwd },
    { "open-directory", TRY, "use a directory that a careless parent left open", descriptors },
    { "chroot-walk", TRY, "leave the root by a chroot inside it (the oldest way out)", chroot_walk },
    { "file-handle", TRY, "open a file of the owner by its number on the disk (\"shocker\", 2014)", by_handle },
    { "system-write", TRY, "make a file among the programs or settings of the machine", system_write },
    { "core-pattern", TRY, "have the kernel run a program on the host at the next crash", core_pattern },
    { "sysrq", TRY, "reboot or crash the host by /proc/sysrq-trigger", sysrq },
    { "kernel-memory", TRY, "read the kernel's memory by /proc/kcore", kcore },
    { "kernel-settings", TRY, "change a setting of the kernel by /proc/sys", drop_caches },
    { "control-group", TRY, "leave the limits by writing to the control groups", cgroup_files },
    { "sys-write", TRY, "change the kernel's devices and modules by /sys", sys_write },
    { "output-file", TRY, "change what the job said: the file its supervisor keeps", output_file },
    { "launch-file", TRY, "change what the job may have: the order its supervisor read", launch_file },
    { "exit-report", TRY, "forge how the job ended", exit_report },
    { 0 },
};
