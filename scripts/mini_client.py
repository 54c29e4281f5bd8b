#!/usr/bin/env python3
"""The smallest client of PROTOCOL.md: mini_client.py (unix:PATH | HOST:PORT) COMMAND...
Exits as the command did: its code, 128+N for signal N, 124 timed out; 255 if anything is amiss."""
import json, os, socket, sys, threading, uuid, zlib
WINDOW, RUN = 262144, {"ch": 1, "run": uuid.uuid4().hex}
lock, stdin = threading.Condition(), {"limit": WINDOW}  # how far stdin may go; -1: no more of it
def send(payload=b"", **header):            # one frame; the lock keeps two threads' frames apart
    head = json.dumps({**header, "len": len(payload)} if payload else header).encode()
    with lock: sock.sendall(len(head).to_bytes(4, "big") + head + payload)
def take(n, low, high):                     # n bytes, in however many pieces they come
    if type(n) is not int or not low <= n <= high: raise ValueError(f"a length of {n}")
    if len(data := incoming.read(n)) == n: return data
    raise ConnectionError("lost: the connection ended before the run's end was told")
def receive():                              # one frame: type, stream (if any), header, payload
    msg = json.loads(take(int.from_bytes(take(4, 4, 4), "big"), 1, 65536).decode())
    return msg["type"], msg.get("stream"), msg, take(msg.get("len", 0), 0, 1 << 20)
def speak(command, off=0, data=b"?"):       # a thread: hello, open, then stdin as it is read
    send(type="hello", proto=1, software="mini/1", features=[])
    send(command + b"\0", type="open", mode="command", args=1, env=0, **RUN)
    while data:                             # the empty read at its end becomes the eof
        with lock: room = lock.wait_for(lambda: max(0, min(65536, stdin["limit"] - off)))
        data = os.read(0, room)
        with lock:
            if stdin["limit"] < 0: return   # stopped, or the run is over
            send(data, type="data" if data else "eof", ch=1, stream="stdin", off=off)
        off += len(data)
def listen():                               # all the server says; returns the exit status
    kind, got = "hello", {"stdout": (0, 0), "stderr": (0, 0)}   # bytes and their CRC-32 so far
    if (hello := receive())[0] != kind or hello[2]["proto"] != 1: raise ConnectionError(hello[2])
    while kind not in ("end", "refused"):
        kind, name, msg, data = receive()
        if kind in ("credit", "stop", "end", "refused"):        # all but credit end our stdin
            stdin["limit"] = msg["limit"] if kind == "credit" and stdin["limit"] >= 0 else -1
            with lock: lock.notify()
        elif kind in ("data", "eof") and name in got and msg["off"] == got[name][0]:
            got[name] = (end := msg["off"] + len(data)), zlib.crc32(data, got[name][1])
            try:
                while data: data = data[os.write(1 if name == "stdout" else 2, data):]
                if kind == "data":          # all of it is used: a window more may come
                    send(type="credit", ch=1, stream=name, consumed=end, limit=end + WINDOW)
            except BrokenPipeError:         # our reader has gone: no more of it, nothing to check
                del got[name]
                send(type="stop", ch=1, stream=name)
        elif kind not in ("started", "data", "eof") or name in got: raise ConnectionError(msg)
    send(type="end_ack", **RUN)
    how = msg.get("outcome", msg)           # a refused run has none
    codes = {"exited": how.get("code"), "signaled": 128 + how.get("number", 0), "timed_out": 124}
    if how.get("kind") not in codes: raise ConnectionError(how)
    told = {name: (msg[name]["bytes"], msg[name]["crc32"]) for name in got}
    if got != told: raise ConnectionError(f"lost: {got} arrived of {told}")
    return codes[how["kind"]]
sys.excepthook = lambda _, it, __: print("mini_client:", repr(it), file=sys.stderr) or os._exit(255)
threading.excepthook = lambda it: issubclass(it[0], ConnectionError) or sys.excepthook(*it[:3])
while os.open(os.devnull, os.O_RDWR) < 3: pass          # no closed 0, 1 or 2 becomes our socket
host, _, port = sys.argv[1].partition(":")
sock = socket.socket(socket.AF_UNIX if host == "unix" else socket.AF_INET)
sock.connect(port if host == "unix" else (host, int(port)))
incoming = sock.makefile("rb")
threading.Thread(target=speak, args=[os.fsencode(" ".join(sys.argv[2:]))], daemon=True).start()
sys.exit(listen())
