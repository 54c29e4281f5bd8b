// frame, fixed, in C: the length in front, however the bytes are cut.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
    const char *const messages[] = {"echo one", "printf 'a\nb'"};
    for (int i = 0; i < 2; ++i) {
        char frame[64];
        const uint32_t length = htonl((uint32_t)strlen(messages[i]));
        memcpy(frame, &length, 4);
        memcpy(frame + 4, messages[i], strlen(messages[i]));
        for (size_t at = 0; at < 4 + strlen(messages[i]); ++at)
            if (send(ends[0], frame + at, 1, 0) != 1) return 1;
    }
    for (int i = 0; i < 2; ++i) {
        uint32_t length;
        char message[1024];
        if (exactly(ends[1], &length, 4) != 0) return 1;
        if (ntohl(length) > sizeof message) return 1;
        if (exactly(ends[1], message, ntohl(length)) != 0) return 1;
        printf("[%.*s]\n", (int)ntohl(length), message);
    }
}
