#!/usr/bin/env python3
"""Checks the ten exercises of LESSONS.md, and `stuck` before them.

    exercises.py stuck NUMBER
    exercises.py 1|printf SCRIPT.sh         exercises.py 6|hostile PROGRAM
    exercises.py 2|hunt FILE.py             exercises.py 7|file FILE.py
    exercises.py 3|exactly FILE.py          exercises.py 8|two PROGRAM
    exercises.py 4|echo PROGRAM             exercises.py 9|udp FILE.py
    exercises.py 5|empty PROGRAM            exercises.py 10|client PROGRAM

Prints the stream as a ribbon and then "right", or what is wrong, and exits with 1. An answer that
does not return within 10 s is wrong.
"""
import json
import os
import re
import struct
import sys

import client
import datagrams
import ladder
import servers
from judging import IS_CHINESE, Wrong

DEMO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHINESE_USAGE = """检查 LESSONS.zh.md 的十个练习，以及它们之前的 `stuck`。

    exercises.py stuck 数字
    exercises.py 1|printf 脚本.sh           exercises.py 6|hostile 程序
    exercises.py 2|hunt 文件.py             exercises.py 7|file 文件.py
    exercises.py 3|exactly 文件.py          exercises.py 8|two 程序
    exercises.py 4|echo 程序                exercises.py 9|udp 文件.py
    exercises.py 5|empty 程序               exercises.py 10|client 程序

把字节流画成一条带子，然后打印“对了”，或者说明哪里不对并以 1 退出。10 秒内没有返回就算错。"""


def stuck(answer):
    with open(os.path.join(DEMO, "LESSONS.md"), encoding="utf-8") as page:
        text = re.search(r"<<'END'\n([0-9a-f\n]+)END", page.read()).group(1)
    stream, total, everything = bytes.fromhex(text.replace("\n", "")), 0, len(text) // 2
    while stream:
        size, = struct.unpack(">I", stream[:4])
        payload = json.loads(stream[4:4 + size]).get("len", 0)
        total += payload
        stream = stream[4 + size + payload:]
    if not answer.isdigit():
        raise Wrong(f"a number is wanted, and not {answer!r}", f"要一个数字，而不是 {answer!r}")
    if int(answer) != total:
        hint, hint_zh = ("; that counts the lengths and headers, too", "；这把长度和报头也算进去了") if (
            int(answer) >= everything - 8) else (
            '; a frame without "len" has no payload', "；没有 “len” 的帧不带数据")
        raise Wrong(f"they do not carry {answer} bytes{hint}", f"不是 {answer} 个字节{hint_zh}")


CHECKS = {"printf": ladder.by_printf, "hunt": ladder.hunt, "exactly": ladder.exactly,
          "echo": servers.echo, "empty": servers.empty, "hostile": servers.hostile,
          "file": ladder.by_file, "two": servers.two, "udp": datagrams.udp, "client": client.client}


def missing_file(name):
    """The file beside these checks that this one needs and that is not there, or nothing."""
    needed = {"stuck": os.path.join(DEMO, "LESSONS.md"),
              "client": os.path.join(client.ROOT, "scripts", "mini_server.py")}.get(name)
    return needed if needed and not os.path.isfile(needed) else None


def main():
    names = list(CHECKS)
    name = sys.argv[1] if len(sys.argv) == 3 else ""
    if name.isdigit() and 1 <= int(name) <= len(names):
        name = names[int(name) - 1]
    if name != "stuck" and name not in CHECKS:
        print(CHINESE_USAGE if IS_CHINESE else __doc__.strip())
        return 2
    if path := missing_file(name):
        print(f"{path}：没有这个文件；请在源码目录里运行" if IS_CHINESE else
              f"{path}: not found; run it from the source tree", file=sys.stderr)
        return 2
    try:
        drawing = (stuck if name == "stuck" else CHECKS[name])(sys.argv[2])
    except Wrong as wrong:
        not_yet = "还不对：" if IS_CHINESE else "not yet: "
        print(*filter(None, (wrong.drawing, f"{not_yet}{wrong}")), sep="\n")
        return 1
    print(*filter(None, (drawing, "对了" if IS_CHINESE else "right")), sep="\n")
    return 0


sys.exit(main())
