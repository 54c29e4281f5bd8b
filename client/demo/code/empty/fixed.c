// empty, fixed, in C: a length of 0 is a message, recv's 0 is the end.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    uint32_t length = htonl(0);
    send(ends[0], &length, sizeof length, 0);
    close(ends[0]);
    char answer[1024];
    while (recv(ends[1], &length, sizeof length, MSG_WAITALL) > 0) {
        length = ntohl(length);
        if (length > sizeof answer) return 1;
        // With a size of 0, recv would not wait, and it returns 0.
        if (length > 0) recv(ends[1], answer, length, MSG_WAITALL);
        printf("answer: [%.*s]\n", (int)length, answer);
    }
    puts("the end");
    return 0;
}
