"""An answer of no bytes is sent, and the reader waits for it in vain."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()
conn.send(b"")  # What the command true printed. Nothing leaves.
client.settimeout(0.3)
try:
    print("answer:", client.recv(1024))
except TimeoutError:
    print("no answer")
