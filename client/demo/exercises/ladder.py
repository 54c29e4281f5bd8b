"""The checks of the steps that are a script or a function. Each returns the drawing of a right
answer. What is sent is random, so that no answer can know it beforehand."""
import contextlib
import json
import os
import random
import select
import socket
import struct
import subprocess
import tempfile
import time

from judging import (SECONDS, Answer, Raised, Wrong, draw, frame, frame_pieces, last_words, pieces_of,
                     sender)

HELLO = "hello, 世界".encode()


def by_printf(path):
    if not os.path.isfile(path):
        raise Wrong(f"there is no file {path}", f"没有文件 {path}")
    with tempfile.TemporaryFile() as errors, socket.create_server(("127.0.0.1", 0)) as listener:
        # In UTF-8, where characters are not bytes.
        script = subprocess.Popen(["bash", path, str(listener.getsockname()[1])],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                  env={**os.environ, "LC_ALL": "C.UTF-8"}, start_new_session=True)
        try:
            streams, is_open = connections_of(script, listener)
            script.kill()
            printed = script.communicate()[0]
        finally:
            script.kill()
            script.wait()
        words = last_words(errors)
    if not streams:
        if HELLO in printed:
            raise Wrong("the frame went to the script's own stdout; send it to "
                        "/dev/tcp/127.0.0.1/$1", "这一帧打印到了脚本自己的 stdout；"
                        "应当发到 /dev/tcp/127.0.0.1/$1")
        raise Wrong(f"the script did not connect to the port in $1{words}",
                    f"脚本没有连接 $1 这个端口{words}")
    return judge_printed(streams, is_open, words)


def connections_of(script, listener):
    """What each connection of the script carried, and whether the last one stayed open."""
    deadline, streams = time.monotonic() + SECONDS, []
    while time.monotonic() < deadline:
        has_ended = script.poll() is not None
        if not select.select([listener], [], [], 0.05)[0]:
            if has_ended:
                break
            continue
        connection, _ = listener.accept()
        streams.append(b"")
        with connection:
            connection.shutdown(socket.SHUT_WR)  # A script that waits for an answer sees the end.
            while True:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    piece = connection.recv(4096)
                except TimeoutError:
                    return streams, True
                except OSError:
                    break
                if not piece:
                    break
                streams[-1] += piece
    return streams, False


def judge_printed(streams, is_open, words):
    got, wanted = streams[0], frame(HELLO)
    size = int.from_bytes(got[:4], "big")
    drawing = draw([("length", got[:4]), ("data", got[4:])],
                   [("length", 4), ("wanted", len(HELLO))])
    if len(streams) > 1:
        raise Wrong(f"the script connected {len(streams)} times; each redirection to /dev/tcp is a "
                    "connection of its own: open it once, with exec 3>, or send all in one printf",
                    f"脚本连接了 {len(streams)} 次；每次重定向到 /dev/tcp 都是一条新连接："
                    "用 exec 3> 只打开一次，或者一次 printf 发完", drawing)
    if got == wanted and is_open:
        raise Wrong("the frame is right, and the script does not end", "帧是对的，但脚本不结束",
                    drawing)
    if got == wanted:
        return drawing
    if int.from_bytes(got[:4], "little") == len(HELLO):
        raise Wrong("the length is written with the least significant byte first",
                    "长度写成了低位在前", drawing)
    if size == len(wanted):
        raise Wrong(f"the length says {size}: it counts its own four bytes, too",
                    f"长度写的是 {size}：把自己的 4 个字节也算进去了", drawing)
    if got[4:] == HELLO + b"\n":
        raise Wrong("a newline follows the message; echo adds one, printf does not",
                    "消息后面多了一个换行；echo 会加，printf 不会", drawing)
    if got[4:] == HELLO:
        hint, hint_zh = (", which are its characters", "，那是字符数") if (
            size == len(HELLO.decode())) else ("", "")
        raise Wrong(f"the length says {size}{hint}, and {len(HELLO)} bytes follow",
                    f"长度写的是 {size}{hint_zh}，后面有 {len(HELLO)} 个字节", drawing)
    raise Wrong(f"the length says {size}, and {max(0, len(got) - 4)} bytes follow; wanted are the "
                f"{len(HELLO)} bytes of hello, 世界 in UTF-8{words}",
                f"长度写的是 {size}，后面有 {max(0, len(got) - 4)} 个字节；应当是 hello, 世界 的 "
                f"{len(HELLO)} 个 UTF-8 字节{words}", drawing)


def text_of(size):
    return bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=size))


def hunt(path):
    with Answer(path, "read_messages") as answer:

        def read(stream, sizes=None):
            with sender(stream, sizes) as sock:
                try:
                    got = answer.call(sock)
                except Raised as problem:
                    return problem
            return got if isinstance(got, list) else []

        def first(stream):
            try:
                return read(stream)
            except Wrong:  # It is late. The checks below find out why.
                return []

        def expect(messages, what, what_zh, sizes=None):
            try:
                got = read(b"".join(map(frame, messages)), sizes)
            except Wrong as late:
                raise Wrong(f"{what}: {late}", f"{what_zh}：{late}",
                            draw(pieces_of(messages), [])) from None
            wanted = [message.hex() for message in messages]
            if got == wanted:
                return
            raised = f" ({got})" if isinstance(got, Raised) else ""
            found = [] if raised else got
            right = next((i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1]),
                         min(len(found), len(wanted)))
            done = sum(len(frame(message)) for message in messages[:right])
            raise Wrong(f"{what}: {right} of {len(messages)} messages came out right{raised}",
                        f"{what_zh}：{len(messages)} 条消息里只有 {right} 条正确{raised}",
                        draw(pieces_of(messages), [("right", done)]))

        one, other = text_of(5), text_of(6)
        little = [struct.pack("<I", len(message)) + message for message in (one, other)]
        if first(frame(one)) != [one.hex()] and first(b"".join(little)) == [one.hex(), other.hex()]:
            raise Wrong("the length is read with the least significant byte first",
                        "长度是按低位在前读的",
                        draw(frame_pieces(one), [("length", 4), ("data", 5)]))
        expect([one], "one message, sent whole", "完整发来的一条消息")
        messages = [text_of(3), b"", text_of(180), text_of(4)]
        expect([text_of(3), b"", text_of(4)], "an empty message between two others",
               "两条消息之间有一条空消息")
        expect([b""], "an empty message alone", "只有一条空消息")
        expect(messages, "four glued messages", "粘在一起的四条消息")
        expect([one, other], "the length came in two parts", "长度分两次到达",
               [2, 2, 5, 1, 3, 6])
        expect([one, other], "a message came in two parts", "一条消息分两次到达",
               [4, 2, 3, 4, 3, 3])
        for cut in (1, 3, 5):
            expect(messages, f"sent {cut} bytes at a time", f"一次发 {cut} 个字节", cut)
        expect([random.randbytes(100000)], "a message of 100000 bytes", "一条 100000 字节的消息")
        for size, what, what_zh in ((9, "in the middle of a message", "消息中间"),
                                    *((n, f"after {n} of the 4 bytes of a length",
                                       f"长度的 4 个字节只来了 {n} 个时") for n in (1, 2, 3))):
            expect_half(read, one, frame(text_of(8))[:size], what, what_zh)
    return draw(pieces_of(messages), [(str(i + 1), len(frame(m))) for i, m in enumerate(messages)])


def expect_half(read, one, half, what, what_zh):
    """The reader may drop the half or raise. It may not wait, nor take it for a message."""
    drawing = draw([*frame_pieces(one), ("half", half)], [("right", len(frame(one)))])
    try:
        got = read(frame(one) + half)
    except Wrong as late:
        raise Wrong(f"the peer closed {what}: {late}", f"对方在{what_zh}关闭：{late}",
                    drawing) from None
    if isinstance(got, list) and len(got) > 1:
        raise Wrong(f"the peer closed {what}, and the half passes as whole",
                    f"对方在{what_zh}关闭，半条消息被当成了完整的", drawing)


def exactly(path):
    with Answer(path, "exactly") as answer:
        for cut in (1, 2, 3, 7, 1000, 20000):
            message = random.randbytes(300 if cut < 10 else 20000)
            sizes = (4, 1, 0, 100) if cut < 10 else (4, 1, 0, 1000, 9000)
            with sender(message, cut) as sock:
                taken = 0
                for size in sizes:
                    taken = expect_piece(answer, sock, message, taken, size, cut)
                expect_end(answer, sock, len(message) - taken + 50, "in the middle", "中途")
        message = random.randbytes(8)
        with sender(message) as sock:
            expect_piece(answer, sock, message, 0, 8, 8)
            expect_end(answer, sock, 4, "before the first of 4 bytes", "在第一个字节之前")
    return draw([("sent", message[:4]), ("sent", message[4:5])], [("recv", 4), ("recv", 1)])


def expect_piece(answer, sock, message, taken, size, cut):
    """Asks for `size` bytes, `taken` of the message have been read. Returns how many are now."""
    where = (f"asked for {size} bytes of a stream sent {cut} at a time, it ",
             f"流一次发 {cut} 个字节，要 {size} 个，")
    sent = message[taken:taken + size]
    try:
        value = answer.call(sock, size)
    except Raised as problem:
        raise Wrong(f"{where[0]}raised {problem}", f"{where[1]}却抛出 {problem}",
                    draw([("sent", sent)], [])) from None
    if not isinstance(value, str):
        kind = value["type"] if isinstance(value, dict) else "list"
        raise Wrong(f"{where[0]}returned a {kind}, not bytes",
                    f"{where[1]}返回的是 {kind}，不是 bytes")
    piece = bytes.fromhex(value)
    if len(piece) != size:
        raise Wrong(f"{where[0]}returned {len(piece)}", f"{where[1]}却返回 {len(piece)} 个",
                    draw([("sent", message[taken:taken + max(size, len(piece))])],
                         [("returned", len(piece))]))
    if piece != sent:
        skipped = message.find(piece, taken) - taken if size else 0
        if skipped > 0:
            raise Wrong(f"{where[0]}skipped {skipped} bytes: the call before read more than it "
                        "returned, and threw the rest away", f"{where[1]}却跳过了 {skipped} 个："
                        "上一次调用多读了，又把多的扔了",
                        draw([("sent", message[taken:taken + skipped + size])],
                             [("skipped", skipped), ("returned", size)]))
        raise Wrong(f"{where[0]}returned other bytes than were sent",
                    f"{where[1]}返回的字节和发出的不一样", draw([("sent", sent)], [("wrong", size)]))
    return taken + size


def expect_end(answer, sock, size, when, when_zh):
    try:
        value = answer.call(sock, size)
    except Raised as problem:
        if "EOFError" in problem.names:
            return
        raise Wrong(f"the peer closed {when}: that is to raise EOFError, not {problem}",
                    f"对方{when_zh}关闭：应当抛 EOFError，而不是 {problem}") from None
    raise Wrong(f"the peer closed {when}, and it returned {len(value or '') // 2} of {size} bytes as "
                "if whole", f"对方{when_zh}关闭，{size} 个字节只返回了 {len(value or '') // 2} 个，"
                "却当成完整的")


def packed(name, content):
    header = json.dumps({"name": name, "size": len(content)}, ensure_ascii=False).encode()
    return [("length", struct.pack(">I", len(header))), ("header", header)] + (
        [("data", content)] if content else [])


def joined(pieces):
    return b"".join(data for _, data in pieces)


def by_file(path):
    with Answer(path, "receive") as answer, tempfile.TemporaryDirectory() as folder:
        inside = os.path.join(folder, "in")
        os.mkdir(inside)
        os.mkdir(inside + "side")  # Its name begins as the folder's does.

        def expect_stored(sock, name, content, what, what_zh):
            pieces = packed(name, content)
            try:
                answer.call(sock, inside)
            except Raised as problem:
                raise Wrong(f"{name}, {what}: it raised {problem}",
                            f"{name}，{what_zh}：抛出了 {problem}", draw(pieces, [])) from None
            except Wrong as late:
                raise Wrong(f"{name}, {what}: {late}", f"{name}，{what_zh}：{late}",
                            draw(pieces, [])) from None
            stored = None
            with contextlib.suppress(OSError), open(os.path.join(inside, name), "rb") as file:
                stored = file.read()
            if stored != content:
                english, chinese = ("it was not stored", "没有存下来") if stored is None else (
                    f"{len(stored)} bytes were stored, not the {len(content)} that were sent",
                    f"存下的是 {len(stored)} 个字节，不是发出的 {len(content)} 个")
                raise Wrong(f"{name}, {what}: {english}", f"{name}，{what_zh}：{chinese}",
                            draw(pieces, [("length", 4), ("header", len(pieces[1][1])),
                                          ("stored", len(stored or b""))]))

        for name, content, sizes in (
                ("a.txt", text_of(6), None), ("empty", b"", None),
                ("世界.txt", text_of(7), None), ("picture", random.randbytes(5000), 700),
                ("slow", random.randbytes(50), 1), ("large", random.randbytes(200000), None)):
            with sender(joined(packed(name, content)), sizes) as sock:
                expect_stored(sock, name, content, *(
                    ("sent whole", "一次发完") if sizes is None else
                    (f"sent {sizes} bytes at a time", f"一次发 {sizes} 个字节")))
        first, second = text_of(9), text_of(4)
        both = joined(packed("first", first) + packed("second", second))
        with sender(both, is_left_open=True) as sock:
            expect_stored(sock, "first", first, "with another file behind it", "后面跟着另一个文件")
            expect_stored(sock, "second", second, "behind another file on the same connection",
                          "同一条连接上的第二个文件")
        expect_refusals(answer, folder, inside)
        expect_halves(answer, inside)
    return draw(packed("a.txt", b"hello\n"), [])


def expect_refusals(answer, folder, inside):
    """Names that leave the folder. Each would be a file of the checker's own folder."""
    for name in ("../out", "../inside/out", os.path.join(folder, "absolute"), "sub/../../out2",
                 ".."):
        pieces = packed(name, b"gotcha")
        raised = None
        with sender(joined(pieces)) as sock:
            try:
                answer.call(sock, inside)
            except Raised as problem:
                raised = problem
        if (sorted(os.listdir(folder)), os.listdir(inside + "side")) != (["in", "inside"], []):
            raise Wrong(f"the name {name!r} leaves the folder, and the file was stored there",
                        f"名字 {name!r} 会跑出目录，文件却存到那里去了", draw(pieces, []))
        if raised is None:
            raise Wrong(f"the name {name!r} leaves the folder and was accepted",
                        f"名字 {name!r} 会跑出目录，却被接受了", draw(pieces, []))
        if "ValueError" not in raised.names:
            raise Wrong(f"the name {name!r} must raise ValueError, not {raised}",
                        f"名字 {name!r} 应当抛 ValueError，而不是 {raised}", draw(pieces, []))


def expect_halves(answer, inside):
    pieces = packed("half", b"0123456789")
    stream = joined(pieces)
    for size, what, what_zh in ((len(stream) - 4, "the content", "内容"),
                                (12, "the header", "报头"), (2, "the length", "长度")):
        with sender(stream[:size]) as sock:
            try:
                answer.call(sock, inside)
            except Raised as problem:
                if "EOFError" in problem.names:
                    continue
                raise Wrong(f"the sender closed in the middle of {what}: that is to raise EOFError, "
                            f"not {problem}", f"发送方在{what_zh}中间关闭：应当抛 EOFError，"
                            f"而不是 {problem}", draw(pieces, [("half", size)])) from None
        raise Wrong(f"the sender closed in the middle of {what}, and half a file passes as whole",
                    f"发送方在{what_zh}中间关闭，半个文件被当成了完整的",
                    draw(pieces, [("half", size)]))
