"""Answers to the ladder's steps that are a program: servers (echo, empty, hostile, two) and the
client. See exercise_answers.py."""
import os

from exercise_answers import BUFFERED, BY_BYTES, BY_VIEW, EXACTLY, NO_TEST, WAITALL, without

SERVE = """
import socket, struct, sys, threading
LIMIT = 1 << 20
def serve(sock):
    with sock:
        try:
            while True:
                size, = struct.unpack(">I", exactly(sock, 4))
                if size > LIMIT:
                    return
                sock.sendall(struct.pack(">I", size) + exactly(sock, size))
        except (EOFError, OSError):
            return
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    ONE
"""
THREAD = "threading.Thread(target=serve, args=(connection,), daemon=True).start()"
SERVER = EXACTLY + SERVE.replace("ONE", THREAD)
ONE_AT_A_TIME = EXACTLY + SERVE.replace("ONE", "serve(connection)")
FORK = EXACTLY + without(SERVE.replace("ONE", """if os.fork() == 0:
        listener.close()
        serve(connection)
        os._exit(0)
    connection.close()"""), "import socket", "import os, signal, socket")
FORK = without(FORK, "LIMIT = 1 << 20", "LIMIT = 1 << 20\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)")
SOCKETSERVER = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(4)) == 4:
            size = int.from_bytes(head, "big")
            if size > 1048576:
                return
            data = self.rfile.read(size)
            if len(data) < size:
                return
            print("got", data)
            self.wfile.write(head + data)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64
with Server(("127.0.0.1", 0), Echo) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""
ASYNCIO = """
import asyncio, struct
async def serve(reader, writer):
    try:
        while True:
            size, = struct.unpack(">I", await reader.readexactly(4))
            if size > 1 << 20:
                break
            data = await reader.readexactly(size)
            writer.write(struct.pack(">I", size))
            writer.write(data)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()
asyncio.run(main())
"""
SELECTORS = """
import selectors, socket
LIMIT = 1 << 20
class Client:
    def __init__(self, sock):
        self.sock, self.input, self.output = sock, bytearray(), bytearray()
    def ready(self, events):
        if events & selectors.EVENT_WRITE:
            del self.output[:self.sock.send(self.output)]
        elif events & selectors.EVENT_READ:
            data = self.sock.recv(65536)
            if not data:
                return False
            self.input += data
        while len(self.input) >= 4:
            size = int.from_bytes(self.input[:4], "big")
            if size > LIMIT:
                return False
            if len(self.input) < 4 + size:
                break
            self.output += self.input[:4 + size]
            del self.input[:4 + size]
        return True
selector = selectors.DefaultSelector()
listener = socket.create_server(("127.0.0.1", 0))
selector.register(listener, selectors.EVENT_READ)
print(listener.getsockname()[1], flush=True)
while True:
    for key, events in selector.select():
        if key.fileobj is listener:
            sock, _ = listener.accept()
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, Client(sock))
            continue
        client = key.data
        try:
            goes_on = client.ready(events)
        except BlockingIOError:
            continue
        except OSError:
            goes_on = False
        if goes_on:
            selector.modify(client.sock, selectors.EVENT_WRITE if client.output
                            else selectors.EVENT_READ, client)
        else:
            selector.unregister(client.sock)
            client.sock.close()
"""
LATE_LISTEN = without(SERVER, 'listener = socket.create_server(("127.0.0.1", 0))\n',
                      'listener = socket.socket()\nlistener.bind(("127.0.0.1", 0))\n')
LATE_LISTEN = without(LATE_LISTEN, "while True:\n    connection", "import time\ntime.sleep(0.1)\n"
                      "listener.listen(64)\nwhile True:\n    connection")
CONCURRENT = [
    ("threads", SERVER), ("fork", FORK), ("socketserver", SOCKETSERVER), ("asyncio", ASYNCIO),
    ("selectors", SELECTORS), ("buffered", BUFFERED + SERVE.replace("ONE", THREAD))]
SERVERS = CONCURRENT + [
    ("sequential", ONE_AT_A_TIME), ("by_bytes", BY_BYTES + SERVE.replace("ONE", THREAD)),
    ("by_view", BY_VIEW + SERVE.replace("ONE", THREAD)), ("late_listen", LATE_LISTEN),
    ("waitall", WAITALL + SERVE.replace("ONE", THREAD))]
RIGHT = {"echo": SERVERS, "empty": SERVERS, "hostile": SERVERS, "two": CONCURRENT}

RAW = without(SERVER, """            while True:
                size, = struct.unpack(">I", exactly(sock, 4))
                if size > LIMIT:
                    return
                sock.sendall(struct.pack(">I", size) + exactly(sock, size))
""", """            while data := sock.recv(4096):
                sock.sendall(data)
""")
DIES = without(ONE_AT_A_TIME, "except (EOFError, OSError):\n            return",
               "except ZeroDivisionError:\n            return")
RESET_KILLS = without(ONE_AT_A_TIME, "except (EOFError, OSError)", "except EOFError")
SERVES_ONCE = without(ONE_AT_A_TIME, "while True:\n    connection, _ = listener.accept()\n    serve",
                      "connection, _ = listener.accept()\nserve")
LINE = "sock.sendall(struct.pack(\">I\", size) + exactly(sock, size))"
LOOPS = NO_TEST + SERVE.replace("ONE", THREAD)
WRONG = {"echo": [
    ("raw", RAW, "not whole frames"),
    ("recv_length", without(SERVER, "exactly(sock, 4)", "sock.recv(4)"), "half of the length"),
    ("recv_data", without(SERVER, "exactly(sock, size))", "sock.recv(size))"), "half of a message"),
    ("one_recv", without(SERVER, LINE, "sock.sendall(struct.pack('>I', size) + sock.recv(1024))"),
     "half of a message"),
    ("little", SERVER.replace('">I"', '"<I"'), "least significant byte first"),
    ("itself", without(without(SERVER, "sock.sendall", "size -= 4; sock.sendall"),
                       'struct.pack(">I", size) +', 'struct.pack(">I", size + 4) +'),
     "its own four bytes"),
    ("no_length", without(SERVER, 'struct.pack(">I", size) + '), "without its length"),
    ("characters", without(SERVER, LINE, "text = exactly(sock, size).decode()\n"
                           "                sock.sendall(struct.pack('>I', len(text)) + text.encode())"),
     "5 characters"),
    ("send", without(SERVER, "sock.sendall(struct", "sock.setsockopt(socket.SOL_SOCKET, "
                     "socket.SO_SNDBUF, 4096); sock.setblocking(False); sock.send(struct").replace(
        "exactly(sock, 4)", "(sock.setblocking(True), exactly(sock, 4))[1]").replace(
        "+ exactly(sock, size))", "+ (sock.setblocking(True), exactly(sock, size), "
        "sock.setblocking(False))[1])"), "100 KiB"),
    ("mute", "import time\ntime.sleep(60)\n", "does not print its port"),
    ("not_flushed", without(SERVER, ", flush=True"), "flush"),
    ("words", without(SERVER, "print(listener", "print('port', listener"), "the port alone"),
    ("every_address", without(SERVER, '("127.0.0.1", 0)', '("", 0)'), "every address"),
    ("once", SERVES_ONCE, "has ended"),
    ("loops", NO_TEST + SERVE.replace("ONE", "serve(connection)"), "again and again"),
    ("dies", DIES, "has ended"),
    ("fixed_port", without(SERVER, '("127.0.0.1", 0)', '("127.0.0.1", 20000 + os.getppid() % 9000)'
                           ).replace("import socket", "import os, socket"), "already in use"),
    ("second_is_mute", "import os, sys, time\nlock = sys.argv[0] + '.lock'\n"
     "if os.path.exists(lock): time.sleep(60)\nopen(lock, 'w').close()\n" + SERVER,
     "does not print its port within"),
    ("no_first_line", SERVER, "first line is to be #!"),
    ("not_executable", SERVER, "chmod +x")],
    "empty": [
    ("end", without(SERVER, "if size > LIMIT", "if size == 0"), "empty message and another"),
    ("ignored", without(SERVER, "if size > LIMIT:\n                    return",
                        "if size == 0:\n                    continue"), "empty message and another"),
    ("no_close", without(SERVER, "    with sock:", "    keep.append(sock)\n    if True:").replace(
        "LIMIT = ", "keep = []\nLIMIT = "), "does not close"),
    ("loops", LOOPS, "does not close"),
    ("dies", DIES, "has ended"),
    ("reset_kills", RESET_KILLS, "ConnectionResetError"),
    ("once", SERVES_ONCE, "has ended"),
    ("raw", RAW, "in the middle of a message, and then 7 bytes"),
    ("partial", without(LOOPS, "        data += piece", "        if not piece:\n"
                        "            if not data: raise EOFError\n            break\n"
                        "        data += piece"), "in the middle of a message, and then"),
    ("farewell", without(SERVER, "        except (EOFError", "        except EOFError:\n"
                         "            sock.sendall(b'bye')\n        except (EOFError"), "3 bytes came back"),
    ("recv_data", without(SERVER, "exactly(sock, size))", "(sock.recv(size) or b'?'))"),
     "empty message")],
    "hostile": [
    ("trusts", without(SERVER, "size > LIMIT", "size < 0"), "is not refused"),
    ("late", without(without(SERVER, "size > LIMIT", "size < 0"), "sock.sendall(struct.pack(\">I\", "
                     "size) + exactly(sock, size))", "data = exactly(sock, size)\n"
                     "                if size > LIMIT: return\n"
                     "                sock.sendall(struct.pack('>I', size) + data)"), "is not refused"),
    ("too_strict", without(SERVER, "size > LIMIT", "size >= LIMIT"), "exactly 1 MiB"),
    ("too_lenient", without(SERVER, "size > LIMIT", "size > 1 << 21"), "1048577 is not refused"),
    ("signed", SERVER.replace('">I"', '">i"'), "was answered with 4 bytes"),
    ("answers", without(SERVER, "                    return\n", "                    sock.sendall(b'no')\n"
                        "                    return\n"), "was answered with 2 bytes"),
    ("ignores", without(SERVER, "                    return\n", "                    continue\n"),
     "is not refused"),
    ("exits", without(SERVER, "                    return\n", "                    import os; os._exit(1)\n"),
     "has ended"),
    ("reset_kills", RESET_KILLS, "ConnectionResetError"),
    ("exits_alone", without(ONE_AT_A_TIME, "                    return\n",
                            "                    raise SystemExit('too long')\n"), "too long"),
    ("reserves", without(SERVER, "if size > LIMIT:", "room = bytearray(size)\n"
                         "                if size > LIMIT:"), "alone"),
    ("fills", without(SERVER, "if size > LIMIT:", "room = b'x' * min(size, 300 << 20)\n"
                      "                if size > LIMIT:"), "alone"),
    ("first_alone", without(SERVER, "            while True:\n", "            count = 0\n"
                            "            while True:\n                count += 1\n").replace(
        "size > LIMIT", "count == 1 and size > LIMIT"), "is not refused"),
    ("truncates", without(SERVER, "if size > LIMIT:\n                    return",
                          "size = min(size, LIMIT)"), "is not refused")],
    "two": [
    ("one", ONE_AT_A_TIME, "beside 40 silent"),
    ("waits", without(SERVER, THREAD, THREAD.replace("threading.Thread(", "it = threading.Thread("
                      ).replace(".start()", "\n    it.start()\n    it.join()")), "beside 40 silent"),
    ("pool", without(without(SERVER, THREAD, "pool.submit(serve, connection)"), "listener = ",
                     "from concurrent.futures import ThreadPoolExecutor\n"
                     "pool = ThreadPoolExecutor(4)\nlistener = "), "beside 40 silent"),
    ("no_close", without(SERVER, "    with sock:", "    keep.append(sock)\n    if True:").replace(
        "LIMIT = ", "keep = []\nLIMIT = "), "has finished, and the server does not close"),
    ("hangs_in_half", """
import selectors, socket, struct
""" + EXACTLY + """
selector = selectors.DefaultSelector()
listener = socket.create_server(("127.0.0.1", 0))
selector.register(listener, selectors.EVENT_READ)
print(listener.getsockname()[1], flush=True)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        try:
            head = exactly(key.fileobj, 4)
            key.fileobj.sendall(head + exactly(key.fileobj, struct.unpack(">I", head)[0]))
        except (EOFError, OSError):
            selector.unregister(key.fileobj)
            key.fileobj.close()
""", "half of a message"),
    ("hangs_in_send", without(without(SELECTORS, "            sock.setblocking(False)\n"),
                              "        return True", "        self.sock.sendall(self.output)\n"
                              "        self.output.clear()\n        return True"), "never reads"),
    ("first_half_lost", without(SELECTORS, "            if len(self.input) < 4 + size:\n"
                                "                break\n", "            if len(self.input) < 4 + size:\n"
                                "                self.input.clear()\n                break\n"),
     "was lost"),
    ("shared_input", without(SELECTORS, "self.sock, self.input, self.output = sock, bytearray(), bytearray()",
                             "self.sock, self.input, self.output = sock, shared, bytearray()").replace(
        "class Client:", "shared = bytearray()\nclass Client:"), "half of a message"),
    ("reset_kills", without(SELECTORS, "        except OSError:\n            goes_on = False\n"),
     "has ended"),
    ("once", SERVES_ONCE, "beside 40 silent"),
    ("few", without(SERVER, "while True:\n    connection", "for _ in range(20):\n    connection"),
     "")]}

CLIENT = """
import json, socket, struct, sys, zlib
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def say(payload=b"", **header):
    if payload: header["len"] = len(payload)
    text = json.dumps(header).encode()
    sock.sendall(struct.pack(">I", len(text)) + text + payload)
say(type="hello", proto=1, software="mini/1", features=[])
say(sys.argv[2].encode() + b"\\0", type="open", ch=1, run="mine-1", mode="command", args=1, env=0,
    stdin_null=True)
count, total, ended, started = 0, 0, False, False
while True:
    size, = struct.unpack(">I", exactly(sock, 4))
    header = json.loads(bytes(exactly(sock, size)))
    payload = exactly(sock, header.get("len", 0))
    if header["type"] == "data":
        if header["stream"] == "stdout":
            sys.stdout.buffer.write(payload)
            count, total = count + len(payload), zlib.crc32(payload, total)
        used = header["off"] + len(payload)
        say(type="credit", ch=1, stream=header["stream"], consumed=used, limit=used + 262144)
    if header["type"] == "eof" and header["stream"] == "stdout":
        ended = True
    if header["type"] == "started":
        started = True
    if header["type"] == "end":
        say(type="end_ack", ch=1, run="mine-1")
        known = header["stdout"]
        if (count, total, ended) != (known["bytes"], known["crc32"], known["eof"]):
            sys.exit("lost")
        if not started:
            sys.exit("no started")
        sys.exit(header["outcome"]["code"])
"""
LOOP_CLIENT = EXACTLY + CLIENT
MINI = ("import os, sys\nos.execv(sys.executable, [sys.executable, %r, '127.0.0.1:' + sys.argv[1], "
        "*sys.argv[2:]])\n" % os.path.abspath(os.path.join(os.path.dirname(__file__), "../../scripts/mini_client.py")))
ASYNC_CLIENT = """
import asyncio, json, os, sys, uuid, zlib
async def main(port, command):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    def say(header, payload=b""):
        text = json.dumps(header | ({"len": len(payload)} if payload else {})).encode()
        writer.write(len(text).to_bytes(4, "big") + text + payload)
    run = uuid.uuid4().hex
    say({"type": "hello", "proto": 1, "software": "x", "features": ["runs"]})
    say({"type": "open", "ch": 7, "run": run, "mode": "argv", "args": 3},
        b"/bin/sh\\0-c\\0" + os.fsencode(command) + b"\\0")
    say({"type": "eof", "ch": 7, "stream": "stdin", "off": 0})
    out, ends = b"", set()
    while True:
        header = json.loads(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))
        payload = await reader.readexactly(header.get("len", 0))
        match header["type"]:
            case "data" if header["stream"] == "stdout":
                out += payload
                if len(out) > 100000:
                    say({"type": "credit", "ch": 7, "stream": "stdout", "consumed": len(out),
                         "limit": len(out) + (1 << 20)})
            case "started" | "eof":
                ends.add(header.get("stream", "started"))
            case "end":
                say({"type": "end_ack", "ch": 7, "run": run})
                await writer.drain()
                sys.stdout.buffer.write(out)
                good = header["stdout"]["bytes"] == len(out) and (
                    header["stdout"]["crc32"] == zlib.crc32(out) and {"stdout", "started"} <= ends)
                return header["outcome"]["code"] if good else 255
sys.exit(asyncio.run(main(int(sys.argv[1]), sys.argv[2])))
"""
RIGHT["client"] = [
    ("loop", LOOP_CLIENT), ("by_view", BY_VIEW + CLIENT), ("buffered", BUFFERED + CLIENT),
    ("waitall", WAITALL + CLIENT), ("asyncio", ASYNC_CLIENT), ("mini_client", MINI),
    ("without_env", without(LOOP_CLIENT, " env=0,")),
    ("as_a_shell", without(LOOP_CLIENT, 'sys.exit(header["outcome"]["code"])',
                           'outcome = header["outcome"]\n        sys.exit(outcome["code"] if '
                           'outcome["kind"] == "exited" else 128 + outcome["number"])')),
    ("eof_instead", without(LOOP_CLIENT, "\n    stdin_null=True)", ")\nsay(type='eof', ch=1, "
                            "stream='stdin', off=0)"))]
WRONG["client"] = [
    ("naive", without(LOOP_CLIENT, "    while len(data) < size:", "    if size:"), ""),
    ("no_test", NO_TEST + CLIENT, "loops without waiting"),
    ("no_hello", without(LOOP_CLIENT, 'say(type="hello", proto=1, software="mini/1", features=[])'),
     "is hello"),
    ("no_nul", without(LOOP_CLIENT, 'encode() + b"\\0"', "encode()"), "NUL byte"),
    ("little", without(LOOP_CLIENT, 'sock.sendall(struct.pack(">I"', 'sock.sendall(struct.pack("<I"'),
     "the most significant byte goes first"),
    ("characters", without(LOOP_CLIENT, "text = json.dumps(header).encode()\n"
                           '    sock.sendall(struct.pack(">I", len(text))',
                           "header['software' if 'software' in header else 'x'] = '世'\n"
                           "    text = json.dumps(header, ensure_ascii=False)\n    size = len(text)\n"
                           "    text = text.encode()\n"
                           '    sock.sendall(struct.pack(">I", size)'), "length in bytes"),
    ("text_proto", without(LOOP_CLIENT, "proto=1", 'proto="1"'), '"proto" of hello is "1"'),
    ("no_features", without(LOOP_CLIENT, ", features=[]"), 'hello has no "features"'),
    ("wrong_count", without(LOOP_CLIENT, "args=1", "args=2"), "announces 2 strings"),
    ("local", "import subprocess, sys\nsys.exit(subprocess.call(['sh', '-c', sys.argv[2]]))\n",
     "sent nothing to the port"),
    ("local_too", "import subprocess\n" + without(LOOP_CLIENT, "sys.stdout.buffer.write(payload)", "pass"
                                                  ).replace("        sys.exit(header", "        subprocess.call("
                                                            "['sh', '-c', sys.argv[2]])\n        sys.exit(header"),
     "did not run on the server"),
    ("no_credit", without(LOOP_CLIENT, "say(type=\"credit\"", "dict(type=\"credit\""), "for credit"),
    ("too_much_credit", without(LOOP_CLIENT, "consumed=used,", "consumed=used + 99,"), "are consumed"),
    ("no_stdin", without(LOOP_CLIENT, ",\n    stdin_null=True"), "reads its stdin to the end"),
    ("both_streams", without(LOOP_CLIENT, 'if header["stream"] == "stdout":', "if True:"), "stderr apart"),
    ("text", without(LOOP_CLIENT, "sys.stdout.buffer.write(payload)",
                     "sys.stdout.write(payload.decode(errors='replace'))"), "not text"),
    ("no_code", without(LOOP_CLIENT, 'sys.exit(header["outcome"]["code"])', "sys.exit(0)"),
     "an exit code: it exits with 0"),
    ("no_ack", without(LOOP_CLIENT, '        say(type="end_ack", ch=1, run="mine-1")\n'), "end_ack"),
    ("no_checksum", without(LOOP_CLIENT, "(count, total, ended)", "(count, known['crc32'], ended)"),
     "checksum in end"),
    ("wrong_checksum", without(LOOP_CLIENT, "zlib.crc32(payload, total)", "zlib.crc32(payload)"), ""),
    ("no_count", without(LOOP_CLIENT, "        if (count, total, ended) != (known[\"bytes\"], "
                         "known[\"crc32\"], known[\"eof\"]):", "        if zlib and total not in "
                         "(known['crc32'], 1267612143) and known['bytes'] != 10:"), ""),
    ("forgets_eof", without(LOOP_CLIENT, "(count, total, ended)", "(count, total, known['eof'])"),
     "eof of stdout is missing"),
    ("signaled_is_0", without(LOOP_CLIENT, '["code"]', '.get("code", 0)'), "a signal kills"),
    ("forgets_started", without(LOOP_CLIENT, "if not started:", "if False:"),
     "an end comes without started"),
    ("no_end", without(LOOP_CLIENT, "            raise EOFError" if False else "raise EOFError",
                       "import sys; sys.exit(0)"), "without end"),
    ("never_ends", without(LOOP_CLIENT, '        sys.exit(header["outcome"]["code"])', "        pass"), ""),
    ("other_channel", without(LOOP_CLIENT, 'say(type="credit", ch=1', 'say(type="credit", ch=2'),
     "of channel 2"),
    ("twice", without(LOOP_CLIENT, 'type="hello", proto=1,', '**{"type": "hello"}, proto=1,').replace(
        "text = json.dumps(header).encode()", "text = json.dumps(header).replace('{', "
        "'{\"type\": \"x\", ', 1).encode()"), "a key twice")]
