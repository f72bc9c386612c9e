/* Calls of the kernel that a job does not need and an attacker loves. */
#include "probe.h"
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#ifdef __x86_64__
#include <asm/ldt.h>
#include <sys/io.h>
#endif

/* Room for what io_uring_setup gives back. */
static unsigned char scratch[4096];

static int uring(void) { return verdict_of(syscall(SYS_io_uring_setup, 8, scratch), "io_uring_setup"); }

static int bpf_map(void)
{
    union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
    return verdict_of(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr), "bpf");
}

static int fault(void) { return verdict_of(syscall(SYS_userfaultfd, O_CLOEXEC), "userfaultfd"); }

static int perf(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK };
    return verdict_of(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "perf_event_open");
}

static int keyring(void) { return verdict_of(syscall(SYS_keyctl, 0 /* get id */, -3 /* session */, 1), "keyctl"); }

static int key_add(void)
{
    return verdict_of(syscall(SYS_add_key, "user", "homie-probe", "x", 1, -1 /* this thread's */), "add_key");
}

static int key_request(void)
{
    long key = syscall(SYS_request_key, "user", "homie-probe-none", NULL, 0);
    /* ENOKEY: the kernel looked through the keyrings. */
    return key < 0 && errno == ENOKEY ? reached("request_key looked") : listened(key, "request_key");
}

static int no_randomness(void)
{
    return verdict_of(personality(ADDR_COMPAT_LAYOUT | READ_IMPLIES_EXEC), "personality");
}

static int kexec(void) { return listened(syscall(SYS_kexec_load, 0, 0, NULL, ~0UL), "kexec_load"); }
static int module(void) { return listened(syscall(SYS_init_module, "none", 4UL, ""), "init_module"); }
static int module_file(void) { return listened(syscall(SYS_finit_module, -1, "", 0), "finit_module"); }
static int swap(void) { return listened(syscall(SYS_swapon, "/nonexistent/homie", 0), "swapon"); }
static int accounting(void) { return listened(syscall(SYS_acct, "/nonexistent/homie"), "acct"); }
static int messages(void) { return verdict_of(syscall(SYS_syslog, 3, scratch, sizeof scratch), "syslog"); }

static int notify_all(void)
{
    return verdict_of(fanotify_init(FAN_CLASS_CONTENT, O_RDONLY), "fanotify_init");
}

static int secret_memory(void) { return verdict_of(syscall(SYS_memfd_secret, 0), "memfd_secret"); }

static int splice_user(void)
{
    int ends[2];
    struct { void *base; size_t length; } piece = { scratch, 16 };
    if (pipe(ends) < 0)
        return refused("pipe");
    return verdict_of(syscall(SYS_vmsplice, ends[1], &piece, 1UL, 0U), "vmsplice");
}

static int quota(void) { return listened(syscall(SYS_quotactl, 0x800007 << 8, "/nonexistent", 0, NULL), "quotactl"); }

/* Sets nothing: only whether it would be allowed. */
static int clock_step(void) { return verdict_of(syscall(SYS_settimeofday, NULL, NULL), "settimeofday"); }

/* An order that is none: the kernel says so only to those who may give one. */
static int restart(void) { return listened(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot"); }

#ifdef __x86_64__
static int descriptor_table(void)
{
    struct user_desc entry = { .entry_number = 0, .limit = 1, .seg_32bit = 1 };
    return verdict_of(syscall(SYS_modify_ldt, 1, &entry, sizeof entry), "modify_ldt");
}

static int ports(void) { return verdict_of(iopl(3), "iopl"); }

/* getpid by the 32-bit entry: harmless, but a filter that knows only 64-bit numbers would let all of them through. */
static int old_table(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result == getpid() ? reached("the 32-bit calls work") : held("answered %ld", result);
}

static int x32_table(void)
{
    long result = syscall(0x40000000 + SYS_getpid);
    return result > 0 ? reached("the x32 calls work") : refused("x32");
}
#endif

const struct probe kernel_probes[] = {
    { "io-uring", TRY, "io_uring: calls that no filter sees, and a family of escapes", uring },
    { "bpf", TRY, "programs in the kernel", bpf_map },
    { "userfaultfd", TRY, "stop the kernel in the middle of a copy: every race becomes winnable", fault },
    { "perf", TRY, "perf_event_open: count and time what others do", perf },
    { "keyctl", TRY, "the kernel's keyrings, shared by all containers", keyring },
    { "add-key", TRY, "put a key into a shared keyring", key_add },
    { "request-key", TRY, "have the host run its key helper", key_request },
    { "personality", TRY, "switch the protections of memory off", no_randomness },
    { "kexec", TRY, "start another kernel", kexec },
    { "kernel-module", TRY, "load code into the kernel", module },
    { "kernel-module-file", TRY, "load code into the kernel from a file", module_file },
    { "swap", TRY, "make the host swap to a file of the job", swap },
    { "accounting", TRY, "have the host log every process", accounting },
    { "kernel-log", TRY, "read the kernel's messages (addresses, the owner's hardware)", messages },
    { "fanotify", TRY, "watch and hold up every file access of the machine", notify_all },
    { "secret-memory", TRY, "memfd_secret: memory that even the kernel cannot swap", secret_memory },
    { "vmsplice", TRY, "pages of a process in a pipe (Dirty Pipe's neighbour)", splice_user },
    { "quota", TRY, "change the disk quotas", quota },
    { "reboot", TRY, "restart the machine", restart },
    { "clock", TRY, "set the machine's clock", clock_step },
#ifdef __x86_64__
    { "modify-ldt", TRY, "segments of the processor, a source of escapes", descriptor_table },
    { "io-ports", TRY, "speak to the hardware directly", ports },
    { "32-bit-calls", TRY, "get round the filter by the 32-bit table of calls", old_table },
    { "x32-calls", TRY, "get round the filter by the x32 table of calls", x32_table },
#endif
    { 0 },
};
