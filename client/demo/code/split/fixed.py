"""Sendall repeats send, and exactly repeats recv."""
import socket
import struct
import threading

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
message = b"A" * (1 << 20)


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def send():
    client.sendall(struct.pack(">I", len(message)) + message)


threading.Thread(target=send).start()
size, = struct.unpack(">I", exactly(conn, 4))
got = exactly(conn, size)
print("whole" if got == message else "a part of it")
