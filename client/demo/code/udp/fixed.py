"""A buffer for the largest datagram, and a number in each so that a loss
shows."""
import socket
import struct

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number, data in enumerate((b"abcdefghijklmnopqrstuvwxyz", b"next")):
    client.sendto(struct.pack(">I", number) + data, server.getsockname())
for wanted in range(2):
    datagram, _ = server.recvfrom(65535)
    number, = struct.unpack(">I", datagram[:4])
    print("lost" if number != wanted else datagram[4:])
