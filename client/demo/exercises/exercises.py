#!/usr/bin/env python3
"""Checks the three exercises of LESSONS.md. Prints "right", or what is wrong, and exits with 1.

    exercises.py stuck NUMBER
    exercises.py exactly FILE.py
    exercises.py client PROGRAM
"""
import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(DEMO))


class Wrong(Exception):
    pass


def stuck(answer):
    with open(os.path.join(DEMO, "LESSONS.md"), encoding="utf-8") as page:
        text = re.search(r"<<'END'\n([0-9a-f\n]+)END", page.read()).group(1)
    stream, total = bytes.fromhex(text.replace("\n", "")), 0
    while stream:
        size, = struct.unpack(">I", stream[:4])
        payload = json.loads(stream[4:4 + size]).get("len", 0)
        total += payload
        stream = stream[4 + size + payload:]
    if answer != str(total):
        raise Wrong(f"they do not carry {answer} bytes; a frame without \"len\" has no payload")


@contextlib.contextmanager
def watchdog(seconds, what):
    """Raises Wrong after so many seconds: a loop without the empty test never ends by itself."""
    def expire(_number, _frame):
        raise Wrong(f"{what} did not return within {seconds} s; what does recv return at the end?")
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def exactly(path):
    with watchdog(10, "exactly"):
        check_exactly(path)


def check_exactly(path):
    spec = importlib.util.spec_from_file_location("exactly", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    message = bytes(range(256)) * 40
    for cut in (1, 2, 3, 7, 1000, len(message)):
        near, far = socket.socketpair()
        near.settimeout(5)

        def send(far=far, cut=cut):
            # An answer that gives up early closes its end while we still send.
            with contextlib.suppress(OSError):
                for at in range(0, len(message), cut):
                    far.sendall(message[at:at + cut])
            far.close()

        threading.Thread(target=send, daemon=True).start()
        got = b""
        for size in (4, 1, 0, 1000, 9000):
            piece = module.exactly(near, size)
            if len(piece) != size:
                raise Wrong(f"asked for {size} bytes of a stream sent {cut} at a time, "
                            f"it returned {len(piece)}")
            got += piece
        if got != message[:len(got)]:
            raise Wrong(f"bytes are lost or out of order when they come {cut} at a time")
        try:
            piece = module.exactly(near, 100000)
        except EOFError:
            continue
        raise Wrong(f"the peer closed in the middle, and it returned {len(piece)} bytes as if whole")


def cut_to_single_bytes(port):
    """A port that passes everything on to `port`, one byte at a time each way. Serves once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        try:
            while data := source.recv(4096):
                for i in range(len(data)):
                    target.sendall(data[i:i + 1])
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        near, _ = listening.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)

    threading.Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def client(program):
    server = subprocess.Popen([sys.executable, os.path.join(ROOT, "scripts", "mini_server.py")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        numbers = b"".join(b"%d\n" % i for i in range(1, 5001))
        for what, command, output, code, cut in (
                ("a short answer", "echo hello", b"hello\n", 0, False),
                ("an answer that does not fit into one recv", "seq 1 5000", numbers, 0, False),
                ("no output at all", "true", b"", 0, False),
                ("an exit code", "echo x; exit 7", b"x\n", 7, False),
                ("stderr apart", "echo oops >&2; echo fine", b"fine\n", 0, False),
                ("one byte at a time", "seq 1 300; exit 5", numbers[:1092], 5, True)):
            where = cut_to_single_bytes(port) if cut else port
            try:
                done = subprocess.run([os.path.abspath(program), str(where), command], check=False,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, timeout=10)
            except subprocess.TimeoutExpired:
                raise Wrong(f"{what}: it waits for ever") from None
            if done.stdout != output:
                raise Wrong(f"{what}: {len(done.stdout)} bytes of output, and not the right "
                            f"{len(output)}")
            if done.returncode != code:
                raise Wrong(f"{what}: it exits with {done.returncode}, not {code}")
    finally:
        server.terminate()
        server.wait()


def main():
    checks = {"stuck": stuck, "exactly": exactly, "client": client}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        print(__doc__.strip())
        return 2
    try:
        checks[sys.argv[1]](sys.argv[2])
    except Wrong as wrong:
        print(f"not yet: {wrong}")
        return 1
    except Exception as problem:  # The student's own code.
        print(f"not yet: {type(problem).__name__}: {problem}")
        return 1
    print("right")
    return 0


sys.exit(main())
