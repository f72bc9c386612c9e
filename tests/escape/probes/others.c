/* Other jobs and the owner's programs: their memory, descriptors, files, queues and sockets. */
#include "probe.h"
#include <dirent.h>
#include <mqueue.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static long canary(void) { return number("CANARY_PID"); }

static int job_directory(void)
{
    const char *path = setting("CANARY_OTHER");
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return refused("open");
    return fd_has_token(fd) ? reached("read %s", path) : held("another file lies there");
}

/* Whether /proc shows any process with the token in `file`. */
static int any_process(const char *file, const char *wanted)
{
    DIR *proc = opendir("/proc");
    char path[300], text[1 << 14];
    int seen = 0;
    if (!proc)
        return refused("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (*entry->d_name < '0' || *entry->d_name > '9' || atoi(entry->d_name) == getpid()
            || atoi(entry->d_name) == getppid())
            continue;
        seen++;
        snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, file);
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (fd >= 0)
            close(fd);
        if (n > 0 && memmem(text, n, wanted, strlen(wanted))) {
            closedir(proc);
            return reached("process %s tells by its %s", entry->d_name, file);
        }
    }
    closedir(proc);
    return held("%d other processes are seen, none of them outside", seen);
}

static int see_processes(void) { return any_process("cmdline", "canary"); }

/* The canary alone has this in its environment, beside its secrets. */
static int see_environment(void) { return any_process("environ", "CANARY_KEEPER="); }

static int is_canary(void)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%ld/cmdline", canary());
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    return n > 0 && memmem(text, n, "canary", 6) != NULL;
}

static int send_signal(void)
{
    if (kill(canary(), SIGUSR1) < 0)
        return errno == ESRCH ? held("no such process") : refused("kill");
    return is_canary() ? reached("sent a signal to it") : held("that number is a process of the job");
}

static int read_memory(void)
{
    char text[64] = { 0 };
    struct iovec here = { text, strlen(setting("CANARY_TOKEN")) },
                 there = { (void *)number("CANARY_ADDRESS"), here.iov_len };
    if (here.iov_len > sizeof text)
        here.iov_len = there.iov_len = sizeof text;
    if (process_vm_readv(canary(), &here, 1, &there, 1, 0) < 0)
        return errno == ESRCH ? held("no such process") : refused("process_vm_readv");
    return memcmp(text, setting("CANARY_TOKEN"), here.iov_len) ? held("other memory") : reached("read its memory");
}

static int trace(void)
{
    if (ptrace(PTRACE_SEIZE, canary(), 0, 0) < 0)
        return errno == ESRCH ? held("no such process") : refused("ptrace");
    return is_canary() ? reached("traced it") : reached("traced a process of the job");
}

static int trace_init(void)
{
    /* Outside, nobody's init is touched: a process of our own stands for it. */
    pid_t target = 1;
    if (!jailed() && (target = fork()) == 0) {
        pause();
        _exit(0);
    }
    int verdict = verdict_of(ptrace(PTRACE_SEIZE, target, 0, 0), "ptrace of init");
    if (target != 1)
        kill(target, SIGKILL);
    return verdict;
}

static int steal_descriptor(void)
{
    int pidfd = syscall(SYS_pidfd_open, canary(), 0);
    if (pidfd < 0)
        return errno == ESRCH || errno == EINVAL ? held("no such process") : refused("pidfd_open");
    int fd = syscall(SYS_pidfd_getfd, pidfd, (int)number("CANARY_FD"), 0);
    if (fd < 0)
        return refused("pidfd_getfd");
    lseek(fd, 0, SEEK_SET);
    return fd_has_token(fd) ? reached("took its open file") : held("took a descriptor of the job");
}

/* Whether a process is held as tightly as this one: then taking it over gains nothing. */
static int held_as_tightly(pid_t target)
{
    char path[64], line[256];
    unsigned long long caps;
    int filter = -1, no_new = -1, none = 0;
    snprintf(path, sizeof path, "/proc/%d/status", target);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status)) {
        sscanf(line, "Seccomp: %d", &filter);
        sscanf(line, "NoNewPrivs: %d", &no_new);
        if (sscanf(line, "CapPrm: %llx", &caps) == 1)
            none = caps == 0;
    }
    return filter == 2 && no_new == 1 && none;
}

static int init_memory(void)
{
    char path[64];
    pid_t target = 1;
    if (!jailed() && (target = fork()) == 0) {
        pause();
        _exit(0);
    }
    snprintf(path, sizeof path, "/proc/%d/mem", target);
    int verdict = verdict_of(open(path, O_RDWR), path);
    if (jailed() && verdict == REACHED && held_as_tightly(target))
        verdict = held("init is in the same jail, with the same filter and no rights");
    if (target != 1)
        kill(target, SIGKILL);
    return verdict;
}

static int compare(void)
{
    return verdict_of(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1), "kcmp");
}

static int shared_memory(void)
{
    if (!*setting("CANARY_SHM"))
        return unsupported("the canary has no shared memory");
    char *at = shmat(number("CANARY_SHM"), NULL, SHM_RDONLY);
    if (at == (void *)-1)
        return errno == EINVAL ? held("no such segment") : refused("shmat");
    return strcmp(at, setting("CANARY_TOKEN")) ? held("a segment of the job") : reached("read it");
}

static int message_queue(void)
{
    if (!*setting("CANARY_QUEUE"))
        return unsupported("the canary has no queue");
    mqd_t queue = mq_open(setting("CANARY_QUEUE"), O_RDONLY);
    return queue == (mqd_t)-1 && errno == ENOENT ? held("no such queue") : verdict_of(queue, "mq_open");
}

static int holds_token(const char *path)
{
    if (!*path)
        return unsupported("the canary has no such file");
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return errno == ENOENT ? held("no such file") : refused(path);
    return fd_has_token(fd) ? reached("read %s", path) : held("another file lies there");
}

static int dev_shm(void) { return holds_token(setting("CANARY_DEVSHM")); }
static int tmp(void) { return holds_token(setting("CANARY_TMP")); }

static int unix_connect(const char *name, size_t length)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    memcpy(at.sun_path, name, length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return refused("socket");
    if (connect(fd, (struct sockaddr *)&at, offsetof(struct sockaddr_un, sun_path) + length) < 0)
        return errno == ENOENT || errno == ECONNREFUSED ? held("nobody listens") : refused("connect");
    return fd_has_token(fd) ? reached("it answered") : held("somebody else answered");
}

static int abstract_socket(void)
{
    char name[100] = { 0 };
    int length = snprintf(name + 1, sizeof name - 1, "%s", setting("CANARY_ABSTRACT"));
    return length ? unix_connect(name, length + 1) : unsupported("the canary has no such socket");
}

static int path_socket(void)
{
    const char *path = setting("CANARY_SOCKET");
    return *path ? unix_connect(path, strlen(path)) : unsupported("the canary has no such socket");
}

const struct probe other_probes[] = {
    { "job-directory", TRY, "read the directory of another job", job_directory },
    { "see-processes", TRY, "see the owner's processes and their command lines", see_processes },
    { "see-environment", TRY, "read the secrets in a process's environment", see_environment },
    { "signal-process", TRY, "stop or kill a process outside", send_signal },
    { "process-memory", TRY, "read the memory of a process outside", read_memory },
    { "ptrace", TRY, "take over a process outside with a debugger's calls", trace },
    { "ptrace-init", TRY, "stop the job's own init, so that it never ends", trace_init },
    { "init-memory", TRY, "take over the job's init, where that is held less tightly", init_memory },
    { "steal-descriptor", TRY, "copy an open file out of another process", steal_descriptor },
    { "compare-processes", TRY, "learn addresses of the kernel by comparing descriptors (kcmp)", compare },
    { "shared-memory", TRY, "attach a System V segment of another process", shared_memory },
    { "message-queue", TRY, "open a POSIX queue of another process", message_queue },
    { "dev-shm", TRY, "read another process's file in /dev/shm", dev_shm },
    { "shared-tmp", TRY, "read another process's file in /tmp", tmp },
    { "abstract-socket", TRY, "speak to a service by its abstract socket (X11, D-Bus, containerd)", abstract_socket },
    { "path-socket", TRY, "speak to a service by its socket's path (docker.sock)", path_socket },
    { 0 },
};
