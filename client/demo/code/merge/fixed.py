"""Four bytes with the length in front of each message."""
import socket
import struct
import threading

listener = socket.create_server(("127.0.0.1", 0))


def client():
    sock = socket.create_connection(listener.getsockname())
    for message in (b"echo one;", b"echo two;", b"echo three;"):
        sock.sendall(struct.pack(">I", len(message)) + message)
    sock.close()


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


threading.Thread(target=client).start()
conn, _ = listener.accept()
for number in (1, 2, 3):
    size, = struct.unpack(">I", exactly(conn, 4))
    print(f"message {number}:", exactly(conn, size).decode())
