"""What all checks share: the verdict, the learner's function or program as a process, senders."""
import contextlib
import fcntl
import itertools
import json
import os
import pickle
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

import ribbon

SECONDS = int(os.environ.get("FRSH_EXERCISE_SECONDS", "10"))  # The tests set less.
IS_CHINESE = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG")
                   if os.environ.get(name)), "").startswith("zh")
HERE = os.path.dirname(os.path.abspath(__file__))


class Wrong(Exception):
    """The answer is not right: why, in both languages, and a drawing or nothing."""

    def __init__(self, english, chinese, drawing=""):
        super().__init__(chinese if IS_CHINESE else english)
        self.drawing = drawing


class Silent(Wrong):
    """A server runs and has not printed its port in time."""


def draw(pieces, takes):
    return ribbon.draw(pieces, takes, IS_CHINESE)


def frame(data):
    return struct.pack(">I", len(data)) + data


def frame_pieces(data):
    return [("length", struct.pack(">I", len(data)))] + ([("data", data)] if data else [])


def pieces_of(messages):
    return [piece for message in messages for piece in frame_pieces(message)]


def is_spinning(pid):
    """Whether the process computes all the time instead of waiting for something."""
    states = []
    for _ in range(20):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii",
                                                errors="replace") as stat:
            states.append(stat.read().rpartition(")")[2].split()[0])
        time.sleep(0.005)
    return states.count("R") > len(states) / 2


class Raised(Exception):
    """The learner's function raised: the names of the exception's classes, and its text."""

    def __init__(self, names, text):
        super().__init__(f"{names[0]}: {text}" if text else names[0])
        self.names = names


class Answer:
    """A function of the learner's file, called in a process of its own."""

    def __init__(self, path, function):
        if not os.path.isfile(path):
            raise Wrong(f"there is no file {path}", f"没有文件 {path}")
        self.path, self.function = path, function
        self.start()

    def start(self):
        path, function = self.path, self.function
        self.names, self.known, self.is_late = itertools.count(), {}, False
        self.control, far = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "runner.py"), path, function, str(far.fileno())],
            pass_fds=[far.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)
        far.close()
        try:
            if not self.reply():
                raise Wrong(f"{path} has no function {function}", f"{path} 里没有函数 {function}")
        except Raised as problem:
            self.close()
            raise Wrong(f"{path} cannot be loaded: {problem}",
                        f"{path} 无法加载：{problem}") from None
        except Wrong:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.control.close()

    def reply(self):
        deadline, line = time.monotonic() + SECONDS, b""
        while not line.endswith(b"\n"):
            ready = select.select([self.control], [], [], max(0, deadline - time.monotonic()))[0]
            if not ready:
                self.raise_late()
            piece = self.control.recv(1 << 20)
            if not piece:
                status = self.process.wait()
                raise Wrong(f"the program ends itself with status {status} instead of returning",
                            f"程序自己退出了（状态 {status}），没有返回")
            line += piece
        answer = json.loads(line)
        if "raised" in answer:
            raise Raised(answer["raised"], answer["text"])
        return answer["value"]

    def raise_late(self):
        self.is_late = True
        if is_spinning(self.process.pid):
            raise Wrong(f"it did not return within {SECONDS} s and loops without waiting; at the "
                        "end recv returns b'' again and again: test for it",
                        f"{SECONDS} 秒内没有返回，一直在空转；结束后 recv 每次都返回 b''，要判断它")
        raise Wrong(f"it did not return within {SECONDS} s: it still waits for something that does "
                    "not come", f"{SECONDS} 秒内没有返回：它还在等不会来的东西")

    def call(self, sock, *arguments):
        """Returns what the function returns. Throws Raised if it raises, Wrong if it is late."""
        if self.is_late:  # The process is still busy with an earlier call.
            self.close()
            self.start()
        name = self.known.setdefault(sock, next(self.names))
        socket.send_fds(self.control, [pickle.dumps((name, arguments))], [sock.fileno()])
        return self.reply()


def pending(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def parts_of(data, sizes):
    """Cuts `data`: a number cuts it evenly, a list has the sizes of the first parts."""
    if isinstance(sizes, int):
        sizes = [sizes] * (len(data) // sizes)
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [part for part in (*parts, data) if part]


@contextlib.contextmanager
def sender(data, sizes=None, is_left_open=False):
    """A socket on which `data` arrives in such parts, each when the one before has been taken, and
    then the end."""
    near, far = tcp_pair()
    parts = parts_of(data, sizes or [len(data)])

    def send():
        patience = 1.0  # An answer that waits for more than one part gets the rest at once.
        with contextlib.suppress(OSError, ValueError):
            for part in parts:
                far.sendall(part)
                deadline = time.monotonic() + patience
                while len(parts) > 1 and pending(near) > 0:
                    if time.monotonic() > deadline:
                        patience = 0
                        break
                    time.sleep(0.0001)
            if not is_left_open:
                far.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield near
    finally:
        near.close()
        far.close()


def wait_taken(client, seconds=0.5):
    """Waits until the peer's kernel queues nothing of this socket: the peer has read it all."""
    ports = [end[1] for end in (client.getpeername(), client.getsockname())]
    row = re.compile(r":%04X \w+:%04X \w+ \w+:(\w+)" % tuple(ports))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with open("/proc/net/tcp", encoding="ascii") as table:
            found = row.search(table.read())
        if found is None or int(found.group(1), 16) == 0:
            return
        time.sleep(0.0002)


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def start(program, *arguments, **options):
    """Starts the learner's program, or reports what keeps it from starting."""
    path = os.path.abspath(program)
    if not os.path.isfile(path):
        raise Wrong(f"there is no file {program}", f"没有文件 {program}")
    if not os.access(path, os.X_OK):
        raise Wrong(f"{program} is not executable; chmod +x {program}",
                    f"{program} 不可执行；chmod +x {program}")
    try:
        return subprocess.Popen([path, *arguments], stdin=subprocess.DEVNULL,
                                start_new_session=True, **options)
    except OSError as problem:
        raise Wrong(f"{program} cannot be started ({problem.strerror}); its first line is to be "
                    "#!/usr/bin/env python3",
                    f"{program} 无法启动（{problem.strerror}）；"
                    "第一行应当是 #!/usr/bin/env python3") from None


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(file):
    """The last line that a program wrote to its stderr, for the verdict."""
    file.seek(0)
    lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1].strip()})" if lines else ""


class Server:
    """The learner's server, which prints its port as its first line."""

    def __init__(self, program):
        self.errors = tempfile.TemporaryFile()
        self.clients = []
        self.process = start(program, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0)
        try:
            self.port = self.read_port()
        except Wrong:
            self.close()
            raise
        # What the server prints later is of no interest, but it must not fill the pipe.
        threading.Thread(target=self.drain, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for client in self.clients:
            client.close()
        stop(self.process)
        self.errors.close()

    def drain(self):
        with contextlib.suppress(OSError, ValueError):
            while self.process.stdout.read(65536):
                pass

    def read_port(self):
        deadline, line = time.monotonic() + SECONDS, b""
        while b"\n" not in line:
            if not select.select([self.process.stdout], [], [],
                                 max(0, deadline - time.monotonic()))[0]:
                break
            piece = os.read(self.process.stdout.fileno(), 1)
            if not piece:
                break
            line += piece
        # A program that has closed its stdout is about to end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if line else 1)
        if self.process.poll() is not None and not line:
            words = last_words(self.errors)
            raise Wrong(f"the server ended before it printed its port{words}",
                        f"服务器还没打印端口就结束了{words}")
        text = line.decode(errors="replace").strip()
        if line.endswith(b"\n") and text.isdigit() and 0 < int(text) < 65536:
            return int(text)
        if not line:
            raise Silent(f"the server does not print its port within {SECONDS} s; is the output "
                         "flushed (print(port, flush=True))?", f"服务器 {SECONDS} 秒内没有打印端口；"
                         "输出 flush 了吗（print(port, flush=True)）？")
        raise Wrong(f"the first line is to be the port alone, and it is {text[:60]!r}",
                    f"第一行应当只有端口，现在是 {text[:60]!r}")

    def check_address(self):
        """In the kernel's table 0A is LISTEN, and an address of zeros is every address."""
        listening = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(OSError), open(table, encoding="ascii") as rows:
                listening += [row[1] for row in map(str.split, rows)
                              if row[3] == "0A" and row[1].endswith(f":{self.port:04X}")]
        if any(not one.partition(":")[0].strip("0") for one in listening):
            raise Wrong("the server listens on every address of the machine; it is to listen on "
                        "127.0.0.1 alone", "服务器在本机所有地址上监听；应当只监听 127.0.0.1")

    def connect(self):
        deadline = time.monotonic() + min(2, SECONDS)
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
                break
            except ConnectionError:
                # The port may be printed just before listen.
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.raise_gone()
                time.sleep(0.01)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.append(client)
        self.check_address()
        return client

    def raise_gone(self):
        words = last_words(self.errors)
        if self.process.poll() is None:
            raise Wrong(f"nothing listens on the port {self.port} that it printed{words}",
                        f"它打印的端口 {self.port} 上没有监听{words}") from None
        raise Wrong(f"the server has ended; it is to serve the next client, too{words}",
                    f"服务器退出了；它还应当服务下一个客户{words}") from None


def echoed(client, stream, sizes=None):
    """Sends the stream in such parts. Returns what came back until it differs, ends or is late, and
    the problem, if any."""
    got = b""
    try:
        parts = parts_of(stream, sizes or [len(stream)])
        for part in parts:
            client.sendall(part)
            if len(parts) > 1:
                wait_taken(client)
        while len(got) < len(stream) and stream.startswith(got):
            piece = client.recv(65536)
            if not piece:
                return got, "closed"
            got += piece
    except TimeoutError:
        return got, "late"
    except OSError:
        return got, "closed"
    return got, "" if got == stream else "different"


def expect_echo(client, messages, what, what_zh, sizes=None):
    """Sends the messages and compares what comes back. Returns the pieces of the stream."""
    stream = b"".join(map(frame, messages))
    got, problem = echoed(client, stream, sizes)
    if got != stream:
        same = len(os.path.commonprefix([got, stream]))
        english, chinese = {
            "closed": ("then the server closed", "然后服务器关闭了连接"),
            "late": (f"then nothing came for {SECONDS} s", f"然后 {SECONDS} 秒没有动静"),
            "different": ("then others came", "后面的不对")}[problem]
        raise Wrong(f"{what}: {same} of {len(stream)} bytes came back as they were sent, {english}",
                    f"{what_zh}：{len(stream)} 个字节里只有前 {same} 个原样返回，{chinese}",
                    draw(pieces_of(messages), [("back", same), ("missing", len(stream) - same)]))
    return pieces_of(messages)
