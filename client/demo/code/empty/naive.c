// empty, naive, in C: nothing is sent, and the reader waits in vain.
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

int main(void) {
    int ends[2];
    char answer[1024];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    send(ends[0], "", 0, 0); // What the command true printed.
    const struct timeval wait = {.tv_usec = 300000};
    setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    const ssize_t n = recv(ends[1], answer, sizeof answer, 0);
    if (n < 0)
        puts("no answer");
    else
        printf("answer: [%.*s]\n", (int)n, answer);
    return 0;
}
