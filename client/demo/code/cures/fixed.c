// cures, fixed, in C: the reader knows how much is still to come.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

static int exactly(int fd, void *into, size_t size) {
    char *at = into;
    while (size > 0) {
        const ssize_t n = recv(fd, at, size, 0);
        if (n <= 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    uint32_t length = htonl(23);
    send(ends[0], &length, sizeof length, 0);
    send(ends[0], "first part, ", 12, 0);
    if (exactly(ends[1], &length, sizeof length) != 0) return 1;
    send(ends[0], "second part", 11, 0);
    char data[1024];
    if (ntohl(length) > sizeof data) return 1;
    if (exactly(ends[1], data, ntohl(length)) != 0) return 1;
    printf("answer 1: [%.*s]\n", (int)ntohl(length), data);
    return 0;
}
