"""What is run, and with what around it."""

import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, FRSHD, Place, main  # noqa: E402
from wire import Wire  # noqa: E402


class Commands(Case):
    def shell(self):
        """The shell that runs commands here, as a name."""
        return os.path.basename(self.unix.run([], "echo $SHELL").out.decode().strip())

    def test_c1_words_are_joined_with_blanks_and_run_by_the_users_shell(self):
        for place in self.everywhere():
            result = place.run([], "echo", "a  b", "'c  d'", "$((1+1));", "echo", "$0")
            self.assertEqual(f"a b c  d 2\n{self.shell()}\n".encode(), result.out)
            # What looks like an option belongs to the command once a target was named.
            self.assertEqual(b"-n --json\n", place.run([], "echo", "x", "-n", "--json",
                                                       "|cut -c3-").out)

    def test_c1_argv_runs_a_program_with_exactly_these_arguments(self):
        words = ["", " ", "a  b", "$HOME", "*", "'", '"', "\\", "\n", "-n", "--", "é", "\udcff",
                 ";true"]
        for place in self.everywhere():
            result = place.run(["--argv"], "printf", "%s\\0", *words)
            expected = b"".join(os.fsencode(word) + b"\0" for word in words)
            self.assertEqual(expected, result.out, result)

    def test_c1_argv_searches_path_and_takes_a_path_as_it_is(self):
        folder = self.path("bin")
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        program = os.path.join(folder, "ours")
        with open(program, "w") as file:
            file.write("#!/bin/sh\necho ours $0\n")
        os.chmod(program, 0o755)
        os.chmod(self.folder, 0o755)
        for place in self.everywhere():
            self.assertEqual(f"ours {program}\n".encode(), place.run(["--argv"], program).out)
            result = place.run(["--argv", "--env", "PATH=/nowhere:" + folder], "ours")
            self.assertEqual(f"ours {program}\n".encode(), result.out, result)
            result = place.run(["--argv", "--cwd", folder], "./ours")
            self.assertEqual(b"ours ./ours\n", result.out, result)

    def test_c2_a_script_above_the_limit_of_one_argument_is_run(self):
        # Each word fits into an argument of the client; joined they do not fit into one.
        for place in self.everywhere():
            for filler in (131071 - 18, 131072, 1 << 20):
                words = ["echo start;"]
                left = filler
                while left > 0:
                    piece = min(left, 100000)
                    words.append(": " + "x" * (piece - 4) + ";")
                    left -= piece
                words.append("cat; echo end; exit 9")
                result = place.run([], *words, stdin=b"stdin is free\n", record=True)
                self.assertEqual((9, b"start\nstdin is free\nend\n", b""),
                                 (result.code, result.out, result.err[:500]))
                self.agrees(result)

    def test_c2_a_long_script_leaves_no_descriptor_in_what_it_starts(self):
        filler = [": " + "x" * 100000 + ";"] * 11
        place = self.unix
        result = place.run([], *filler, "ls -l /proc/self/fd | grep -c ' -> '")
        self.assertEqual(b"4\n", result.out, "0, 1, 2 and the folder that ls reads")
        for first in ("exec 3<&-", "exec 3<&-\n", "exec 3</dev/null; exec 3<&-\n"):
            result = place.run([], first + ";" if first[-1] != "\n" else first, *filler,
                               "echo ok")
            self.assertEqual((0, b"ok\n", b""), (result.code, result.out, result.err), first)

    def account_with_shell(self, shell):
        """A server over stdio, in a mount namespace where the user database names this shell."""
        users = self.path(os.path.basename(shell))
        with open(users, "w") as file:
            file.write(f"root:x:0:0::/:{shell}\n")
        unshare = ["unshare", "--mount"]
        if os.geteuid() != 0:
            unshare += ["--user", "--map-root-user"]
        unshare += ["sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', users]
        probe = subprocess.run([*unshare, "true"], stderr=subprocess.PIPE)
        if probe.returncode != 0:
            self.skipTest(f"no mount namespace of our own: {probe.stderr!r}")
        return Place("via", self.folder, ["--via", shlex.join([*unshare, FRSHD, "--stdio"]), "x"])

    def test_c2_a_mebibyte_of_script_runs_in_bash_and_in_dash(self):
        filler = [": " + "x" * 100000 + ";"] * 11
        count = 'ls -l /proc/self/fd | grep -c " -> ";'  # One is the folder that ls reads.
        for shell in ("/bin/bash", "/bin/dash"):
            if not os.path.exists(shell):
                self.skipTest(f"no {shell}")
            place = self.account_with_shell(shell)
            for first in ("", "exec 3<&-;", "exec 3<&-\n", "exec 3</dev/null; exec 3<&-\n"):
                result = place.run(
                    [], first, *filler, "echo $SHELL $0; readlink /proc/$$/exe;", count, f"({count});",
                    f"sh -c '{count}' & wait;", "cat; exit 9", stdin=b"stdin is free\n", record=True)
                out = f"{shell} /dev/fd/3\n{os.path.realpath(shell)}\n4\n4\n4\nstdin is free\n"
                self.assertEqual((9, out.encode(), b""), (result.code, result.out, result.err[:500]))
                self.agrees(result)
            # A short command sees the same environment, except its own name.
            result = place.run([], "echo $SHELL $0;", count, "cat", stdin=b"in")
            self.assertEqual(f"{shell} {os.path.basename(shell)}\n4\nin".encode(), result.out)

    def test_c2_a_shell_that_cannot_read_a_script_is_reported(self):
        place = self.account_with_shell("/bin/cat")
        result = place.run([], *[": " + "x" * 100000 + ";"] * 2, record=True)
        self.assertEqual((255, b""), (result.code, result.out), result)
        self.assertEqual(("not_started", 7), tuple(result.record["outcome"][key] for key in
                                                   ("kind", "errno")))
        self.assertIn(b"/bin/cat: a command above 131071 bytes needs a POSIX shell", result.err)

    def test_c3_a_nul_in_command_argument_or_variable_is_refused(self):
        # Nothing can come through our own command line; lines of a batch are in batch_test.py.
        for mode, args, env, payload in (
                ("command", 1, 0, b"echo a\0b\0"), ("argv", 2, 0, b"echo\0a\0b\0"),
                ("argv", 1, 0, b"echo\0a\0"), ("command", 1, 1, b"echo\0A=1\0002\0"),
                ("command", 1, 2, b"echo\0A=1\0B=\0003\0")):
            with Wire(self.server.socket) as wire:
                wire.send({"type": "open", "ch": 1, "run": "r", "mode": mode, "args": args,
                           "env": env}, payload=payload)
                error = wire.next(lambda one: one["type"] not in ("hello",))[0]
                self.assertEqual(("error", "protocol"), (error["type"], error["reason"]), payload)
                self.assertIn("NUL", error["message"])
        # A NUL inside begins another string, which has no "=" and so is no variable.
        with Wire(self.server.socket) as wire:
            wire.send({"type": "open", "ch": 1, "run": "r", "mode": "command", "args": 1, "env": 2},
                      payload=b"echo\0A=1\0002\0")
            error = wire.next(lambda one: one["type"] not in ("hello",))[0]
            self.assertIn("NAME=VALUE", error["message"])

    def test_c5_a_command_reads_the_clients_stdin(self):
        for place in self.everywhere():
            self.assertEqual(b"b\na\n", place.run([], "tac", stdin=b"a\nb\n").out)

    def test_without_a_command_the_login_shell_reads_stdin(self):
        for place in self.everywhere():
            result = place.run([], stdin=b"echo $0; X=1\necho $X; exit 6\n", record=True)
            self.assertEqual((6, f"-{self.shell()}\n1\n".encode()), (result.code, result.out),
                             result)
            self.agrees(result)

    def test_c4_a_blank_or_comment_only_command_exits_0(self):
        for place in self.everywhere():
            for words in ([" "], ["\n"], ["# nothing"], ["", ""]):
                result = place.run([], *words, stdin=b"exit 3\n", record=True)
                self.assertEqual(0, result.code, words)
                self.assertEqual("exited", result.record["outcome"]["kind"])
        # The same without a server.
        nowhere = Place("nowhere", self.folder, [f"unix:{self.folder}/nobody.sock"])
        self.assertEqual(255, nowhere.run([], " ").code)

    def test_c4_an_empty_command_means_the_login_shell(self):
        for place in self.everywhere():
            result = place.run([], "", stdin=b"exit 5\n")
            self.assertEqual(5, result.code, "the shell reads stdin")

    def test_c6_env_is_set_per_run_and_the_usual_names_are_there(self):
        for place in self.everywhere():
            result = place.run(["--env", "A=1", "--env", "B=x=y z", "--env", "A=2", "--env",
                                "EMPTY="], "env")
            lines = result.out.decode().splitlines()
            for line in ("A=2", "B=x=y z", "EMPTY="):
                self.assertIn(line, lines)
            names = {line.split("=")[0] for line in lines}
            self.assertLessEqual({"HOME", "USER", "LOGNAME", "SHELL", "PATH"}, names)

    def test_c6_only_the_allowed_names_are_forwarded(self):
        client = {"LANG": "xx_YY", "LC_ALL": "C", "LC_TIME": "zz", "COLORTERM": "truecolor",
                  "GIT_PROTOCOL": "version=2", "LD_DEBUG_OUTPUT": "/nowhere/x", "BASH_ENV": "/none",
                  "SECRET": "1", "TERM": "dumb", "ENV": "/none"}
        for place in (self.unix, self.plain):
            lines = place.run([], "env", env=client).out.decode().splitlines()
            for name in ("LANG", "LC_ALL", "LC_TIME", "COLORTERM"):
                self.assertIn(f"{name}={client[name]}", lines)
            for name in ("LD_DEBUG_OUTPUT", "BASH_ENV", "SECRET", "TERM", "ENV", "GIT_PROTOCOL"):
                self.assertNotIn(name, [line.split("=")[0] for line in lines])
        lines = self.stdio.run([], "env", env=client).out.decode().splitlines()
        for name in ("LD_DEBUG_OUTPUT", "BASH_ENV", "SECRET", "ENV"):
            self.assertNotIn(name, [line.split("=")[0] for line in lines])

    def test_c6_bytes_that_are_not_utf8_arrive_unchanged(self):
        word = b"\xff\xfe=\xc0"
        for place in self.everywhere():
            result = place.run(["--env", b"X=" + word, "--argv"], "sh", "-c", "printf %s \"$X\"")
            self.assertEqual(word, result.out)

    def test_c6_env_without_a_name_or_value_is_refused(self):
        for bad in ("A", "=x", ""):
            result = self.unix.run(["--env", bad], "true")
            self.assertEqual(255, result.code)
            self.assertRegex(result.err, rb"^frsh: .*NAME=VALUE.*\n$")

    def test_c7_a_missing_folder_is_not_started_at_stage_cwd(self):
        for place in self.everywhere():
            for folder, number in (("/no/such/folder", 2), ("/etc/passwd", 20)):
                result = place.run(["--cwd", folder], "echo ran", record=True)
                self.assertEqual((255, b""), (result.code, result.out))
                outcome = result.record["outcome"]
                self.assertEqual(("not_started", "cwd", number),
                                 (outcome["kind"], outcome["stage"], outcome["errno"]))
                self.assertIn(folder, outcome["message"])
                self.assertIn(folder.encode(), result.err)
                self.agrees(result)
            self.assertEqual(b"/etc\n", place.run(["--cwd", "/etc"], "pwd").out)

    def test_c7_a_relative_folder_and_a_tilde_mean_the_home(self):
        home = self.unix.run([], "cd && pwd -P").out.decode().strip()
        name = tempfile.mkdtemp(dir=home, prefix="frsh test ")
        self.addCleanup(os.rmdir, name)
        base = os.path.basename(name)
        for place in self.everywhere():
            for folder in (base, "./" + base, "~/" + base):
                result = place.run(["--cwd", folder], "pwd -P")
                self.assertEqual((0, f"{name}\n"), (result.code, result.out.decode()), result)
            self.assertEqual(home, place.run(["--cwd", "~"], "pwd -P").out.decode().strip())
            self.assertEqual(b"/root\n" if os.geteuid() == 0 else b"",
                             place.run(["--cwd", "~root"], "pwd").out)
            self.assertEqual(255, place.run(["--cwd", "~nosuchuser"], "pwd").code)

    def test_a_wrong_option_is_reported_in_one_line(self):
        for words in (["--timeout", "x"], ["--max-output", "1X"], ["--linger", "-1"],
                      ["--status-fd", "77"], ["--no-such-option"], ["--jobs", "3"], ["-p", "70000"],
                      ["--idle-timeout", ""], ["--status-fd", "x"]):
            result = self.unix.run(words, "true")
            self.assertEqual(255, result.code, words)
            self.assertRegex(result.err, rb"\Afrsh: [^\n]+\n\Z")
            self.assertEqual(b"", result.out)
        result = self.unix.run(["--argv"])
        self.assertEqual(255, result.code)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            result = self.unix.run([option])
            self.assertEqual(0, result.code)
            self.assertTrue(result.out)
        self.assertTrue(re.match(rb"frsh \d+\.\d+\.\d+\n", result.out), result)


if __name__ == "__main__":
    main()
