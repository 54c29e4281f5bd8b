"""Runs the test programs it is given, and AREAS, once more as a user without any right.

Pipe limits, permissions and /proc look different to root, so a suite that only root has passed has
not passed. The user exists only for the program that is run: in a mount namespace of its own it sees
a user database with one more line. Everything is copied to a folder that this user can read, since a
build folder below /root is not.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

FULL = os.environ.get("FRSH_TEST_FULL") == "1"
UID = 54321
LIMIT = 150
AT_ONCE = 3  # CMakeLists.txt reserves as many processors.

# What a right, a limit of a user's or another owner's process could change. FRSH_TEST_FULL=1 runs all.
AREAS = ["admission", "bytes", "config", "dropin_files", "kept_life", "life", "load", "outcomes", "service",
         "strict_modes", "terminal", "tls_login"]


def run(command, folder):
    home = tempfile.mkdtemp(dir=folder)
    os.chown(home, UID, UID)
    env = {name: value for name, value in os.environ.items()
           if name.startswith(("FRSH_TEST", "ASAN_", "UBSAN_", "LSAN_"))}
    env.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME=home, XDG_RUNTIME_DIR=home, TMPDIR=home,
               FRSH_BIN=os.path.join(folder, "bin"), FRSH_TEST_SOURCE=folder)
    users = home + ".passwd"
    with open("/etc/passwd") as known, open(users, "w") as file:
        file.write(f"{known.read()}frsh-test:x:{UID}:{UID}::{home}:/bin/sh\n")
    setpriv = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', users,
               "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs"]
    try:
        result = subprocess.run(setpriv + command, env=env, cwd=home, timeout=LIMIT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        return command, result.returncode, result.stdout
    except subprocess.TimeoutExpired as hung:
        return command, "hung", hung.stdout or b""


def main():
    if os.geteuid() != 0:
        print("SKIP: not root, so the suite runs without rights as it is")
        return 77
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    binaries = os.environ["FRSH_BIN"]
    folder = tempfile.mkdtemp(prefix="frsh-plain-user-")
    try:
        os.chmod(folder, 0o755)
        for part in ("e2e", "support"):
            shutil.copytree(os.path.join(here, part), os.path.join(folder, "tests", part))
        shutil.copytree(os.path.join(here, "../scripts"), os.path.join(folder, "scripts"))
        os.makedirs(os.path.join(folder, "common/proto"))
        shutil.copy(os.path.join(here, "../common/proto/PROTOCOL.md"),
                    os.path.join(folder, "common/proto"))
        os.mkdir(os.path.join(folder, "bin"))
        for name in os.listdir(binaries):
            shutil.copy(os.path.join(binaries, name), os.path.join(folder, "bin"))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        commands = [[os.path.join(folder, "bin", name)] for name in sys.argv[1:]]
        areas = [f"{area}_test.py" for area in AREAS]
        if FULL:
            areas = sorted(name for name in os.listdir(os.path.join(folder, "tests/e2e"))
                           if name.endswith("_test.py"))
        commands += [[sys.executable, os.path.join(folder, "tests/e2e", area)] for area in areas]
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for command, status, output in pool.map(lambda one: run(one, folder), commands):
                print(f"{'ok    ' if status == 0 else 'FAILED'} {os.path.basename(command[-1])}")
                if status != 0:
                    failed += 1
                    sys.stdout.write(output.decode(errors="replace")[-20000:])
        return 1 if failed else 0
    finally:
        shutil.rmtree(folder, True)


if __name__ == "__main__":
    sys.exit(main())
