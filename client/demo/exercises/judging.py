"""What all checks share: the verdict, the watchdog, and the student's program as a process."""
import contextlib
import fcntl
import importlib.util
import os
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import ribbon

SECONDS = int(os.environ.get("FRSH_EXERCISE_SECONDS", "10"))  # The tests set less.
IS_CHINESE = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG")
                   if os.environ.get(name)), "").startswith("zh")


class Wrong(Exception):
    """The answer is not right: why, in both languages, and a drawing or nothing."""

    def __init__(self, english, chinese, drawing=""):
        super().__init__(chinese if IS_CHINESE else english)
        self.drawing = drawing


@contextlib.contextmanager
def watchdog(what, seconds=SECONDS):
    """Raises Wrong after so many seconds: a loop without the empty test never ends by itself."""
    def expire(_number, _frame):
        raise Wrong(f"{what} did not return within {seconds} s; what does recv return at the end?",
                    f"{what} 在 {seconds} 秒内没有返回；结束时 recv 返回什么？")
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def module_of(path, function):
    spec = importlib.util.spec_from_file_location("answer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, function):
        raise Wrong(f"{path} has no function {function}", f"{path} 里没有函数 {function}")
    return getattr(module, function)


def frame(data):
    return struct.pack(">I", len(data)) + data


def frame_pieces(data):
    return [("length", struct.pack(">I", len(data)))] + ([("data", data)] if data else [])


def sender(data, cut):
    """A socket on which `data` arrives in parts of `cut` bytes, and then the end."""
    near, far = socket.socketpair()
    near.settimeout(5)

    def send():
        # An answer that gives up early closes its end while this still sends.
        with contextlib.suppress(OSError):
            for at in range(0, len(data), cut):
                far.sendall(data[at:at + cut])
                # One part at a time: wait until the answer has taken it.
                while cut < len(data) and pending(near) > 0:
                    time.sleep(0.0005)
        far.close()

    threading.Thread(target=send, daemon=True).start()
    return near


def pending(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]


def wait_taken(client, seconds=0.5):
    """Waits until the server's kernel queues nothing of this client: the server has read it all."""
    ports = [end[1] for end in (client.getpeername(), client.getsockname())]
    row = re.compile(r":%04X \w+:%04X \w+ \w+:(\w+)" % tuple(ports))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with open("/proc/net/tcp", encoding="ascii") as table:
            found = row.search(table.read())
        if found is None or int(found.group(1), 16) == 0:
            return


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


@contextlib.contextmanager
def server(program):
    """Starts the student's server, which prints its port. Gives its pid and a way to connect."""
    process = subprocess.Popen([os.path.abspath(program)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    clients = []
    try:
        ready = select.select([process.stdout], [], [], min(5, SECONDS))[0]
        line = process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            raise Wrong("the server does not print its port in a line; flush the output",
                        "服务器没有把端口打印成一行；记得 flush")

        def connect():
            client = socket.create_connection(("127.0.0.1", int(line)), timeout=min(3, SECONDS))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients.append(client)
            return client

        yield process.pid, connect
    finally:
        for client in clients:
            client.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def expect_echo(client, messages, what, what_zh, cut=None):
    """Sends the messages, in parts of `cut` bytes, and compares what comes back."""
    stream = b"".join(map(frame, messages))
    for at in range(0, len(stream), cut or len(stream)):
        client.sendall(stream[at:at + (cut or len(stream))])
        if cut:
            wait_taken(client)
    got = b""
    try:
        while len(got) < len(stream) and stream.startswith(got):
            piece = client.recv(65536)
            if not piece:
                break
            got += piece
    except OSError:
        pass
    if got != stream:
        pieces = [piece for message in messages for piece in frame_pieces(message)]
        same = len(os.path.commonprefix([got, stream]))
        raise Wrong(f"{what}: {same} of {len(stream)} bytes came back as they were sent",
                    f"{what_zh}：{len(stream)} 个字节里只有前 {same} 个原样返回",
                    ribbon.draw(pieces, [("back", same), ("missing", len(stream) - same)]))
    return [piece for message in messages for piece in frame_pieces(message)]
