/* The network, and kinds of sockets whose kernel code has cost the world dearly. */
#include "probe.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int answers(const char *where)
{
    char ip[64];
    int port;
    if (sscanf(where, "%63[^:]:%d", ip, &port) != 2)
        return unsupported("this machine has no such address");
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    inet_pton(AF_INET, ip, &at.sin_addr);
    struct timeval patience = { .tv_sec = 2 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return refused("socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return held("%s: %s", where, strerror(errno));
    return fd_has_token(fd) ? reached("%s answered", where) : held("somebody else answers at %s", where);
}

static int loopback(void) { return answers(setting("CANARY_LOOPBACK")); }
static int host_address(void) { return answers(setting("CANARY_HOST")); }

/* Connecting a datagram socket sends nothing; it only asks for a route. 198.51.100.0/24 is nobody's (RFC 5737). */
static int route(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9) };
    inet_pton(AF_INET, "198.51.100.1", &at.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return refused("socket");
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return reached("there is a way to other machines");
    return jailed() ? held("%s", strerror(errno)) : unsupported("this machine has no way to others either");
}

static int interfaces(void)
{
    struct if_nameindex *all = if_nameindex();
    int others = 0;
    if (!all)
        return refused("if_nameindex");
    for (struct if_nameindex *one = all; one->if_index; one++)
        others += strcmp(one->if_name, "lo") != 0;
    if (others)
        return reached("%d interfaces beside the loopback", others);
    return jailed() ? held("only the loopback") : unsupported("this machine has only the loopback");
}

static int makes(int family, int type, int protocol, const char *what)
{
    return verdict_of(socket(family, type, protocol), what);
}

static int raw(void) { return makes(AF_INET, SOCK_RAW, IPPROTO_ICMP, "raw socket"); }
static int packet(void) { return makes(AF_PACKET, SOCK_RAW, 0, "AF_PACKET"); }
static int vsock(void) { return makes(AF_VSOCK, SOCK_STREAM, 0, "AF_VSOCK"); }
static int alg(void) { return makes(AF_ALG, SOCK_SEQPACKET, 0, "AF_ALG"); }
static int bluetooth(void) { return makes(AF_BLUETOOTH, SOCK_RAW, 1, "AF_BLUETOOTH"); }
static int xdp(void) { return makes(AF_XDP, SOCK_RAW, 0, "AF_XDP"); }
static int tipc(void) { return makes(AF_TIPC, SOCK_SEQPACKET, 0, "AF_TIPC"); }
static int can(void) { return makes(AF_CAN, SOCK_RAW, 1, "AF_CAN"); }
static int rds(void) { return makes(AF_RDS, SOCK_SEQPACKET, 0, "AF_RDS"); }
static int key(void) { return makes(AF_KEY, SOCK_RAW, 2, "AF_KEY"); }
static int sctp(void) { return makes(AF_INET, SOCK_STREAM, IPPROTO_SCTP, "SCTP"); }
static int mptcp(void) { return makes(AF_INET, SOCK_STREAM, 262, "MPTCP"); }
static int nl_netfilter(void) { return makes(AF_NETLINK, SOCK_RAW, 12, "NETLINK_NETFILTER"); }
static int nl_audit(void) { return makes(AF_NETLINK, SOCK_RAW, 9, "NETLINK_AUDIT"); }
static int nl_uevent(void) { return makes(AF_NETLINK, SOCK_RAW, 15, "NETLINK_KOBJECT_UEVENT"); }
static int nl_generic(void) { return makes(AF_NETLINK, SOCK_RAW, 16, "NETLINK_GENERIC"); }
static int nl_xfrm(void) { return makes(AF_NETLINK, SOCK_RAW, 6, "NETLINK_XFRM"); }
static int nl_diag(void) { return makes(AF_NETLINK, SOCK_RAW, 4, "NETLINK_SOCK_DIAG"); }

const struct probe network_probes[] = {
    { "host-loopback", TRY, "reach a service that listens on the owner's loopback only", loopback },
    { "host-address", TRY, "reach a service of this machine by its address", host_address },
    { "route-out", TRY, "find a way to the LAN or the internet", route },
    { "interfaces", TRY, "see the machine's network interfaces", interfaces },
    { "raw-socket", TRY, "send forged packets", raw },
    { "packet-socket", TRY, "listen to everything on the wire (AF_PACKET)", packet },
    { "vsock", TRY, "speak to the hypervisor under this machine (AF_VSOCK)", vsock },
    { "kernel-crypto", TRY, "AF_ALG: four bytes into any cached file (CVE-2026-31431)", alg },
    { "bluetooth", TRY, "drive the owner's radio (AF_BLUETOOTH)", bluetooth },
    { "xdp", TRY, "AF_XDP: packets past the kernel", xdp },
    { "tipc", TRY, "AF_TIPC: a seldom used parser in the kernel", tipc },
    { "can", TRY, "AF_CAN: a seldom used parser in the kernel", can },
    { "rds", TRY, "AF_RDS: a seldom used parser in the kernel", rds },
    { "key-socket", TRY, "AF_KEY: the kernel's IPsec tables", key },
    { "sctp", TRY, "SCTP: a parser that nobody here needs", sctp },
    { "mptcp", TRY, "MPTCP: a parser that nobody here needs", mptcp },
    { "netlink-netfilter", TRY, "nf_tables: firewall code full of escapes", nl_netfilter },
    { "netlink-audit", TRY, "forge or read audit messages", nl_audit },
    { "netlink-uevent", TRY, "watch the host's devices come and go", nl_uevent },
    { "netlink-generic", TRY, "every driver's private door into the kernel", nl_generic },
    { "netlink-xfrm", TRY, "IPsec policies: another set of escapes", nl_xfrm },
    { "netlink-diag", TRY, "list the sockets of the machine", nl_diag },
    { 0 },
};
