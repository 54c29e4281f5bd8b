"""A record for every end, and what the modes do with a server that fails in the middle."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from fake_server import FakeServer  # noqa: E402
from harness import Case, FRSH, PATIENCE, environment, main, open_descriptors, wait_until  # noqa: E402
from terminal import Terminal  # noqa: E402
from tls import TlsCase, make_key  # noqa: E402

LOST = {"kind": "lost", "message": "the session died"}


class Records(Case):
    def environment(self, **more):
        return environment(self.unix.runtime, HOME=self.folder, **more)

    def frsh(self, *words, stdin=b""):
        """Returns exit code, stdout, stderr and the lines of --status-fd."""
        reader, writer = os.pipe()
        try:
            result = subprocess.run([FRSH, "--status-fd", str(writer), *words], input=stdin,
                                    capture_output=True, timeout=PATIENCE, pass_fds=[writer],
                                    env=self.environment())
        finally:
            os.close(writer)
        with os.fdopen(reader, "rb") as file:
            records = [json.loads(line) for line in file.read().splitlines()]
        return result.returncode, result.stdout, result.stderr, records

    def fake(self, serve, **more):
        server = FakeServer(self.short_path(), serve, **more)

        def close():
            server.close()
            self.assertEqual([], server.problems)

        self.addCleanup(close)
        return "unix:" + server.path

    def check_not_started(self, stage, *words, stdin=b"", **outcome):
        for quiet in ([], ["-q"]):
            code, out, err, records = self.frsh(*quiet, "--json", *words, stdin=stdin)
            self.assertEqual(255, code, err)
            self.assertEqual(1, len(records), (out, err))
            self.assertEqual(records[0]["outcome"], json.loads(out)["outcome"])
            found = records[0]["outcome"]
            self.assertEqual(("not_started", stage), (found["kind"], found["stage"]), found)
            self.assertNotEqual("", found["message"])
            for key, value in outcome.items():
                self.assertEqual(value, found[key])

    def test_e9_a_request_that_fails_before_its_run_has_a_record_with_the_stage(self):
        self.check_not_started("usage", "--no-such-option", "host", "true")
        self.check_not_started("usage", "--timeout=never", "host", "true")
        self.check_not_started("usage", "--cwd=/", "--batch", "--attach=abc", "host")
        self.check_not_started("connect", f"unix:{self.folder}/absent", "true")
        self.check_not_started("connect", "--batch", f"unix:{self.folder}/absent", stdin=b"true\n")
        self.check_not_started("connect", "--plaintext", "127.0.0.1:1", "true")
        self.check_not_started("resolve", "--plaintext", "host.invalid:7722", "true")

    def test_a_time_may_have_several_units(self):
        code, _, err, records = self.frsh("--timeout=0m1s100ms", f"unix:{self.server.socket}", "sleep 60")
        self.assertEqual((124, "timed_out"), (code, records[0]["outcome"]["kind"]), err)
        self.check_not_started("usage", "--timeout=30s1m", "host", "true")

    def test_a_word_that_is_an_option_and_a_wrong_order_are_explained(self):
        for word in ("runs", "attach", "logs", "wait", "kill", "forget"):
            _, _, err, _ = self.frsh("--plaintext", word, "host")
            self.assertIn(f"; it is an option: frsh --{word} ".encode(), err)
        _, _, err, _ = self.frsh("--plaintext", "--attach", "host.invalid", "abc.invalid")
        self.assertIn(b"the id of the run goes first, then the target: frsh --attach ID TARGET", err)

    def test_a_refusal_has_its_stage_and_the_time_to_wait(self):
        def busy(peer):
            peer.hear("open")
            peer.say("error", reason="busy", message="too many", retry_after=7)

        self.check_not_started("busy", self.fake(busy), "true", retry_after=7)

    def test_a_server_of_another_version_has_taken_nothing(self):
        path = self.short_path()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()

        def serve():
            hello = json.dumps({"type": "hello", "proto": 99, "software": "x/9", "features": [],
                                "user": "u", "host": "h"}).encode()
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(struct.pack(">I", len(hello)) + hello)
                    while connection.recv(4096):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            self.check_not_started("connect", "--run-id=abc", "unix:" + path, "true")
            thread.join()
        finally:
            listening.close()

    def test_a_batch_writes_one_record_a_line(self):
        code, out, err, records = self.frsh("--batch", f"unix:{self.server.socket}",
                                            stdin=b"echo one\n\nexit 3\nkill -9 $$\n")
        self.assertEqual((3, b"one\n"), (code, out), err)
        self.assertEqual([{"kind": "exited", "code": 0}, {"kind": "exited", "code": 3}],
                         [one["outcome"] for one in records[:2]])
        self.assertEqual("KILL", records[2]["outcome"]["signal"])
        self.assertEqual(["echo one", "exit 3", "kill -9 $$"], [one["command"] for one in records])

    def test_a_batch_goes_on_with_a_new_session_after_a_loss_between_lines(self):
        sessions = []

        def serve(peer):
            sessions.append(peer)
            request, _ = peer.hear("open")
            peer.say("started", ch=request["ch"], run=request["run"], pid=7)
            output = b"session %d\n" % len(sessions)
            peer.data(request, "stdout", 0, output)
            peer.end(request, output)
            peer.hear("end_ack")

        process = subprocess.Popen(
            [FRSH, "-q", "--on-disconnect=grace:20s", "--batch", self.fake(serve)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
        with self.running(process):
            for number in (1, 2, 3):
                process.stdin.write(b"true\n")
                process.stdin.flush()
                self.assertEqual(b"session %d\n" % number, process.stdout.readline())
                wait_until(lambda: not self.is_connected(process.pid), "the loss to be noticed")
            process.stdin.close()
            self.assertEqual(0, process.wait(PATIENCE))

    def test_a_batch_that_is_cut_before_its_first_line_goes_on(self):
        """The client has no line yet, and the server's greeting is lost or comes in part."""
        for down in (1, 10):
            proxy = CuttingProxy(self.server.socket,
                                 lambda n, size=down: Fate(down=size) if n == 0 else None,
                                 near=self.short_path())
            self.addCleanup(proxy.close)
            process = subprocess.Popen(
                [FRSH, "--on-disconnect=grace:20s", "--batch", f"unix:{proxy.near}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment())
            with self.running(process):
                wait_until(lambda: proxy.count > 0 and not self.is_connected(process.pid),
                           "the loss to be noticed")
                out, err = process.communicate(b"echo one\nexit 4\n", timeout=PATIENCE)
                self.assertEqual((4, b"one\n"), (process.returncode, out), err)

    def test_a_run_whose_first_request_arrives_after_the_second_is_not_lost(self):
        """Each came to the session of a shell by a session of its own. The late one, of the lost
        connection, begins the run and has the client's name: the other one is refused."""
        connections = []

        def serve(peer):
            connections.append(peer)
            request, _ = peer.hear("open", "resume")
            if len(connections) == 1:
                return
            if len(connections) == 2:
                peer.say("resumed", runs=[], shells=[])
                peer.hear("open")
                peer.say("error", reason="gone", message="this client has returned over another connection")
                return
            point = request["runs"][0]
            peer.say("resumed", runs=[{"ch": point["ch"], "stdin": 0}], shells=[])
            peer.end(point, outcome={"kind": "exited", "code": 7})
            peer.hear("end_ack")

        code, _, err, _ = self.frsh("-n", "--on-disconnect=grace:20s", "--shell", "x", self.fake(serve), "true")
        self.assertEqual((7, 3), (code, len(connections)), err)

    @staticmethod
    def is_connected(pid):
        return any(name.startswith("socket:") for name in open_descriptors(pid).values())

    def test_e11_a_batch_with_an_unknown_line_exits_with_255(self):
        def serve(peer):
            for code in (3, None, 0):
                request, _ = peer.hear("open")
                peer.say("started", ch=request["ch"], run=request["run"], pid=7)
                outcome = LOST if code is None else {"kind": "exited", "code": code}
                peer.end(request, outcome=outcome)

            peer.hear("bye")

        code, _, err, records = self.frsh("--batch", self.fake(serve), stdin=b"a\nb\nc\n")
        self.assertEqual(255, code, err)
        self.assertEqual(["exited", "lost", "exited"],
                         [one["outcome"]["kind"] for one in records])

    def batch_on_a_terminal(self, lines, *words, as_file=True):
        """Returns exit code, stdout, and what the terminal of stderr got."""
        path = self.short_path()
        with open(path, "wb") as file:
            file.write(lines)
        ours, theirs = os.openpty()
        with open(path, "rb") as file:
            process = subprocess.Popen([FRSH, "--batch", *words, f"unix:{self.server.socket}"],
                                       stdin=file if as_file else subprocess.PIPE, stderr=theirs,
                                       stdout=subprocess.PIPE, env=self.environment())
        os.close(theirs)
        out, _ = process.communicate(None if as_file else lines, timeout=PATIENCE)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # The terminal has no other end any more.
        os.close(ours)
        return process.returncode, out, shown

    def test_e12_a_batch_shows_its_progress_on_a_terminal_and_removes_it(self):
        lines = b"echo a\nexit 3\nsleep 0.4\necho b\n"
        code, out, shown = self.batch_on_a_terminal(lines)
        self.assertEqual((3, b"a\nb\n"), (code, out))
        self.assertRegex(shown, rb"\r\x1b\[K2 done, 1 failed, 1 running, 1 left, 0:00\r")
        self.assertIn(b"frsh: line 2: exited with 3", shown)
        self.assertEqual(b"", shown.rpartition(b"\x1b[K")[2], shown)
        _, _, shown = self.batch_on_a_terminal(lines, as_file=False)
        self.assertRegex(shown, rb"2 done, 1 failed, 1 running, 0:00\r")
        self.assertNotIn(b"left", shown)
        code, out, shown = self.batch_on_a_terminal(lines, "-q")
        self.assertEqual((3, b"a\nb\n", b""), (code, out, shown))
        code, _, err, _ = self.frsh("--batch", f"unix:{self.server.socket}", stdin=lines)
        self.assertEqual((3, 1), (code, err.count(b"\n")), err)

    def test_detach_reports_a_stdin_that_it_does_not_read(self):
        target = f"unix:{self.server.socket}"
        code, _, err, _ = self.frsh("--detach", "--run-id=one", target, "cat", stdin=b"data")
        self.assertEqual(0, code)
        self.assertRegex(err, rb"^frsh: --detach: stdin is not read; [^\n]+\n$")
        code, _, err, _ = self.frsh("-n", "--detach", "--run-id=two", target, "cat", stdin=b"data")
        self.assertEqual((0, b""), (code, err))
        for name in ("one", "two"):
            code, out, err, _ = self.frsh("--attach", name, target)
            self.assertEqual((0, b"", b""), (code, out, err))

    def test_a_batch_in_one_shell_reports_that_the_shell_is_gone(self):
        def serve(peer):
            request, _ = peer.hear("open")
            peer.say("started", ch=request["ch"], run=request["run"], pid=0)
            peer.end(request)
            peer.hear("end_ack")

        code, _, err, _ = self.frsh("--batch", "--one-shell", self.fake(serve),
                                    stdin=b"a\n" + b"b\n" * 3)
        self.assertEqual(255, code, err)
        self.assertIn(b"the shell is gone; the lines after", err)

    def test_e10_missing_bytes_of_a_kept_run_are_never_0(self):
        def gap(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.say("gap", ch=request["ch"], stream="stdout", off=0, to=4, crc32=0x0bad)
            streams = {"bytes": 4, "crc32": 0x0bad, "eof": True, "delivered": 0, "gap_at": 0}
            peer.end(request, stdout=streams)
            peer.hear("end_ack")

        def damage(peer):
            request, _ = peer.hear("attach")
            peer.attached(request)
            peer.end(request, outcome=LOST, journal="the checksum differs")
            peer.hear("end_ack")

        for serve in (gap, damage):
            for options in (["--logs=abc"], ["--attach=abc"], ["-q", "--logs=abc"],
                            ["--json", "--logs=abc"]):
                code, _, err, records = self.frsh(*options, self.fake(serve))
                self.assertEqual(255, code, (serve, options, err))
                self.assertEqual(1, len(records))

    def at_fake_prompt(self, checks):
        """A prompt whose checks of a typed command end in these ways; None: the session died."""
        opened = []

        def serve(peer):
            shell, _ = peer.hear("shell_open")
            peer.say("shell_ready", b"/\0/home\0", shell=shell["shell"], pid=7, kind="bash")
            left = list(checks)
            while True:
                request, payload = peer.hear("open")
                opened.append(payload)
                peer.say("started", ch=request["ch"], run=request["run"], pid=0)
                if "shell" in request:
                    peer.end(request)
                    continue
                found = left.pop(0)
                if found is None:
                    peer.end(request, outcome=LOST)
                else:
                    peer.data(request, "stderr", 0, found)
                    peer.end(request, err=found, outcome={"kind": "exited", "code": 2})

        words = [FRSH, self.fake(serve)]
        return Terminal(self, words, self.environment(TERM="xterm")), opened

    def test_a_check_without_an_answer_is_repeated(self):
        terminal, opened = self.at_fake_prompt([None, None, b"unexpected end of file"])
        with terminal as t:
            t.prompt()
            t.enter("for q in 1 2 3; do")
            self.assertEqual(">", t.prompt())
            self.assertEqual(3, len([one for one in opened if one.strip(b" \0")]), opened)
            t.keys(b"\x03")
            t.prompt()
            t.leave()

    def test_a_command_that_was_never_checked_is_not_run(self):
        terminal, opened = self.at_fake_prompt([None, None, None])
        with terminal as t:
            t.prompt()
            t.enter("for q in 1 2 3; do")
            t.wait_for(rb"the command was not run", "the message")
            t.prompt()
            self.assertEqual(3, len([one for one in opened if one.strip(b" \0")]), opened)
            t.leave()


class LoginRecords(TlsCase):
    """Programs can tell apart a host to check, a key to add, and a server to ask again."""

    def outcome(self, client, *words):
        """Returns the outcome of the record of a command that did not begin."""
        for quiet in ([], ["-q"]):
            reader, writer = os.pipe()
            result = client.run(*quiet, "--status-fd", str(writer), "--json", "-oBatchMode=yes", *words,
                                self.target, "true", pass_fds=[writer])
            os.close(writer)
            with os.fdopen(reader, "rb") as file:
                records = [json.loads(line) for line in file.read().splitlines()]
            self.assertEqual((255, 1), (result.code, len(records)), result)
            self.assertEqual(records[0]["outcome"], json.loads(result.out)["outcome"])
            self.assertEqual("frsh:", result.err[:5])
        return records[0]["outcome"]

    def test_e9_an_unknown_host_and_a_changed_key_have_the_stage_trust(self):
        found = self.outcome(self.stranger())
        self.assertEqual(("not_started", "trust"), (found["kind"], found["stage"]), found)
        client, line = self.trusting()
        self.authorize(line)
        self.assertEqual(0, client.run(self.target, "true").code)
        other = make_key(os.path.join(self.folder, "other")).split()
        with open(os.path.join(client.home, ".config/frsh/known_hosts")) as file:
            known = file.read().split()
        with open(os.path.join(client.home, ".config/frsh/known_hosts"), "w") as file:
            file.write(f"{known[0]} {other[0]} {other[1]}\n")
        found = self.outcome(client)
        self.assertEqual(("not_started", "trust"), (found["kind"], found["stage"]), found)

    def test_e9_a_key_that_opens_no_account_has_the_stage_login(self):
        client, line = self.trusting()
        self.authorize()
        found = self.outcome(client)
        self.assertEqual(("not_started", "login"), (found["kind"], found["stage"]), found)
        self.assertNotIn("retry_after", found)
        self.authorize(line)
        self.assertEqual(0, client.run(self.target, "true").code)

    def test_e9_through_a_holder_the_stages_are_the_same(self):
        found = self.outcome(self.stranger(), "--share")
        self.assertEqual(("not_started", "trust"), (found["kind"], found["stage"]), found)
        client, _ = self.trusting()
        self.authorize()
        found = self.outcome(client, "--share")
        self.assertEqual(("not_started", "login"), (found["kind"], found["stage"]), found)


if __name__ == "__main__":
    main()
