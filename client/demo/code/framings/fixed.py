"""The newline is escaped in the data, so that it can only be an end."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()


def escape(data):
    return data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def unescape(line):
    data = bytearray()
    rest = iter(line)
    for byte in rest:
        if byte == ord("\\"):
            byte = next(rest)
            byte = ord("\n") if byte == ord("n") else byte
        data.append(byte)
    return bytes(data)


for message in (b"echo one", b"printf 'a\nb'", b""):
    for byte in escape(message) + b"\n":
        client.sendall(bytes([byte]))
client.close()
for line in conn.makefile("rb"):
    print(unescape(line[:-1]))
