"""Read until nothing comes: a command that thinks is cut in half."""
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
conn, _ = listener.accept()


def answer():
    client.settimeout(0.1)
    data = b""
    try:
        while piece := client.recv(1024):
            data += piece
    except TimeoutError:
        pass  # Silence: this must be all. Or is it?
    return data


conn.sendall(b"first part, ")
print("answer 1:", answer())
conn.sendall(b"second part")
print("answer 2:", answer())
