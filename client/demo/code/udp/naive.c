// udp, naive, in C: the buffer is too short, and the rest is gone.
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr *const address = (struct sockaddr *)&where;
    socklen_t size = sizeof where;
    const int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(server, address, size) != 0) return 1;
    getsockname(server, address, &size);
    const int client = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(client, "abcdefghijklmnopqrstuvwxyz", 26, 0, address, size);
    sendto(client, "next", 4, 0, address, size);
    for (int i = 0; i < 2; ++i) {
        char buffer[10];
        const ssize_t n = recv(server, buffer, sizeof buffer, 0);
        printf("[%.*s]\n", (int)n, buffer);
    }
    return 0;
}
