"""Which signals end a server, and which it ignores."""

import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, Place, Server, main, wait_until  # noqa: E402

WITHOUT_MEANING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM,
                   signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGXFSZ, signal.SIGXCPU,
                   signal.SIGRTMIN, signal.SIGRTMAX)
ENDS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class ServerSignals(Case):
    @contextlib.contextmanager
    def server_of_a_parent_that_ignores(self, *ignored):
        runtime = self.short_path()
        os.mkdir(runtime, 0o700)

        def ignore():
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)

        server = Server(runtime, preexec_fn=ignore)
        try:
            yield server, Place("unix", runtime, ["local"], server)
        finally:
            if signal.SIGTERM in ignored and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
            server.end()

    def is_pending(self, pid, number):
        with open(f"/proc/{pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return any(int(fields[name], 16) >> (number - 1) & 1 for name in ("SigPnd", "ShdPnd"))

    def send(self, server, place, numbers):
        for number in numbers:
            os.kill(server.pid, number)
            wait_until(lambda n=number: not self.is_pending(server.pid, n), "the signal's arrival")
            result = place.run(["-q"], "echo here")
            self.assertEqual((0, b"here\n"), (result.code, result.out), number)
            # Without a server, `frsh local` starts one of its own.
            self.assertIsNone(server.process.poll(), number)

    def test_signals_without_a_meaning_do_not_end_a_server(self):
        with self.server_of_a_parent_that_ignores() as (server, place):
            self.send(server, place, WITHOUT_MEANING)

    def test_signals_that_the_parent_ignores_stay_ignored(self):
        with self.server_of_a_parent_that_ignores(*ENDS) as (server, place):
            self.send(server, place, ENDS)

    def test_a_parent_that_ignores_sigchld_hides_no_end(self):
        with self.server_of_a_parent_that_ignores(signal.SIGCHLD) as (_, place):
            result = place.run(["-q"], "exit 7")
        self.assertEqual(7, result.code, result)

    def test_a_hangup_does_not_end_a_server(self):
        with self.server_of_a_parent_that_ignores() as (server, place):
            self.send(server, place, [signal.SIGHUP])

    def test_commands_ignore_none_of_them(self):
        with self.server_of_a_parent_that_ignores(signal.SIGCHLD) as (_, place):
            result = place.run(["-q"], "grep SigIgn /proc/self/status")
        self.assertEqual(0, int(result.out.split()[1], 16), result)


if __name__ == "__main__":
    main()
