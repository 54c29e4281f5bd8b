// flow, naive, in C: the port of a server that closed first is taken.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve_once(struct sockaddr_in *where) {
    struct sockaddr *const address = (struct sockaddr *)where;
    socklen_t size = sizeof *where;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, address, size) != 0 || listen(fd, 5) != 0) return -1;
    getsockname(fd, address, &size);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, address, size) != 0) return -1;
    close(accept(fd, NULL, NULL)); // First: the port is in TIME_WAIT.
    char byte;
    if (recv(client, &byte, 1, 0) != 0) return -1;
    close(client);
    return close(fd);
}

int main(void) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (serve_once(&where) != 0) return 1;
    if (serve_once(&where) == 0)
        puts("started again");
    else
        printf("cannot start: %s\n", strerror(errno));
    return 0;
}
