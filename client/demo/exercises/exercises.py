#!/usr/bin/env python3
"""Checks the ten exercises of LESSONS.md, and `stuck` before them. 练习的检查程序。

    exercises.py stuck NUMBER
    exercises.py 1|printf SCRIPT.sh         exercises.py 6|hostile PROGRAM
    exercises.py 2|hunt FILE.py             exercises.py 7|file FILE.py
    exercises.py 3|exactly FILE.py          exercises.py 8|two PROGRAM
    exercises.py 4|echo PROGRAM             exercises.py 9|udp FILE.py
    exercises.py 5|empty PROGRAM            exercises.py 10|client PROGRAM

Prints the stream as a ribbon and then "right", or what is wrong, and exits with 1. An answer that
does not return within 10 s is wrong.
"""
import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading

import ladder
import ribbon
from judging import IS_CHINESE, SECONDS, Wrong, module_of, watchdog

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(DEMO))


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
        raise Wrong(f"they do not carry {answer} bytes; a frame without \"len\" has no payload",
                    f"不是 {answer} 个字节；没有 \"len\" 的帧不带数据")


def exactly(path):
    answer = module_of(path, "exactly")
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
            piece = answer(near, size)
            if len(piece) != size:
                raise Wrong(f"asked for {size} bytes of a stream sent {cut} at a time, "
                            f"it returned {len(piece)}",
                            f"流一次发 {cut} 个字节，要 {size} 个，却返回 {len(piece)} 个",
                            ribbon.draw([("sent", message[len(got):len(got) + size])],
                                        [("returned", len(piece))]))
            got += piece
        if got != message[:len(got)]:
            raise Wrong(f"bytes are lost or out of order when they come {cut} at a time",
                        f"一次来 {cut} 个字节时，字节丢失或乱序")
        try:
            piece = answer(near, 100000)
        except EOFError:
            continue
        raise Wrong(f"the peer closed in the middle, and it returned {len(piece)} bytes as if whole",
                    f"对方中途关闭，却把 {len(piece)} 个字节当成完整的返回了")
    return ribbon.draw([("sent", message[:4]), ("sent", message[4:5])],
                       [("recv", 4), ("recv", 1)])


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
                                      stderr=subprocess.DEVNULL, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                raise Wrong(f"{what}: it waits for ever", f"{what}：一直在等") from None
            if done.stdout != output:
                raise Wrong(f"{what}: {len(done.stdout)} bytes of output, and not the right "
                            f"{len(output)}", f"{what}：输出 {len(done.stdout)} 个字节，"
                            f"应当是 {len(output)} 个")
            if done.returncode != code:
                raise Wrong(f"{what}: it exits with {done.returncode}, not {code}",
                            f"{what}：退出码是 {done.returncode}，应当是 {code}")
    finally:
        server.terminate()
        server.wait()


CHECKS = {"printf": ladder.by_printf, "hunt": ladder.hunt, "exactly": exactly, "echo": ladder.echo,
          "empty": ladder.empty, "hostile": ladder.hostile, "file": ladder.by_file,
          "two": ladder.two, "udp": ladder.udp, "client": client}


def judge(name, answer):
    """Runs the check. `client` is six runs of a program, and each has its own limit."""
    if name == "stuck":
        return stuck(answer)
    if name == "client":
        return client(answer)
    with watchdog(name):
        return CHECKS[name](answer)


def main():
    names = list(CHECKS)
    name = sys.argv[1] if len(sys.argv) == 3 else ""
    if name.isdigit() and 1 <= int(name) <= len(names):
        name = names[int(name) - 1]
    if name != "stuck" and name not in CHECKS:
        print(__doc__.strip())
        return 2
    not_yet = "还不对：" if IS_CHINESE else "not yet: "
    try:
        drawing = judge(name, sys.argv[2])
    except Wrong as wrong:
        print(*filter(None, (wrong.drawing, f"{not_yet}{wrong}")), sep="\n")
        return 1
    except Exception as problem:  # The student's own code.
        print(f"{not_yet}{type(problem).__name__}: {problem}")
        return 1
    print(*filter(None, (drawing, "对了" if IS_CHINESE else "right")), sep="\n")
    return 0


sys.exit(main())
