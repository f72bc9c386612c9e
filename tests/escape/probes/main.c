/* escape list | run NAME... | all | canary | handle PATH
 *
 * list    every probe: name, kind, why
 * run     these probes, one after the other, each in a process of its own: name, verdict, what happened
 * all     all of kind "try"
 * canary  a process that is worth reaching; see canary.c
 * handle  the handle of a file, as name_to_handle_at gives it
 * Fields are separated by tabs, one probe a line. */
#include "probe.h"
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sched.h>

static const struct probe *const lists[] = { file_probes, other_probes, network_probes, namespace_probes, kernel_probes,
    device_probes, limit_probes, result_probes };
static const char *const kinds[] = { "try", "bomb", "linger", "plant", "print" };
static const char *const words[] = { "held", "reached", "unsupported" };
static const char *const groups[] = { "host files", "other jobs", "network", "namespaces and mounts", "kernel",
    "devices and rights", "limits", "results and output" };

/* A probe that hangs was held. The slowest takes two seconds, and ten times that on a machine with much else to do. */
#define PATIENCE_S 90

/* Shared with the child that makes the attempt. */
static char *note;
#define NOTE_BYTES 256

static void say(const char *format, va_list list)
{
    vsnprintf(note, NOTE_BYTES, format, list);
    for (char *c = note; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

#define VERDICT(name, value)                                                                                           \
    int name(const char *format, ...)                                                                                  \
    {                                                                                                                  \
        va_list list;                                                                                                  \
        va_start(list, format);                                                                                        \
        say(format, list);                                                                                             \
        va_end(list);                                                                                                  \
        return value;                                                                                                  \
    }
VERDICT(reached, REACHED)
VERDICT(held, HELD)
VERDICT(unsupported, UNSUPPORTED)

const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

long number(const char *name)
{
    return strtol(setting(name), NULL, 0);
}

int jailed(void)
{
    return number("CANARY_JAILED") != 0;
}

int refused(const char *what)
{
    int error = errno;
    if (!jailed()) {
        switch (error) {
        case ENOSYS: case EAFNOSUPPORT: case EPROTONOSUPPORT: case ESOCKTNOSUPPORT: case EOPNOTSUPP: case ENODEV:
        case ENXIO: case ENOENT: case EPFNOSUPPORT:
            return unsupported("this kernel has none: %s: %s", what, strerror(error));
        case EPERM: case EACCES: case EROFS:
            return unsupported("homied's user may not either: %s: %s", what, strerror(error));
        }
    }
    return held("%s: %s", what, strerror(error));
}

int verdict_of(long result, const char *what)
{
    return result < 0 ? refused(what) : reached("%s", what);
}

int listened(long result, const char *what)
{
    if (result < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))
        return refused(what);
    return reached("%s: %s", what, result < 0 ? strerror(errno) : "done");
}

int fd_has_token(int fd)
{
    static char text[1 << 16];
    const char *token = setting("CANARY_TOKEN");
    ssize_t n = 0, got;
    while ((size_t)n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += got;
    return *token && memmem(text, n, token, strlen(token)) != NULL;
}

int path_has_token(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int has = fd_has_token(fd);
    close(fd);
    return has;
}

int status_of(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

void become_nobody(void)
{
    const int nobody = 65534;
    if (geteuid() != 0)
        return;
    if (setresgid(nobody, nobody, nobody) < 0 || setresuid(nobody, nobody, nobody) < 0)
        _exit(HELD);
}

int unshare_as_root(int flags)
{
    if (unshare(flags) == 0)
        return 0;
    return errno == EPERM ? unshare(flags | CLONE_NEWUSER) : -1;
}

static const struct probe *find(const char *name)
{
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (const struct probe *p = lists[l]; p->name; p++)
            if (strcmp(p->name, name) == 0)
                return p;
    return NULL;
}

static void attempt(const struct probe *probe)
{
    memset(note, 0, NOTE_BYTES);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        printf("%s\theld\tno process could be made: %s\n", probe->name, strerror(errno));
        return;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(PATIENCE_S);
        _exit(probe->run());
    }
    int status = status_of(child), verdict = HELD;
    if (WIFEXITED(status) && WEXITSTATUS(status) <= UNSUPPORTED)
        verdict = WEXITSTATUS(status);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && !jailed())
        /* Under systemd with SystemCallArchitectures=native. */
        verdict = unsupported("homied itself may not either: its own filter ends who tries");
    else if (WIFSIGNALED(status))
        held("ended by signal %d", WTERMSIG(status));
    printf("%s\t%s\t%s\n", probe->name, words[verdict], note);
    fflush(stdout);
}

static int handle_main(const char *path)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle = { .head.handle_bytes = MAX_HANDLE_SZ };
    int mount;
    if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) < 0) {
        perror(path);
        return 1;
    }
    printf("%d:", handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++)
        printf("%02x", handle.bytes[i]);
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    note = mmap(NULL, NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (note == MAP_FAILED)
        return 1;
    if (strcmp(verb, "canary") == 0)
        return canary_main();
    if (strcmp(verb, "handle") == 0 && argc == 3)
        return handle_main(argv[2]);
    if (strcmp(verb, "list") == 0 || strcmp(verb, "all") == 0) {
        for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
            for (const struct probe *p = lists[l]; p->name; p++) {
                if (strcmp(verb, "list") == 0)
                    printf("%s\t%s\t%s\t%s\n", p->name, kinds[p->kind], groups[l], p->why);
                else if (p->kind == TRY)
                    attempt(p);
            }
        return 0;
    }
    if (strcmp(verb, "run") == 0 && argc > 2) {
        for (int i = 2; i < argc; i++) {
            const struct probe *probe = find(argv[i]);
            if (!probe)
                return 2;
            attempt(probe);
        }
        return 0;
    }
    fprintf(stderr, "escape list | run NAME... | all | canary | handle PATH\n");
    return 2;
}
