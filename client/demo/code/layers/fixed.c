// layers, fixed, in C: the bits under the mask decide.
#include <arpa/inet.h>
#include <stdio.h>

static const char *next_hop(const char *mine, const char *other,
                            const char *gateway) {
    const in_addr_t mask = inet_addr("255.255.255.0");
    const in_addr_t difference = inet_addr(mine) ^ inet_addr(other);
    return (difference & mask) == 0 ? other : gateway;
}

int main(void) {
    puts(next_hop("10.0.1.2", "10.0.1.9", "10.0.1.1"));
    puts(next_hop("10.0.1.2", "10.0.12.9", "10.0.1.1"));
    return 0;
}
