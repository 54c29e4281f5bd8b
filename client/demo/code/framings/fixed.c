// framings, fixed, in C: in the data the newline is escaped.
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void put(FILE *out, const char *message) {
    for (; *message != '\0'; ++message) {
        if (*message == '\n' || *message == '\\') fputc('\\', out);
        fputc(*message == '\n' ? 'n' : *message, out);
    }
    fputc('\n', out);
}

static int show_next(FILE *in) {
    int letter = fgetc(in);
    if (letter == EOF) return 0;
    putchar('[');
    for (; letter != '\n' && letter != EOF; letter = fgetc(in)) {
        if (letter == '\\') {
            letter = fgetc(in);
            letter = letter == 'n' ? '\n' : letter;
        }
        putchar(letter);
    }
    puts("]");
    return 1;
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    FILE *const out = fdopen(ends[0], "w");
    put(out, "echo one");
    put(out, "printf 'a\nb'");
    put(out, "");
    fclose(out);
    FILE *const in = fdopen(ends[1], "r");
    while (show_next(in)) continue;
}
