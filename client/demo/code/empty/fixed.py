"""A header of four zero bytes is a message, and recv's 0 is only the
end."""
import socket
import struct

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
conn.sendall(struct.pack(">I", 0))
conn.close()


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


size, = struct.unpack(">I", exactly(client, 4))
print("answer:", exactly(client, size))
try:
    exactly(client, 4)
except EOFError:
    print("the end")
