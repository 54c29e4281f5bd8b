// server, fixed, in C: a process for each client.
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int echo(int fd) {
    char data[1024];
    ssize_t n;
    while ((n = recv(fd, data, sizeof data, 0)) > 0)
        send(fd, data, (size_t)n, 0);
    return 0;
}

int main(void) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    socklen_t size = sizeof where;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    listen(listener, 5); // Without bind the kernel picks a port.
    getsockname(listener, (struct sockaddr *)&where, &size);
    signal(SIGCHLD, SIG_IGN); // The kernel reaps: no zombies.
    if (fork() == 0)
        for (int i = 0; i < 2; ++i) {
            const int fd = accept(listener, NULL, NULL);
            if (fork() == 0) return echo(fd);
            close(fd);
            if (i == 1) return 0;
        }
    const int silent = socket(AF_INET, SOCK_STREAM, 0);
    const int asking = socket(AF_INET, SOCK_STREAM, 0);
    connect(silent, (struct sockaddr *)&where, size);
    connect(asking, (struct sockaddr *)&where, size);
    send(asking, "hello", 5, 0);
    char data[1024];
    const int n = (int)recv(asking, data, sizeof data, 0);
    printf("answer: [%.*s]\n", n, data);
}
