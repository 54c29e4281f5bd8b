// layers, naive, in C: addresses compared as text.
#include <stdio.h>
#include <string.h>

static const char *next_hop(const char *mine, const char *other,
                            const char *gateway) {
    const size_t network = (size_t)(strrchr(mine, '.') - mine);
    return strncmp(mine, other, network) == 0 ? other : gateway;
}

int main(void) {
    puts(next_hop("10.0.1.2", "10.0.1.9", "10.0.1.1"));
    puts(next_hop("10.0.1.2", "10.0.12.9", "10.0.1.1"));
    return 0;
}
