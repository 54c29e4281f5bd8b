"""One client at a time. A silent client blocks the next one."""
import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))


def server():
    for _ in range(2):
        conn, _ = listener.accept()
        while data := conn.recv(1024):
            conn.sendall(data)
        conn.close()


threading.Thread(target=server).start()
silent = socket.create_connection(listener.getsockname())
asking = socket.create_connection(listener.getsockname())
asking.sendall(b"hello")
asking.settimeout(0.3)
try:
    print("answer:", asking.recv(1024))
except TimeoutError:
    print("no answer")
silent.close()
asking.settimeout(3)
print("after the silent client has left:", asking.recv(1024))
asking.close()
