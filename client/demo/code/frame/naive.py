"""A newline as the end. A message with a newline in it becomes two."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
for message in (b"echo one", b"printf 'a\nb'"):
    client.sendall(message + b"\n")
client.close()
messages = list(conn.makefile("rb"))
print(len(messages), "messages")
