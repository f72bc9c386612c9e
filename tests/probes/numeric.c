/* What NumPy, PyTorch and their like ask of a kernel: many threads that wait for each other, memory shared between
 * processes, memory that is advised, locked and moved, threads pinned to processors. Run inside a jail it has to come to its
 * end; calls that a jail refuses must be refused by an error, as those programs expect, not by a signal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { printf("failed: %s (%s)\n", #what, strerror(errno)); return 1; } } while (0)
/* Refused or not, it comes back. */
#define TRY(what) do { errno = 0; if ((long)(what) == -1 && errno == 0) { printf("no reason: %s\n", #what); return 1; } } while (0)

enum { THREADS = 48, ROUNDS = 200, SIDE = 96, SIZE = 32 << 20 };

static pthread_barrier_t barrier;
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
static volatile int seen;

static void on_signal(int n) { seen = n; }

static void *work(void *at) {
    long id = (long)at;
    char name[16];
    snprintf(name, sizeof name, "worker-%ld", id);
    prctl(PR_SET_NAME, name);
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) sched_setaffinity(0, sizeof cpus, &cpus);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = id; i < SIDE; i += THREADS)
            for (int j = 0; j < SIDE; j++) {
                double sum = 0;
                for (int k = 0; k < SIDE; k += 8) sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        if (round % 50 == 0) {
            pthread_barrier_wait(&barrier);
            sched_yield();
        }
    }
    return NULL;
}

int main(void) {
    /* A pool of threads with small stacks, as OpenMP makes one. */
    pthread_t threads[THREADS];
    pthread_attr_t attr;
    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 256 << 10) == 0);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) a[i][j] = b[j][i] = i + j;
    for (long n = 0; n < THREADS; n++) CHECK((errno = pthread_create(&threads[n], &attr, work, (void *)n)) == 0);
    for (long n = 0; n < THREADS; n++) CHECK(pthread_join(threads[n], NULL) == 0);

    /* Memory: huge pages, advice, protection, growth, pages given back. */
    char *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(m != MAP_FAILED);
    TRY(madvise(m, SIZE, MADV_HUGEPAGE));
    memset(m, 1, SIZE);
    CHECK(madvise(m, SIZE / 2, MADV_DONTNEED) == 0 && m[0] == 0 && m[SIZE - 1] == 1);
    TRY(madvise(m, SIZE / 2, MADV_FREE));
    CHECK(mprotect(m, 4096, PROT_READ) == 0 && mprotect(m, 4096, PROT_READ | PROT_WRITE) == 0);
    m = mremap(m, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
    CHECK(m != MAP_FAILED && m[SIZE - 1] == 1);
    CHECK(munmap(m, 2 * SIZE) == 0);
    char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Compilers at run time (torch.compile, Numba) make memory executable. */
    CHECK(code != MAP_FAILED && mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);

    /* Shared between processes: a data loader's workers hand tensors over so, by a file and by a descriptor. */
    char name[64];
    snprintf(name, sizeof name, "/numeric-%d", (int)getpid());
    int files[2] = {shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600), memfd_create("tensor", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    for (int n = 0; n < 2; n++) {
        CHECK(files[n] >= 0 && ftruncate(files[n], 1 << 20) == 0);
        sem_t *shared = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, files[n], 0);
        CHECK(shared != MAP_FAILED && sem_init(shared, 1, 0) == 0);
        char *payload = (char *)shared + 4096;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            memset(payload, 42, 1000);
            sem_post(shared);
            _exit(0);
        }
        int status;
        CHECK(sem_wait(shared) == 0 && payload[999] == 42);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(shm_unlink(name) == 0);
    CHECK(fcntl(files[1], F_ADD_SEALS, F_SEAL_GROW) == 0 || errno == EBUSY);

    /* Asked for where it can be had, done without where not: pinned memory, NUMA, priorities, counters. */
    char page[8192];
    TRY(mlock(page, sizeof page));
    TRY(munlock(page, sizeof page));
    TRY(mlockall(MCL_CURRENT));
    TRY(munlockall());
    int mode;
    unsigned long nodes[16];
    TRY(syscall(SYS_get_mempolicy, &mode, nodes, 1024L, NULL, 0L));
    TRY(syscall(SYS_set_mempolicy, 0L, NULL, 0L));
    TRY(syscall(SYS_mbind, page, 4096L, 0L, NULL, 0L, 0L));
    TRY(syscall(SYS_move_pages, 0L, 0L, NULL, NULL, NULL, 0L));
    TRY(syscall(SYS_perf_event_open, NULL, 0L, -1L, -1L, 0L));
    TRY(syscall(SYS_io_uring_setup, 1L, NULL));
    TRY(setpriority(PRIO_PROCESS, 0, -5));
    struct sched_param fifo = {.sched_priority = 1};
    TRY(sched_setscheduler(0, SCHED_FIFO, &fifo));
    unsigned cpu;
    CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0);

    /* Timers and signals, as runtimes use them to take turns. */
    CHECK(signal(SIGALRM, on_signal) != SIG_ERR);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
    CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    while (!seen) usleep(1000);
    printf("numeric works %d\n", THREADS);
    return 0;
}
