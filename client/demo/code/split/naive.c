// split, naive, in C: the results of one send and one recv are not used.
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static char message[1 << 20], got[1 << 20];

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    // Takes only what fits into the kernel's buffers, and returns it.
    if (send(ends[0], message, sizeof message, MSG_DONTWAIT) < 0) return 1;
    close(ends[0]);
    const ssize_t n = recv(ends[1], got, sizeof got, 0);
    puts(n == sizeof message ? "whole" : "a part of it");
    return 0;
}
