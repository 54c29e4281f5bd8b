#!/usr/bin/env python3
"""mini-server-serves-frsh.py ROOT FRSH: frsh runs commands on scripts/mini_server.py, and
another user cannot."""
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT, FRSH = sys.argv[1:3]
if not os.path.exists(FRSH):
    print("SKIP: frsh is not built")
    sys.exit(77)

server = subprocess.Popen([sys.executable, f"{ROOT}/scripts/mini_server.py"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
PORT = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", server.stdout.readline()).group(1))


def frsh(*words, port=PORT, options=(), given=b"", prefix=()):
    return subprocess.run([*prefix, FRSH, "--plaintext", *options, f"127.0.0.1:{port}", *words],
                          input=given, capture_output=True, check=False, timeout=30)


def children_of_server():
    with open(f"/proc/{server.pid}/task/{server.pid}/children", encoding="ascii") as file:
        return file.read().split()


def wait_until(is_so, what):
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def cut_to_single_bytes(port):
    """A port that passes everything on to `port`, one byte at a time each way. Serves once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        while data := source.recv(4096):
            for i in range(len(data)):
                target.sendall(data[i:i + 1])
        target.shutdown(socket.SHUT_WR)

    def serve():
        near, _ = listening.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=pump, args=(far, near), daemon=True)
        back.start()
        pump(near, far)

    threading.Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def outcomes():
    done = frsh("echo hello; echo oops >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"oops\n"), done
    assert frsh("true").returncode == 0, "no output at all is an answer too"
    done = frsh("kill -9 $$")
    assert done.returncode == 137, done
    done = frsh("pwd; echo \"$A\"", options=("--cwd", "/tmp", "--env", "A=b  c"))
    assert done.stdout == b"/tmp\nb  c\n", done
    done = frsh("printf", "%s|", "a b", "$HOME", options=("--argv",))
    assert done.stdout == b"a b|$HOME|", done
    done = frsh("true", options=("-tt",))
    assert done.returncode == 255 and b"gives no terminals" in done.stderr, done


def streams():
    big = os.urandom(3_000_000)
    done = frsh("cat", given=big)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(big).digest(), len(done.stdout)
    done = frsh("head -c 1; sleep 0; exit 4", given=big)
    assert (done.returncode, done.stdout) == (4, big[:1]), done.returncode
    done = frsh("seq 1 300; cat; exit 5", port=cut_to_single_bytes(PORT), given=b"in\n" * 100)
    expected = b"".join(b"%d\n" % i for i in range(1, 301)) + b"in\n" * 100
    assert (done.returncode, done.stdout) == (5, expected), done


def leaving_ends_the_command():
    client = subprocess.Popen([FRSH, "--plaintext", f"127.0.0.1:{PORT}", "echo $$; exec sleep 1000"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    pid = int(client.stdout.readline())
    client.send_signal(signal.SIGKILL)
    client.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the command outlived its client")
    wait_until(lambda: not children_of_server(), "a child, or its zombie, is left")


def only_loopback_and_only_its_own_user():
    """Returns why the second half could not be tried, or nothing."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table]
    assert [row[1] for row in rows if row[1].endswith(f":{PORT:04X}") and row[3] == "0A"] == [
        "%08X:%04X" % (struct.unpack("=I", socket.inet_aton("127.0.0.1"))[0], PORT)]
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "only root can be another user"
    stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = frsh("id", prefix=stranger)
    assert done.returncode == 255 and b"only processes of my own user" in done.stderr, done
    # Sends a whole run and closes at once. The kernel's table then shows no owner for its socket.
    script = f"""
import json, socket, struct
def frame(payload=b"", **header):
    text = json.dumps(dict(header, len=len(payload))).encode()
    return struct.pack(">I", len(text)) + text + payload
for _ in range(20):
    s = socket.create_connection(("127.0.0.1", {PORT}))
    s.sendall(frame(type="hello", proto=1, software="x", features=[])
              + frame(b"touch /tmp/frsh-mini-{PORT}\\0", type="open", ch=1, run="r", mode="command",
                      args=1, env=0))
    s.close()
"""
    # The first of them that the other user may execute.
    tried = [subprocess.run([*stranger, python, "-c", script], check=False, timeout=30,
                            capture_output=True).returncode
             for python in (sys.executable, "/usr/bin/python3") if os.path.exists(python)]
    if 0 not in tried:
        return "another user may not run this Python"
    assert frsh("true").returncode == 0
    wait_until(lambda: not children_of_server(), "the stranger's sessions do not end")
    assert not os.path.exists(f"/tmp/frsh-mini-{PORT}"), "a stranger ran a command"
    return None


try:
    outcomes()
    streams()
    leaving_ends_the_command()
    why = only_loopback_and_only_its_own_user()
    print("another user was " + (f"NOT tried: {why}" if why else "refused"))
finally:
    server.terminate()
    server.wait()
problems = server.stderr.read()
assert "Traceback" not in problems, problems
