#!/usr/bin/env python3
"""The smallest client of PROTOCOL.md: mini_client.py (unix:PATH | HOST:PORT) COMMAND...

Exits as the command did: its code, 128+N after signal N, 124 after a timeout. If anything fails,
prints one line and exits with 255.
"""
import json, os, socket, sys, threading, uuid, zlib

WINDOW = 262144  # Bytes of each stream that may be sent before the first credit.
MAX_PAYLOAD = 1 << 20
CHANNEL = 1
FAILING = threading.Lock()


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
        header = json.loads(self.read(int.from_bytes(self.read(4), "big")))
        return header, self.read(header.get("len", 0))

    def read(self, size):
        if not 0 <= size <= MAX_PAYLOAD:
            raise ConnectionError(f"a length of {size} bytes")
        data = self.incoming.read(size)  # Repeats recv() until all bytes have arrived.
        if len(data) < size:
            raise ConnectionError("lost: the connection ended before the end of the run arrived")
        return data


class Stdin:
    """Sends our stdin in a thread, as far as the server's credit goes."""

    def __init__(self, connection):
        self.connection, self.limit, self.is_stopped = connection, WINDOW, False
        self.changed = threading.Condition()
        threading.Thread(target=attempt, args=[self.send_all], daemon=True).start()

    def send_all(self):
        offset, data = 0, b"?"
        while data:  # The empty read at the end of stdin becomes the eof.
            with self.changed:
                self.changed.wait_for(lambda: self.is_stopped or self.limit > offset)
            data = b"" if self.is_stopped else os.read(0, min(65536, self.limit - offset))
            with self.changed:  # Nothing is sent after a stop has arrived.
                if self.is_stopped:
                    return
                self.connection.send(data, type="data" if data else "eof", ch=CHANNEL,
                                     stream="stdin", off=offset)
            offset += len(data)

    def update(self, limit=0, is_stopped=False):
        with self.changed:
            self.limit, self.is_stopped = max(self.limit, limit), self.is_stopped or is_stopped
            self.changed.notify()


class Output:
    """Receives stdout or stderr: writes the bytes to our own, and counts and sums them."""

    def __init__(self, connection, name, fd):
        self.connection, self.name, self.got, self.sum, self.eof = connection, name, 0, 0, False
        self.file = open(fd, "wb")

    def take(self, data):
        self.file.write(data)
        self.file.flush()
        self.got, self.sum, self.eof = self.got + len(data), zlib.crc32(data, self.sum), not data
        self.connection.send(type="credit", ch=CHANNEL, stream=self.name, consumed=self.got,
                             limit=self.got + WINDOW)

    def compare(self, sent):
        if (self.got, self.sum, self.eof) != (sent["bytes"], sent["crc32"], sent["eof"]):
            raise ConnectionError(f"lost: {self.got} bytes of {self.name} arrived of {sent}")


def run(connection, command):
    """Runs the command with our stdin, stdout and stderr, and returns its exit status."""
    run_id = uuid.uuid4().hex
    connection.send(type="hello", proto=1, software="mini/1", features=[])
    connection.send(command + b"\0", type="open", ch=CHANNEL, run=run_id, mode="command", args=1)
    stdin, seen = Stdin(connection), set()
    outputs = {"stdout": Output(connection, "stdout", 1), "stderr": Output(connection, "stderr", 2)}
    while True:
        header, data = connection.receive()
        seen.add(header["type"])
        if header["type"] in ("data", "eof"):  # An eof has no data.
            outputs[header["stream"]].take(data)
        elif header["type"] in ("credit", "stop"):
            stdin.update(header.get("limit", 0), header["type"] == "stop")
        elif header["type"] == "end":
            break
        elif header["type"] not in ("hello", "started") or header.get("proto", 1) != 1:
            raise ConnectionError(header)  # A refusal, an error, or another protocol version.
    connection.send(type="end_ack", ch=CHANNEL, run=run_id)
    for name, output in outputs.items():
        output.compare(header[name])
    outcome = header["outcome"]
    if "started" not in seen or outcome["kind"] not in ("exited", "signaled", "timed_out"):
        raise ConnectionError(outcome)
    if outcome["kind"] == "exited":
        return outcome["code"]
    return 128 + outcome["number"] if outcome["kind"] == "signaled" else 124


def attempt(act, *arguments):
    try:
        return act(*arguments)
    except Exception as error:
        FAILING.acquire()  # Never released: if both threads fail, one of them reports.
        print(f"mini_client: {error!r}", file=sys.stderr)
        os._exit(255)


def main(target, *command):
    return run(Connection(target), os.fsencode(" ".join(command)))


if __name__ == "__main__":
    while os.open(os.devnull, os.O_RDWR) < 3:
        pass  # Otherwise our socket could take the place of a closed 0, 1 or 2.
    os._exit(attempt(main, *sys.argv[1:]))  # The thread may still wait for our stdin.
