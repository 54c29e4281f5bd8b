#!/usr/bin/env python3
"""The smallest client of PROTOCOL.md: mini_client.py (unix:PATH | HOST:PORT) COMMAND...

Exits as the command did: its code, 128+N after signal N, 124 after a timeout. If anything fails,
prints one line and exits with 255.
"""
import json, os, socket, sys, threading, uuid, zlib

WINDOW = 262144  # bytes of each stream that may be sent before the first credit
CHANNEL = 1


class Connection:
    """Sends and receives whole frames. Two threads may send at the same time."""

    def __init__(self, target):
        host, _, port = target.partition(":")
        self.socket = socket.socket(socket.AF_UNIX if host == "unix" else socket.AF_INET)
        self.socket.connect(port if host == "unix" else (host, int(port)))
        self.incoming = self.socket.makefile("rb")
        self.lock = threading.Lock()

    def send(self, payload=b"", **header):
        text = json.dumps({**header, "len": len(payload)} if payload else header).encode()
        with self.lock:
            self.socket.sendall(len(text).to_bytes(4, "big") + text + payload)

    def receive(self):
        """Returns the header and the payload of the next frame."""
        header = json.loads(self.read(int.from_bytes(self.read(4, 4), "big"), 65536).decode())
        return header, self.read(header.get("len", 0), 1 << 20)

    def read(self, size, most):
        if type(size) is not int or not 0 <= size <= most:
            raise ConnectionError(f"a length of {size}; expected 0 to {most}")
        data = self.incoming.read(size)  # repeats recv() until all bytes are here
        if len(data) < size:
            raise ConnectionError("lost: the connection ended before the end of the run arrived")
        return data


class Stdin:
    """Sends what descriptor 0 has, in a thread of its own, as far as the server's credit goes."""

    def __init__(self, connection):
        self.connection, self.limit, self.is_stopped = connection, WINDOW, False
        self.changed = threading.Condition()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        offset, data = 0, b"?"
        while data:  # the empty read at the end of stdin becomes the eof
            with self.changed:
                self.changed.wait_for(lambda: self.is_stopped or self.limit > offset)
            data = b"" if self.is_stopped else os.read(0, min(65536, self.limit - offset))
            with self.changed:  # keeps update() out, so that nothing is sent after a stop
                if self.is_stopped:
                    return
                kind = "data" if data else "eof"
                self.connection.send(data, type=kind, ch=CHANNEL, stream="stdin", off=offset)
            offset += len(data)

    def update(self, limit=0, is_stopped=False):
        with self.changed:
            self.limit = max(self.limit, limit)  # a lower limit changes nothing
            self.is_stopped = self.is_stopped or is_stopped
            self.changed.notify()


class Output:
    """Receives stdout or stderr: writes its bytes to our own, counts them and sums them."""

    def __init__(self, connection, name, fd):
        self.connection, self.name, self.fd = connection, name, fd
        self.bytes, self.crc32, self.is_stopped = 0, 0, False

    def take(self, header, data):
        if self.is_stopped:
            return  # sent before the server received our stop
        if header["off"] != self.bytes:
            raise ConnectionError(f"lost: {self.name} continues at {header['off']}")
        self.bytes, self.crc32 = self.bytes + len(data), zlib.crc32(data, self.crc32)
        try:
            while data:
                data = data[os.write(self.fd, data):]
        except BrokenPipeError:  # the program that reads our output has gone
            self.is_stopped = True
            return self.connection.send(type="stop", ch=CHANNEL, stream=self.name)
        if header["type"] == "data":  # all of it is used, so the server may send a window more
            self.connection.send(type="credit", ch=CHANNEL, stream=self.name,
                                 consumed=self.bytes, limit=self.bytes + WINDOW)

    def compare(self, sent):
        is_whole = (self.bytes, self.crc32) == (sent["bytes"], sent["crc32"])
        if not is_whole and not self.is_stopped:  # a stopped stream need not agree
            raise ConnectionError(f"lost: {self.bytes} bytes of {self.name} arrived of {sent}")


def run(connection, command):
    """Runs the command with our stdin, stdout and stderr, and returns its exit status."""
    run_id = uuid.uuid4().hex
    connection.send(type="hello", proto=1, software="mini/1", features=[])
    connection.send(command + b"\0", type="open", ch=CHANNEL, run=run_id, mode="command", args=1)
    stdin = Stdin(connection)
    outputs = {"stdout": Output(connection, "stdout", 1), "stderr": Output(connection, "stderr", 2)}
    header, _ = connection.receive()
    if header["type"] != "hello" or header["proto"] != 1:
        raise ConnectionError(header)
    while header["type"] not in ("end", "refused"):
        header, data = connection.receive()
        if header["type"] in ("data", "eof"):
            outputs[header["stream"]].take(header, data)
        elif header["type"] == "credit":
            stdin.update(limit=header["limit"])
        elif header["type"] == "stop":
            stdin.update(is_stopped=True)
        elif header["type"] not in ("started", "end", "refused"):
            raise ConnectionError(header)
    stdin.update(is_stopped=True)
    connection.send(type="end_ack", ch=CHANNEL, run=run_id)
    outcome = header.get("outcome", {"kind": "refused", **header})
    if outcome["kind"] not in ("exited", "signaled", "timed_out"):
        raise ConnectionError(outcome)
    for name, output in outputs.items():
        output.compare(header[name])
    if outcome["kind"] == "exited":
        return outcome["code"]
    return 128 + outcome["number"] if outcome["kind"] == "signaled" else 124


def fail(error):
    print(f"mini_client: {error!r}", file=sys.stderr)
    os._exit(255)


def on_thread_error(thrown):
    """Handles an error of the stdin thread. run() itself reports that the connection broke."""
    if not isinstance(thrown.exc_value, ConnectionError):
        fail(thrown.exc_value)


if __name__ == "__main__":
    while os.open(os.devnull, os.O_RDWR) < 3:
        pass  # so that a closed 0, 1 or 2 does not become our socket
    threading.excepthook = on_thread_error
    try:
        status = run(Connection(sys.argv[1]), os.fsencode(" ".join(sys.argv[2:])))
    except Exception as error:
        fail(error)
    sys.exit(status)
