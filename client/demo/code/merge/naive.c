// merge, naive, in C: three sends, and one recv taken for one message.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    const char *const messages[] = {"echo one;", "echo two;",
                                    "echo three;"};
    for (int i = 0; i < 3; ++i)
        if (send(ends[0], messages[i], strlen(messages[i]), 0) < 0)
            return 1;
    char buffer[1024];
    const ssize_t got = recv(ends[1], buffer, sizeof buffer, 0);
    printf("message 1: %.*s\n", (int)got, buffer);
    return 0;
}
