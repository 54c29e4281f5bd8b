"""The check of the last step: a client of frsh, against mini_server.py through a relay that is as
strict as frshd and can change what the server sends."""
import contextlib
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

from judging import SECONDS, Wrong, is_spinning, last_words, parts_of, start, stop, wait_taken

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TOKEN = "FRSH_EXERCISE_TOKEN"  # Only the server knows its value.
# The messages of a client, and the keys of each with their types.
KEYS = {"hello": {"proto": int, "software": str, "features": list},
        "open": {"ch": int, "run": str, "mode": str, "args": int},
        "more": {"ch": int}, "data": {"ch": int, "stream": str, "off": int},
        "eof": {"ch": int, "stream": str, "off": int}, "stop": {"ch": int, "stream": str},
        "credit": {"ch": int, "stream": str, "consumed": int, "limit": int},
        "end_ack": {"ch": int, "run": str}, "signal": {"ch": int, "name": str},
        "cancel": {"ch": int}, "bye": {}, "ping": {}, "error": {"reason": str, "message": str}}
OPTIONAL = {"cwd": bool, "env": int, "forwarded": int, "stdin_null": bool, "timeout_ms": int,
            "idle_ms": int, "linger_ms": int, "max_output": int, "on_disconnect": str,
            "grace_ms": int, "kept": bool, "more": bool, "len": int}
HAS_PAYLOAD = ("open", "more", "data")


def refuse(english, chinese):
    raise Wrong(f"frshd would refuse this: {english}", f"frshd 会拒绝：{chinese}")


def frames_of(stream):
    """Takes the client's bytes apart as frshd does, and refuses what it refuses."""
    found = []
    while stream:
        if len(stream) < 4:
            refuse("the stream ends within the length of a frame", "流在一帧的长度里就结束了")
        size, = struct.unpack(">I", stream[:4])
        if not 0 < size <= (131072 if found else 4096):
            little, = struct.unpack("<I", stream[:4])
            refuse(f"a header length of {size}" + (
                "; the most significant byte goes first" if 0 < little <= 4096 else ""),
                f"报头长度是 {size}" + ("；应当高位在前" if 0 < little <= 4096 else ""))
        text, stream = stream[4:4 + size], stream[4 + size:]
        if len(text) < size:
            refuse(f"a header of {len(text)} bytes, whose length says {size}",
                   f"报头只有 {len(text)} 个字节，长度却写着 {size}")
        header = header_of(text)
        payload, stream = stream[:header.get("len", 0)], stream[header.get("len", 0):]
        if len(payload) < header.get("len", 0):
            refuse(f"a payload of {len(payload)} bytes, whose len says {header['len']}",
                   f"数据只有 {len(payload)} 个字节，len 却写着 {header['len']}")
        if payload and header["type"] not in HAS_PAYLOAD:
            refuse(f"{header['type']} has a payload", f"{header['type']} 不能带数据")
        found.append((header, payload))
    return found


def header_of(text):
    def unique(pairs):
        if len({key for key, _ in pairs}) < len(pairs):
            refuse("a header with a key twice", "报头里有重复的键")
        return dict(pairs)

    try:
        header = json.loads(text.decode(), object_pairs_hook=unique)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        refuse(f"a header that is not one JSON object: {text[:40]!r}; is its length in bytes?",
               f"报头不是一个 JSON 对象：{text[:40]!r}；长度数的是字节吗？")
    kind = header.get("type")
    if kind not in KEYS:
        refuse(f"a message of the type {kind!r}", f"没有 {kind!r} 这种消息")
    for key, wanted in {**KEYS[kind], **OPTIONAL}.items():
        if key not in header:
            if key in KEYS[kind]:
                refuse(f'{kind} has no "{key}"', f"{kind} 里没有 “{key}”")
            continue
        value = header[key]
        if type(value) is not wanted or wanted is int and not 0 <= value < 1 << 53:
            refuse(f'"{key}" of {kind} is {json.dumps(value)}', f"{kind} 的 “{key}” 是 "
                   f"{json.dumps(value)}")
    return header


def judge_frames(stream, received, has_ended):
    """`received`: bytes of each stream that the server sent. `has_ended`: whether it sent `end`."""
    frames = frames_of(stream)
    kinds = [header["type"] for header, _ in frames]
    if not frames:
        refuse("nothing was sent", "什么都没发")
    if kinds[0] != "hello" or kinds.count("hello") != 1:
        refuse("the first frame, and no other, is hello", "第一帧（也只有第一帧）应当是 hello")
    if frames[0][0]["proto"] != 1:
        refuse(f'"proto" is {frames[0][0]["proto"]}', f'“proto” 是 {frames[0][0]["proto"]}')
    if kinds.count("open") != 1:
        refuse(f"{kinds.count('open')} open instead of one", f"有 {kinds.count('open')} 个 open，应当是一个")
    opened, payload = frames[kinds.index("open")]
    judge_open(opened, payload)
    for header, _ in frames:
        if "ch" in header and header["ch"] != opened["ch"]:
            refuse(f'{header["type"]} is of channel {header["ch"]}, and the run has '
                   f'{opened["ch"]}', f'{header["type"]} 的通道是 {header["ch"]}，而命令的是 '
                   f'{opened["ch"]}')
        if header["type"] == "credit" and header["consumed"] > received.get(header["stream"], 0):
            refuse(f'credit says that {header["consumed"]} bytes of {header["stream"]} are consumed, '
                   f'and {received.get(header["stream"], 0)} were sent',
                   f'credit 说 {header["stream"]} 已用掉 {header["consumed"]} 个字节，'
                   f'其实只发了 {received.get(header["stream"], 0)} 个')
    if has_ended and "end_ack" not in kinds:
        refuse("end is not answered with end_ack", "没有用 end_ack 回答 end")


def judge_open(opened, payload):
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", opened["run"]):
        refuse(f'the run id {opened["run"]!r}', f'run 是 {opened["run"]!r}')
    if opened["ch"] >= 1 << 32:
        refuse(f'"ch" is {opened["ch"]}', f'“ch” 是 {opened["ch"]}')
    if opened["mode"] not in ("command", "argv", "login", "subsystem"):
        refuse(f'the mode {opened["mode"]!r}', f'mode 是 {opened["mode"]!r}')
    wanted = opened["args"] + bool(opened.get("cwd")) + opened.get("env", 0) + (
        opened.get("forwarded", 0))
    if payload and payload[-1]:
        refuse("the last string of open does not end with a NUL byte",
               "open 的最后一个字符串没有以零字节结尾")
    if payload.count(b"\0") != wanted:
        refuse(f"open announces {wanted} strings and has {payload.count(0)}",
               f"open 说有 {wanted} 个字符串，实际有 {payload.count(0)} 个")


class Relay:
    """A port that passes everything on, whole or one byte at a time to the client, and keeps what
    the client sends. `change(header, payload)` gives the server's frame anew, or None to drop it;
    it raises EOFError to end the connection there."""

    def __init__(self, port, is_cut=False, change=None):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port, self.is_cut = port, is_cut
        self.change = change or (lambda header, payload: (header, payload))
        self.sent, self.received, self.has_ended = b"", {}, False
        self.done = threading.Event()
        self.threads = []
        threading.Thread(target=self.serve, daemon=True).start()

    def where(self):
        return self.listening.getsockname()[1]

    def serve(self):
        with contextlib.suppress(OSError):
            near, _ = self.listening.accept()
            far = socket.create_connection(("127.0.0.1", self.port))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pass_answers, args=(far, near), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := near.recv(65536):
                    self.sent += data
                    far.sendall(data)
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_WR)
        self.done.set()

    def pass_answers(self, far, near):
        with contextlib.suppress(OSError, EOFError):
            stream = far.makefile("rb")
            while len(head := stream.read(4)) == 4:
                text = stream.read(*struct.unpack(">I", head))
                header = json.loads(text)
                payload = stream.read(header.get("len", 0))
                changed = self.change(header, payload)
                if changed is None:
                    continue
                header, payload = changed
                if header["type"] == "data":
                    self.received[header["stream"]] = header["off"] + len(payload)
                self.has_ended |= header["type"] == "end"
                text = json.dumps(header).encode()
                self.pass_on(near, struct.pack(">I", len(text)), text, payload)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_WR)
        far.close()

    def pass_on(self, near, head, text, payload):
        """Cuts the length and the payload into single bytes, and the header into a few parts."""
        if not self.is_cut:
            return near.sendall(head + text + payload)
        for part in (*parts_of(head, 1), *parts_of(text, 40), *parts_of(payload, 1)):
            near.sendall(part)
            wait_taken(near)


def change_byte(header, payload):
    return (header, b"F" + payload[1:]) if header["type"] == "data" else (header, payload)


def change_count(header, payload):
    if header["type"] == "end":
        data = b"fine\n" + b"lost\n"
        header["stdout"].update(bytes=len(data), crc32=zlib.crc32(data))
    return header, payload


def drop_eof(header, payload):
    is_it = header["type"] == "eof" and header["stream"] == "stdout"
    return None if is_it else (header, payload)


def drop_started(header, payload):
    return None if header["type"] == "started" else (header, payload)


def drop_end(header, payload):
    if header["type"] == "end":
        raise EOFError
    return header, payload


def run_client(program, port, command, what, what_zh, **relay_options):
    """Returns the client's stdout, its exit code and its last words."""
    relay = Relay(port, **relay_options)
    with relay.listening, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        process = start(program, str(relay.where()), command, stdout=output, stderr=errors)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            spins = is_spinning(process.pid)
            stop(process)
            relay.done.wait(1)
            judge_frames(relay.sent, relay.received, False)
            if max(relay.received.values(), default=0) >= 262144:
                raise Wrong(f"{what}: it waits for ever after {max(relay.received.values())} bytes; "
                            "the server waits, too, for credit", f"{what_zh}：收到 "
                            f"{max(relay.received.values())} 个字节后一直在等；"
                            "服务器也在等：等 credit") from None
            raise Wrong(f"{what}: it does not end" + (
                "; it loops without waiting, and at the end recv returns b''" if spins else ""),
                f"{what_zh}：它不结束" + ("，一直在空转；结束时 recv 返回 b''" if spins else "")
                ) from None
        finally:
            stop(process)
        if relay.sent:
            relay.done.wait(SECONDS)
        output.seek(0)
        printed, words = output.read(), last_words(errors)
    if not relay.sent:
        raise Wrong(f"{what}: it sent nothing to the port{words}", f"{what_zh}：它没有向端口发任何东西{words}")
    return printed, process.returncode, words, relay


def client(program):
    token = secrets.token_hex(6)
    numbers = b"".join(b"%d\n" % i for i in range(1, 100001))
    server = subprocess.Popen([sys.executable, os.path.join(ROOT, "scripts", "mini_server.py")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={**os.environ, TOKEN: token})
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        for what, what_zh, command, output, code, is_cut in (
                ("a short answer", "短的结果", f"echo hello ${TOKEN}", b"hello %s\n" % token.encode(),
                 0, False),
                ("an answer that does not fit into one recv", "一次 recv 装不下的结果", "seq 1 5000",
                 numbers[:23893], 0, False),
                ("no output at all", "没有输出", "true", b"", 0, False),
                ("an exit code", "退出码", f"echo ${TOKEN}; exit 7", b"%s\n" % token.encode(), 7,
                 False),
                ("stderr apart", "stderr 要分开", "echo oops >&2; echo fine", b"fine\n", 0, False),
                ("output that is not text", "不是文本的输出", r"printf '\377\0\r\n\200'",
                 b"\xff\0\r\n\x80", 0, False),
                ("a command that reads its stdin to the end", "读 stdin 读到结束的命令",
                 "cat; echo done", b"done\n", 0, False),
                ("one byte at a time", "一次一个字节", "seq 1 12; exit 5", numbers[:27], 5, True),
                ("output beyond the first credit", "超过最初 credit 的输出", "seq 1 100000", numbers,
                 0, False)):
            printed, status, words, relay = run_client(program, port, command, what, what_zh,
                                                       is_cut=is_cut)
            judge_frames(relay.sent, relay.received, relay.has_ended)
            judge_output(printed, output, what, what_zh, words, token)
            if status != code:
                raise Wrong(f"{what}: it exits with {status}, not {code}{words}",
                            f"{what_zh}：退出码是 {status}，应当是 {code}{words}")
        judge_signaled(program, port)
        for what, what_zh, change in (
                ("a byte changed on the way, so the checksum in end is another",
                 "路上有一个字节变了，和 end 里的校验和对不上", change_byte),
                ("end counts more bytes than have arrived", "end 里的字节数比收到的多", change_count),
                ("the eof of stdout is missing", "缺少 stdout 的 eof", drop_eof),
                ("an end comes without started", "没有 started，end 就来了", drop_started),
                ("the connection ended without end", "没有 end，连接就断了", drop_end)):
            status = run_client(program, port, "echo fine", what, what_zh, change=change)[1]
            if status == 0:
                raise Wrong(f"{what}: this run is lost, and the client exits with 0 as if it were "
                            "whole", f"{what_zh}：这次执行丢了，客户端却以 0 退出，好像完整一样")
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def judge_signaled(program, port):
    what, what_zh = "a command that a signal kills", "被信号杀死的命令"
    _, status, words, relay = run_client(program, port, "kill -9 $$", what, what_zh)
    judge_frames(relay.sent, relay.received, relay.has_ended)
    if status == 0:
        raise Wrong(f'{what}: it exits with 0, as if the outcome were not "signaled"; a shell exits '
                    f"with 128 + 9{words}", f"{what_zh}：outcome 是 “signaled”，它却以 0 退出；"
                    f"shell 的退出码是 128 + 9{words}")


def judge_output(printed, output, what, what_zh, words, token):
    if printed == output:
        return
    if token.encode() in output and printed == output.replace(token.encode(), b"").replace(
            b" \n", b"\n"):
        raise Wrong(f"{what}: the command did not run on the server", f"{what_zh}：命令没有在服务器上执行")
    same = len(os.path.commonprefix([printed, output]))
    raise Wrong(f"{what}: {len(printed)} bytes of output, and not the right {len(output)}; the first "
                f"{same} agree{words}", f"{what_zh}：输出 {len(printed)} 个字节，应当是 "
                f"{len(output)} 个；前 {same} 个相同{words}")
