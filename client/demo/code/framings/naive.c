// framings, naive, in C: a newline as the end, and one in the data.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    const char *const messages[] = {"echo one", "printf 'a\nb'", ""};
    for (int i = 0; i < 3; ++i) {
        send(ends[0], messages[i], strlen(messages[i]), 0);
        send(ends[0], "\n", 1, 0);
    }
    close(ends[0]);
    FILE *const stream = fdopen(ends[1], "r");
    char line[1024];
    while (fgets(line, sizeof line, stream) != NULL)
        printf("[%.*s]\n", (int)strcspn(line, "\n"), line);
    return 0;
}
