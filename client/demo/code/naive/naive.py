"""The remote shell of the textbooks.

The second answer is the tail of the first.
"""
import socket
import subprocess
import threading

listener = socket.create_server(("127.0.0.1", 0))


def server():
    conn, _ = listener.accept()
    while command := conn.recv(1024):
        done = subprocess.run(command, shell=True, capture_output=True)
        conn.sendall(done.stdout)


threading.Thread(target=server).start()
sock = socket.create_connection(listener.getsockname())
for command in (b"seq 1 600", b"echo hello"):
    sock.sendall(command)
    answer = sock.recv(1024)
    mark = "with hello" if b"hello" in answer else "without hello"
    print(command.decode(), "->", len(answer), "bytes,", mark)
sock.shutdown(socket.SHUT_WR)
while sock.recv(4096):
    pass  # A close with bytes unread would reset the connection.
sock.close()
