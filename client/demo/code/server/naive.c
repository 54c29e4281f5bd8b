// server, naive, in C: a silent client blocks the next one.
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void echo(int fd) {
    char data[1024];
    ssize_t n;
    while ((n = recv(fd, data, sizeof data, 0)) > 0)
        send(fd, data, (size_t)n, 0);
    close(fd);
}

int main(void) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    socklen_t size = sizeof where;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    listen(listener, 5); // Without bind the kernel picks a port.
    getsockname(listener, (struct sockaddr *)&where, &size);
    if (fork() == 0) {
        for (int i = 0; i < 2; ++i)
            echo(accept(listener, NULL, NULL));
        return 0;
    }
    const int silent = socket(AF_INET, SOCK_STREAM, 0);
    const int asking = socket(AF_INET, SOCK_STREAM, 0);
    connect(silent, (struct sockaddr *)&where, size);
    connect(asking, (struct sockaddr *)&where, size);
    send(asking, "hello", 5, 0);
    struct pollfd answer = {.fd = asking, .events = POLLIN};
    if (poll(&answer, 1, 300) == 0) puts("no answer");
    close(silent);
    char data[1024];
    const int n = (int)recv(asking, data, sizeof data, 0);
    printf("after the silent client has left: [%.*s]\n", n, data);
    return 0;
}
