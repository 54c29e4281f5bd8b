#!/usr/bin/env python3
"""packets-are-captured.py FRSH_DEMO: the arrows of the lessons are captured packets, as root and as
a plain user. --pcap writes them. Where namespaces are refused, the lessons report it and run."""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

NOBODY = 65534
FLAGS = ((1, "SYN"), (0, "FIN"), (2, "RST"), (3, "PSH"), (5, "URG"), (4, "ACK"))
ARROW = re.compile(r"(◀)?─+ ([A-Z+]+) seq=(\d+)(?: ack=(\d+))? len=(\d+)  (\d+\.\d{3}) ms ─+(▶)?")


def run(user, *words, refuse=False):
    """Runs frsh-demo as this user; with `refuse` where no namespace may be made."""
    command = [PROGRAM, *words]
    if refuse:
        command = ["unshare", "--user", "--map-root-user", "sh", "-c",
                   "echo 0 > /proc/sys/user/max_user_namespaces && "
                   "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"", "sh", *command]
    who = {}
    if user == "plain" and os.geteuid() == 0:
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}, cwd="/", **who)


def arrows(text):
    return [("client" if right else "server", flags, int(seq), int(ack or 0), int(size), float(time))
            for left, flags, seq, ack, size, time, right in ARROW.findall(text)]


def segments(path):
    """The TCP segments of a capture file, as arrows; and whether the file is whole."""
    with open(path, "rb") as file:
        data = file.read()
    magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", data[:24])
    assert magic == 0xA1B23C4D and link == 1
    at, found, connections, before = 24, [], {}, 0
    while at < len(data):
        seconds, nanoseconds, size, whole = struct.unpack("<IIII", data[at:at + 16])
        frame = data[at + 16:at + 16 + size]
        at += 16 + size
        assert size == whole == len(frame)
        when = seconds + nanoseconds / 1e9
        assert when >= before, "by time"
        before = when
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        total = struct.unpack(">H", frame[16:18])[0]
        segment = frame[34:14 + total]
        source, target, seq, ack, offset, flags = struct.unpack(">HHIIBB", segment[:14])
        key = frozenset((source, target))
        if flags & 0x12 == 0x02:
            connections[key] = {"client": source, source: seq}
        first = connections[key]
        first.setdefault(source, seq)
        names = "+".join(name for bit, name in FLAGS if flags >> bit & 1)
        found.append(("client" if source == first["client"] else "server", names,
                      (seq - first[source]) % 2**32,
                      (ack - first[target]) % 2**32 if flags & 0x10 else 0,
                      len(segment) - offset // 16 * 4))
    return found


def the_arrows_are_in_the_capture_file(user):
    for lesson in ("flow", "merge", "naive"):
        path = os.path.join(FOLDER, f"{user}-{lesson}.pcap")
        done = run(user, lesson, "--lang", "en", "--pcap", path)
        assert done.returncode == 0 and done.stderr == "", done
        assert "(drawn)" not in done.stdout and "not captured" not in done.stdout
        shown = arrows(done.stdout)
        there = segments(path)
        assert len(shown) >= 6, done.stdout
        for one in shown:
            assert one[:5] in there, (one, there)
        if lesson == "flow":
            assert [one[:5] for one in shown[:3]] == [
                ("client", "SYN", 0, 0, 0), ("server", "SYN+ACK", 0, 1, 0),
                ("client", "ACK", 1, 1, 0)], shown
            assert shown[0][5] == 0 < shown[1][5] < shown[2][5], shown
            assert ("client", "PSH+ACK", 1, 1, len("whoami\n")) in [one[:5] for one in shown]
            assert any("FIN" in one[1] for one in shown)
        if lesson == "merge":
            sizes = [one[4] for one in shown if one[4] > 0]
            assert sizes[:3] == [9, 9, 11] or sizes[:2] == [9, 20], shown
        read_by_tshark(path, there)


def read_by_tshark(path, there):
    if shutil.which("tshark") is None:
        print("NOT tried: tshark, which is missing")
        return
    done = subprocess.run(["tshark", "-r", path, "-Y", "tcp", "-T", "fields", "-e", "tcp.len",
                           "-e", "tcp.flags.syn", "-e", "tcp.seq"],
                          capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [int(row[0]) for row in rows] == [one[4] for one in there]
    assert [row[1] in ("1", "True") for row in rows] == ["SYN" in one[1] for one in there]
    assert [int(row[2]) for row in rows] == [one[2] for one in there]


def the_rights_are_as_before(user):
    """The lesson sees the user that started it, and the machine's own network is not used."""
    text = run(user, "flow", "--lang", "en").stdout
    assert ("ordinary users: EACCES. You are root" in text) == (user == "root"), text


def a_refusal_is_said_once_and_changes_nothing_else(user):
    path = os.path.join(FOLDER, f"{user}-refused.pcap")
    done = run(user, "flow", "--lang", "en", refuse=True)
    if "max_user_namespaces" in done.stderr:
        print("NOT tried: a refusal, for want of a namespace in which to refuse")
        return
    assert done.returncode == 0 and done.stderr == "", done
    assert len(re.findall(r"^  Packets are not captured here \(a user namespace: .*\)\.$",
                          done.stdout, flags=re.M)) == 1, done.stdout
    assert arrows(done.stdout) == [] and done.stdout.count("(drawn)") == 7, done.stdout
    chinese = run(user, "flow", "--lang", "zh", refuse=True)
    assert "这里无法抓包" in chinese.stdout and "（示意）" in chinese.stdout
    wanted = run(user, "flow", "--lang", "en", "--pcap", path, refuse=True)
    assert wanted.returncode == 1 and "packets were not captured" in wanted.stderr, wanted
    assert not os.path.exists(path)


FOLDER = tempfile.mkdtemp(dir="/var/tmp")
os.chmod(FOLDER, 0o777)
PROGRAM = shutil.copy(sys.argv[1], FOLDER)
try:
    users = ["root", "plain"] if os.geteuid() == 0 else ["plain"]
    if os.geteuid() != 0:
        print("as root: NOT tried, for want of root")
    tried = []
    for one_user in users:
        if "Packets are not captured here" in run(one_user, "merge", "--lang", "en").stdout:
            print(f"as {one_user}: NOT tried, packets are not captured here")
            continue
        tried.append(one_user)
        the_arrows_are_in_the_capture_file(one_user)
        the_rights_are_as_before(one_user)
        a_refusal_is_said_once_and_changes_nothing_else(one_user)
        print(f"as {one_user}: captured")
finally:
    shutil.rmtree(FOLDER)
if not tried:
    print("SKIP: no namespaces on this machine")
    sys.exit(77)
