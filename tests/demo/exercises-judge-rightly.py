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


def judge(exercise, answer):
    done = subprocess.run([sys.executable, f"{ROOT}/client/demo/exercises/exercises.py", exercise, answer],
                          capture_output=True, text=True, check=False, timeout=90)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def is_right(exercise, answer):
    code, text = judge(exercise, answer)
    assert (code, text) == (0, "right\n"), (exercise, code, text)


def is_wrong(exercise, answer):
    code, text = judge(exercise, answer)
    assert code == 1 and text.startswith("not yet: "), (exercise, code, text)


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
