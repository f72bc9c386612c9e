/* The least a client of the local socket can do: connect, say hello, ask for the status, read the answer, end.
 * The floor that `homie-ctl status` is measured against. Usage: bare_client SOCKET */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int say(int fd, const char *json)
{
    uint32_t length = (uint32_t)strlen(json);
    unsigned char head[5] = {length & 255, length >> 8 & 255, length >> 16 & 255, length >> 24 & 255, 1};
    return write(fd, head, 5) == 5 && write(fd, json, length) == (ssize_t)length ? 0 : -1;
}

static int fill(int fd, unsigned char *into, size_t wanted)
{
    while (wanted > 0) {
        ssize_t got = read(fd, into, wanted);
        if (got <= 0)
            return -1;
        into += got;
        wanted -= (size_t)got;
    }
    return 0;
}

static int hear(int fd)
{
    static unsigned char body[1 << 16];
    unsigned char head[5];
    if (fill(fd, head, 5) != 0)
        return -1;
    uint32_t length = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
    return length <= sizeof body ? fill(fd, body, length) : -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path)
        return 2;
    strcpy(at.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return 1;
    if (say(fd, "{\"protocol\":[1],\"version\":\"bench\"}") != 0 || hear(fd) != 0)
        return 1;
    if (say(fd, "{\"id\":1,\"method\":\"status\",\"params\":null}") != 0 || hear(fd) != 0)
        return 1;
    return 0;
}
