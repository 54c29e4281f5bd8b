"""Three sends, and a reader that takes one recv for one message."""
import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))
sent = threading.Event()


def client():
    sock = socket.create_connection(listener.getsockname())
    for message in (b"echo one;", b"echo two;", b"echo three;"):
        sock.send(message)
    sock.close()
    sent.set()


threading.Thread(target=client).start()
conn, _ = listener.accept()
sent.wait()  # The reader is busy until all three have been sent.
print("message 1:", conn.recv(1024).decode())
