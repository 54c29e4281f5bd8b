"""A buffer that is too short. The rest of the datagram is gone."""
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b"abcdefghijklmnopqrstuvwxyz", server.getsockname())
client.sendto(b"next", server.getsockname())
print(server.recvfrom(10)[0])
print(server.recvfrom(10)[0])
