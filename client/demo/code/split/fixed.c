// split, fixed, in C: both calls are repeated for what is left.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char message[1 << 20], got[1 << 20];

static int send_all(int fd, const char *from, size_t size) {
    while (size > 0) {
        const ssize_t sent = send(fd, from, size, 0);
        if (sent < 0) return -1;
        from += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int exactly(int fd, char *into, size_t size) {
    while (size > 0) {
        const ssize_t n = recv(fd, into, size, 0);
        if (n <= 0) return -1;
        into += n;
        size -= (size_t)n;
    }
    return 0;
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    memset(message, 'A', sizeof message);
    if (fork() == 0)
        return send_all(ends[0], message, sizeof message) != 0;
    if (exactly(ends[1], got, sizeof got) != 0) return 1;
    const int differs = memcmp(got, message, sizeof got);
    puts(differs ? "a part of it" : "whole");
    return 0;
}
