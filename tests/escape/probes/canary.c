/* A process that is worth reaching: it stands for a program of the machine's owner, or another guest's. It has a token in its
 * memory, environment, files and shared memory, and answers it to whoever connects. What it has, and where, it
 * prints as NAME=VALUE lines, then "ready". It ends, and cleans up, when its standard input does. */
#include "probe.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static char token[256];

static void on_signal(int signal)
{
    (void)signal;
}

static int tcp_at(struct in_addr address, unsigned short *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = address };
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 8) < 0
        || getsockname(fd, (struct sockaddr *)&at, &length) < 0)
        return -1;
    *port = ntohs(at.sin_port);
    return fd;
}

static int unix_at(const char *name, size_t length)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    memcpy(at.sun_path, name, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, offsetof(struct sockaddr_un, sun_path) + length) < 0
        || listen(fd, 8) < 0)
        return -1;
    return fd;
}

static int own_address(struct in_addr *address)
{
    struct ifaddrs *all, *one;
    int found = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    for (one = all; one && !found; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && !(one->ifa_flags & IFF_LOOPBACK)
            && (one->ifa_flags & IFF_RUNNING)) {
            *address = ((struct sockaddr_in *)one->ifa_addr)->sin_addr;
            found = 1;
        }
    freeifaddrs(all);
    return found;
}

static int file_with_token(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return 0;
    ssize_t written = write(fd, token, strlen(token));
    close(fd);
    return written > 0;
}

int canary_main(void)
{
    snprintf(token, sizeof token, "%s", setting("CANARY_TOKEN"));
    if (!*token)
        return 2;
    char name[64], path[108];
    struct pollfd polled[5] = { { .fd = 0, .events = POLLIN } };
    int count = 1, fd;
    unsigned short port;
    struct in_addr address = { htonl(INADDR_LOOPBACK) };
    signal(SIGUSR1, on_signal);
    signal(SIGPIPE, SIG_IGN);
    /* Whoever may trace its own processes may trace this one. */
    prctl(PR_SET_DUMPABLE, 1);

    printf("CANARY_PID=%d\nCANARY_ADDRESS=%#lx\n", getpid(), (unsigned long)token);
    if ((fd = tcp_at(address, &port)) >= 0) {
        polled[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        printf("CANARY_LOOPBACK=127.0.0.1:%d\n", port);
    }
    if (own_address(&address) && (fd = tcp_at(address, &port)) >= 0) {
        polled[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        printf("CANARY_HOST=%s:%d\n", inet_ntoa(address), port);
    }
    int abstract = snprintf(name + 1, sizeof name - 1, "homie-canary-%d", getpid());
    name[0] = 0;
    if ((fd = unix_at(name, abstract + 1)) >= 0) {
        polled[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        printf("CANARY_ABSTRACT=%s\n", name + 1);
    }
    snprintf(path, sizeof path, "/tmp/homie-canary-%d.sock", getpid());
    if ((fd = unix_at(path, strlen(path))) >= 0) {
        chmod(path, 0777);
        polled[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        printf("CANARY_SOCKET=%s\n", path);
    }
    int secret = memfd_create("canary", MFD_CLOEXEC);
    if (secret >= 0 && write(secret, token, strlen(token)) > 0)
        printf("CANARY_FD=%d\n", secret);
    int shm = shmget(IPC_PRIVATE, sizeof token, IPC_CREAT | 0666);
    char *shared = shm < 0 ? (void *)-1 : shmat(shm, NULL, 0);
    if (shared != (void *)-1) {
        strcpy(shared, token);
        printf("CANARY_SHM=%d\n", shm);
    }
    char queue[64], shm_file[64], tmp_file[64];
    snprintf(queue, sizeof queue, "/homie-canary-%d", getpid());
    struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = sizeof token };
    mqd_t mq = mq_open(queue, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666, &attr);
    if (mq != (mqd_t)-1)
        printf("CANARY_QUEUE=%s\n", queue);
    snprintf(shm_file, sizeof shm_file, "/dev/shm/homie-canary-%d", getpid());
    snprintf(tmp_file, sizeof tmp_file, "/tmp/homie-canary-%d", getpid());
    if (file_with_token(shm_file))
        printf("CANARY_DEVSHM=%s\n", shm_file);
    if (file_with_token(tmp_file))
        printf("CANARY_TMP=%s\n", tmp_file);
    printf("ready\n");
    fflush(stdout);

    for (;;) {
        if (poll(polled, count, -1) < 0)
            continue;
        if (polled[0].revents)
            break;
        for (int i = 1; i < count; i++)
            if (polled[i].revents && (fd = accept4(polled[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                if (write(fd, token, strlen(token)) < 0)
                    perror("answer");
                close(fd);
            }
    }
    unlink(path);
    unlink(shm_file);
    unlink(tmp_file);
    if (mq != (mqd_t)-1)
        mq_unlink(queue);
    if (shm >= 0)
        shmctl(shm, IPC_RMID, NULL);
    return 0;
}
