"""Two network namespaces with a long path between them: a pair of tun(4) devices and a relay.

A TCP relay could not delay the SYN; this one moves whole IP packets, each after half a round trip.
Root is needed. Everything lives in namespaces of this process and goes with it.
"""

import collections
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ADDRESSES = ("10.199.0.1", "10.199.0.2")  # The server's side, the client's side.
MTU = 9000


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def open_tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class DelayedPath:
    """`server_side` holds the words that run a command at the far end. `enter` moves this process
    to the near end."""

    def __init__(self, round_trip_s):
        self.names = [f"frsh-bench-{os.getpid()}-{side}" for side in (0, 1)]
        self.relay = None
        os.makedirs("/run/netns", exist_ok=True)
        devices = []
        for side, name in enumerate(self.names):
            device, tun = open_tun(f"tunb{side}"), f"tunb{side}"
            devices.append(device)
            run("ip", "netns", "add", name)
            run("ip", "link", "set", tun, "netns", name)
            inside = ["ip", "-n", name]
            run(*inside, "link", "set", "lo", "up")
            run(*inside, "address", "add", ADDRESSES[side], "peer", ADDRESSES[1 - side], "dev", tun)
            run(*inside, "link", "set", tun, "mtu", str(MTU), "txqueuelen", "10000", "up")
            # The kernel's own limits, 4 and 6 MiB, would be the end of every window measured here.
            for which in ("tcp_rmem", "tcp_wmem"):
                run("ip", "netns", "exec", name, "sysctl", "-qw",
                    f"net.ipv4.{which}=4096 262144 67108864")
        self.relay = os.fork()
        if self.relay == 0:
            try:
                self._carry(devices, round_trip_s / 2)
            finally:
                os._exit(0)
        for device in devices:
            os.close(device)

    @staticmethod
    def _carry(devices, delay):
        queues = [collections.deque(), collections.deque()]
        while True:
            now = time.perf_counter()
            due = [queue[0][0] for queue in queues if queue]
            wait = max(0.0, min(due) - now) if due else 1.0
            for device in select.select(devices, [], [], wait)[0]:
                other = 1 - devices.index(device)
                for _ in range(64):
                    try:
                        packet = os.read(device, 65536)
                    except BlockingIOError:
                        break
                    queues[other].append((time.perf_counter() + delay, packet))
            now = time.perf_counter()
            for device, queue in zip(devices, queues):
                while queue and queue[0][0] <= now:
                    try:
                        os.write(device, queue.popleft()[1])
                    except OSError:
                        pass  # A full queue drops, as any path does.

    def server_side(self):
        return ["ip", "netns", "exec", self.names[0]]

    def enter(self):
        libc = ctypes.CDLL(None, use_errno=True)
        namespace = os.open(f"/run/netns/{self.names[1]}", os.O_RDONLY)
        if libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)

    def close(self):
        if self.relay:
            os.kill(self.relay, 9)
            os.waitpid(self.relay, 0)
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
