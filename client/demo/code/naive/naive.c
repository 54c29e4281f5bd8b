// naive, in C: the remote shell of the textbooks.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int fd) {
    char command[1024], output[4096];
    ssize_t n;
    while ((n = recv(fd, command, sizeof command - 1, 0)) > 0) {
        command[n] = '\0';
        FILE *const shell = popen(command, "r");
        const size_t size = fread(output, 1, sizeof output, shell);
        pclose(shell);
        if (send(fd, output, size, 0) < 0) return;
    }
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    if (fork() == 0) {
        close(ends[0]);
        serve(ends[1]);
        return 0;
    }
    const char *const commands[] = {"seq 1 600", "echo hello"};
    for (int i = 0; i < 2; ++i) {
        char answer[1025];
        send(ends[0], commands[i], strlen(commands[i]), 0);
        const ssize_t n = recv(ends[0], answer, 1024, 0);
        answer[n] = '\0';
        printf("%s -> %zd bytes, %s hello\n", commands[i], n,
               strstr(answer, "hello") ? "with" : "without");
    }
    return 0;
}
