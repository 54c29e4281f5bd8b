#!/usr/bin/env python3
"""fails-where-nothing-can-happen.py FRSH_DEMO: without a loopback interface no lesson of TCP can
happen, so it must say so and fail; a canned one would not notice."""
import subprocess
import sys

probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
if probe.returncode != 0:
    print("SKIP: no new network namespace may be made here")
    sys.exit(77)
for lesson in ("flow", "merge", "udp"):
    # A lesson that may make a network of its own has loopback there.
    done = subprocess.run(["unshare", "-rn", "sh", "-c",
                           "echo 0 >/proc/sys/user/max_user_namespaces && "
                           'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"', "sh",
                           sys.argv[1], lesson, "--lang", "en"],
                          capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 1, (lesson, done.returncode, done.stdout[-1000:])
    assert done.stderr.startswith("frsh-demo: " + lesson), done.stderr
    assert "happened just now" not in done.stdout

# Where no network of namespaces may be made, the lesson of layers shows a kept capture, says that
# it is not live, and claims nothing of it.
done = subprocess.run(
    ["unshare", "-r", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh",
     sys.argv[1], "layers", "--lang", "en"],
    capture_output=True, text=True, check=False, timeout=50)
assert done.returncode == 0, (done.returncode, done.stdout[-1000:], done.stderr)
assert "NOT LIVE" in done.stdout and "who has 10.0.1.1?" in done.stdout, done.stdout[:1500]
assert "layers: 1 claim" in done.stdout, done.stdout[-500:]
