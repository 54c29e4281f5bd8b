#!/usr/bin/env python3
"""exercises-judge-rightly.py ROOT: each check of LESSONS.md accepts a right answer and refuses the
mistake its lesson is about."""
import os
import subprocess
import sys
import tempfile

ROOT = sys.argv[1]

RIGHT = """
def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
"""
CLIENT = RIGHT + """
import json, socket, struct, sys, zlib
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def say(payload=b"", **header):
    if payload: header["len"] = len(payload)
    text = json.dumps(header).encode()
    sock.sendall(struct.pack(">I", len(text)) + text + payload)
say(type="hello", proto=1, software="mini/1", features=[])
say(sys.argv[2].encode() + b"\\0", type="open", ch=1, run="mine-1", mode="command", args=1, env=0,
    stdin_null=True)
while True:
    size, = struct.unpack(">I", exactly(sock, 4))
    header = json.loads(exactly(sock, size))
    payload = exactly(sock, header.get("len", 0))
    if header["type"] == "data" and header["stream"] == "stdout":
        sys.stdout.buffer.write(payload)
    if header["type"] == "end":
        say(type="end_ack", ch=1, run="mine-1")
        sys.exit(header["outcome"]["code"])
"""


def judge(exercise, answer, language="C"):
    done = subprocess.run([sys.executable, f"{ROOT}/client/demo/exercises/exercises.py", exercise, answer],
                          capture_output=True, text=True, check=False, timeout=90,
                          env={**os.environ, "LC_ALL": language, "PYTHONIOENCODING": "utf-8",
                               "FRSH_EXERCISE_SECONDS": "3", "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def is_right(exercise, answer):
    code, text = judge(exercise, answer)
    assert code == 0 and text.endswith("right\n"), (exercise, code, text)
    assert exercise in ("stuck", "client") or "┌" in text, (exercise, text)


def is_wrong(exercise, answer):
    code, text = judge(exercise, answer)
    assert code == 1 and text.splitlines()[-1].startswith("not yet: "), (exercise, code, text)
    return text


READER = RIGHT + """
import struct
def read_messages(sock):
    messages = []
    while True:
        try:
            size, = struct.unpack(">I", exactly(sock, 4))
        except EOFError:
            return messages
        messages.append(exactly(sock, size))
"""
SERVER = RIGHT + """
import socket, struct, threading
def serve(sock):
    with sock:
        try:
            while True:
                size, = struct.unpack(">I", exactly(sock, 4))
                if size > 1 << 20:
                    return
                sock.sendall(struct.pack(">I", size) + exactly(sock, size))
        except (EOFError, OSError):
            return
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
RECEIVE = RIGHT + """
import json, os, struct
def receive(sock, folder):
    size, = struct.unpack(">I", exactly(sock, 4))
    header = json.loads(exactly(sock, size))
    if "/" in header["name"] or header["name"] in (".", ".."):
        raise ValueError(header["name"])
    data = exactly(sock, header["size"])
    with open(os.path.join(folder, header["name"]), "wb") as file:
        file.write(data)
"""
UDP = """
import struct
def send_all(sock, address, messages):
    sock.settimeout(0.05)
    for number, message in enumerate(messages):
        head = struct.pack(">I", number)
        while True:
            sock.sendto(head + message, address)
            try:
                if sock.recv(4) == head:
                    break
            except TimeoutError:
                pass
"""


def without(text, part, instead=""):
    changed = text.replace(part, instead)
    assert changed != text, part
    return changed


is_right("stuck", "7")
is_wrong("stuck", "31")
with tempfile.TemporaryDirectory() as folder:
    def file(name, text, mode=0o644):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    is_right("exactly", file("right.py", RIGHT))
    is_wrong("exactly", file("once.py", "def exactly(sock, size):\n    return sock.recv(size)\n"))
    is_wrong("exactly", file("no_end.py", RIGHT.replace("raise EOFError", "break")))
    loops = RIGHT.replace("        if not piece:\n            raise EOFError\n", "")
    assert loops != RIGHT
    is_wrong("exactly", file("loops.py", loops))
    head = f"#!{sys.executable}\n"
    is_right("client", file("client", head + CLIENT, 0o755))
    naive = CLIENT.replace("    while len(data) < size:", "    if size:")
    assert naive != CLIENT
    is_wrong("client", file("naive", head + naive, 0o755))
    without_env = CLIENT.replace(" env=0,", "")
    assert without_env != CLIENT
    is_right("client", file("without_env", head + without_env, 0o755))
    for name, part, instead in (
            ("no_hello", 'say(type="hello", proto=1, software="mini/1", features=[])', ""),
            ("no_nul", 'encode() + b"\\0"', "encode()")):
        strict = CLIENT.replace(part, instead)
        assert strict != CLIENT, name
        is_wrong("client", file(name, head + strict, 0o755))

    printf = "printf '\\\\0\\\\0\\\\0\\\\15hello, 世界' > /dev/tcp/127.0.0.1/$1\n".replace("\\\\", "\\")
    is_right("1", file("right.sh", printf))
    assert "the length says 9" in is_wrong("printf", file("characters.sh",
                                                          without(printf, "\\15", "\\11")))
    is_wrong("printf", file("silent.sh", "true\n"))
    is_right("2", file("reader.py", READER))
    is_wrong("hunt", os.path.join(ROOT, "client/demo/exercises/hunt.py"))
    is_wrong("hunt", file("half_mended.py", without(READER, "append(exactly(sock, size))",
                                                    "append(sock.recv(size))")))
    is_right("file", file("receive.py", RECEIVE))
    is_wrong("file", file("anywhere.py", without(RECEIVE, '"/" in header["name"] or ')))
    is_wrong("7", file("half.py", without(RECEIVE, 'exactly(sock, header["size"])',
                                          'sock.recv(header["size"])')))
    is_right("udp", file("udp.py", UDP))
    is_wrong("9", file("once.py", "def send_all(sock, address, messages):\n"
                       "    for i, m in enumerate(messages):\n"
                       "        sock.sendto(i.to_bytes(4, 'big') + m, address)\n"))
    good = file("server", head + SERVER, 0o755)
    for exercise in ("4", "empty", "6", "two"):
        is_right(exercise, good)
    is_wrong("echo", file("raw", head + without(SERVER, "exactly(sock, 4)", "sock.recv(4)"), 0o755))
    is_wrong("empty", file("none", head + without(SERVER, "if size > 1 << 20", "if size == 0"), 0o755))
    is_wrong("hostile", file("trusts", head + without(SERVER, "size > 1 << 20", "size < 0"), 0o755))
    is_wrong("two", file("one", head + without(
        SERVER, "threading.Thread(target=serve, args=(connection,), daemon=True).start()",
        "serve(connection)"), 0o755))
    is_wrong("echo", file("mute", head + "import time\ntime.sleep(60)\n", 0o755))
    code, text = judge("exactly", file("chinese.py", "def exactly(sock, size):\n    return sock.recv(1)\n"),
                       "zh_CN.UTF-8")
    assert code == 1 and text.splitlines()[-1].startswith("还不对："), text
