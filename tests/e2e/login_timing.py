#!/usr/bin/env python3
"""Measures whether the time of a refusal shows that a user exists. Exits with 1 if it does.

Logs in with valid signatures by a key that is not authorized, for users of each kind in turn, many
at once, and measures the time from the login to the refusal. Root makes users for this; without
root there are the user's own name and a name that does not exist. Prints a table.
Usage: login_timing.py [TRIES_OF_EACH]    (default 200; about 20 a second)
"""

import concurrent.futures
import itertools
import math
import os
import pwd
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from by_hand import Agent, Connection, auth  # noqa: E402
from tls import TlsServer, Users, make_folder, make_key, write  # noqa: E402

# Each negative answer takes 0.4 s, so a shorter one came before its time.
DEADLINE = 0.39
AT_ONCE = 6  # One source may have eight.


def users_of_our_own(folder):
    users = Users(os.path.join(folder, "etc"))
    os.chmod(folder, 0o755)
    for uid, (name, password, expires) in enumerate(
            (("locked", "!*", ""), ("expired", "*", "1"), ("living", "*", "")), 54001):
        home = os.path.join(folder, name)
        write(os.path.join(home, ".ssh/authorized_keys"), "")
        for path in (home, home + "/.ssh", home + "/.ssh/authorized_keys"):
            os.chown(path, uid, uid)
        users.add("t-" + name, uid, home, password=password, expires=expires)
    return users.prefix


def mann_whitney(one, other):
    """Two-sided p, by the normal approximation with ties."""
    values = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks, ties, at = [0.0, 0.0], 0.0, 0
    for _, group in itertools.groupby(values, key=lambda pair: pair[0]):
        group = list(group)
        rank = at + (len(group) + 1) / 2
        for _, which in group:
            ranks[which] += rank
        ties += len(group) ** 3 - len(group)
        at += len(group)
    n, m = len(one), len(other)
    u = ranks[0] - n * (n + 1) / 2
    total = n + m
    deviation = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    return math.erfc(abs(u - n * m / 2) / deviation / math.sqrt(2))


def measure(port, agent, key, users, tries):
    times = {kind: [] for kind in users}
    words = set()
    lock = threading.Lock()

    def attempt(kind):
        with Connection(port) as one:
            login = auth(users[kind], key, agent.sign_login(key, one.message(users[kind])))
            began = time.perf_counter()
            one.send(login)
            header, _ = one.next()
            taken = time.perf_counter() - began
        if header["type"] != "error" or header["reason"] != "denied":
            raise SystemExit(f"{kind}: {header}")
        with lock:
            times[kind].append(taken)
            words.add(header["message"])

    order = []
    for _ in range(tries):
        order += random.sample(list(users), len(users))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(attempt, order))
    return times, words


def main():
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    own = pwd.getpwuid(os.geteuid()).pw_name
    users = {"no such user": "t-nobody-here", "wrong key": own}
    if os.geteuid() == 0:
        users = {"no such user": "t-nobody-here", "locked, wrong key": "t-locked",
                 "expired, wrong key": "t-expired", "wrong key": "t-living", "wrong key, own user": own}
    else:
        print("SKIPPED: locked and expired users; only root can have some")
    folder = tempfile.mkdtemp(prefix="frsh-timing-")
    prefix = users_of_our_own(folder) if os.geteuid() == 0 else ()
    server, agent = TlsServer(make_folder(folder, "server"), prefix=prefix), Agent(os.path.join(folder, "agent"))
    try:
        make_key(os.path.join(folder, "id_ed25519"))
        key = agent.add(os.path.join(folder, "id_ed25519"))
        times, words = measure(server.port, agent, key, users, tries)
    finally:
        agent.close()
        server.end()
        shutil.rmtree(folder, True)

    print(f"{'ms':<24}{'tries':>6}{'least':>9}{'median':>9}{'most':>9}")
    for kind, taken in times.items():
        print(f"{kind:<24}{len(taken):>6}{min(taken) * 1000:>9.2f}{statistics.median(taken) * 1000:>9.2f}"
              f"{max(taken) * 1000:>9.2f}")
    is_good = True
    for one, other in itertools.combinations(times, 2):
        p = mann_whitney(times[one], times[other])
        is_good &= p > 0.01
        print(f"{one} | {other}: p = {p:.3f}")
    least = min(map(min, times.values()))
    print(f"before the deadline: {'none' if least >= DEADLINE else 'SOME'}; wordings: {len(words)}")
    return 0 if is_good and least >= DEADLINE and len(words) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
