"""Much at once: many runs, many bytes, many clients."""

import hashlib
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, FULL, PATIENCE, SANITIZED, main, resident_kib, wait_until  # noqa: E402


class Load(Case):
    def test_64_mib_each_way_at_once_with_equal_hashes(self):
        size = (64 if FULL else 16 if not SANITIZED else 4) << 20
        block = bytes(range(256)) * 4096
        sent = hashlib.sha256()
        for _ in range(size // len(block)):
            sent.update(block)
        for place in self.everywhere():
            process = place.popen([], "tee /dev/stderr", stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            sums = {}

            def take(name, stream):
                digest = hashlib.sha256()
                while piece := stream.read(1 << 20):
                    digest.update(piece)
                sums[name] = digest.hexdigest()

            with self.running(process):
                takers = [threading.Thread(target=take, args=(name, stream)) for name, stream in
                          (("out", process.stdout), ("err", process.stderr))]
                for taker in takers:
                    taker.start()
                for i in range(size // len(block)):
                    process.stdin.write(block)
                    if i == size // len(block) - 1 and not SANITIZED:
                        self.assertLess(resident_kib(process.pid), 20 * 1024, "bounded memory")
                process.stdin.close()
                process.stdin = None
                for taker in takers:
                    taker.join(PATIENCE)
                self.assertEqual(0, process.wait(PATIENCE))
            self.assertEqual({"out": sent.hexdigest(), "err": sent.hexdigest()}, sums)

    def test_100_clients_at_once_each_get_their_own_answer(self):
        clients = 100 if not SANITIZED else 40
        for place in (self.unix, self.plain):
            self.at = place.name
            processes = [place.popen([], f"echo start {i}; read x; echo $x; exit {i}",
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE) for i in range(clients)]
            try:
                for i, process in enumerate(processes):
                    self.assertEqual(b"start %d\n" % i, process.stdout.readline(),
                                     process.stderr.read() if process.poll() is not None else b"")
                self.assertEqual(clients, len(self.server.sessions()), "all at the same time")
                for i, process in enumerate(processes):
                    out, err = process.communicate(b"line %d\n" % i, timeout=PATIENCE)
                    self.assertEqual((i, b"line %d\n" % i, b""), (process.returncode, out, err))
            finally:
                for process in processes:
                    with self.running(process):
                        pass
            wait_until(lambda: not self.server.sessions(), "sessions to end")

    def test_many_runs_side_by_side_lose_no_tail(self):
        expected = b"".join(b"%d\n" % i for i in range(1, 20001))
        each = 250 if FULL else 15
        bad = []

        def loop(place):
            for _ in range(each):
                result = place.run([], "seq 1 20000")
                if result.code != 0 or result.out != expected:
                    bad.append(result)

        workers = [threading.Thread(target=loop, args=(place,))
                   for place in (self.unix, self.plain, self.stdio, self.unix)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual([], bad[:3])


if __name__ == "__main__":
    main()
