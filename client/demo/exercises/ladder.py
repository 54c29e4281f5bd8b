"""The checks of the ladder's middle steps. Each returns the drawing of a right answer."""
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

import ribbon
from judging import (SECONDS, Wrong, exactly, expect_echo, frame, frame_pieces, module_of, sender,
                     server)

HELLO = "hello, 世界".encode()
LIMIT = 1 << 20


def by_printf(path):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)
    port = listener.getsockname()[1]
    script = subprocess.Popen(["bash", path, str(port)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + SECONDS
        while not select.select([listener], [], [], 0.05)[0]:
            if script.poll() is not None or time.monotonic() > deadline:
                raise OSError("no connection")
        connection, _ = listener.accept()
        connection.settimeout(SECONDS)
        got = b""
        while piece := connection.recv(4096):
            got += piece
    except OSError:
        raise Wrong("the script did not connect, send and close in time",
                    "脚本没有按时连接、发送并关闭") from None
    finally:
        script.kill()
        script.wait()
        listener.close()
    drawing = ribbon.draw([("length", got[:4]), ("data", got[4:])],
                          [("wanted", min(len(got), 4 + len(HELLO)))])
    if got != frame(HELLO):
        size = int.from_bytes(got[:4], "big")
        raise Wrong(f"the length says {size}, and {max(0, len(got) - 4)} bytes follow; wanted are "
                    f"{len(HELLO)} bytes of UTF-8", f"长度写的是 {size}，后面有 "
                    f"{max(0, len(got) - 4)} 个字节；应当是 UTF-8 的 {len(HELLO)} 个字节", drawing)
    return drawing


def hunt(path):
    read_messages = module_of(path, "read_messages")
    messages = [b"one", b"", b"three" * 60, b"four"]
    stream = b"".join(map(frame, messages))
    pieces = [piece for message in messages for piece in frame_pieces(message)]
    for cut in (len(stream), 1, 3, 5):
        got = read_messages(sender(stream, cut))
        if list(got) != messages:
            right = next((i for i, pair in enumerate(zip(got, messages)) if pair[0] != pair[1]),
                         min(len(got), len(messages)))
            done = sum(len(frame(message)) for message in messages[:right])
            raise Wrong(f"sent {cut} bytes at a time, {right} of 4 messages came out right",
                        f"一次发 {cut} 个字节时，4 条消息里只有 {right} 条正确",
                        ribbon.draw(pieces, [("right", done)]))
    return ribbon.draw(pieces, [(str(i + 1), len(frame(m))) for i, m in enumerate(messages)])


def echo(program):
    with server(program) as (_, connect):
        client = connect()
        pieces = expect_echo(client, [b"one"], "a message", "一条消息")
        expect_echo(client, [b"one", b"two", b"three"], "three glued messages", "粘在一起的三条")
        expect_echo(client, [b"byte by byte"], "one byte at a time", "一次一个字节", cut=1)
        expect_echo(client, [bytes(range(256)) * 400], "100 KiB", "100 KiB")
        return ribbon.draw(pieces, [("back", 7)])


def empty(program):
    with server(program) as (_, connect):
        client = connect()
        pieces = expect_echo(client, [b"", b"next"], "an empty message and another",
                             "空消息之后再来一条")
        client.shutdown(socket.SHUT_WR)
        try:
            rest = client.recv(1)
        except OSError:
            raise Wrong("the client has finished, and the server does not close",
                        "客户已经结束，服务器却不关闭", ribbon.draw(pieces, [("back", 12)])) from None
        if rest:
            raise Wrong("bytes came back after the end", "结束之后还有字节返回")
        return ribbon.draw(pieces, [("empty", 4), ("next", 8)])


def peak_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        fields = dict(line.split(":", 1) for line in status if ":" in line)
    return int(fields.get("VmHWM", "0").split()[0])


def hostile(program):
    with server(program) as (pid, connect):
        pieces = expect_echo(connect(), [b"x" * LIMIT], "exactly 1 MiB", "恰好 1 MiB")
        before = peak_memory(pid)
        for size in (LIMIT + 1, 0x7FFFFFFF, 0xFFFFFFFF):
            client = connect()
            client.sendall(struct.pack(">I", size))
            drawing = ribbon.draw([("length", struct.pack(">I", size))], [("judge", 4)])
            try:
                answer = client.recv(1)
            except ConnectionError:
                answer = b""
            except OSError:
                raise Wrong(f"a length of {size} is not refused: the server waits for the bytes",
                            f"长度 {size} 没有被拒绝：服务器在等那些字节", drawing) from None
            if answer:
                raise Wrong(f"a length of {size} was answered", f"长度 {size} 居然得到应答", drawing)
        try:
            grown = peak_memory(pid) - before
            pieces = expect_echo(connect(), [b"still here"], "the next client", "下一个客户")
        except OSError:
            raise Wrong("a hostile length ends the server", "恶意长度让服务器退出了", drawing) from None
        if grown > 64 * 1024:
            raise Wrong(f"the server took {grown} KiB for a length alone",
                        f"只凭一个长度，服务器就占了 {grown} KiB 内存", drawing)
        return ribbon.draw(pieces, [("back", 14)])


def packed(name, content):
    header = json.dumps({"name": name, "size": len(content)}).encode()
    return [("length", struct.pack(">I", len(header))), ("header", header)] + (
        [("data", content)] if content else [])


def by_file(path):
    receive = module_of(path, "receive")
    with tempfile.TemporaryDirectory() as folder:
        inside = os.path.join(folder, "in")
        os.mkdir(inside)
        for name, content, cut in (("a.txt", b"hello\n", 1 << 20), ("empty", b"", 1),
                                   ("picture", bytes(range(256)) * 20, 700)):
            pieces = packed(name, content)
            stream = b"".join(data for _, data in pieces)
            receive(sender(stream, cut), inside)
            try:
                with open(os.path.join(inside, name), "rb") as file:
                    stored = file.read()
            except OSError:
                stored = b""
            if not os.path.exists(os.path.join(inside, name)) or stored != content:
                raise Wrong(f"{name}: {len(stored)} of {len(content)} bytes were stored",
                            f"{name}：{len(content)} 个字节只存了 {len(stored)} 个",
                            ribbon.draw(pieces, [("stored", len(stored))]))
        for name in ("../out", "/tmp/frsh-exercise-out", "sub/dir", ".."):
            pieces = packed(name, b"gotcha")
            stream = b"".join(data for _, data in pieces)
            try:
                receive(sender(stream, len(stream)), inside)
            except ValueError:
                continue
            except Exception as problem:
                raise Wrong(f"the name {name!r} must raise ValueError, not {problem!r}",
                            f"名字 {name!r} 应当抛 ValueError，而不是 {problem!r}",
                            ribbon.draw(pieces, [])) from None
            raise Wrong(f"the name {name!r} leaves the folder and was accepted",
                        f"名字 {name!r} 会跑出目录，却被接受了", ribbon.draw(pieces, []))
        pieces = packed("half", b"0123456789")
        stream = b"".join(data for _, data in pieces)
        try:
            receive(sender(stream[:-4], len(stream)), inside)
        except EOFError:
            return ribbon.draw(packed("a.txt", b"hello\n"), [])
        raise Wrong("the sender closed in the middle, and half a file passes as whole",
                    "发送方中途关闭，半个文件被当成了完整的", ribbon.draw(pieces, []))


def two(program):
    with server(program) as (_, connect):
        connect()  # It says nothing.
        half = connect()
        half.sendall(frame(b"abc")[:5])
        pieces = expect_echo(connect(), [b"me too"], "a client beside two silent ones",
                             "旁边有两个不作声的客户时")
        half.sendall(frame(b"abc")[5:])
        if exactly(half, 7) != frame(b"abc"):
            raise Wrong("the second half of a message was lost", "消息的后一半丢了")
        return ribbon.draw(pieces, [("back", 10)])


def udp(path):
    """Every third datagram is dropped, and every fourth acknowledgement."""
    send_all = module_of(path, "send_all")
    messages = [b"message %d" % i for i in range(12)]
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(SECONDS)
    got, seen = {}, []

    def receive():
        acknowledged = 0
        try:
            while True:
                datagram, source = receiver.recvfrom(2048)
                seen.append(datagram)
                if len(seen) % 3 == 0 or len(datagram) < 4:
                    continue
                got[int.from_bytes(datagram[:4], "big")] = datagram[4:]
                acknowledged += 1
                if acknowledged % 4 != 0:
                    receiver.sendto(datagram[:4], source)
        except OSError:
            return

    threading.Thread(target=receive, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        send_all(sock, receiver.getsockname(), messages)
    arrived = [i for i in range(len(messages)) if got.get(i) == messages[i]]
    receiver.close()
    drawing = ribbon.draw([(str(i), struct.pack(">I", i) + messages[i]) for i in (0, 1, 2)],
                          [("arrived" if i in arrived else "lost", 4 + len(messages[i]))
                           for i in (0, 1, 2)])
    if len(arrived) != len(messages):
        raise Wrong(f"{len(arrived)} of {len(messages)} messages arrived; number each with four "
                    "bytes in front, and send it again until its number comes back",
                    f"{len(messages)} 条只到了 {len(arrived)} 条；每条前面写四个字节的编号，"
                    "没收到同样的编号就重发", drawing)
    if len(seen) <= len(messages):
        raise Wrong("nothing was sent twice", "没有任何重发", drawing)
    return drawing
