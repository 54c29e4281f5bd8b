"""Is the other host in my subnet? Addresses compared as text."""


def next_hop(mine, other, gateway):
    network = mine.rsplit(".", 1)[0]
    return other if other.startswith(network) else gateway


print(next_hop("10.0.1.2", "10.0.1.9", "10.0.1.1"))
print(next_hop("10.0.1.2", "10.0.12.9", "10.0.1.1"))
