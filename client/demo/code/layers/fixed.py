"""Is the other host in my subnet? Both addresses are numbers of 32 bits:
the subnet is the same if the bits under the mask are the same."""
import socket
import struct


def number(address):
    return struct.unpack(">I", socket.inet_aton(address))[0]


def next_hop(mine, other, gateway, mask="255.255.255.0"):
    is_near = (number(mine) ^ number(other)) & number(mask) == 0
    return other if is_near else gateway


print(next_hop("10.0.1.2", "10.0.1.9", "10.0.1.1"))
print(next_hop("10.0.1.2", "10.0.12.9", "10.0.1.1"))
