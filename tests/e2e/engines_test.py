"""Engines that run many hosts, through frsh: ansible with its connection plugin."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from dropin import ToolCase, need  # noqa: E402
from harness import main  # noqa: E402

CLIENT = os.path.join(HERE, "../../client")


class AnsibleConnection(ToolCase):
    tools = ("ansible",)

    def setUp(self):
        super().setUp()
        self.write("inventory", (
            f"box ansible_host=127.0.0.1 ansible_port={self.port}\n"
            "down ansible_host=127.0.0.1 ansible_port=1\n"
            "[all:vars]\nansible_connection=frsh\nansible_python_interpreter=/usr/bin/python3\n"
            f"ansible_remote_tmp={self.path('remote')}\n"))
        self.own = {"ANSIBLE_LOCAL_TEMP": self.path("tmp"), "ANSIBLE_HOME": self.path("home"),
                    "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FRSH_RETRIES": "0",
                    "ANSIBLE_CONFIG": self.write("ansible.cfg", "[defaults]\n"),
                    "ANSIBLE_CONNECTION_PLUGINS": os.path.join(CLIENT, "ansible")}

    def ansible(self, *words, env=None):
        return self.run_tool("ansible", "-i", "inventory", *words, env={**self.own, **(env or {})})

    def test_a_ping_and_a_host_that_is_down(self):
        result = self.ansible("all", "-m", "ping")
        self.assertEqual(result.code, 4, result)
        self.assertIn('"ping": "pong"', result.out)
        self.assertIn("down | UNREACHABLE!", result.out)
        self.assertIn("Connection refused", result.out)

    def test_255_of_a_command_is_failed_and_not_unreachable(self):
        for pipelining in ("0", "1"):
            result = self.ansible("box", "-m", "raw", "-a", "echo out; exit 255",
                                  env={"ANSIBLE_PIPELINING": pipelining})
            self.assertIn("box | FAILED | rc=255", result.out, result)
            self.assertEqual(result.code, 2, result)

    def test_files_arrive_whole_both_ways(self):
        data = os.urandom(300_000)
        self.write("file", data)
        for pipelining in ("0", "1"):
            result = self.ansible("box", "-m", "copy", "-a",
                                  f"src=file dest={self.path('copy' + pipelining)}",
                                  env={"ANSIBLE_PIPELINING": pipelining})
            self.assertEqual(result.code, 0, result)
            with open(self.path("copy" + pipelining), "rb") as file:
                self.assertEqual(data, file.read())
        result = self.ansible("box", "-m", "fetch", "-a",
                              f"src={self.path('file')} dest={self.path('back')} flat=yes")
        self.assertEqual(result.code, 0, result)
        with open(self.path("back"), "rb") as file:
            self.assertEqual(data, file.read())


class Recipes(ToolCase):
    """The recipes of frsh-engines(7)."""

    def test_gnu_parallel(self):
        need("parallel")
        result = self.run_tool("parallel", "--tag", "frsh", "-p", self.port, "{}",
                               "'echo $((6*7)); exit 3'", ":::", "127.0.0.1", "localhost-typo.invalid",
                               env={"PARALLEL_HOME": self.path("parallel")})
        self.assertIn("127.0.0.1\t42\n", result.out, result)
        self.assertIn("localhost-typo.invalid", result.err)
        self.assertEqual(result.code, 2, result)

    def test_clush(self):
        need("clush")
        result = self.run_tool("clush", "-R", "exec", "-S", "-w", "127.0.0.1", "frsh", "-p", self.port,
                               "%h", "echo $((6*7)); exit 3")
        self.assertIn("127.0.0.1: 42\n", result.out, result)
        self.assertEqual(result.code, 3, result)

    def test_pdsh(self):
        need("pdsh")
        result = self.run_tool("pdsh", "-R", "exec", "-w", "127.0.0.1", "frsh", "-p", self.port, "%h",
                               "echo here")
        self.assertIn("127.0.0.1: here\n", result.out, result)

class Clush(ToolCase):
    """The worker of ClusterShell."""

    tools = ("clush",)

    def clush(self, *words, env=None):
        known = {"PYTHONPATH": os.path.join(CLIENT, "clush"), "FRSH": f"frsh -p {self.port}"}
        return self.run_tool("clush", "-R", "frsh_clush", *words, env={**known, **(env or {})})

    def test_a_worker_runs_the_command_on_each_host(self):
        result = self.clush("-S", "-w", "127.0.0.1", "echo $((6*7)); echo err >&2; exit 3")
        self.assertEqual((3, "127.0.0.1: 42\n"), (result.code, result.out), result)
        self.assertIn("127.0.0.1: err\n", result.err)
        result = self.clush("-S", "-w", "localhost-typo.invalid", "true")
        self.assertEqual(255, result.code)
        self.assertIn("localhost-typo.invalid", result.err)

    def test_f8_a_repeated_call_begins_only_what_never_began(self):
        count = self.path("count")
        command = f"echo x >>{count}; echo out; exit 4"
        for _ in range(2):
            result = self.clush("-S", "-w", "127.0.0.1", command, env={"FRSH_RUN_ID": "job7"})
            self.assertEqual((4, "127.0.0.1: out\n"), (result.code, result.out), result)
        # By another name the server is another host, which has not run it.
        result = self.clush("-o", "-oStrictHostKeyChecking=no", "-S", "-w", "127.0.0.1,localhost", command,
                            env={"FRSH_RUN_ID": "job7"})
        self.assertEqual(4, result.code, result)
        self.assertEqual(["127.0.0.1: out", "localhost: out"], sorted(result.out.splitlines()))
        self.assertEqual(b"x\nx\n", self.read("count"))

    def test_a_worker_copies_files(self):
        self.write("file", os.urandom(100_000))
        result = self.clush("-o", f"-P {self.port}", "-w", "127.0.0.1", "--copy", "file", "--dest",
                            self.path("copy"))
        self.assertEqual(0, result.code, result)
        self.assertEqual(self.read("file"), self.read("copy"))


if __name__ == "__main__":
    main()
