"""Kept runs, requested by hand: what the server sends to a client that was away or is slow."""

import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, Stat, is_alive, main, wait_until  # noqa: E402
from wire import Wire  # noqa: E402

KEPT = {"kept": True, "on_disconnect": "keep", "grace_ms": 20000}


class KeptWire(Case):
    number = 0

    def tearDown(self):
        self.end_sessions()
        self.no_strays()

    def setUp(self):
        KeptWire.number += 1
        self.session = f"session{self.number:09}"
        self.run = f"wire-{self.number}"

    def wire(self, session=None):
        return Wire(self.server.socket, session)

    def keep(self, wire, command, run=None, **more):
        wire.open(1, command, **{**KEPT, "run": run or self.run, **more})

    def begin_anew(self, *points):
        """Resumes as a client whose requests are younger than a minute."""
        return self.resume(*points, age_ms=60)

    def resume(self, *points, **more):
        wire = self.wire()
        runs = [{"ch": channel, "run": run, "stdout": out, "stderr": 0} for channel, run, out in points]
        wire.send({"type": "resume", "session": self.session, "runs": runs, **more})
        answer, _ = wire.next(lambda one: one["type"] in ("resumed", "error"))
        return wire, answer

    def drain(self, wire, channel=1, told=0):
        """The end of the run on this channel, how much of stdout was told, and its gaps."""
        gaps = []
        while True:
            header, payload = wire.next(lambda one: one.get("ch") == channel or one["type"] == "error")
            if header["type"] == "data" and header["stream"] == "stdout":
                self.assertEqual(told, header["off"], gaps)
                told += len(payload)
                wire.send({"type": "credit", "ch": channel, "stream": "stdout", "consumed": told,
                           "limit": told + 1_000_000})
            elif header["type"] == "gap":
                gaps.append((header["off"], header["to"]))
                told = header["to"]
            elif header["type"] in ("end", "refused", "error"):
                return header, told, gaps

    def test_the_session_that_takes_a_name_over_answers_the_next_connection(self):
        """The session of the name has not noticed that its client is gone."""
        for begins_run in (False, True):
            self.session, self.run = f"takenover000000{int(begins_run)}", f"anew-{begins_run}"
            first, answer = self.begin_anew()
            self.assertEqual(("resumed", []), (answer["type"], answer.get("runs", [])), answer)
            if begins_run:
                self.keep(first, f"echo once >> {self.path('marks')}; exit 4")
                first.next(lambda one: one["type"] == "started")
            begun = time.monotonic()
            second, answer = self.begin_anew((1, self.run, 0)) if begins_run else self.begin_anew()
            self.assertEqual(("resumed", int(begins_run)), (answer["type"], len(answer.get("runs", []))), answer)
            self.assertLess(time.monotonic() - begun, 0.9)
            if not begins_run:
                self.keep(second, f"echo once >> {self.path('marks')}; exit 4")
            end = self.drain(second)[0]
            self.assertEqual({"kind": "exited", "code": 4}, end["outcome"])
            second.send({"type": "end_ack", "ch": 1, "run": self.run})
            second.socket.close()
            first.socket.close()
        with open(self.path("marks")) as file:
            self.assertEqual("once\nonce\n", file.read())

    def test_a_gap_received_twice_counts_once(self):
        with self.wire(self.session) as wire:
            self.keep(wire, "head -c 1000000 /dev/zero", max_output=1000)
            first = self.drain(wire)
        wire, _ = self.resume((1, self.run, 0))
        with wire:
            again = self.drain(wire)
        self.assertEqual(first, again)
        self.assertEqual((1000, 500), (again[0]["stdout"]["delivered"], again[0]["stdout"]["gap_at"]))

    def test_eof_is_sent_again_before_the_end_of_the_run(self):
        with self.wire(self.session) as wire:
            self.keep(wire, "echo hi; exec >&-; exec sleep 60", stdin_null=True)
            wire.next(lambda one: one["type"] == "eof")
        wire, _ = self.resume((1, self.run, 3))
        with wire:
            wire.next(lambda one: one["type"] == "eof" and one["stream"] == "stdout", patience=10)

    def test_waiting_for_stdin_sent_again_uses_no_cpu(self):
        with self.wire() as one, self.wire() as other:
            self.keep(one, "cat")
            one.send({"type": "data", "ch": 1, "stream": "stdin", "off": 0}, payload=b"hello")
            one.next(lambda header: header["type"] == "data")
            self.keep(other, "cat")
            other.next(lambda header: header["type"] == "data")

            def ticks():
                # A session of an earlier case may end now.
                found = {}
                for stat in self.server.sessions():
                    with contextlib.suppress(FileNotFoundError), \
                            open(f"/proc/{stat.pid}/stat") as file:
                        found[stat.pid] = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
                return found

            before = ticks()
            time.sleep(1)
            after = ticks()
            self.assertTrue(after)  # Both clients are with one session.
            self.assertLess(sum(used - before.get(pid, 0) for pid, used in after.items()), 50)
            other.send({"type": "data", "ch": 1, "stream": "stdin", "off": 0}, payload=b"hello!")
            other.send({"type": "eof", "ch": 1, "stream": "stdin", "off": 6})
            header, told, _ = self.drain(other, told=5)
            self.assertEqual(({"kind": "exited", "code": 0}, 6), (header["outcome"], told))

    def test_damage_found_by_a_returning_client_affects_only_it(self):
        with self.wire() as wire:
            self.keep(wire, "seq 1 60000", run=self.run + "-damaged", stdin_null=True)
            self.drain(wire)
        with self.wire(self.session) as wire:
            self.keep(wire, "exec sleep 60", stdin_null=True)
            pid = wire.next(lambda one: one["type"] == "started")[0]["pid"]
            wire.send({"type": "attach", "ch": 2, "run": self.run + "-damaged", "stdout": 0, "stderr": 0,
                       "follow": True})
            wire.next(lambda one: one["type"] == "data" and one["ch"] == 2 and one["off"] > 150_000)
        journal = os.path.join(self.unix.runtime, "state/frsh/runs", self.run + "-damaged", "stdout-" + "0" * 16)
        with open(journal, "r+b") as file:
            file.seek(20_000)
            file.write(b"XXXX")
        wire, _ = self.resume((1, self.run, 0), (2, self.run + "-damaged", 150_000))
        with wire:
            header, _ = wire.next(lambda one: one["type"] == "end" and one["ch"] == 2)
            self.assertEqual("lost", header["outcome"]["kind"])
            self.assertIn("damage", header["outcome"]["message"])
        self.assertTrue(is_alive(pid))

    def test_an_attach_with_an_unknown_offset_is_not_resumed(self):
        with self.wire(self.session) as wire:
            self.keep(wire, "echo 0123456789; exec sleep 60", stdin_null=True)
            wire.next(lambda one: one["type"] == "data")
            wire.send({"type": "attach", "ch": 2, "run": self.run, "stdout": 5, "stderr": 0, "follow": True})
            wire.next(lambda one: one["type"] == "attached")
        wire, answer = self.resume((1, self.run, 11), (2, self.run, 0))
        with wire:
            self.assertEqual([1], [one["ch"] for one in answer.get("runs", [])], answer)

    def test_a_client_that_lost_stdin_to_another_still_follows(self):
        with self.wire(self.session) as wire:
            self.keep(wire, "cat >/dev/null; echo done")
            wire.send({"type": "data", "ch": 1, "stream": "stdin", "off": 0}, payload=b"x" * 60_000)
            wire.next(lambda one: one["type"] == "credit")
        with self.wire() as other:
            self.keep(other, "cat >/dev/null; echo done")
            other.next(lambda one: one["type"] == "started")
            wire, answer = self.resume((1, self.run, 0))
            with wire:
                runs = [{key: value for key, value in run.items() if key != "pid"}
                        for run in answer.get("runs")]
                self.assertEqual([{"ch": 1, "stdin": 60_000}], runs, answer)
                other.send({"type": "data", "ch": 1, "stream": "stdin", "off": 0}, payload=b"x" * 60_000)
                other.send({"type": "eof", "ch": 1, "stream": "stdin", "off": 60_000})
                for one in (wire, other):
                    self.assertEqual({"kind": "exited", "code": 0}, self.drain(one)[0]["outcome"])

    def test_an_old_lost_run_is_not_swept_and_run_again(self):
        count = self.path("count")
        with self.wire() as wire:
            self.keep(wire, f"echo once >> {count}; exec sleep 60", stdin_null=True)
            pid = wire.next(lambda one: one["type"] == "started")[0]["pid"]
            wait_until(lambda: os.path.exists(count), "it to have begun")
            session = Stat(pid).parent
            os.kill(session, signal.SIGKILL)
            wait_until(lambda: not is_alive(session), "the session to die")
        old = time.time() - 8 * 86400
        os.utime(os.path.join(self.unix.runtime, "state/frsh/runs", self.run, "asked"), (old, old))
        for run in (self.run + "-other", self.run):  # Another's beginning sweeps.
            with self.wire() as wire:
                self.keep(wire, f"echo once >> {count}; exec sleep 60" if run == self.run else "true", run=run,
                          stdin_null=True)
                kind = self.drain(wire)[0]["outcome"]["kind"]
        self.assertEqual("lost", kind)
        with open(count) as file:
            self.assertEqual("once\n", file.read())

    def test_after_a_shell_died_one_of_its_callers_gets_the_report(self):
        for _ in range(5):
            with self.wire() as wire:
                wire.open(1, "exit 0", shell_name=self.run)
                self.drain(wire)
            wires = [self.wire() for _ in range(5)]
            for wire in wires:
                wire.open(1, "echo hi", shell_name=self.run)
            ends = []
            for wire in wires:
                ends.append(self.drain(wire)[0])
                wire.socket.close()
            self.assertEqual(["exited"] * 4 + ["not_started"],
                             sorted(end["outcome"]["kind"] for end in ends), ends)

    def test_logs_of_a_writing_run_end_at_the_present_end(self):
        with self.wire() as wire:
            self.keep(wire, "while :; do head -c 100000 /dev/zero; sleep 0.02; done", stdin_null=True)
            wire.next(lambda one: one["type"] == "data" and one["off"] > 150_000)
            wire.send({"type": "bye"})
        with self.wire() as wire:
            wire.send({"type": "attach", "ch": 1, "run": self.run, "stdout": 0, "stderr": 0})
            told = 0
            while True:
                header, payload = wire.next(lambda one: one["type"] in ("data", "end"), patience=10)
                if header["type"] == "end":
                    break
                told += len(payload)
                time.sleep(0.05)  # Reads more slowly than the command writes.
                wire.send({"type": "credit", "ch": 1, "stream": "stdout", "consumed": told,
                           "limit": told + 100_000})
            self.assertEqual(("running", told), (header["outcome"]["kind"], header["stdout"]["bytes"]))

    def test_lists_for_a_client_that_does_not_read_are_bounded(self):
        with self.wire() as wire:
            self.keep(wire, "true #" + "x" * 4000, stdin_null=True)
            self.drain(wire)
        with self.wire() as wire:
            wire.socket.settimeout(1)
            with contextlib.suppress(TimeoutError):  # It reads no more.
                for channel in range(2, 30_000):
                    wire.send({"type": "list", "ch": channel})
            for stat in self.server.sessions():
                with open(f"/proc/{stat.pid}/status") as file:
                    rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
                self.assertLess(rss, 200_000 if "FRSH_TEST_SANITIZED" in os.environ else 30_000)


if __name__ == "__main__":
    main()
