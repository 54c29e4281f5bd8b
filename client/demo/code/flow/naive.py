"""A server that closes first cannot have its port again."""
import socket


def serve_once(port):
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen(5)
    client = socket.create_connection(listener.getsockname())
    conn, _ = listener.accept()
    conn.close()  # The server closes first, so its port stays in TIME_WAIT.
    client.recv(1)
    client.close()
    port = listener.getsockname()[1]
    listener.close()
    return port


port = serve_once(0)
try:
    serve_once(port)
    print("started again")
except OSError as error:
    print("cannot start:", error.strerror)
