/* More than was given: each of these is alone in a job with small limits, which the suite tells in CANARY_* settings. */
#include "probe.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>

/* How long a bomb that got past its limit must live on to count: the watchdogs look once a second. */
static void live_on(void)
{
    struct timespec rest = { .tv_sec = number("CANARY_GRACE_S") };
    while (nanosleep(&rest, &rest) < 0)
        ;
}

static int fork_bomb(void)
{
    long limit = number("CANARY_PIDS"), made = 0;
    pid_t children[4096];
    while (made < limit + 8 && made < 4096) {
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
        children[made++] = child;
    }
    int error = errno;
    for (long i = 0; i < made; i++)
        kill(children[i], SIGKILL);
    errno = error;
    return made > limit ? reached("%ld processes, %ld were given", made, limit) : refused("fork");
}

static int touch(size_t bytes, int flags)
{
    const size_t step = 1 << 20;
    for (size_t done = 0; done < bytes; done += step) {
        char *piece = mmap(NULL, step, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED)
            return -1;
        memset(piece, 1, step);
    }
    return 0;
}

static int memory_bomb(void)
{
    long limit = number("CANARY_MEMORY");
    if (touch(limit + (limit >> 1), MAP_PRIVATE) < 0)
        return refused("mmap");
    live_on();
    return reached("holds half as much again as it was given");
}

static int shared_memory_bomb(void)
{
    long limit = number("CANARY_MEMORY");
    if (touch(limit + (limit >> 1), MAP_SHARED) < 0)
        return refused("mmap");
    live_on();
    return reached("holds half as much again as it was given");
}

static long fill(int fd, long bytes);

/* Files in memory that nobody maps: what looks at processes' maps does not see them. */
static int memfd_bomb(void)
{
    long limit = number("CANARY_MEMORY"), done = 0;
    while (done < limit + (limit >> 1)) {
        long written = fill(memfd_create("bomb", 0), 8L << 20);
        if (written <= 0)
            return refused("memfd_create");
        done += written;
    }
    live_on();
    return reached("holds half as much again as it was given");
}

/* Segments that nobody attaches. */
static int segment_bomb(void)
{
    long limit = number("CANARY_MEMORY"), piece = 8L << 20, done = 0;
    int segments[64], made = 0, verdict = REACHED;
    for (; done < limit + (limit >> 1) && made < 64; done += piece) {
        int segment = shmget(IPC_PRIVATE, piece, IPC_CREAT | 0600);
        char *at = segment < 0 ? (void *)-1 : shmat(segment, NULL, 0);
        if (segment >= 0)
            segments[made++] = segment;
        if (at == (void *)-1) {
            verdict = refused("shmget");
            break;
        }
        memset(at, 1, piece);
        shmdt(at);
    }
    if (verdict == REACHED)
        live_on();
    while (made > 0)
        shmctl(segments[--made], IPC_RMID, NULL);
    return verdict == REACHED ? reached("holds half as much again as it was given") : verdict;
}

static long fill(int fd, long bytes)
{
    static char block[1 << 16];
    long done = 0;
    memset(block, 7, sizeof block);
    while (done < bytes) {
        ssize_t n = write(fd, block, sizeof block);
        if (n <= 0)
            break;
        done += n;
    }
    return done;
}

/* Writes more than the limit in files that each are smaller than it. */
static int fill_files(int keep_names, int closed)
{
    long limit = number("CANARY_DISK"), wanted = limit * 2, done = 0;
    for (int i = 0; done < wanted; i++) {
        char name[64];
        snprintf(name, sizeof name, "fill-%d", i);
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
            return refused("open");
        if (!keep_names)
            unlink(name);
        long written = fill(fd, limit / 4);
        if (written <= 0)
            return refused("write");
        done += written;
        if (closed) {
            /* No name and no descriptor: only a mapping holds it. */
            if (mmap(NULL, written, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
                return refused("mmap");
            close(fd);
        } else if (keep_names) {
            close(fd);
        }
    }
    live_on();
    return reached("%ld bytes on disk, %ld were given", done, limit);
}

/* Removes what a run without a jail would leave. */
static int then_clean(int verdict)
{
    if (jailed())
        return verdict;
    for (int i = 0; i < 64; i++) {
        char name[64];
        snprintf(name, sizeof name, "fill-%d", i);
        unlink(name);
    }
    return verdict;
}

static int disk_bomb(void) { return then_clean(fill_files(1, 0)); }
static int nameless_bomb(void) { return fill_files(0, 0); }
static int mapped_bomb(void) { return fill_files(0, 1); }

static int deep_bomb(void)
{
    char name[201];
    memset(name, 'd', 200);
    name[200] = 0;
    int top = open(".", O_RDONLY | O_DIRECTORY), verdict;
    /* Deeper than a path can be long: whoever looks by paths does not see what lies there. */
    for (int i = 0; i < 24; i++)
        if (mkdir(name, 0700) < 0 || chdir(name) < 0)
            return refused("mkdir");
    verdict = then_clean(fill_files(1, 0));
    if (!jailed())
        for (int i = 0; i < 24; i++)
            if (chdir("..") == 0)
                rmdir(name);
    return fchdir(top) < 0 ? HELD : verdict;
}

static int closed_bomb(void)
{
    if (mkdir("closed", 0700) < 0 || chdir("closed") < 0)
        return refused("mkdir");
    int above = open("..", O_RDONLY | O_DIRECTORY), here = open(".", O_RDONLY | O_DIRECTORY);
    int files[8];
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "fill-%d", i);
        files[i] = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    }
    /* Closed to everybody, also to a watchdog that is no root; what is open stays open. */
    fchmod(here, 0);
    long limit = number("CANARY_DISK"), done = 0;
    for (int i = 0; i < 8; i++)
        done += fill(files[i], limit / 4);
    live_on();
    fchmod(here, 0700);
    int verdict = then_clean(done > limit ? reached("%ld bytes on disk, %ld were given", done, limit) : refused("write"));
    if (!jailed())
        unlinkat(above, "closed", AT_REMOVEDIR);
    return verdict;
}

static int inode_bomb(void)
{
    long limit = number("CANARY_FILES"), made = 0;
    char name[64];
    for (; made <= limit + 256; made++) {
        snprintf(name, sizeof name, "inode-%ld", made);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
            break;
        close(fd);
    }
    if (made > limit)
        live_on();
    if (!jailed())
        for (long i = 0; i < made; i++) {
            snprintf(name, sizeof name, "inode-%ld", i);
            unlink(name);
        }
    return made > limit ? reached("%ld files, %ld were given", made, limit) : refused("open");
}

/* Nameless at once: outside the jail these directories are everybody's, another run of the suite among them, and
 * whoever is ended in the middle of this leaves nothing behind. */
static int fill_at(const char *directory, long limit)
{
    char name[64];
    snprintf(name, sizeof name, "%s/homie-fill-%d", directory, getpid());
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || unlink(name) < 0)
        return refused(name);
    long done = fill(fd, limit + (1 << 20));
    return done > limit ? reached("%ld bytes, %ld were given", done, limit) : refused(name);
}

static int tmp_bomb(void) { return fill_at("/tmp", number("CANARY_TMPFS")); }
static int shm_bomb(void) { return fill_at("/dev/shm", number("CANARY_TMPFS")); }

static int file_size(void)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("large", O_RDWR | O_CREAT, 0600);
    int done = ftruncate(fd, number("CANARY_DISK") * 16);
    int error = errno;
    unlink("large");
    errno = error;
    return verdict_of(done, "a file larger than the disk limit");
}

static int open_files(void)
{
    long limit = number("CANARY_OPEN"), made = 0;
    while (made <= limit && dup(0) >= 0)
        made++;
    return made > limit ? reached("%ld open files", made) : jailed() ? refused("dup") : unsupported("%ld are this user's most", made);
}

static int log_bomb(void)
{
    static char line[4096];
    long limit = number("CANARY_OUTPUT") * 2;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (long done = 0; done < limit; done += sizeof line)
        if (write(1, line, sizeof line) < 0)
            return refused("write");
    return reached("wrote twice the output it was given");
}

/* Beats: appends a byte to the file in `name` for two minutes at most: longer than anybody takes to look. */
static void beat(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (int signal_number = 1; signal_number < 65; signal_number++)
        signal(signal_number, SIG_IGN);
    for (int i = 0; i < 6000; i++) {
        struct timespec pause = { .tv_nsec = 20000000 };
        /* Whoever has seen enough removes the file. */
        if (write(fd, ".", 1) < 0 || access(name, F_OK) < 0)
            _exit(0);
        nanosleep(&pause, NULL);
    }
    _exit(0);
}

/* A grandchild in a session of its own, which nobody waits for. */
static void leave_behind(const char *name)
{
    pid_t child = fork();
    if (child == 0) {
        setsid();
        prctl(PR_SET_PDEATHSIG, 0);
        if (fork() == 0)
            beat(name);
        _exit(0);
    }
    status_of(child);
}

static int outlive_end(void)
{
    leave_behind("beat");
    struct timespec moment = { .tv_nsec = 20000000 };
    struct stat beats = { 0 };
    /* It has begun, however busy the machine is; main() ends a probe that waits for ever. */
    while (stat("beat", &beats) < 0 || beats.st_size == 0)
        nanosleep(&moment, NULL);
    return held("left a process behind");
}

static int outlive_deadline(void)
{
    alarm(0);
    for (int signal_number = 1; signal_number < 65; signal_number++)
        signal(signal_number, SIG_IGN);
    leave_behind("beat");
    if (jailed()) {
        /* Init can be neither stopped nor killed from inside; stop everything else that could carry a word. */
        kill(1, SIGSTOP);
        kill(1, SIGKILL);
        syscall(SYS_ptrace, 0x4206 /* PTRACE_SEIZE */, 1, 0, 0);
    }
    while (pause() < 0)
        ;
    return REACHED;
}

const struct probe limit_probes[] = {
    { "fork-bomb", BOMB, "more processes than were given", fork_bomb },
    { "memory-bomb", BOMB, "more memory than was given", memory_bomb },
    { "shared-memory-bomb", BOMB, "the same in shared memory, which counts elsewhere", shared_memory_bomb },
    { "memfd-bomb", BOMB, "the same in files in memory that nobody maps", memfd_bomb },
    { "segment-bomb", BOMB, "the same in System V segments that nobody attaches", segment_bomb },
    { "disk-bomb", BOMB, "more disk than was given, in small files", disk_bomb },
    { "disk-bomb-nameless", BOMB, "the same in files without a name", nameless_bomb },
    { "disk-bomb-mapped", BOMB, "the same in files with neither name nor descriptor, only mapped", mapped_bomb },
    { "disk-bomb-deep", BOMB, "the same, deeper than a path can be long", deep_bomb },
    { "disk-bomb-closed", BOMB, "the same in a directory that nobody may enter", closed_bomb },
    { "inode-bomb", BOMB, "more files than a disk of that size is for", inode_bomb },
    { "tmp-bomb", BOMB, "more in /tmp than was given", tmp_bomb },
    { "shm-bomb", BOMB, "more in /dev/shm than was given", shm_bomb },
    { "file-size", BOMB, "a file larger than the disk limit", file_size },
    { "open-files", BOMB, "exhaust the machine's table of open files", open_files },
    { "log-bomb", BOMB, "fill the disk with output", log_bomb },
    { "outlive-end", LINGER, "leave a process behind when the job ends", outlive_end },
    { "outlive-deadline", LINGER, "go on past the deadline: deaf to signals, in other sessions, init attacked", outlive_deadline },
    { 0 },
};
