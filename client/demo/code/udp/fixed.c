// udp, fixed, in C: room for the largest datagram, and a number in each.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
    static char datagram[65535];
    const char *const data[] = {"abcdefghijklmnopqrstuvwxyz", "next"};
    for (uint32_t number = 0; number < 2; ++number) {
        const uint32_t head = htonl(number);
        const size_t length = strlen(data[number]);
        memcpy(datagram, &head, 4);
        memcpy(datagram + 4, data[number], length);
        sendto(client, datagram, 4 + length, 0, address, size);
    }
    for (uint32_t wanted = 0; wanted < 2; ++wanted) {
        const ssize_t n = recv(server, datagram, sizeof datagram, 0);
        uint32_t number;
        memcpy(&number, datagram, 4);
        if (ntohl(number) != wanted) return puts("lost") < 0;
        printf("[%.*s]\n", (int)n - 4, datagram + 4);
    }
    return 0;
}
