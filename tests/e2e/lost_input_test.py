"""A command that reads its input when the connection is lost: it never sees an end of file, so it
does not take a part of the input for the whole."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, Case, environment, main, wait_until  # noqa: E402

CUTS = 50
PART = b"the first part\n"


class LostInput(Case):
    def tearDown(self):
        self.no_strays(40)

    def upload(self, number, before):
        """Starts an upload that has sent a part of its input."""
        new, final = self.path(f"{number}.new"), self.path(f"{number}.final")
        process = subprocess.Popen(
            [FRSH, "--on-disconnect=grace:0.1s", *self.unix.words,
             f"{before} cat >{new} && mv {new} {final}"],
            env=environment(self.unix.runtime), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        process.stdin.write(PART)
        process.stdin.flush()
        return process, new, final

    def cut(self, how, before, count):
        uploads = [self.upload(number, before) for number in range(count)]
        for _, new, _ in uploads:
            wait_until(lambda name=new: os.path.exists(name) and os.path.getsize(name) > 0,
                       "a part of the upload")
        for process, _, _ in uploads:
            process.send_signal(how)
        for process, _, _ in uploads:
            process.wait()
            process.stdin.close()
        wait_until(lambda: not self.strays(), "the commands to end", 40)
        self.assertEqual([], [final for _, _, final in uploads if os.path.exists(final)])
        for _, new, _ in uploads:
            self.assertEqual(len(PART), os.path.getsize(new))
            os.unlink(new)

    def test_l9_a_lost_client_is_no_end_of_the_input(self):
        self.cut(signal.SIGKILL, "", CUTS)

    def test_l9_a_lost_client_is_no_end_of_the_input_for_a_command_that_ignores_signals(self):
        self.cut(signal.SIGKILL, "trap '' HUP TERM;", 5)

    def test_l9_a_client_that_leaves_is_no_end_of_the_input(self):
        for how in (signal.SIGTERM, signal.SIGHUP):
            self.cut(how, "trap '' HUP TERM;", 5)

    def test_l9_a_child_that_outlives_its_shell_sees_no_end_of_the_input(self):
        # HUP ends the outer shell. The inner one ignores it, and holds the same input.
        before = "exec 3<&0; (trap '' HUP TERM; exec <&3;"
        uploads = []
        for number in range(5):
            new, final = self.path(f"{number}.new"), self.path(f"{number}.final")
            process = subprocess.Popen(
                [FRSH, "--on-disconnect=grace:0.1s", *self.unix.words,
                 f"{before} cat >{new} && mv {new} {final}) & wait"],
                env=environment(self.unix.runtime), stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            process.stdin.write(PART)
            process.stdin.flush()
            uploads.append((process, new, final))
        for _, new, _ in uploads:
            wait_until(lambda name=new: os.path.exists(name) and os.path.getsize(name) > 0,
                       "a part of the upload")
        for process, _, _ in uploads:
            process.kill()
            process.wait()
            process.stdin.close()
        wait_until(lambda: not self.strays(), "the commands to end", 40)
        self.assertEqual([], [final for _, _, final in uploads if os.path.exists(final)])


if __name__ == "__main__":
    main()
