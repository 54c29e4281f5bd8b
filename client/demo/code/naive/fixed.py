"""The same shell with a JSON dict as header. Each answer is whole."""
import json
import socket
import struct
import subprocess
import threading

listener = socket.create_server(("127.0.0.1", 0))


def send(sock, data, **header):
    text = json.dumps({**header, "size": len(data)}).encode()
    sock.sendall(struct.pack(">I", len(text)) + text + data)


def receive(sock):
    size, = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))
    header = json.loads(sock.recv(size, socket.MSG_WAITALL))
    return header, sock.recv(header["size"], socket.MSG_WAITALL)


def server():
    conn, _ = listener.accept()
    for _ in range(2):
        _, command = receive(conn)
        done = subprocess.run(command, shell=True, capture_output=True)
        send(conn, done.stdout, code=done.returncode)


threading.Thread(target=server).start()
sock = socket.create_connection(listener.getsockname())
for command in (b"seq 1 600", b"echo hello"):
    send(sock, command)
    _, answer = receive(sock)
    mark = "with hello" if b"hello" in answer else "without hello"
    print(command.decode(), "->", len(answer), "bytes,", mark)
sock.close()
