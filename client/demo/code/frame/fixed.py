"""Struct.pack('>I') and a JSON dict, however the bytes are cut."""
import json
import socket
import struct

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
for message in (b"echo one", b"printf 'a\nb'"):
    header = json.dumps({"size": len(message)}).encode()
    for byte in struct.pack(">I", len(header)) + header + message:
        client.sendall(bytes([byte]))
client.close()


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


for _ in range(2):
    size, = struct.unpack(">I", exactly(conn, 4))
    header = json.loads(exactly(conn, size))
    print(exactly(conn, header["size"]))
