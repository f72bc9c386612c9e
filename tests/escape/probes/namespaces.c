/* New namespaces, where most kernel escapes of recent years begin, and mounts. */
#include "probe.h"
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#undef MS_PRIVATE
#define MOUNT_PRIVATE (1 << 18)
#define MOUNT_RECURSIVE (1 << 14)

int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

static int unshare_user(void) { return verdict_of(unshare(CLONE_NEWUSER), "unshare user"); }
static int unshare_net(void) { return verdict_of(unshare_as_root(CLONE_NEWNET), "unshare net"); }
static int unshare_mount(void) { return verdict_of(unshare_as_root(CLONE_NEWNS), "unshare mount"); }
static int unshare_pid(void) { return verdict_of(unshare_as_root(CLONE_NEWPID), "unshare pid"); }
static int unshare_cgroup(void) { return verdict_of(unshare_as_root(CLONE_NEWCGROUP), "unshare cgroup"); }

static int clone_user(void)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return verdict_of(child, "clone into a user namespace");
}

static int clone3_user(void)
{
    struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0)
        _exit(0);
    return verdict_of(child, "clone3 into a user namespace");
}

static int setns_net(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/net", number("CANARY_PID"));
    int fd = open(jailed() ? "/proc/1/ns/net" : path, O_RDONLY);
    if (fd < 0 && jailed())
        fd = open("/proc/self/ns/net", O_RDONLY);
    if (fd < 0)
        return refused("open a namespace");
    return verdict_of(setns(fd, CLONE_NEWNET), "setns");
}

/* A place where mounts harm nobody: outside the jail, always a namespace of our own. */
static int room_for_mounts(void)
{
    if (unshare_as_root(CLONE_NEWNS) == 0)
        return mount(NULL, "/", NULL, MOUNT_PRIVATE | MOUNT_RECURSIVE, NULL);
    return jailed() ? 0 : -1;
}

static int mount_tmpfs(void)
{
    if (room_for_mounts() < 0)
        return refused("mount");
    return verdict_of(mount("none", "/tmp", "tmpfs", 0, NULL), "mount");
}

static int mount_proc(void)
{
    if (room_for_mounts() < 0)
        return refused("mount");
    return verdict_of(mount("/proc", "/tmp", NULL, MS_BIND | MS_REC, NULL), "bind /proc elsewhere");
}

static int remount(void)
{
    if (room_for_mounts() < 0)
        return refused("remount");
    /* With what is mounted in it: a user namespace may not uncover what was hidden from its maker. */
    if (!jailed() && mount("/usr", "/usr", NULL, MS_BIND | MS_REC, NULL) < 0)
        return refused("bind");
    return verdict_of(mount(NULL, "/usr", NULL, MS_BIND | MS_REMOUNT, NULL), "remount /usr writable");
}

static int unmount(void)
{
    if (room_for_mounts() < 0 || (!jailed() && mount("none", "/tmp", "tmpfs", 0, NULL) < 0))
        return refused("umount");
    /* In a jail: what hides something. */
    return verdict_of(umount2(jailed() ? "/proc/sys" : "/tmp", 2), "umount");
}

static int pivot(void)
{
    if (room_for_mounts() < 0 || (!jailed() && mount("none", "/tmp", "tmpfs", 0, NULL) < 0) || chdir("/tmp") < 0)
        return refused("pivot_root");
    return verdict_of(syscall(SYS_pivot_root, ".", "."), "pivot_root");
}

static int clone_tree(void)
{
    if (room_for_mounts() < 0)
        return refused("open_tree");
    /* A user namespace may copy only what hides nothing from it: all mounts or none. */
    return verdict_of(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE), "open_tree");
}

static int new_filesystem(void)
{
    if (room_for_mounts() < 0)
        return refused("fsopen");
    return verdict_of(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
}

static int change_mount(void)
{
    struct mount_attr attr = { .attr_clr = MOUNT_ATTR_NODEV };
    if (room_for_mounts() < 0 || (!jailed() && mount("none", "/tmp", "tmpfs", 0, NULL) < 0))
        return refused("mount_setattr");
    return verdict_of(syscall(SYS_mount_setattr, AT_FDCWD, "/tmp", 0, &attr, sizeof attr), "mount_setattr");
}

static int host_name(void)
{
    char name[256];
    if (gethostname(name, sizeof name) < 0)
        return refused("gethostname");
    /* The name it has already: nothing changes where it succeeds. */
    return verdict_of(sethostname(name, strlen(name)), "sethostname");
}

const struct probe namespace_probes[] = {
    { "unshare-user", TRY, "become root in a user namespace, the door to the kernel's less tested half", unshare_user },
    { "unshare-net", TRY, "a network namespace of its own, with all rights in it", unshare_net },
    { "unshare-mount", TRY, "a mount namespace of its own", unshare_mount },
    { "unshare-pid", TRY, "a process namespace of its own, to hide in", unshare_pid },
    { "unshare-cgroup", TRY, "a control group namespace of its own (release_agent, CVE-2022-0492)", unshare_cgroup },
    { "clone-user", TRY, "the same by clone", clone_user },
    { "clone3-user", TRY, "the same by clone3, whose flags no filter can see", clone3_user },
    { "setns", TRY, "enter the namespaces of another process", setns_net },
    { "mount", TRY, "mount a file system", mount_tmpfs },
    { "mount-proc", TRY, "mount /proc where nothing covers its dangerous files", mount_proc },
    { "remount", TRY, "make a read-only directory writable again", remount },
    { "unmount", TRY, "take away what covers a dangerous file", unmount },
    { "pivot-root", TRY, "change the root", pivot },
    { "open-tree", TRY, "copy the mounts by the newer calls", clone_tree },
    { "fsopen", TRY, "make a file system by the newer calls", new_filesystem },
    { "mount-setattr", TRY, "allow devices and setuid programs on a mount", change_mount },
    { "host-name", TRY, "change the name of the machine", host_name },
    { 0 },
};
