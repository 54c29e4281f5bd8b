"""Answers to the ladder of LESSONS.md as learners write them: RIGHT and WRONG, by exercise.

A right answer is (name, text). A wrong one is (name, text, part of the verdict that names its
fault). An answer with a function is a module; a server and a client get a first line `#!`."""

EXACTLY = """
def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
"""
BY_BYTES = """
def exactly(sock, size):
    data = bytearray()
    for _ in range(size):
        byte = sock.recv(1)
        if byte == b"":
            raise EOFError("the peer closed")
        data += byte
    return bytes(data)
"""
BY_VIEW = """
def exactly(sock, size):
    buffer = bytearray(size)
    rest = memoryview(buffer)
    while rest:
        got = sock.recv_into(rest)
        if got == 0:
            raise EOFError
        rest = rest[got:]
    return buffer
"""
WAITALL = """
import socket
def exactly(sock, size):
    data = sock.recv(size, socket.MSG_WAITALL) if size else b""
    if len(data) < size:
        raise EOFError(f"{len(data)} of {size} bytes")
    return data
"""
BY_FILE = """
def exactly(sock, size):
    with sock.makefile("rb", buffering=0) as file:
        parts = []
        while size > 0:
            part = file.read(size)
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
    return b"".join(parts)
"""
BUFFERED = """
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary
@dataclass
class Rest:
    data: bytes = b""
rests = WeakKeyDictionary()
def exactly(sock, size):
    rest = rests.setdefault(sock, Rest())
    while len(rest.data) < size:
        more = sock.recv(65536)
        if not more:
            raise EOFError
        rest.data += more
    taken, rest.data = rest.data[:size], rest.data[size:]
    return taken
"""
BY_SELECT = """
import select
def exactly(sock, size):
    sock.setblocking(False)
    data = b""
    while len(data) < size:
        select.select([sock], [], [])
        piece = sock.recv(min(4096, size - len(data)))
        if not piece:
            raise EOFError
        data += piece
    return memoryview(data)
"""
READERS = [("loop", EXACTLY), ("by_bytes", BY_BYTES), ("by_view", BY_VIEW), ("waitall", WAITALL),
           ("by_file", BY_FILE), ("buffered", BUFFERED), ("by_select", BY_SELECT)]


def without(text, part, instead=""):
    changed = text.replace(part, instead)
    assert changed != text, (part, text)
    return changed


NO_TEST = without(EXACTLY, "        if not piece:\n            raise EOFError\n")
RIGHT = {"exactly": READERS}
WRONG = {"exactly": [
    ("once", "def exactly(sock, size):\n    return sock.recv(size)\n", "it returned 1"),
    ("no_test", NO_TEST, "again and again"),
    ("break", without(EXACTLY, "raise EOFError", "break"), "as if whole"),
    ("connection_error", without(EXACTLY, "raise EOFError", "raise ConnectionError"),
     "EOFError, not ConnectionError"),
    ("clean_end", without(EXACTLY, "            raise EOFError\n",
                          "            if not data:\n                return b''\n"
                          "            raise EOFError\n"), "before the first of 4 bytes"),
    ("too_much", without(EXACTLY, "size - len(data)", "1024"), "it returned 2"),
    ("thrown_away", without(without(EXACTLY, "size - len(data)", "1024"), "return data",
                            "return data[:size]"), "threw the rest away"),
    ("makefile", "def exactly(sock, size):\n    data = sock.makefile('rb').read(size)\n"
     "    if len(data) < size:\n        raise EOFError\n    return data\n", "threw the rest away"),
    ("text", without(EXACTLY, "return data", "return data.decode('latin1')"), "a str, not bytes"),
    ("none", without(EXACTLY, "    return data\n"), "a NoneType, not bytes"),
    ("zero", "def exactly(sock, size):\n    data = b''\n    while True:\n"
     "        piece = sock.recv(size - len(data))\n        if not piece:\n"
     "            raise EOFError\n        data += piece\n        if len(data) == size:\n"
     "            return data\n", "asked for 0 bytes"),
    ("swallows", "def exactly(sock, size):\n    while True:\n        try:\n"
     "            data = sock.recv(size)\n            assert len(data) == size\n"
     "            return data\n        except Exception:\n            pass\n", "did not return"),
    ("exits", "import sys\ndef exactly(sock, size):\n    sys.exit(0)\n", "raised SystemExit"),
    ("leaves", "import os\nprint('right', flush=True)\nos._exit(0)\n", "ends itself with status 0"),
    ("copies", "import sys\ndef exactly(sock, size):\n    frame = sys._getframe(1)\n"
     "    return frame.f_locals['message'][:size]\n", "raised KeyError"),
    ("misnamed", "def exact(sock, size):\n    return b''\n", "has no function exactly"),
    ("syntax", "def exactly(sock, size)\n", "cannot be loaded"),
    ("sleeps", "import time\ndef exactly(sock, size):\n    time.sleep(0.05)\n"
     "    return sock.recv(size)\n", "returned")]}

HUNT = """
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
RIGHT["hunt"] = [(name, text + HUNT) for name, text in READERS] + [
    ("whole", """
def read_messages(sock):
    stream = b""
    while piece := sock.recv(4096):
        stream += piece
    messages = []
    while len(stream) >= 4 and len(stream) >= 4 + int.from_bytes(stream[:4], "big"):
        size = int.from_bytes(stream[:4], "big")
        messages.append(stream[4:4 + size])
        stream = stream[4 + size:]
    return messages
"""),
    ("raises_in_a_length", without(EXACTLY + HUNT, """        try:
            size, = struct.unpack(">I", exactly(sock, 4))
        except EOFError:
            return messages
""", """        first = sock.recv(1)
        if not first:
            return messages
        size, = struct.unpack(">I", first + exactly(sock, 3))
""")),
    ("generator", """
def read_messages(sock):
    with sock.makefile("rb") as file:
        while len(head := file.read(4)) == 4:
            yield file.read(int.from_bytes(head, "big"))
""".replace("yield file.read(int.from_bytes(head, \"big\"))", """size = int.from_bytes(head, "big")
            data = file.read(size)
            if len(data) == size:
                yield data""")),
    ("asyncio", """
import asyncio, struct
async def read(sock):
    reader, writer = await asyncio.open_connection(sock=sock)
    messages = []
    try:
        while True:
            size, = struct.unpack("!L", await reader.readexactly(4))
            messages.append(await reader.readexactly(size))
    except asyncio.IncompleteReadError:
        return messages
def read_messages(sock):
    return asyncio.run(read(sock))
""")]
LOOP_HUNT = EXACTLY + HUNT
WRONG["hunt"] = [
    ("little", without(LOOP_HUNT, '">I"', '"<I"'), "least significant byte first"),
    ("native", without(LOOP_HUNT, '">I"', '"I"'), "least significant byte first"),
    ("length_once", without(LOOP_HUNT, "exactly(sock, 4)", "sock.recv(4)"), ""),
    ("length_parts", LOOP_HUNT.replace("exactly(sock, 4)", "sock.recv(4) or exactly(sock, 1)"),
     "length came in two parts"),
    ("data_once", without(LOOP_HUNT, "append(exactly(sock, size))", "append(sock.recv(size))"),
     "message came in two parts"),
    ("empty_is_end", without(LOOP_HUNT, "        messages.append(exactly(sock, size))",
                             "        data = exactly(sock, size)\n        if not data:\n"
                             "            return messages\n        messages.append(data)"),
     "empty message between"),
    ("empty_dropped", without(LOOP_HUNT, "        messages.append(exactly(sock, size))",
                              "        if size:\n            messages.append(exactly(sock, size))"),
     "empty message between"),
    ("no_test", NO_TEST + HUNT, "again and again"),
    ("half", without(LOOP_HUNT, "raise EOFError\n        data",
                     "break\n        data").replace(
        "except EOFError:", "except struct.error:"), "the half passes as whole"),
    ("half_a_length", without(LOOP_HUNT, """        try:
            size, = struct.unpack(">I", exactly(sock, 4))
        except EOFError:
            return messages
""", """        head = sock.recv(4)
        if not head:
            return messages
        while len(head) < 4:
            head += sock.recv(4 - len(head))
        size, = struct.unpack(">I", head)
"""), "after 1 of the 4 bytes of a length"),
    ("one_recv", """
import struct
def read_messages(sock):
    stream, messages = sock.recv(65536), []
    while len(stream) >= 4:
        size, = struct.unpack(">I", stream[:4])
        messages.append(stream[4:4 + size])
        stream = stream[4 + size:]
    return messages
""", "came in two parts"),
    ("hard_coded", "def read_messages(sock):\n"
     "    return [b'one', b'', b'three' * 60, b'four']\n", "0 of 1 messages"),
    ("text", without(LOOP_HUNT, "exactly(sock, size))", "exactly(sock, size).decode('latin1'))"),
     "0 of 1 messages")]

RIGHT["printf"] = [
    ("octal", r"printf '\0\0\0\15hello, 世界' > /dev/tcp/127.0.0.1/$1"),
    ("hex", r'''printf "\x00\x00\x00\x0dhello, 世界" >"/dev/tcp/127.0.0.1/$1"'''),
    ("echo", r"echo -ne '\0\0\0\015hello, 世界' >/dev/tcp/127.0.0.1/$1"),
    ("return", r"printf '\0\0\0\rhello, %s' 世界 > /dev/tcp/localhost/$1"),
    ("exec", r"""exec 3<>/dev/tcp/127.0.0.1/$1
printf '\0\0\0\15' >&3
printf '%s' 'hello, 世界' >&3
exec 3>&-"""),
    ("counted", r"""text='hello, 世界'
size=$(printf %s "$text" | wc -c)
printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' 0 0 0 "$size")%s" "$text" >/dev/tcp/127.0.0.1/$1"""),
    ("bytes", r"""text='hello, 世界'
LC_ALL=C
printf -v head '\\%03o' $((${#text} >> 24)) $((${#text} >> 16 & 255)) $((${#text} >> 8 & 255)) \
    $((${#text} & 255))
{ printf "$head"; printf %s "$text"; } >/dev/tcp/127.0.0.1/$1"""),
    ("waits", r"""exec 3<>/dev/tcp/127.0.0.1/$1
printf '\0\0\0\15hello, \xe4\xb8\x96\xe7\x95\x8c' >&3
cat <&3""")]
OCTAL = RIGHT["printf"][0][1]
WRONG["printf"] = [
    ("characters", without(OCTAL, "\\15", "\\11"), "says 9, which are its characters"),
    ("counted", r"""text='hello, 世界'
printf "\\0\\0\\0\\x$(printf %x ${#text})%s" "$text" >/dev/tcp/127.0.0.1/$1""",
     "says 9, which are its characters"),
    ("little", without(OCTAL, r"\0\0\0\15", r"\15\0\0\0"), "least significant byte first"),
    ("itself", without(OCTAL, r"\15", r"\21"), "its own four bytes"),
    ("newline", r"echo -e '\0\0\0\015hello, 世界' >/dev/tcp/127.0.0.1/$1", "a newline follows"),
    ("twice", r"""printf '\0\0\0\15' >/dev/tcp/127.0.0.1/$1
printf 'hello, 世界' >/dev/tcp/127.0.0.1/$1""", "connected 2 times"),
    ("printed", r"printf '\0\0\0\15hello, 世界'", "the script's own stdout"),
    ("silent", "true", "did not connect"),
    ("text", "printf '0013hello, 世界' >/dev/tcp/127.0.0.1/$1", "13 bytes follow"),
    ("no_length", "printf 'hello, 世界' >/dev/tcp/127.0.0.1/$1", "bytes follow"),
    ("latin", without(OCTAL, "世界", "??"), "wanted are the 13 bytes"),
    ("open", r"""exec 3<>/dev/tcp/127.0.0.1/$1
printf '\0\0\0\15hello, 世界' >&3
sleep 100""", "does not end"),
    ("two_ports", without(OCTAL, "$1", "1"), "refused"),
    ("syntax", "printf 'hello", "unexpected EOF")]

FILE = """
import json, os, struct
def receive(sock, folder):
    size, = struct.unpack(">I", exactly(sock, 4))
    header = json.loads(bytes(exactly(sock, size)))
    if "/" in header["name"] or header["name"] in (".", ".."):
        raise ValueError(header["name"])
    data = exactly(sock, header["size"])
    with open(os.path.join(folder, header["name"]), "wb") as file:
        file.write(data)
"""
REAL_PATH = without(FILE, """    if "/" in header["name"] or header["name"] in (".", ".."):
        raise ValueError(header["name"])
""", """    folder = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(folder, header["name"]))
    if os.path.commonpath([folder, path]) != folder or path == folder:
        raise ValueError("outside")
""")
PIECES = without(FILE, """    data = exactly(sock, header["size"])
    with open(os.path.join(folder, header["name"]), "wb") as file:
        file.write(data)
""", """    rest = header["size"]
    with open(os.path.join(folder, header["name"]), "wb") as file:
        while rest > 0:
            piece = sock.recv(min(rest, 4096))
            if not piece:
                raise EOFError
            rest -= file.write(piece)
""")
PATHLIB = EXACTLY + """
import json
from pathlib import Path
def receive(sock, folder):
    header = json.loads(exactly(sock, int.from_bytes(exactly(sock, 4), "big")).decode("utf-8"))
    path = (Path(folder) / header["name"]).resolve()
    if not path.is_relative_to(Path(folder).resolve()) or path == Path(folder).resolve():
        raise ValueError(f"{header['name']} leaves the folder")
    path.write_bytes(exactly(sock, header["size"]))
"""
# The buffered reader keeps what it has read ahead, so it leaves the next file's bytes, too.
RIGHT["file"] = [(name, text + FILE) for name, text in READERS] + [
    ("real_path", EXACTLY + REAL_PATH), ("pieces", EXACTLY + PIECES), ("pathlib", PATHLIB),
    ("neighbour", "from exactly import exactly\n" + FILE)]
LOOP_FILE = EXACTLY + FILE
WRONG["file"] = [
    ("anywhere", without(LOOP_FILE, '"/" in header["name"] or '), "leaves the folder"),
    ("dots", without(LOOP_FILE, ' or header["name"] in (".", "..")'), "'..' must raise ValueError"),
    ("first_dots", without(LOOP_FILE, '"/" in header["name"] or header["name"] in (".", "..")',
                           'header["name"].startswith("..")'), "/absolute"),
    ("prefix", EXACTLY + without(REAL_PATH, "os.path.commonpath([folder, path]) != folder or",
                                 "not path.startswith(folder) or"), "inside/out"),
    ("late", without(without(LOOP_FILE, '    if "/" in header["name"] or header["name"] in (".", "..'
                             '"):\n        raise ValueError(header["name"])\n'),
                     "        file.write(data)\n", "        file.write(data)\n"
                     '    if "/" in header["name"]:\n        raise ValueError\n'), "stored there"),
    ("base_name", without(LOOP_FILE, '    if "/" in header["name"] or header["name"] in (".", ".."):'
                          '\n        raise ValueError(header["name"])\n',
                          '    header["name"] = os.path.basename(header["name"]) or "x"\n'),
     "was accepted"),
    ("half", without(LOOP_FILE, 'exactly(sock, header["size"])', 'sock.recv(header["size"])'),
     "bytes were stored"),
    ("break", NO_TEST.replace("        data += piece", "        if not piece: break\n"
                              "        data += piece") + FILE, "middle of the content"),
    ("to_the_end", without(LOOP_FILE, 'data = exactly(sock, header["size"])',
                           'data = b""\n    while piece := sock.recv(4096): data += piece'),
     "with another file behind it"),
    ("text", without(LOOP_FILE, 'file.write(data)', 'file.write(data.decode().encode())'),
     "UnicodeDecodeError"),
    ("little", without(LOOP_FILE, '">I"', '"<I"'), "EOFError"),
    ("no_empty", without(LOOP_FILE, '    data = exactly', '    if header["size"] == 0: return\n'
                         '    data = exactly'), "was not stored"),
    ("struct_error", without(LOOP_FILE, "exactly(sock, 4)", "sock.recv(4)"), "error"),
    ("os_error", without(LOOP_FILE, "raise ValueError(header[\"name\"])", "raise OSError"),
     "must raise ValueError, not OSError"),
    ("header_once", without(LOOP_FILE, "bytes(exactly(sock, size))", "sock.recv(size)"), "1 bytes at a time"),
    ("fixed_name", without(LOOP_FILE, 'os.path.join(folder, header["name"])',
                           'os.path.join(folder, "a.txt")'), "was not stored")]

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
RIGHT["udp"] = [
    ("stop_and_wait", UDP), ("patient", without(UDP, "0.05", "1")),
    ("select", """
import select
def send_all(sock, address, messages):
    for number in range(len(messages)):
        acknowledged = False
        while not acknowledged:
            sock.sendto(number.to_bytes(4, "big") + messages[number], address)
            while not acknowledged and select.select([sock], [], [], 0.05)[0]:
                acknowledged = int.from_bytes(sock.recvfrom(2048)[0], "big") == number
"""),
    ("window", """
import struct, socket, time
def send_all(sock, address, messages):
    sock.settimeout(0.02)
    waiting = {struct.pack("!I", i): m for i, m in enumerate(messages)}
    while waiting:
        for head, message in waiting.items():
            sock.sendto(head + message, address)
        end = time.monotonic() + 0.1
        while waiting and time.monotonic() < end:
            try:
                waiting.pop(sock.recv(4), None)
            except socket.timeout:
                pass
"""),
    ("thread", """
import threading
def send_all(sock, address, messages):
    heads = [i.to_bytes(4, "big") for i in range(len(messages))]
    missing, changed = set(heads), threading.Event()
    def listen():
        while missing:
            missing.discard(sock.recv(4))
            changed.set()
    threading.Thread(target=listen, daemon=True).start()
    while missing:
        for head in sorted(missing):
            changed.clear()
            sock.sendto(head + messages[heads.index(head)], address)
            changed.wait(0.05)
"""),
    ("asyncio", """
import asyncio
class Acknowledgements(asyncio.DatagramProtocol):
    def __init__(self):
        self.numbers = asyncio.Queue()
    def datagram_received(self, data, address):
        self.numbers.put_nowait(int.from_bytes(data, "big"))
async def send(sock, address, messages):
    sock.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Acknowledgements, sock=sock)
    for number, message in enumerate(messages):
        while True:
            transport.sendto(number.to_bytes(4, "big") + message, tuple(address))
            try:
                if await asyncio.wait_for(protocol.numbers.get(), 0.1) == number:
                    break
            except asyncio.TimeoutError:
                pass
    transport.close()
def send_all(sock, address, messages):
    asyncio.run(send(sock, address, messages))
"""),
    ("connected", without(without(UDP, "    sock.settimeout(0.05)\n",
                                  "    sock.settimeout(0.05)\n    sock.connect(address)\n"),
                          "sock.sendto(head + message, address)", "sock.send(head + message)"))]
WRONG["udp"] = [
    ("once", "def send_all(sock, address, messages):\n    for i, m in enumerate(messages):\n"
     "        sock.sendto(i.to_bytes(4, 'big') + m, address)\n", "messages arrived"),
    ("blind", "def send_all(sock, address, messages):\n    for _ in range(9):\n"
     "        for i, m in enumerate(messages):\n"
     "            sock.sendto(i.to_bytes(4, 'big') + m, address)\n", "are not read"),
    ("blind_each", "def send_all(sock, address, messages):\n    for i, m in enumerate(messages):\n"
     "        for _ in range(20):\n            sock.sendto(i.to_bytes(4, 'big') + m, address)\n",
     "are not read"),
    ("blind_long", "def send_all(sock, address, messages):\n    for i, m in enumerate(messages):\n"
     "        for _ in range(400):\n            sock.sendto(i.to_bytes(4, 'big') + m, address)\n",
     "not yet"),
    ("no_timeout", without(UDP, "    sock.settimeout(0.05)\n"), "wait with a timeout"),
    ("any_number", without(UDP, "if sock.recv(4) == head:\n                    break",
                           "sock.recv(4)\n                break"), "its own number"),
    ("little", without(UDP, '">I"', '"<I"'), "least significant byte first"),
    ("from_one", without(UDP, "enumerate(messages)", "enumerate(messages, 1)"), "begin with 1"),
    ("no_number", without(UDP, "head + message", "message or b'?'"), "begin with its number"),
    ("gives_up", without(UDP, "                pass", "                raise"), "raised TimeoutError"),
    ("skips", without(UDP, "                pass", "                break"), "by luck"),
    ("skips_empty", without(UDP, "        head = ", "        if not message: continue\n        head = "),
     "3 of 4 messages"),
    ("a_text_number", without(UDP, 'struct.pack(">I", number)', 'b"%04d" % number'),
     "begin with its number"),
    ("other_bytes", without(UDP, "head + message", "head + message.upper()"), "other bytes"),
    ("stops_early", without(UDP, "enumerate(messages)", "enumerate(messages[:-1])"), "3 of 4 messages")]
