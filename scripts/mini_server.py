#!/usr/bin/env python3
"""The smallest server that frsh itself can talk to:  python3 mini_server.py [PORT]

    frsh --plaintext 127.0.0.1:PORT 'echo hello; exit 3'

It is written from common/proto/PROTOCOL.md, without shells, caps, timeouts and TLS. A peer can run
any command as you, so it listens on loopback only and accepts only processes of your own user.
"""
import json, os, signal, socket, struct, subprocess, sys, zlib
from select import select

def is_ours(sock):  # One row of the kernel's table: ESTABLISHED (01), held, your uid.
    ends = [f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
            for host, port in (sock.getpeername(), sock.getsockname())]
    rows = [row for row in map(str.split, open("/proc/net/tcp")) if row[1:3] == ends]
    return [(row[3], row[7], row[9] != "0") for row in rows] == [("01", str(os.geteuid()), True)]

def say(sock, payload=b"", **header):
    text = json.dumps({**header, "len": len(payload)} if payload else header).encode()
    sock.sendall(struct.pack(">I", len(text)) + text + payload)

def exactly(sock, size):  # One recv is rarely one message: repeat until all is there.
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece: sys.exit()  # The client has disconnected.
        data += piece
    return data

def hear(sock):
    size, = struct.unpack(">I", exactly(sock, 4))
    if size > 131072: sys.exit("a header above the limit")
    header = json.loads(exactly(sock, size))
    if header.get("len", 0) > 1 << 20: sys.exit("a payload above the limit")
    return header, exactly(sock, header.get("len", 0))

def run(sock, ch, name, argv, folder, env, without_stdin):
    process = subprocess.Popen(argv, cwd=folder, env=env, bufsize=0, start_new_session=True,
                               stdin=-1, stdout=-1, stderr=-1)  # -1: a pipe each.
    if without_stdin: process.stdin.close()
    say(sock, type="started", ch=ch, run=name, pid=process.pid)
    pipes = {"stdout": process.stdout, "stderr": process.stderr}
    sums = {one: {"bytes": 0, "crc32": 0, "eof": False} for one in pipes}
    limit = dict.fromkeys(pipes, 262144)  # What the client lets us send.
    waiting, taken, ending = b"", 0, False  # Its stdin.
    try:
        while pipes:
            may = {pipe: one for one, pipe in pipes.items() if sums[one]["bytes"] < limit[one]}
            ready, room, _ = select([sock, *may], [process.stdin] if waiting else [], [])
            if sock in ready:
                header, payload = hear(sock)
                kind, which = header["type"], header.get("stream")
                if kind == "data": waiting += payload
                elif kind == "eof": ending = True
                elif kind == "credit": limit[which] = header["limit"]
                elif kind == "stop" and which in pipes: pipes.pop(which).close()
                elif kind == "signal": os.killpg(process.pid, signal.Signals["SIG" + header["name"]])
                elif kind in ("cancel", "bye"): os.killpg(process.pid, signal.SIGTERM)
                elif kind == "open": say(sock, type="refused", ch=header["ch"], reason="busy",
                                         message="mini_server runs one command at a time")
            if room:
                try: used = os.write(process.stdin.fileno(), waiting[:4096])
                except BrokenPipeError: used = len(waiting)  # The command does not read any more.
                waiting, taken = waiting[used:], taken + used
                say(sock, type="credit", ch=ch, stream="stdin", consumed=taken, limit=taken + 262144)
            if ending and not waiting: process.stdin.close()
            for pipe, one in may.items():
                if pipe not in ready or one not in pipes: continue
                total = sums[one]
                data = os.read(pipe.fileno(), min(65536, limit[one] - total["bytes"]))
                if data: say(sock, data, type="data", ch=ch, stream=one, off=total["bytes"], t=0)
                else: say(sock, type="eof", ch=ch, stream=one, off=total["bytes"])
                total.update(bytes=total["bytes"] + len(data), crc32=zlib.crc32(data, total["crc32"]))
                if not data: total["eof"] = bool(pipes.pop(one))
        code = process.wait()
    finally:
        if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
    how = {"kind": "exited", "code": code} if code >= 0 else {
        "kind": "signaled", "signal": signal.Signals(-code).name[3:], "number": -code, "core": False}
    say(sock, type="end", ch=ch, run=name, outcome=how, **sums, usage=None, holders=[], survivors=[])

def serve(sock):
    if not is_ours(sock):
        return say(sock, type="error", reason="denied", message="only processes of my own user")
    say(sock, type="hello", proto=1, software="mini_server/1", features=["runs"])
    if hear(sock)[0]["type"] != "hello":  # frshd is as strict: the first frame is hello.
        return say(sock, type="error", reason="protocol", message="the first frame is not hello")
    while True:
        header, payload = hear(sock)
        if header["type"] == "bye": return
        if header["type"] != "open": continue
        if header.get("more"): sys.exit("a command too long for this server")
        wanted = header["args"] + bool(header.get("cwd")) + sum(
            header.get(one, 0) for one in ("env", "forwarded"))
        if payload.count(b"\0") != wanted or (payload and payload[-1]):
            return say(sock, type="error", reason="protocol", message="open: wrong strings")
        strings = payload.split(b"\0")
        args, strings = strings[:header["args"]], strings[header["args"]:]
        folder = strings.pop(0) if header.get("cwd") else os.path.expanduser("~")
        env = {**os.environb, **dict(one.split(b"=", 1) for one in strings[:header.get("env", 0)])}
        argv = args if header["mode"] == "argv" else ["/bin/sh", *(["-c"] if args else []), *args]
        run(sock, header["ch"], header["run"], argv, folder, env, header.get("stdin_null", False))

def main():
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 0))
    print("listening on 127.0.0.1:%d" % listening.getsockname()[1], flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The kernel reaps the children: no zombies.
    while True:
        sock, _ = listening.accept()
        if os.fork() == 0:  # The child serves this one client.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            try: return serve(sock)
            except OSError: return  # The client has gone in the middle of something.
        sock.close()

if __name__ == "__main__":
    main()
