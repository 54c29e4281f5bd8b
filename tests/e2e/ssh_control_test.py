#!/usr/bin/env python3
"""ControlMaster, ControlPath and -O of ssh mean the link holder."""

import glob
import os
import re
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402


class Control(ToolCase):
    def setUp(self):
        super().setUp()
        self.control = self.path("ctl")
        self.addCleanup(self.end_holders)

    def words(self, *words, control=None):
        return ["ssh", "-S", control or self.control, "-p", self.port, *words]

    def call(self, *words, **more):
        return self.run_tool(*self.words(*words), **more)

    def ask(self, command, *words):
        return self.call("-O", command, *words, "127.0.0.1")

    def master(self, *words):
        result = self.call("-f", "-N", "-M", *words, "127.0.0.1")
        self.assertEqual((0, "", ""), (result.code, result.out, result.err), result)
        return self.pid()

    def pid(self):
        result = self.ask("check")
        found = re.fullmatch(r"Master running \(pid=(\d+)\)\n", result.err)
        self.assertTrue(found and result.code == 0 and result.out == "", result)
        return int(found[1])

    def no_master(self):
        result = self.ask("check")
        self.assertEqual((255, "", f"Control socket connect({self.control}): No such file or directory\n"),
                         (result.code, result.out, result.err))

    def logins(self):
        return self.server.text().count("key of")

    def test_h5_check_names_the_holder_or_the_missing_socket(self):
        self.no_master()
        pid = self.master()
        self.assertTrue(is_alive(pid))
        self.assertTrue(os.path.exists(self.control))
        before = self.logins()
        result = self.call("127.0.0.1", "cat; echo err >&2; exit 7", stdin=b"in")
        self.assertEqual((7, "in", "err\n"), (result.code, result.out, result.err))
        self.assertEqual(before, self.logins(), "a second login")
        result = self.ask("exit")
        self.assertEqual((0, "Exit request sent.\n"), (result.code, result.err))
        self.no_master()
        wait_until(lambda: not is_alive(pid), "the holder to end")

    def test_h5_exit_ends_what_runs(self):
        self.master()
        process = self.popen(*self.words("127.0.0.1", "echo $$; exec sleep 64"))
        remote = int(process.stdout.readline())
        self.assertEqual(0, self.ask("exit").code)
        _, err = process.communicate(timeout=20)
        self.assertEqual(255, process.returncode, err)
        self.assertEqual(1, err.count(b"\n"), err)
        wait_until(lambda: not is_alive(remote), "the command to end")

    def test_h5_stop_takes_no_more_and_ends_after_the_last(self):
        pid = self.master()
        process = self.popen(*self.words("127.0.0.1", "echo up; cat; echo done"), stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        result = self.ask("stop")
        self.assertEqual((0, "Stop listening request sent.\n"), (result.code, result.err))
        self.no_master()
        before = self.logins()
        self.assertEqual("direct\n", self.good(*self.words("127.0.0.1", "echo direct")).out)
        self.assertEqual(before + 1, self.logins())
        self.assertTrue(is_alive(pid))
        out, err = process.communicate(b"", timeout=20)
        self.assertEqual((0, b"done\n", b""), (process.returncode, out, err))
        wait_until(lambda: not is_alive(pid), "the holder to end")

    def test_a_path_without_ControlMaster_starts_no_master(self):
        self.assertEqual("x\n", self.good(*self.words("127.0.0.1", "echo x")).out)
        self.no_master()

    def test_a_master_lives_as_long_as_ControlPersist_says(self):
        before = self.logins()
        self.good(*self.words("-oControlMaster=auto", "-oControlPersist=60", "127.0.0.1", "true"))
        self.good(*self.words("-oControlMaster=auto", "127.0.0.1", "true"))
        pid = self.pid()
        self.assertEqual(before + 1, self.logins())
        self.assertEqual(0, self.ask("exit").code)
        wait_until(lambda: not is_alive(pid), "the holder to end")
        # Without ControlPersist, the master ends with the last command that uses it.
        process = self.popen(*self.words("-M", "127.0.0.1", "echo up; cat"), stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        pid = self.pid()
        self.assertEqual("", self.good(*self.words("127.0.0.1", "true")).out)
        self.assertTrue(is_alive(pid))
        process.communicate(b"", timeout=20)
        wait_until(lambda: not is_alive(pid), "the holder to end")
        self.no_master()

    def test_a_master_in_the_foreground_ends_with_its_client(self):
        for end in ("signal", "exit", "stop"):
            process = self.popen(*self.words("-N", "-M", "127.0.0.1"))
            wait_until(lambda: self.ask("check").code == 0, "the master")
            pid = self.pid()
            self.assertIsNone(process.poll())
            if end == "signal":
                process.terminate()
            else:
                self.assertEqual(0, self.ask(end).code)
            process.communicate(timeout=20)
            self.assertEqual({"signal": 143, "exit": 255, "stop": 0}[end], process.returncode)
            wait_until(lambda: not is_alive(pid), "the holder to end")

    def test_a_master_that_shares_nothing_is_refused(self):
        for words in (["-M"], ["-oControlMaster=auto"], ["-M", "-S", "none"]):
            result = self.run_tool("ssh", "-f", "-N", *words, "-p", self.port, "127.0.0.1")
            self.assertEqual((255, ""), (result.code, result.out), words)
            self.assertIn("ControlPath", result.err)
        result = self.run_tool("ssh", "-fNM", "-S", self.control, "-p", "1", "127.0.0.1")
        self.assertEqual(255, result.code, result)
        self.assertFalse(os.path.lexists(self.control))
        result = self.run_tool("ssh", "-fNM", "-S", self.path("no/such"), "-p", self.port, "127.0.0.1")
        self.assertEqual(255, result.code, result)
        self.write("file", "mine")
        result = self.run_tool("ssh", "-fNM", "-S", self.path("file"), "-p", self.port, "127.0.0.1")
        self.assertEqual(255, result.code, result)
        self.assertEqual(b"mine", self.read("file"))
        for words in (["-oControlMaster=ask"], ["-M", "-M"]):
            self.assertEqual(255, self.call(*words, "127.0.0.1", "true").code)

    def test_a_command_is_never_worse_off_with_a_path_that_cannot_be(self):
        for control in (self.path("no/such"), "/dev/null", self.path("x" * 300)):
            result = self.run_tool(*self.words("-M", "127.0.0.1", "echo x", control=control))
            self.assertEqual((0, "x\n", ""), (result.code, result.out, result.err))

    def test_a_stale_socket_is_replaced_without_a_word(self):
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(self.control)
        pid = self.master()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "the holder to end")
        self.assertEqual(255, self.ask("check").code)
        self.assertEqual("on\n", self.good(*self.words("-M", "-oControlPersist=9", "127.0.0.1", "echo on")).out)
        self.assertNotEqual(pid, self.pid())

    def test_h5_a_stopped_master_costs_at_most_3_s(self):
        pid = self.master()
        os.kill(pid, signal.SIGSTOP)
        self.assertEqual("on\n", self.call("127.0.0.1", "echo on").out)
        result = self.ask("check")
        self.assertEqual((255, f"Control socket connect({self.control}): Connection timed out\n"),
                         (result.code, result.err))
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(pid, self.pid())

    def test_another_key_user_or_host_does_not_share(self):
        self.master()
        before = self.logins()
        other = self.write("other", "")
        os.unlink(other)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
        result = self.call("-i", other, "127.0.0.1", "true")
        self.assertEqual(255, result.code, result)
        self.assertEqual(255, self.call("-l", "no-such-user", "127.0.0.1", "true").code)
        result = self.run_tool("ssh", "-S", self.control, "-p", "1", "127.0.0.1", "true")
        self.assertEqual(255, result.code, result)
        self.assertEqual(before, self.logins())

    def test_many_at_once_are_silent_and_have_one_master(self):
        processes = [self.popen(*self.words("-oControlMaster=auto", "-oControlPersist=20", "127.0.0.1", f"echo {n}"))
                     for n in range(8)]
        for n, process in enumerate(processes):
            out, err = process.communicate(timeout=60)
            self.assertEqual((0, f"{n}\n".encode(), b""), (process.returncode, out, err))
        self.pid()

    def test_tokens_of_the_path_are_replaced(self):
        control = self.path("cm-%r@%h:%p-%C")
        self.good(*self.words("-M", "-oControlPersist=9", "127.0.0.1", "true", control=control))
        found, = glob.glob(self.path("cm-*@127.0.0.1:*"))
        self.assertEqual(0, self.run_tool(*self.words("-O", "exit", "127.0.0.1", control=control)).code)
        self.assertFalse(os.path.lexists(found))

    def echo_server(self):
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.recv(100).upper())
        threading.Thread(target=serve, daemon=True).start()
        return listening.getsockname()[1]

    def through(self, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(path)
            connection.sendall(b"hello")
            return connection.recv(100)

    def test_h6_forward_and_cancel_change_the_masters_forwardings(self):
        self.master()
        to = f"127.0.0.1:{self.echo_server()}"
        here = self.path("here")
        result = self.ask("forward", "-L", f"{here}:{to}")
        self.assertEqual((0, "", ""), (result.code, result.out, result.err))
        self.assertEqual(b"HELLO", self.through(here))
        result = self.ask("cancel", "-L", f"{here}:{to}")
        self.assertEqual((0, "", ""), (result.code, result.out, result.err))
        self.assertFalse(os.path.exists(here))
        self.assertEqual(255, self.ask("cancel", "-L", f"{here}:{to}").code)
        self.assertEqual(255, self.ask("forward").code)
        result = self.ask("forward", "-L", f"0:{to}")
        port = int(re.search(r"Allocated port (\d+) for", result.err)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"port")
            self.assertEqual(b"PORT", connection.recv(100))

    def test_h6_a_port_of_the_server_is_forwarded_and_cancelled(self):
        self.master()
        to = f"127.0.0.1:{self.echo_server()}"
        there = self.path("there")
        result = self.ask("forward", "-R", f"{there}:{to}")
        self.assertEqual((0, "", ""), (result.code, result.out, result.err))
        self.assertEqual(b"HELLO", self.through(there))
        result = self.ask("forward", "-R", f"127.0.0.1:0:{to}")
        port = re.search(r"Allocated port (\d+) for remote forward to", result.err)[1]
        self.assertEqual((0, f"{port}\n"), (result.code, result.out), result)
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as connection:
            connection.sendall(b"port")
            self.assertEqual(b"PORT", connection.recv(100))
        result = self.ask("cancel", "-R", f"{there}:{to}")
        self.assertEqual((0, "", ""), (result.code, result.out, result.err))
        wait_until(lambda: not os.path.exists(there), "the socket to go")
        self.assertEqual(255, self.ask("cancel", "-R", f"{there}:{to}").code)
        # The same place can be forwarded again, and the link is the same.
        self.assertEqual(0, self.ask("forward", "-R", f"{there}:{to}").code)
        self.assertEqual(b"HELLO", self.through(there))
        self.assertEqual("x\n", self.good(*self.words("127.0.0.1", "echo x")).out)

    def test_h6_a_port_of_the_server_that_is_taken_is_refused_by_name(self):
        pid = self.master()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            result = self.ask("forward", "-R", f"127.0.0.1:{taken.getsockname()[1]}:127.0.0.1:1")
        self.assertEqual((255, ""), (result.code, result.out))
        self.assertIn("remote port forwarding failed", result.err)
        self.assertEqual(pid, self.pid())

    def test_h6_a_master_takes_R_and_ends_it(self):
        there = self.path("there")
        self.master("-R", f"{there}:127.0.0.1:{self.echo_server()}")
        self.assertEqual(b"HELLO", self.through(there))
        self.assertEqual(0, self.ask("exit").code)
        wait_until(lambda: not os.path.exists(there), "the socket to go")

    def test_h6_a_master_takes_the_forwardings_of_its_command_line(self):
        here = self.path("here")
        self.master("-L", f"{here}:127.0.0.1:{self.echo_server()}")
        self.assertEqual(b"HELLO", self.through(here))
        self.assertEqual("x\n", self.good(*self.words("127.0.0.1", "echo x")).out)
        self.assertEqual(0, self.ask("exit").code)
        wait_until(lambda: not os.path.exists(here), "the socket to go")

    def test_a_request_needs_a_path_and_a_known_word(self):
        result = self.run_tool("ssh", "-O", "check", "127.0.0.1")
        self.assertEqual(255, result.code)
        self.assertIn('No ControlPath specified for "-O" command', result.err)
        result = self.ask("nonsense")
        self.assertEqual(255, result.code)
        self.assertIn("Invalid multiplex command", result.err)

    def test_the_settings_of_ssh_config_count_under_the_name_ssh_only(self):
        config = self.write("config", f"Host *\n ControlMaster auto\n ControlPath {self.control}\n ControlPersist 20\n")
        base = ["-F", config, "-p", self.port, "127.0.0.1"]
        self.good("frsh", *base, "true")
        self.assertFalse(os.path.lexists(self.control))
        self.good("ssh", *base, "true")
        self.pid()

    def test_a_client_with_share_and_a_forwarding_connects_directly(self):
        here = self.path("here")
        process = self.popen("frsh", "--share", "-p", self.port, "-L", f"{here}:127.0.0.1:{self.echo_server()}",
                             "127.0.0.1", "echo up; cat", stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        self.assertEqual(b"HELLO", self.through(here))
        _, err = process.communicate(b"", timeout=20)
        self.assertEqual((0, b""), (process.returncode, err))


if __name__ == "__main__":
    main()
