"""The checks of the four steps that are a server. Each returns the drawing of a right answer."""
import contextlib
import os
import random
import select
import socket
import struct
import subprocess

from judging import (SECONDS, Server, Silent, Wrong, draw, echoed, expect_echo, frame,
                     frame_pieces, is_spinning, pieces_of, wait_taken)

LIMIT = 1 << 20
CLIENTS = 40  # Silent ones, in `two`.


def word():
    return bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=6))


def first_echo(server):
    """One message, whole. If it does not come back, names what it took the length for."""
    message = word()

    def probe(stream):
        client = server.connect()
        client.settimeout(min(1, SECONDS))
        got, _ = echoed(client, stream)
        client.close()  # For a server of one client at a time.
        return got

    try:
        return expect_echo(server.connect(), [message], "a message", "一条消息")
    except Wrong as wrong:
        server.clients[-1].close()
        drawing = draw(frame_pieces(message), [("length", 4), ("data", len(message))])
        for head, english, chinese in (
                (struct.pack("<I", len(message)),
                 "the length is read with the least significant byte first", "长度是按低位在前读的"),
                (struct.pack(">I", len(message) + 4),
                 "the length is taken to count its own four bytes, too",
                 "把长度理解成了包括自己的 4 个字节")):
            if probe(head + message) == head + message:
                raise Wrong(english, chinese, drawing) from None
        if probe(frame(message)) == message:
            raise Wrong("the message comes back without its length in front",
                        "消息返回时前面没有长度", drawing) from None
        raise wrong from None


def expect_silence(client, stream, what, what_zh):
    """Sends a part of a frame, which a server of frames cannot answer yet."""
    client.sendall(stream)
    wait_taken(client)
    if not select.select([client], [], [], min(0.3, SECONDS))[0]:
        return
    try:
        got = client.recv(65536)
    except OSError:
        got = b""
    if not got:
        raise Wrong(f"{what}: the server closed instead of waiting for the rest",
                    f"{what_zh}：服务器没有等剩下的，就关闭了", draw([("half", stream)], []))
    raise Wrong(f"{what}, and {len(got)} bytes came back: this server sends bytes back, and not "
                "whole frames", f"{what_zh}，却返回了 {len(got)} 个字节：它返回的是字节，不是完整的帧",
                draw([("half", stream)], [("back", len(got))]))


def served(server, client, messages, what, what_zh, sizes=None):
    """expect_echo, and if that fails, what became of the server."""
    try:
        return expect_echo(client, messages, what, what_zh, sizes)
    except Wrong as wrong:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.2)
            server.raise_gone()
        if is_spinning(server.process.pid):
            raise Wrong(f"{what}: no answer, and the server loops without waiting; when a client "
                        "has gone, recv returns b'' again and again",
                        f"{what_zh}：没有应答，服务器在空转；客户走了以后，recv 每次都返回 b''",
                        wrong.drawing) from None
        raise


def echo(program):
    with Server(program) as server:
        pieces = first_echo(server)
        client = server.connect()
        server.clients[0].close()
        served(server, client, [word()], "a second client, after the first has left",
                    "第一个客户走了以后的第二个客户")
        served(server, client, ["世界，你好".encode()], "a message with 15 bytes and 5 characters",
                    "一条 15 个字节、5 个字符的消息")
        served(server, client, [word(), word(), word()], "three glued messages", "粘在一起的三条")
        expect_silence(client, frame(word())[:2], "only half of the length was sent",
                       "只发了长度的一半")
        client.close()
        client = server.connect()
        message = word()
        expect_silence(client, frame(message)[:7], "only half of a message was sent",
                       "只发了半条消息")
        client.sendall(frame(message)[7:])
        back = read_back(client, len(frame(message)))
        if back != frame(message):
            raise Wrong(f"a message that came in two parts: {len(back)} of {len(frame(message))} "
                        "bytes came back", f"分两次到达的消息：{len(frame(message))} 个字节返回了 "
                        f"{len(back)} 个", draw(frame_pieces(message), [("back", len(back))]))
        served(server, client, [word(), word()], "one byte at a time", "一次一个字节", sizes=1)
        served(server, client, [random.randbytes(100 << 10)], "100 KiB", "100 KiB")
        second_copy(program)
        return draw(pieces, [("back", 10)])


def second_copy(program):
    """A free port is another one for each server."""
    try:
        with Server(program) as again:
            again.connect()
    except Silent as silent:
        raise Wrong(f"the program was started a second time while the first runs: {silent}",
                    f"第一个还在运行时又启动了一个：{silent}") from None
    except Wrong as wrong:
        raise Wrong(f"two of these servers cannot run at a time; is the port fixed? Bind to port 0 "
                    f"for a free one: {wrong}",
                    f"不能同时运行两个：端口写死了吗？绑定端口 0，内核会给一个空闲的：{wrong}") from None


def read_back(client, size):
    got = b""
    try:
        while len(got) < size and (piece := client.recv(size - len(got))):
            got += piece
    except OSError:
        pass
    return got


def empty(program):
    with Server(program) as server:
        first_echo(server)
        server.clients[-1].close()
        client = server.connect()
        messages = [b"", word()]
        pieces = served(server, client, messages, "an empty message and another", "空消息之后再来一条")
        served(server, client, [b"", b""], "two empty messages", "两条空消息")
        drawing = draw(pieces, [("back", 14)])
        expect_close(client, b"", drawing, "the client has finished", "客户已经结束")
        half = frame(word())[:7]
        expect_close(server.connect(), half, draw([("half", half)], []),
                     "the client has finished in the middle of a message", "客户在消息中间结束")
        served(server, server.connect(), [word()], "the next client", "下一个客户")
        server.clients[-1].close()
        expect_reset_survived(server)
        return drawing


def reset(client):
    """Ends the connection by RST in the middle of a message."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sendall(frame(word())[:6])
    wait_taken(client)
    client.close()


def expect_reset_survived(server):
    client = server.connect()
    served(server, client, [word()], "a client that is about to reset its connection",
           "即将重置连接的客户")
    reset(client)
    served(server, server.connect(), [word()], "a client after one that reset its connection",
           "有一个客户重置了连接之后")


def expect_close(client, stream, drawing, what, what_zh):
    """Sends the last bytes and finishes. Nothing but the end may come back."""
    client.sendall(stream)
    client.shutdown(socket.SHUT_WR)
    try:
        rest = client.recv(65536)
    except ConnectionError:
        rest = b""
    except OSError:
        raise Wrong(f"{what}, and the server does not close", f"{what_zh}，服务器却不关闭",
                    drawing) from None
    if rest:
        raise Wrong(f"{what}, and then {len(rest)} bytes came back",
                    f"{what_zh}，之后却返回了 {len(rest)} 个字节", drawing)
    client.close()


def memory(pid):
    """The peak of the resident memory in KiB, the largest of the server and its processes."""
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                if int(stat.read().rpartition(")")[2].split()[3]) != pid:
                    continue
            with open(f"/proc/{name}/status", encoding="ascii", errors="replace") as status:
                fields = dict(line.split(":", 1) for line in status if ":" in line)
        except OSError:
            continue
        found = max(found, int(fields.get("VmHWM", "0").split()[0]))
    return found


def hostile(program):
    with Server(program) as server:
        first_echo(server)
        server.clients[-1].close()
        client = server.connect()
        served(server, client, [random.randbytes(LIMIT)], "a message of exactly 1 MiB",
                    "恰好 1 MiB 的消息")
        client.close()  # A server of one client at a time is right, too.
        before = memory(server.process.pid)
        # Small ones first: a server that reserves what it is told is found before it takes 4 GiB.
        for size in (LIMIT + 1, 1 << 28, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            expect_refused(server, size, before)
        pieces = pieces_of([word()])
        drawing = draw(pieces, [("back", 10)])
        served(server, server.connect(), [word()], "the next client", "下一个客户")
        server.clients[-1].close()
        expect_reset_survived(server)
        return drawing


def expect_refused(server, size, before):
    head = struct.pack(">I", size)
    drawing = draw([("length", head)], [("judged", 4)])
    client = server.connect()
    served(server, client, [word()], "a message before a hostile length", "恶意长度之前的一条消息")
    is_late = False
    try:
        client.sendall(head)
        answer = client.recv(65536)
    except ConnectionError:
        answer = b""
    except OSError:
        is_late = True
    taken = (memory(server.process.pid) - before) >> 10
    if taken > 64:
        raise Wrong(f"the server took {taken} MiB for a length of {size} alone",
                    f"只凭长度 {size}，服务器就占了 {taken} MiB 内存", drawing)
    if is_late:
        raise Wrong(f"a length of {size} is not refused: the server waits for the bytes",
                    f"长度 {size} 没有被拒绝：服务器在等那些字节", drawing)
    if answer:
        raise Wrong(f"a length of {size} was answered with {len(answer)} bytes; close instead",
                    f"长度 {size} 居然得到 {len(answer)} 个字节的应答；应当关闭", drawing)
    client.close()


def two(program):
    with Server(program) as server:
        first_echo(server)
        for _ in range(CLIENTS):
            server.connect()
        served(server, server.connect(), [word()], f"a client beside {CLIENTS} silent ones",
                    f"旁边有 {CLIENTS} 个不作声的客户时")
        message = word()
        half = server.connect()
        half.sendall(frame(message)[:5])
        wait_taken(half)
        pieces = served(server, server.connect(), [word()], "a client beside one that sent half "
                        "of a message", "旁边有一个客户只发了半条消息时")
        half.sendall(frame(message)[5:])
        if read_back(half, 10) != frame(message):
            raise Wrong("the second half of a message was lost", "消息的后一半丢了",
                        draw(frame_pieces(message), [("back", 5)]))
        expect_close(half, b"", draw(pieces, [("back", 10)]), "a client among others has finished",
                     "许多客户中的一个已经结束")
        greedy = server.connect()
        block(greedy)
        served(server, server.connect(), [word()], "a client beside one that sends and never reads",
                    "旁边有一个客户只发不读时")
        expect_reset_survived(server)
        return draw(pieces, [("back", 10)])


def block(client):
    """Sends frames and reads no answer, until the server takes no more or has taken 64 MiB."""
    client.setblocking(False)
    stream = frame(random.randbytes(60000))
    for _ in range(1100):
        part = stream
        while part:
            if not select.select([], [client], [], 0.2)[1]:
                return
            try:
                part = part[client.send(part):]
            except OSError:
                return
