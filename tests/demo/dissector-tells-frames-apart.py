#!/usr/bin/env python3
"""dissector-tells-frames-apart.py ROOT [FRSH FRSHD]

Runs scripts/frsh.lua on a capture whose frames share segments and span them in every way. If this
user may capture on loopback, it also runs on a capture of a real --plaintext run.
"""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = sys.argv[1]
PROGRAMS = sys.argv[2:4]
CLIENT, SERVER = ("127.0.0.1", 40001), ("127.0.0.1", 7722)

if shutil.which("tshark") is None:
    print("SKIP: tshark is not installed (apt-get install tshark)")
    sys.exit(77)


def frame(payload=b"", **header):
    text = json.dumps({**header, "len": len(payload)} if payload else header).encode()
    return struct.pack(">I", len(text)) + text + payload


class Capture:
    """A pcap of one TCP conversation: link type 101, IPv4 at once."""

    def __init__(self, path, client=CLIENT, server=SERVER):
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        self.ends = {"c": (client, server), "s": (server, client)}
        self.seq = {"c": 1000, "s": 5000}
        self.time = 0
        self.packet("c", b"", 0x02)
        self.packet("s", b"", 0x12)
        self.packet("c", b"", 0x10)

    def packet(self, side, data, flags=0x18):
        (source, sport), (target, dport) = self.ends[side]
        other = self.seq["s" if side == "c" else "c"]
        tcp = struct.pack(">HHIIBBHHH", sport, dport, self.seq[side],
                          other if flags & 0x10 else 0, 0x50, flags, 65535, 0, 0) + data
        address = lambda text: bytes(map(int, text.split(".")))
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0,
                         address(source), address(target))
        self.time += 1
        self.file.write(struct.pack("<IIII", 1, self.time, len(ip + tcp), len(ip + tcp)) + ip + tcp)
        self.seq[side] += len(data) + (1 if flags & 0x02 else 0)

    def close(self):
        self.file.close()


def tshark(capture, *arguments):
    done = subprocess.run(["tshark", "-X", f"lua_script:{ROOT}/scripts/frsh.lua", "-r", capture,
                           *arguments], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    assert "Lua" not in done.stderr, done.stderr
    return done.stdout


def values(capture, field, display_filter="frsh"):
    """Every value of a field, in order, several of one packet told apart."""
    text = tshark(capture, "-Y", display_filter, "-T", "fields", "-E", "aggregator=/s", "-E",
                  "occurrence=a", "-e", field)
    return text.split()


FRAMES_C = [frame(type="hello", proto=1, software="t\"len\":9", features=[]),
            frame(b"cat\0", type="open", ch=1, run="demo-0001", mode="command", args=1, env=0),
            frame(b"hi\n", type="data", ch=1, stream="stdin", off=0),
            frame(type="eof", ch=1, stream="stdin", off=3)]
FRAMES_S = [frame(type="hello", proto=1, software="s", features=["runs"]),
            frame(type="started", ch=1, run="demo-0001", pid=4711),
            frame(b"x" * 5000, type="data", ch=1, stream="stdout", off=2 ** 40, t=7),
            frame(type="end", ch=1, run="demo-0001", outcome={"kind": "exited", "code": 3},
                  stdout={"bytes": 5000, "len": 77, "type": "no"}, holders=[{"pid": 1, "name": "]"}],
                  unseen=True, generation=2)]
TYPES_C = ["hello", "open", "data", "eof"]
TYPES_S = ["hello", "started", "data", "end"]


def pieces(data, sizes):
    while data:
        size = next(sizes)
        yield data[:size]
        data = data[size:]


def forever(make):
    while True:
        yield make()


def check_cutting(folder, name, sizes, server=SERVER, filters=True):
    path = os.path.join(folder, "cut.pcap")
    capture = Capture(path, server=server)
    for side, frames in (("c", FRAMES_C), ("s", FRAMES_S)):
        for piece in pieces(b"".join(frames), sizes):
            capture.packet(side, piece)
    capture.close()
    assert values(path, "frsh.type") == TYPES_C + TYPES_S, (name, values(path, "frsh.type"))
    if not filters:
        return path
    assert values(path, "frsh.malformed") == [], name
    # Filtered by the run, also where only the open said which channel that is.
    client = f"tcp.dstport == {server[1]}"
    by_run = values(path, "frsh.type", 'frsh.run == "demo-0001"')
    assert set(by_run) >= {"open", "data", "eof", "started", "end"}, (name, by_run)
    assert "demo-0001" in values(path, "frsh.run", client + ' && frsh.type == "eof"')
    assert values(path, "frsh.len", 'frsh.type == "end"')[-1] == "0", name
    assert "5000" in values(path, "frsh.len", 'frsh.stream == "stdout" && frsh.len == 5000')
    assert str(2 ** 40) in values(path, "frsh.off")
    assert values(path, "frsh.code", 'frsh.type == "end"') == ["3"]
    assert values(path, "frsh.unseen") == ["true"] and values(path, "frsh.generation") == ["2"]
    assert tshark(path, "-Y", 'frsh.run == "other"') == ""
    return path


def has_all(path):
    try:
        return "end_ack" in values(path, "frsh.type")
    except AssertionError:
        return False  # Cut short: it is being written.


def check_real_run(folder):
    """A capture of the real programs, where capturing is allowed. Returns why not, or nothing."""
    if len(PROGRAMS) < 2 or not all(map(os.path.exists, PROGRAMS)):
        return "frsh and frshd are not built"
    path = os.path.join(folder, "real.pcap")
    frsh, frshd = PROGRAMS
    server = subprocess.Popen([frshd, "--listen", "127.0.0.1:0", "--plaintext"], text=True,
                              stderr=subprocess.PIPE)
    tracer = None
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", server.stderr.readline()).group(1)
        tracer = subprocess.Popen(["tshark", "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", path],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # "Capturing on" comes before the capture begins; the file's header only after.
        deadline = time.monotonic() + 15
        while not (os.path.exists(path) and os.path.getsize(path) > 0):
            if tracer.poll() is not None or time.monotonic() > deadline:
                return "this user may not capture on loopback"
            time.sleep(0.05)
        done = subprocess.run([frsh, "--plaintext", f"127.0.0.1:{port}", "seq 1 20000; exit 3"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=20)
        assert done.returncode == 3
        # Captured packets reach the file a moment later.
        deadline = time.monotonic() + 15
        while not has_all(path) and time.monotonic() < deadline:
            time.sleep(0.2)
        tracer.terminate()
        tracer.wait()
        types = values(path, "frsh.type")
        assert types.count("hello") == 2 and types.count("open") == 1, types
        assert types.count("end") == 1 and types.count("end_ack") == 1, types
        assert values(path, "frsh.code", 'frsh.type == "end"') == ["3"]
        carried = sum(map(int, re.findall(r"len=(\d+)", "\n".join(
            line for part in tshark(path, "-Y", 'frsh.stream == "stdout"').splitlines()
            for line in part.split("|") if "data stdout" in line))))
        assert carried == len(done.stdout), (carried, len(done.stdout))
        assert values(path, "frsh.malformed") == []
        return None
    finally:
        for process in (tracer, server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()


with tempfile.TemporaryDirectory() as folder:
    os.chmod(folder, 0o755)
    check_cutting(folder, "glued", forever(lambda: 1400))
    check_cutting(folder, "small", forever(lambda: 7), filters=False)
    check_cutting(folder, "three", forever(lambda: 3), filters=False)
    for seed in range(5):
        chance = random.Random(seed)
        check_cutting(folder, f"random {seed}", forever(lambda: chance.randint(1, 300)),
                      filters=seed == 0)
    # Any port, as a real run has it: recognised by its beginning.
    check_cutting(folder, "another port", forever(lambda: 1000), server=("127.0.0.1", 33333))

    shared = check_cutting(folder, "glued", forever(lambda: 1400), filters=False)
    first = tshark(shared, "-Y", "tcp.dstport == 7722 && frsh", "-T", "fields", "-e", "frsh.type")
    assert first.strip().split(",") == TYPES_C, "four frames in one segment are told apart"

    broken = os.path.join(folder, "broken.pcap")
    capture = Capture(broken)
    capture.packet("c", b"GET / HTTP/1.1\r\n\r\n")
    capture.close()
    assert "Not a frame" in tshark(broken, "-V"), "what is no frame is said to be none"

    why = check_real_run(folder)
    print("a real run was " + (f"NOT captured: {why}" if why else "captured and understood"))
