"""One send of 1 MiB, whose result is ignored, and one recv."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
message = b"A" * (1 << 20)
client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
client.setblocking(False)
client.send(message)  # Takes only what fits into the kernel's buffers.
client.close()
got = conn.recv(1 << 22)  # Takes only what has arrived.
print("whole" if got == message else "a part of it")
