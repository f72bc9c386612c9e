/* What a job leaves and says: it comes home to the machine of whoever sent it. */
#include "probe.h"
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static int planted(long result, const char *what)
{
    return result < 0 ? refused(what) : reached("planted");
}

static int link_file(void) { return planted(symlink(setting("CANARY_FILE"), "planted-link"), "symlink"); }

static int link_up(void)
{
    char target[4096] = "";
    for (int i = 0; i < 12; i++)
        strcat(target, "../");
    snprintf(target + strlen(target), sizeof target - strlen(target), "%s", setting("CANARY_FILE") + 1);
    return planted(symlink(target, "planted-link-up"), "symlink");
}

static int link_directory(void)
{
    char target[4096];
    snprintf(target, sizeof target, "%s", setting("CANARY_FILE"));
    char *slash = strrchr(target, '/');
    if (slash)
        *slash = 0;
    return planted(symlink(target, "planted-directory"), "symlink");
}

static int link_proc(void) { return planted(symlink("/proc/self/environ", "planted-proc"), "symlink"); }

static int link_hard(void)
{
    if (link(setting("CANARY_NEAR"), "planted-hard") == 0)
        return reached("planted");
    /* The owner's file is out of reach: a second name of the job's own file is all that is left. */
    int error = errno;
    int fd = open("planted-hard", O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || link("planted-hard", "planted-hard-2") < 0)
        return refused("link");
    return held("the owner's file: %s", strerror(error));
}

static int fifo(void) { return planted(mkfifo("planted-fifo", 0600), "mkfifo"); }

static int socket_file(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "planted-socket" };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return planted(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
}

static int device(void) { return planted(mknod("planted-device", S_IFCHR | 0644, makedev(1, 5)), "mknod"); }

static int sparse(void)
{
    int fd = open("planted-sparse", O_CREAT | O_WRONLY, 0600);
    long size = number("CANARY_DISK") * 64;
    signal(SIGXFSZ, SIG_IGN);
    return planted(ftruncate(fd, size), "ftruncate");
}

static int makes_file(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    return planted(fd < 0 ? -1 : write(fd, "planted\n", 8), "write");
}

static int dot_file(void) { return makes_file(".planted-profile"); }
static int control_name(void) { return makes_file("planted\033]0;owned\a\n-name"); }
static int bytes_name(void) { return makes_file("planted-\xff\xfe"); }
static int replaced_input(void) { return makes_file("planted-input"); }

static int deep(void)
{
    int top = open(".", O_RDONLY | O_DIRECTORY);
    if (mkdir("planted-deep", 0700) < 0 || chdir("planted-deep") < 0)
        return refused("mkdir");
    /* More levels than a process may have open files, and a path of more bytes than the kernel takes. */
    for (int i = 0; i < 3000; i++)
        if (mkdir("deep", 0700) < 0 || chdir("deep") < 0)
            break;
    int verdict = makes_file("bottom");
    return fchdir(top) < 0 ? HELD : verdict;
}

static int terminal_escapes(void)
{
    /* A title, a cleared screen, the clipboard, keys rebound, and the one-byte forms of the same. */
    static const char text[] = "\033]0;owned\a\033[2J\033]52;c;b3duZWQ=\a\033[3;J\233" "2J\220q\234\r\bplanted\n";
    return planted(write(1, text, sizeof text - 1), "write");
}

const struct probe result_probes[] = {
    { "link", PLANT, "a link to the owner's file among the results", link_file },
    { "link-up", PLANT, "the same by ../../..", link_up },
    { "link-directory", PLANT, "a link to the owner's directory", link_directory },
    { "link-proc", PLANT, "a link to the collector's own /proc/self", link_proc },
    { "hard-link", PLANT, "another name of a file that is not the job's", link_hard },
    { "fifo", PLANT, "a pipe that holds whoever reads it for ever", fifo },
    { "socket-file", PLANT, "a socket among the results", socket_file },
    { "device-file", PLANT, "a device that never ends among the results", device },
    { "sparse-file", PLANT, "a file of no blocks and terabytes of length", sparse },
    { "deep-tree", PLANT, "directories deeper than anybody can walk or remove", deep },
    { "control-name", PLANT, "a name that drives the terminal of whoever lists it", control_name },
    { "bytes-name", PLANT, "a name that is no text", bytes_name },
    { "dot-file", PLANT, "a hidden file that a shell would run", dot_file },
    { "replaced-input", PLANT, "another content for a file that was sent", replaced_input },
    { "terminal-escapes", PRINT, "output that drives the terminal of whoever reads it", terminal_escapes },
    { 0 },
};
