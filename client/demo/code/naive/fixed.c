// naive, fixed, in C: each answer has its length in front.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void put(int fd, const char *data, uint32_t size) {
    send(fd, &(uint32_t){htonl(size)}, 4, 0);
    send(fd, data, size, 0);
}

static uint32_t take(int fd, char *data, uint32_t room) {
    uint32_t size;
    if (recv(fd, &size, 4, MSG_WAITALL) != 4) return 0;
    if ((size = ntohl(size)) >= room) return 0;
    data[recv(fd, data, size, MSG_WAITALL)] = '\0';
    return size;
}

int main(void) {
    static char text[8192];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    const int is_server = fork() == 0;
    close(ends[is_server]);
    while (is_server && take(ends[0], text, sizeof text) > 0) {
        FILE *const shell = popen(text, "r");
        put(ends[0], text, (uint32_t)fread(text, 1, sizeof text, shell));
        pclose(shell);
    }
    for (int i = 0; i < 2 && !is_server; ++i) {
        const char *const command = i ? "echo hello" : "seq 1 600";
        put(ends[1], command, (uint32_t)strlen(command));
        const uint32_t n = take(ends[1], text, sizeof text);
        printf("%s -> %u bytes, %s hello\n", command, n,
               strstr(text, "hello") ? "with" : "without");
    }
}
