// frame, naive, in C: a message with a newline in it becomes two.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    const char *const messages[] = {"echo one\n", "printf 'a\nb'\n"};
    for (int i = 0; i < 2; ++i)
        if (send(ends[0], messages[i], strlen(messages[i]), 0) < 0)
            return 1;
    close(ends[0]);
    FILE *const stream = fdopen(ends[1], "r");
    char line[1024];
    int count = 0;
    while (fgets(line, sizeof line, stream) != NULL)
        ++count;
    printf("%d messages\n", count);
    return 0;
}
