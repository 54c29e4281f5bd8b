"""Socketserver starts a thread for each client."""
import socket
import socketserver
import threading


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1024):
            self.request.sendall(data)


server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
threading.Thread(target=server.serve_forever).start()
silent = socket.create_connection(server.server_address)
asking = socket.create_connection(server.server_address)
asking.sendall(b"hello")
asking.settimeout(3)
try:
    print("answer:", asking.recv(1024))
except TimeoutError:
    print("no answer")
silent.close()
asking.close()
server.shutdown()
server.server_close()
