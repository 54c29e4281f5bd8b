// merge, fixed, in C: htonl puts the length into network byte order.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int exactly(int fd, void *into, size_t size) {
    char *at = into;
    while (size > 0) {
        const ssize_t got = recv(fd, at, size, 0);
        if (got <= 0) return -1;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    const char *const messages[] = {"echo one;", "echo two;",
                                    "echo three;"};
    for (int i = 0; i < 3; ++i) {
        const uint32_t length = htonl((uint32_t)strlen(messages[i]));
        if (send(ends[0], &length, sizeof length, 0) < 0) return 1;
        if (send(ends[0], messages[i], strlen(messages[i]), 0) < 0)
            return 1;
    }
    for (int i = 1; i <= 3; ++i) {
        uint32_t length;
        char message[1024];
        if (exactly(ends[1], &length, sizeof length) != 0) return 1;
        length = ntohl(length);
        if (length > sizeof message) return 1;
        if (exactly(ends[1], message, length) != 0) return 1;
        printf("message %d: %.*s\n", i, (int)length, message);
    }
    return 0;
}
