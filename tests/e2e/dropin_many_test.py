"""The tools that run a command on many hosts, with frsh in ssh's place: GNU parallel, clush, pdsh,
pssh; and the loops that everybody writes."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase, need  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402


class Parallel(ToolCase):
    tools = ("parallel",)

    def setUp(self):
        super().setUp()
        self.base = ["parallel", "--will-cite", "--sshlogin", f"1/{self.rsh} 127.0.0.1"]

    def test_jobs_on_a_host(self):
        result = self.run_tool(*self.base, "-k", "echo {} '$((1+1))' $((1+1)) \\'", ":::", "a b", "$HOME;")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.out, "a b $((1+1)) 2 '\n$HOME; $((1+1)) 2 '\n")

    def test_files_go_there_and_results_come_back(self):
        need("rsync")
        self.write("in1", "content\n")
        result = self.run_tool(*self.base, "--workdir", self.path("there"), "--transferfile", "{}",
                               "--return", "{}.out", "--cleanup", "tr a-z A-Z < {} > {}.out", ":::", "in1")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.read("in1.out"), b"CONTENT\n")
        self.assertFalse(os.path.exists(self.path("there/in1.out")))

    def test_once_on_each_host(self):
        result = self.run_tool(*self.base, "--nonall", "echo nonall; exit 3")
        # How many hosts failed.
        self.assertEqual((result.code, result.out), (1, "nonall\n"), result)

    def test_a_timeout_of_the_tool_ends_the_remote_command(self):
        result = self.run_tool(*self.base, "--timeout", "2", "echo $$ > {}; exec sleep 1000", ":::",
                               self.path("pid"))
        self.assertNotEqual(result.code, 0, result)
        pid = int(self.read("pid"))
        wait_until(lambda: not is_alive(pid), "the command to end")


class Clush(ToolCase):
    tools = ("clush",)

    def clush(self, *words):
        base = ["clush", "-O", f"ssh_path=ssh -p {self.port}", "-O",
                f"scp_path=scp -S {self.ssh} -P {self.port}", "-w", "127.0.0.1,localhost"]
        return self.run_tool(*base, *words)

    def test_commands_and_their_codes(self):
        result = self.clush("-S", "-L", "echo out; echo err >&2; exit 3")
        self.assertEqual(result.code, 3, result)
        self.assertEqual(result.out, "127.0.0.1: out\nlocalhost: out\n")
        self.assertIn("localhost: err", result.err)

    def test_copies(self):
        tree = self.tree()
        os.mkdir(self.path("there"))
        result = self.clush("--copy", tree, "--dest", self.path("there") + "/")
        self.assertEqual(result.code, 0, result)
        self.same(tree, self.path("there/tree"))

    def test_a_timeout_of_the_tool_ends_the_remote_command(self):
        result = self.clush("-S", "-u", "2", f"echo $$ >> {self.path('pids')}; exec sleep 1000")
        self.assertNotEqual(result.code, 0, result)
        for pid in self.read("pids").split():
            wait_until(lambda pid=int(pid): not is_alive(pid), "the command to end")


class Pdsh(ToolCase):
    tools = ("pdsh", "pdcp")

    def test_commands_and_copies(self):
        env = {"PDSH_SSH_ARGS_APPEND": f"-p {self.port}"}
        result = self.run_tool("pdsh", "-R", "ssh", "-S", "-w", "127.0.0.1,localhost",
                               "echo out; exit 3", env=env)
        self.assertEqual(result.code, 3, result)
        self.assertEqual(sorted(result.out.split("\n")), ["", "127.0.0.1: out", "localhost: out"])
        tree = self.tree()
        os.mkdir(self.path("there"))
        result = self.run_tool("pdcp", "-R", "ssh", "-r", "-w", "127.0.0.1", tree, self.path("there"),
                               env=env)
        self.assertEqual(result.code, 0, result)
        self.same(tree, self.path("there/tree"))


class Pssh(ToolCase):
    tools = ("parallel-ssh", "parallel-scp")

    def test_commands_and_copies(self):
        result = self.run_tool("parallel-ssh", "-H", f"127.0.0.1:{self.port}", "-i",
                               "echo out; echo err >&2; exit 3")
        self.assertEqual(result.code, 5, result)
        self.assertIn("out\nStderr: err", result.out)
        self.write("file", "content\n")
        result = self.run_tool("parallel-scp", "-H", f"127.0.0.1:{self.port}", "-x", f"-S {self.ssh}",
                               self.path("file"), self.path("there"))
        self.assertEqual(result.code, 0, result)
        self.same(self.path("file"), self.path("there"))

    def test_an_unreachable_host_differs_from_a_failed_command(self):
        result = self.run_tool("parallel-ssh", "-H", "127.0.0.1:1", "-i", "true")
        self.assertIn("255", result.out, result)
        self.assertIn("Connection refused", result.out, result)

    def test_a_client_killed_by_timeout_leaves_nothing_running(self):
        result = self.run_tool("parallel-ssh", "-H", f"127.0.0.1:{self.port}", "-t", "2",
                               f"echo $$ > {self.path('pid')}; exec sleep 1000")
        self.assertNotEqual(result.code, 0, result)
        pid = int(self.read("pid"))
        wait_until(lambda: not is_alive(pid), "the command to end")


class Loops(ToolCase):
    def test_while_read_needs_n_and_keeps_its_lines(self):
        result = self.shell(f"printf '1\\n2\\n3\\n' | while read i; do {self.rsh} -n 127.0.0.1 echo $i;"
                            " done")
        self.assertEqual(result.out, "1\n2\n3\n")
        # Without it the first command reads the rest of stdin, as with ssh.
        result = self.shell(f"printf '1\\n2\\n3\\n' | while read i; do {self.rsh} 127.0.0.1 cat; done")
        self.assertEqual(result.out, "2\n3\n")

    def test_xargs_many_at_once(self):
        result = self.shell(f"seq 20 | xargs -P 10 -I@ {self.rsh} 127.0.0.1 echo @ | sort -n")
        self.assertEqual(result.out, "".join(f"{i}\n" for i in range(1, 21)))

    def test_pipes_files_and_a_closed_stdin(self):
        self.write("in", "file\n")
        self.assertEqual(self.shell(f"{self.rsh} 127.0.0.1 cat < in").out, "file\n")
        self.assertEqual(self.shell(f"echo pipe | {self.rsh} 127.0.0.1 cat").out, "pipe\n")
        self.assertEqual(self.shell(f"{self.rsh} 127.0.0.1 cat <&-").out, "")
        self.shell(f"{self.rsh} 127.0.0.1 'echo out' > out")
        self.assertEqual(self.read("out"), b"out\n")

    def test_a_child_whose_streams_are_redirected_outlives_a_normal_end(self):
        for name in ("ssh", "frsh"):
            path = self.path("pid-" + name)
            result = self.good(name, "-p", self.port, "127.0.0.1",
                               f"nohup sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > {path}")
            self.assertEqual((result.out, result.err), ("", ""))
            with open(path) as file:
                pid = int(file.read())
            self.assertTrue(is_alive(pid), name)
            subprocess.run(["kill", str(pid)], check=True)

    def test_called_ssh_it_waits_for_holders_of_the_output(self):
        # frsh ends after two seconds of silence; ssh, and what is called so, never does.
        process = self.popen("ssh", "-p", self.port, "127.0.0.1", "sleep 4 & echo first; exit 3")
        out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out, err), (3, b"first\n", b""))


if __name__ == "__main__":
    main()
