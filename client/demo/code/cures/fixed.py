"""The length in front: the reader knows how much is still to come."""
import socket
import struct

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()


def exactly(size):
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


answer = b"first part, second part"
conn.sendall(struct.pack(">I", len(answer)) + answer[:12])
size, = struct.unpack(">I", exactly(4))
conn.sendall(answer[12:])
print("answer 1:", exactly(size))
