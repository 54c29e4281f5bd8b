"""Runs that outlive their client: start, leave, list, attach, end."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fake_server import FakeServer  # noqa: E402
from harness import PATIENCE, Case, Place, main, wait_until  # noqa: E402

QUICK = 1.5  # Seconds: below every grace period that could be waited for by mistake.


class Kept(Case):
    def setUp(self):
        self.release = self.path("release")

    def tearDown(self):
        self.end_sessions()
        self.no_strays(40)  # Includes servers that were started for one client.

    # A command that says something, waits to be released, and says the rest.
    def held(self, before="echo out; echo err >&2", after="echo end; exit 5"):
        return f"{before}; while ! test -e {self.release}; do sleep 0.02; done; {after}"

    def let_go(self):
        with open(self.release, "w"):
            pass

    def detach(self, place, *words, options=()):
        result = place.run(["--detach", *options], *words)
        self.assertEqual((0, b""), (result.code, result.err), result)
        self.assertEqual(1, result.out.count(b"\n"), result)
        return result.out.decode().strip()

    def quickly(self, act):
        """Fails if `act` waits for a grace period: one of a few tries must be quick."""
        times, results = [], []
        while not times or (min(times) >= QUICK and len(times) < 5):
            begin = time.monotonic()
            results.append(act())
            times.append(time.monotonic() - begin)
        self.assertLess(min(times), QUICK)
        return results

    def listed(self, place, run):
        result = place.run(["--runs", "--json"])
        self.assertEqual(0, result.code, result)
        found = [one for one in map(json.loads, result.out.splitlines()) if one["run"] == run]
        return found[0] if found else None

    def end_and_forget(self, place, *runs):
        for run in runs:
            place.run(["--kill", run])
            self.assertEqual(0, place.run(["--forget", run]).code)

    def test_a_detached_run_is_listed_followed_and_forgotten(self):
        for place in self.everywhere():
            run = self.detach(place, self.held())
            wait_until(lambda: self.listed(place, run)["stderr"]["bytes"] == 4, "its output")
            found = self.listed(place, run)
            self.assertEqual(("running", {"kind": "running"}, {"bytes": 4}),
                             (found["state"], found["outcome"], found["stdout"]))
            self.assertEqual(self.held(), found["command"])
            logs = place.run(["--logs", run], record=True)
            self.assertEqual((0, b"out\n", b"err\n"), (logs.code, logs.out, logs.err))
            self.assertEqual({"kind": "running"}, logs.record["outcome"])
            self.let_go()
            followed = place.run(["--attach", run], record=True)
            self.assertEqual((5, b"out\nend\n", b"err\n"),
                             (followed.code, followed.out, followed.err))
            self.agrees(followed)
            self.assertNotIn("command", followed.record)
            self.assertEqual(zlib.crc32(b"out\nend\n"), followed.record["stdout"]["crc32"])
            found = self.listed(place, run)
            self.assertEqual(("ended", {"kind": "exited", "code": 5}, {"bytes": 8}),
                             (found["state"], found["outcome"], found["stdout"]))
            self.assertGreaterEqual(found["ended_at"], found["started_at"])
            line = [one for one in place.run(["--runs"]).out.decode().splitlines()
                    if one.startswith(run)][0]
            self.assertIn("  exited with 5  echo out", line)
            logs = place.run(["--logs", run])
            self.assertEqual((0, b"out\nend\n", b"err\n"), (logs.code, logs.out, logs.err))
            self.assertEqual(0, place.run(["--forget", run]).code)
            self.assertIsNone(self.listed(place, run))
            os.unlink(self.release)

    def test_without_kept_runs_the_list_is_empty(self):
        nowhere = self.path("nowhere")
        os.mkdir(nowhere, 0o700)
        place = Place("nothing kept", nowhere, ["local"])
        for options in (["--runs"], ["--runs", "--json"]):
            result = place.run(options)
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))

    def test_a_client_with_its_own_server_does_not_wait_for_kept_runs(self):
        # The same holds for a reader of its stderr, such as this test.
        runs = self.quickly(lambda: self.detach(self.stdio, "exec sleep 60"))
        self.end_and_forget(self.stdio, *runs)

    def test_a_kept_command_that_cannot_start_is_reported(self):
        for place in self.everywhere():
            result = place.run(["--detach", "--argv", "--run-id", "none"], "no-such-program",
                               record=True)
            self.assertEqual((127, b""), (result.code, result.out))
            self.assertIn(b"frsh: not started: ", result.err)
            self.assertEqual("not_started", result.record["outcome"]["kind"])
            place.run(["--forget", "none"])

    def test_the_record_of_a_detached_run_is_running(self):
        result = self.unix.run(["--detach", "--run-id", "told"], "exec sleep 60", record=True)
        self.assertEqual((0, b"told\n"), (result.code, result.out))
        self.assertEqual(("told", {"kind": "running"}),
                         (result.record["run"], result.record["outcome"]))
        self.end_and_forget(self.unix, "told")

    def test_a_command_requested_twice_under_one_id_runs_once(self):
        count = self.path("count")
        command = f"echo once >> {count}; " + self.held()
        processes = [self.unix.popen(["--run-id", "job"], command, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                     for _ in range(4)]
        wait_until(lambda: os.path.exists(count), "the command to run")
        self.let_go()
        for process in processes:
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((5, b"out\nend\n", b"err\n"), (process.returncode, out, err))
        again = self.plain.run(["--run-id", "job"], command)
        self.assertEqual((5, b"out\nend\n", b"err\n"), (again.code, again.out, again.err))
        detached = self.unix.run(["--run-id", "job", "--detach"], command)
        self.assertEqual((0, b"job\n", b""), (detached.code, detached.out, detached.err))
        with open(count) as file:
            self.assertEqual("once\n", file.read())
        other = self.unix.run(["--run-id", "job"], "echo other")
        self.assertEqual((255, b""), (other.code, other.out))
        self.assertEqual(1, other.err.count(b"\n"), other)
        self.end_and_forget(self.unix, "job")

    def test_a_killed_client_that_is_run_again_attaches_to_its_run(self):
        count = self.path("count")
        command = f"echo once >> {count}; " + self.held("echo out", "cat; exit 6")
        process = self.unix.popen(["--run-id", "retry"], command, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"out\n", process.stdout.readline())
            process.stdin.write(b"some ")
            process.stdin.flush()
            process.kill()
            process.wait()
        self.let_go()
        again = self.unix.run(["--run-id", "retry"], command, stdin=b"some input\n")
        self.assertEqual((6, b"out\nsome input\n"), (again.code, again.out), again)
        with open(count) as file:
            self.assertEqual("once\n", file.read())
        self.end_and_forget(self.unix, "retry")

    def test_after_a_soft_timeout_the_run_goes_on(self):
        for place in self.everywhere():
            result = place.run(["--soft-timeout", "300ms", "--run-id", "soft"], self.held(),
                               record=True)
            target = " ".join(place.words)
            self.assertEqual((124, b"out\n"), (result.code, result.out))
            self.assertEqual("err\nfrsh: still running after 300ms: "
                             f"frsh --attach soft {target}\n".encode(), result.err)
            self.assertEqual(("soft", {"kind": "running"}),
                             (result.record["run"], result.record["outcome"]))
            self.assertEqual("running", self.listed(place, "soft")["state"])
            self.let_go()
            followed = place.run(["--attach", "soft"])
            self.assertEqual((5, b"out\nend\n"), (followed.code, followed.out))
            self.end_and_forget(place, "soft")
            os.unlink(self.release)

    def test_a_soft_timeout_does_not_affect_a_run_that_ended_before(self):
        for options in ([], ["--json"]):
            result = self.unix.run(["--soft-timeout", "20s", "--run-id", "early", *options],
                                   "echo hi; exit 3", record=True)
            self.assertEqual((3, b""), (result.code, result.err))
            self.assertIn(b"hi", result.out)
            self.assertEqual({"kind": "exited", "code": 3}, result.record["outcome"])
            self.end_and_forget(self.unix, "early")

    def test_attach_begins_at_the_given_offset(self):
        self.let_go()
        run = self.detach(self.unix, self.held("echo 0123456789; echo abcdef >&2", "exit 2"))
        self.assertEqual(2, self.unix.run(["--wait", run]).code)
        for where, out, err in (("4", b"456789\n", b"abcdef\n"), ("4,2", b"456789\n", b"cdef\n"),
                                ("end", b"", b""), ("end,0", b"", b"abcdef\n"),
                                ("11,7", b"", b""), ("0,end", b"0123456789\n", b""),
                                ("100", b"", b"abcdef\n")):
            for verb, code in (("--attach", 2), ("--logs", 0)):
                result = self.unix.run([verb, run, "--from", where])
                self.assertEqual((code, out, err), (result.code, result.out, result.err), where)
        record = json.loads(self.unix.run(["--attach", run, "--from", "4,end", "--json"]).out)
        self.assertEqual({"bytes": 11, "crc32": zlib.crc32(b"0123456789\n"), "eof": True,
                          "from": 4, "text": "456789\n"}, record["stdout"])
        self.end_and_forget(self.unix, run)

    def test_two_followers_both_get_everything(self):
        run = self.detach(self.unix, self.held("seq 1 20000", "seq 1 200000; exit 4"))
        processes = [place.popen(["--attach", run], stdout=subprocess.PIPE, bufsize=0,
                                 stdin=subprocess.DEVNULL) for place in (self.unix, self.plain)]
        for process in processes:
            self.assertEqual(b"1\n", process.stdout.readline())
        self.let_go()
        expected = b"".join(b"%d\n" % i for i in [*range(1, 20001), *range(1, 200001)])[2:]
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in reversed(processes)]
        self.assertEqual([4, 4], [process.returncode for process in processes])
        self.assertTrue(all(output == expected for output in outputs))
        self.end_and_forget(self.unix, run)

    def test_waiting_prints_nothing_and_exits_as_the_run_does(self):
        for place in self.everywhere():
            run = self.detach(place, self.held("yes | head -c 5000000", "kill -9 $$"))
            process = place.popen(["--wait", run], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            self.let_go()
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((137, b"", b"frsh: killed by signal KILL\n"),
                             (process.returncode, out, err))
            os.unlink(self.release)
            self.end_and_forget(place, run)

    def test_a_run_is_ended_once(self):
        for place in self.everywhere():
            run = self.detach(place, "exec sleep 60")
            result = place.run(["--kill", run])
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
            self.assertEqual("canceled", self.listed(place, run)["outcome"]["kind"])
            for options in ([], ["--signal", "TERM"]):
                again = place.run(["--kill", run, *options])
                self.assertEqual((1, b""), (again.code, again.out))
                self.assertEqual(f"frsh: {run}: has ended already: canceled, it then ended by "
                                 "signal TERM\n".encode(), again.err)
            self.assertEqual(0, place.run(["--forget", run]).code)

    def test_kill_with_a_signal_does_not_wait_for_the_end(self):
        for place in self.everywhere():
            run = self.detach(place, "trap 'echo got it; exit 8' USR1; echo ready; "
                              "while :; do sleep 0.02; done")
            wait_until(lambda: self.listed(place, run)["stdout"]["bytes"], "the trap to be set")
            result = place.run(["--kill", run, "--signal", "usr1"])
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
            self.assertEqual((8, b"ready\ngot it\n"),
                             (lambda r: (r.code, r.out))(place.run(["--attach", run])))
            self.end_and_forget(place, run)

    def test_several_runs_are_ended_and_forgotten_at_once(self):
        for words in (["--kill=%s,%s"], ["--kill", "%s,%s"], ["--kill=%s", "--kill=%s"]):
            runs = tuple(self.detach(self.unix, "exec sleep 60") for _ in range(2))
            text = "\0".join(words) % runs
            result = self.unix.run(text.split("\0"))
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
            for run in runs:
                self.assertEqual("canceled", self.listed(self.unix, run)["outcome"]["kind"])
            result = self.unix.run(["--forget", ",".join(runs)])
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
            for run in runs:
                self.assertIsNone(self.listed(self.unix, run))

    def test_one_of_several_that_fails_is_named_and_the_others_go_on(self):
        ended, running = self.detach(self.unix, "true"), self.detach(self.unix, "exec sleep 60")
        self.unix.run(["--wait", ended])
        result = self.unix.run(["--kill", f"{ended},no-such-run,{running}"])
        self.assertEqual(1, result.code, result)  # The code of the first that failed.
        self.assertEqual(2, result.err.count(b"\n"), result)
        self.assertIn(b"no-such-run", result.err)
        self.assertEqual("canceled", self.listed(self.unix, running)["outcome"]["kind"])
        result = self.unix.run(["--forget", f"no-such-run,{ended},{running}"])
        self.assertEqual((255, 1), (result.code, result.err.count(b"\n")), result)
        self.assertIsNone(self.listed(self.unix, ended))
        self.assertIsNone(self.listed(self.unix, running))

    def test_forget_ended_removes_all_that_ended_and_leaves_what_runs(self):
        ended = [self.detach(self.unix, f"exit {code}") for code in (0, 3)]
        running = self.detach(self.unix, "exec sleep 60")
        for run in ended:
            self.unix.run(["--wait", run])
        for words in (["--forget", "--ended"], ["--forget=--ended"]):
            result = self.unix.run(words)
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
            left = self.unix.run(["--runs", "--json"]).out.splitlines()
            self.assertEqual([running], [json.loads(line)["run"] for line in left])
        self.assertEqual(255, self.unix.run(["--kill", "--ended"]).code)
        self.end_and_forget(self.unix, running)

    def test_a_running_run_cannot_be_forgotten(self):
        run = self.detach(self.unix, "exec sleep 60")
        result = self.unix.run(["--forget", run])
        self.assertEqual((255, b"", 1), (result.code, result.out, result.err.count(b"\n")), result)
        self.assertIn(run.encode(), result.err)
        self.end_and_forget(self.unix, run)

    def test_a_unique_prefix_is_an_id_and_an_unknown_id_is_reported(self):
        self.let_go()
        for run in ("short-1", "short-2", "other"):
            self.detach(self.unix, self.held("echo " + run, ""), options=["--run-id", run])
        self.assertEqual(b"other\n", self.unix.run(["--attach", "oth"]).out)
        self.assertEqual(b"short-2\n", self.unix.run(["--attach", "short-2"]).out)
        for run in ("short", "nobody"):
            for verb in ("--attach", "--logs", "--wait", "--kill", "--forget"):
                result = self.unix.run([verb, run])
                self.assertEqual((255, b"", 1),
                                 (result.code, result.out, result.err.count(b"\n")), result)
                self.assertTrue(result.err.startswith(f"frsh: {run}: ".encode()), result)
        self.end_and_forget(self.unix, "short-1", "short-2", "other")

    def test_ctrl_c_while_following_interrupts_the_command(self):
        run = self.detach(self.unix, "trap 'echo int; exit 9' INT; echo ready; "
                          "while :; do sleep 0.02; done")
        process = self.unix.popen(["--attach", run], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"ready\n", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            self.assertEqual(b"int\n", process.stdout.readline())
            self.assertEqual(9, process.wait(PATIENCE))
        self.end_and_forget(self.unix, run)

    def leave(self, options, sent, code):
        """A client of a run that goes on is sent these signals; what it says on stderr."""
        process = self.unix.popen(options, "trap 'echo int' INT; trap 'echo term' TERM; echo ready; "
                                  "while :; do sleep 0.02; done", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"ready\n", process.stdout.readline())
            for number, answer in sent:
                process.send_signal(number)
                if answer:
                    self.assertEqual(answer, process.stdout.readline())
            self.assertEqual(code, process.wait(PATIENCE))
            return process.stderr.read().decode()

    def test_a_client_that_leaves_a_kept_run_reports_that_it_goes_on(self):
        thrice = [(signal.SIGINT, b"int\n"), (signal.SIGINT, b"term\n"), (signal.SIGINT, None)]
        for sent, code in ((thrice, 130), ([(signal.SIGTERM, None)], 143),
                           ([(signal.SIGHUP, None)], 129)):
            said = self.leave(["--on-disconnect=keep", "--run-id", "left"], sent, code)
            # The far shell may first print that TERM ended its child.
            self.assertEqual("frsh: left; the run goes on: frsh --attach left local",
                             said.splitlines()[-1])
            self.assertEqual("running", self.listed(self.unix, "left")["state"])
            self.assertEqual(0, self.unix.run(["--kill", "left", "--signal", "KILL"]).code)
            followed = self.unix.run(["--attach", "left"])
            self.assertEqual(137, followed.code)
            # No signal that ended the client has reached the command.
            self.assertEqual(b"ready\nint\nterm\n" if code == 130 else b"ready\n", followed.out)
            self.end_and_forget(self.unix, "left")

    def test_a_run_id_does_not_keep_a_run_that_ends_on_disconnect(self):
        said = self.leave(["--on-disconnect=kill", "--run-id", "mortal"],
                          [(signal.SIGHUP, None)], 129)
        self.assertEqual("", said)
        wait_until(lambda: self.listed(self.unix, "mortal")["state"] == "ended", "it to end")
        self.end_and_forget(self.unix, "mortal")

    def test_a_lost_reader_of_stdout_does_not_end_a_kept_run(self):
        process = self.unix.popen(["--on-disconnect=keep", "--run-id", "unread"],
                                  "while :; do echo y; sleep 0.01; done", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(process):
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(141, process.wait(PATIENCE))
            self.assertIn(b"the run goes on: frsh --attach unread local", process.stderr.read())
        self.assertEqual("running", self.listed(self.unix, "unread")["state"])
        self.end_and_forget(self.unix, "unread")

    def test_a_killed_session_is_reported_with_id_and_output(self):
        session = self.path("session")
        command = f"echo out; echo $PPID > {session}; exec sleep 60"
        process = self.unix.popen(["--run-id", "orphan"], command, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"out\n", process.stdout.readline())
            os.kill(self.pid_from(session), signal.SIGKILL)
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((255, b""), (process.returncode, out), err)
            self.assertIn(b"frsh: lost: ", err)
            self.assertTrue(err.endswith(b"; it may go on: frsh --attach orphan local\n"), err)
        wait_until(lambda: self.listed(self.unix, "orphan")["state"] == "lost", "that to be known")
        for verb, code in (("--attach", 255), ("--logs", 0)):
            result = self.unix.run([verb, "orphan"])
            self.assertEqual((code, b"out\n"), (result.code, result.out), result)
            self.assertIn(b"frsh: lost: ", result.err)
            self.assertNotIn(b"--attach", result.err)
        again = self.unix.run(["--run-id", "orphan"], command)
        self.assertEqual((255, b"out\n"), (again.code, again.out), again)
        self.assertEqual(1, self.unix.run(["--kill", "orphan"]).code)
        self.assertEqual(0, self.unix.run(["--forget", "orphan"]).code)

    def test_a_named_shell_lasts_from_one_command_to_the_next(self):
        for place in self.everywhere():
            def ask(command, **more):
                return place.run(["--shell", "work"], command, **more)

            self.quickly(lambda: self.assertEqual(
                0, ask("cd /usr; export A=5; f() { echo f $A; }").code))
            result = ask("pwd; f; echo err >&2; cat; false", stdin=b"input", record=True)
            self.assertEqual((1, b"/usr\nf 5\ninput", b"err\n"),
                             (result.code, result.out, result.err))
            self.agrees(result)
            found = self.listed(place, "work")
            self.assertEqual(("shell", {"kind": "running"}), (found["state"], found["outcome"]))
            processes = [place.popen(["--shell", "work"], f"sleep 0.05; echo {i}; (exit {i})",
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
                         for i in range(1, 4)]
            for i, process in enumerate(processes, 1):
                self.assertEqual(b"%d\n" % i, process.communicate(timeout=PATIENCE)[0])
                self.assertEqual(i, process.returncode)
            self.assertEqual(0, place.run(["--kill", "work"]).code)
            self.assertEqual("ended", self.listed(place, "work")["state"])
            self.assertEqual(0, place.run(["--forget", "work"]).code)


class Hostile(Case):
    """Servers that do what ours never would."""

    def against(self, serve, *words, features=None, code=255, **run):
        server = FakeServer(self.short_path(), serve, features)
        try:
            place = Place("fake", self.unix.runtime, [f"unix:{server.path}"])
            options = [word for word in words if word.startswith("-") or word in self.values]
            command = [word for word in words if word not in options]
            result = place.run(options, *command, **run)
        finally:
            server.close()
        self.assertEqual([], server.problems)
        self.assertEqual(code, result.code, result)
        if code == 255:
            self.assertEqual(1, result.err.count(b"\n"), result)
            self.assertTrue(result.err.startswith(b"frsh: "), result)
        return result

    values = ("abc", "2")

    def test_a_server_without_the_feature_gets_no_kept_request(self):
        def serve(peer):
            request, _ = peer.hear("open", "attach", "list", "forget")
            if request["type"] == "open":
                peer.say("started", ch=request["ch"], run=request["run"], pid=7)
                peer.end(request)
            peer.hear("bye")

        for words in (["--detach"], ["--run-id=abc"], ["--soft-timeout=1s"], ["--shell=abc"],
                      ["--on-disconnect=keep"]):
            result = self.against(serve, *words, "true", features=["runs", "shells", "resume"])
            self.assertEqual(b"", result.out)
            self.assertIn(b"this server", result.err)
        for words in (["--runs"], ["--attach=abc"], ["--logs=abc"], ["--wait=abc"], ["--kill=abc"],
                      ["--forget=abc"]):
            result = self.against(serve, *words, features=["runs", "shells", "resume"])
            self.assertIn(b"this server keeps no runs", result.err)

    def test_no_byte_before_the_requested_offset_is_printed(self):
        def serve(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.data(request, "stdout", 0, b"a")
            peer.data(request, "stdout", 1, b"bcd\n")
            peer.end(request, b"abcd\n")
            peer.hear("end_ack")

        result = self.against(serve, "--attach=abc", "--from=2", code=0)
        self.assertEqual((b"cd\n", b""), (result.out, result.err))

    def test_requested_bytes_that_are_not_kept_are_reported(self):
        def serve(peer):
            request, _ = peer.hear("attach")
            peer.attached(request, out=3, out_sum=zlib.crc32(b"abc"))
            peer.data(request, "stdout", 3, b"d\n")
            peer.end(request, b"abcd\n")
            peer.hear("end_ack")

        result = self.against(serve, "--attach=abc", "--from=2", code=255)
        self.assertEqual((b"d\n", b"frsh: stdout: bytes 2 to 3 were not kept\n"),
                         (result.out, result.err))

    def test_counts_or_checksums_that_differ_are_lost(self):
        def sums(peer):
            request, _ = peer.hear("attach")
            peer.attached(request, out=2, out_sum=zlib.crc32(b"xy"))
            peer.data(request, "stdout", 2, b"cd\n")
            peer.end(request, b"abcd\n")
            peer.hear("end_ack")

        def counts(peer):
            request, _ = peer.hear("attach")
            peer.attached(request, out=2, out_sum=zlib.crc32(b"ab"))
            peer.end(request, b"abcd\n")
            peer.hear("end_ack")

        for serve, what in ((sums, b"stdout: the checksum differs"),
                            (counts, b"stdout: 2 of 5 bytes arrived")):
            for verb in ("--attach=abc", "--logs=abc"):
                result = self.against(serve, verb, "--from=2")
                self.assertIn(what, result.err)
                self.assertIn(b"; to ask again: frsh --attach abc unix:", result.err)

    def test_a_malformed_answer_is_a_protocol_error(self):
        def other_run(peer):
            peer.attached(peer.hear("attach")[0], run="xyz")
            peer.hear("bye")

        def twice(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.attached(request)
            peer.hear("bye")

        def data_first(peer):
            peer.data(peer.hear("attach")[0], "stdout", 0, b"x")
            peer.hear("bye")

        def end_first(peer):
            peer.end(peer.hear("attach")[0])
            peer.hear("bye")

        def started(peer):
            request, _ = peer.hear("attach")
            peer.say("started", ch=request["ch"], run="abc", pid=1)
            peer.hear("bye")

        def late_refusal(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.say("refused", ch=request["ch"], reason="unknown", message="no")
            peer.hear("bye")

        for serve in (other_run, twice, data_first, end_first, started, late_refusal):
            result = self.against(serve, "--attach=abc")
            self.assertIn(b"protocol error", result.err)
            self.assertEqual(b"", result.out)

        def attached(peer):
            peer.attached(peer.hear("open")[0])
            peer.hear("bye")

        self.assertIn(b"protocol error", self.against(attached, "true").err)

    def test_a_refusal_is_one_line(self):
        def serve(peer):
            request, _ = peer.hear("attach", "forget")
            peer.say("refused", ch=request["ch"], reason="unknown", message="no\x1b[31m such\nrun")
            peer.hear("end_ack")

        for verb in ("--attach", "--logs", "--wait", "--kill", "--forget"):
            result = self.against(serve, verb + "=abc")
            self.assertEqual((b"", b"frsh: abc: no\\x1b[31m such\\x0arun\n"),
                             (result.out, result.err))

    def test_a_refusal_has_no_record_of_an_end(self):
        def serve(peer):
            request, _ = peer.hear("attach")
            peer.say("refused", ch=request["ch"], reason="unknown", message="none")
            peer.hear("end_ack")

        record = self.against(serve, "--attach=abc", record=True).record
        self.assertEqual({"kind": "lost", "message": "none"}, record["outcome"])

    def list_of(self, count, payload, ending=True):
        def serve(peer):
            request, _ = peer.hear("list")
            for _ in range(count):
                peer.say("kept", payload, ch=request["ch"], run="abc", outcome={"kind": "running"},
                         started_at=1, mode="command", args=1, stdout=0, stderr=0)
            if ending:
                peer.say("listed", ch=request["ch"], now=1_700_000_000)
            peer.hear("bye")

        return serve

    def test_a_command_in_the_list_cannot_talk_to_the_terminal(self):
        result = self.against(self.list_of(1, b"echo \x1b]0;x\x07\nls\xff\0"), "--runs", code=0)
        self.assertEqual(1, result.out.count(b"\n"))
        self.assertTrue(result.out.endswith(b"  echo \\x1b]0;x\\x07\\x0als\\xff\n"), result)

    def test_a_list_that_does_not_end_is_given_up(self):
        result = self.against(self.list_of(200, b"x" * 1000_000 + b"\0", ending=False), "--runs")
        self.assertIn(b"a list of runs that does not end", result.err)
        self.assertEqual(b"", result.out)

    def test_a_list_that_is_cut_is_no_list(self):
        def serve(peer):
            peer.hear("list")

        self.assertIn(b"closed", self.against(serve, "--runs").err)

    def test_an_incomplete_journal_is_reported_and_never_exits_with_0(self):
        def serve(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.data(request, "stdout", 0, b"hi\n")
            peer.end(request, b"hi\n", journal="No space left on device")
            peer.hear("end_ack")

        for verb, code in (("--logs", 255), ("--attach", 255)):
            result = self.against(serve, verb + "=abc", code=code, record=True)
            self.assertEqual((b"hi\n", b"frsh: not all of its output was kept: "
                              b"No space left on device\n"), (result.out, result.err))
            self.assertEqual("No space left on device", result.record["journal"])


if __name__ == "__main__":
    main()
