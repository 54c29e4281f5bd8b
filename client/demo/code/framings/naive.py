"""A newline as the end, and data that has a newline in it."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
for message in (b"echo one", b"printf 'a\nb'", b""):
    client.sendall(message + b"\n")
client.close()
for line in conn.makefile("rb"):
    print(line[:-1])
