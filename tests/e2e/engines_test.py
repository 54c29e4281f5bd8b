"""Engines that run many hosts, through frsh: ansible with its connection plugin."""

import contextlib
import os
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from dropin import ToolCase, need  # noqa: E402
from harness import PATIENCE, below, main, process_table, wait_until  # noqa: E402

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


    def lines_of(self, name):
        return len(self.read(name).splitlines())

    def clients(self, process):
        """Returns the pids of the commands' frsh below ansible, with the words of each."""
        found = []
        for stat in below(process.pid, process_table()):
            with contextlib.suppress(OSError), open(f"/proc/{stat.pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
                if stat.name == "frsh" and b"--status-fd" in words:
                    found.append((stat.pid, words))
        return found

    def begin_task(self, env=None):
        """Starts a task that counts its starts, and waits in the pipe `gate`."""
        os.mkfifo(self.path("gate"))
        command = f"echo x >>{self.path('count')}; read word <{self.path('gate')}; echo got $word; exit 3"
        process = self.popen("ansible", "-i", "inventory", "box", "-m", "raw", "-a", command,
                             env={**self.own, **(env or {})})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(lambda: os.path.exists(self.path("count")), "the task to begin")
        return process

    def open_gate(self):
        with open(self.path("gate"), "w") as file:
            file.write("word\n")

    def test_f8_a_task_whose_client_was_killed_runs_once(self):
        process = self.begin_task({"ANSIBLE_FRSH_SHARE": "0s", "ANSIBLE_FRSH_RETRIES": "2"})
        (pid, words), = self.clients(process)
        self.assertIn(b"--run-id", words)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: [one for one, _ in self.clients(process) if one != pid], "the second client")
        self.open_gate()
        out, err = process.communicate(timeout=2 * PATIENCE)
        self.assertIn(b"box | FAILED | rc=3", out, err)
        self.assertIn(b"got word", out)
        self.assertEqual(1, self.lines_of("count"))

    def test_f8_a_task_over_a_cut_link_runs_once(self):
        proxy = CuttingProxy(int(self.port), lambda n: Fate("reset", down=25_000) if n < 3 else None)
        self.addCleanup(proxy.close)
        self.assertEqual(0, self.run_tool("frsh", "--trust", "-p", str(proxy.port), "127.0.0.1").code)
        command = f"echo x >>{self.path('count')}; seq 20000; exit 3"
        result = self.run_tool("ansible", "-i", "inventory", "box", "-m", "raw", "-a", command, "-e",
                               f"ansible_port={proxy.port}", env=self.own)
        self.assertIn("box | FAILED | rc=3", result.out[:200], result)
        self.assertIn("\n19999\n20000\n", result.out.replace("\r", ""))
        self.assertEqual(1, self.lines_of("count"))
        self.assertGreater(proxy.count, 3)

    def test_f8_a_lost_task_of_a_shared_link_is_unreachable_and_not_repeated(self):
        process = self.begin_task({"ANSIBLE_FRSH_RETRIES": "2"})
        (pid, words), = self.clients(process)
        self.assertNotIn(b"--run-id", words)
        os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=2 * PATIENCE)
        self.assertIn(b"box | UNREACHABLE!", out, err)
        self.assertEqual(1, self.lines_of("count"))

    def test_all_tasks_of_a_host_use_one_login(self):
        self.end_holders()
        before = self.server.text().count("key of")
        for share, logins in (("60s", 1), ("0s", 3)):
            play = self.write("play.yml", (
                "- hosts: box\n  gather_facts: no\n  tasks:\n"
                + "".join(f"    - command: echo {n}\n" for n in range(3))))
            result = self.run_tool("ansible-playbook", "-i", "inventory", play,
                                   env={**self.own, "ANSIBLE_FRSH_SHARE": share})
            self.assertEqual(0, result.code, result)
            self.assertRegex(result.out, "ok=3 +changed=3")
            after = self.server.text().count("key of")
            self.assertEqual(logins, after - before)
            before = after

    def test_hosts_run_side_by_side(self):
        hosts = [f"box{n}" for n in range(6)]
        self.write("inventory", "".join(
            f"{host} ansible_host=127.0.0.1 ansible_port={self.port}\n" for host in hosts)
            + "[all:vars]\nansible_connection=frsh\nansible_python_interpreter=/usr/bin/python3\n")
        # Each waits for all others, so they must run at once.
        command = (f"touch {self.path('here-')}$$; until test $(ls {self.work} | grep -c here-) = 6; "
                   "do sleep 0.05; done; echo all-here")
        result = self.run_tool("ansible", "-i", "inventory", "-f", "6", "all", "-m", "raw", "-a", command,
                               env=self.own)
        self.assertEqual((0, 6), (result.code, result.out.count("\nall-here")), result)

    def test_become_gives_its_password_and_refuses_a_wrong_one(self):
        sudo = self.write("sudo", (
            '#!/bin/bash\nwhile getopts HSnEp:u: option; do test $option = p && prompt=$OPTARG; done\n'
            'shift $((OPTIND - 1))\nprintf %s "$prompt" >&2; IFS= read -r word\n'
            'test "$word" = secret || { echo "Sorry, try again." >&2; exit 1; }\n'
            'BECAME=yes exec "$@"\n'))
        os.chmod(sudo, 0o755)
        for pipelining in ("0", "1"):
            for word, code in (("secret", 0), ("wrong", 2)):
                result = self.ansible("box", "-b", "-m", "command", "-a", "printenv BECAME", "-e",
                                      f"ansible_become_pass={word} ansible_become_exe={sudo}",
                                      env={"ANSIBLE_PIPELINING": pipelining})
                self.assertEqual(code, result.code, result)
                self.assertEqual(word == "secret", "rc=0 >>\nyes" in result.out, result)


class Recipes(ToolCase):
    """The recipes of frsh-engines(7)."""

    def test_programs_that_start_frshd_where_the_command_is_to_run(self):
        """Stand-ins for srun, kubectl and nomad check their words and start the rest."""
        frshd = os.path.join(os.path.dirname(os.path.realpath(self.ssh)), "frshd")
        os.makedirs(self.path("bin"))
        os.symlink(frshd, self.path("bin", "frshd"))
        own = {"PATH": self.path("bin") + ":" + self.env["PATH"]}
        with open(os.path.join(CLIENT, "man/frsh-engines.7")) as file:
            recipes = re.findall(r"^frsh --via '(.+)' (\w+) make$", file.read(), re.M)
        self.assertEqual(["srun", "kubectl", "nomad"], [recipe.split()[0] for recipe, _ in recipes])
        for recipe, target in recipes:
            program, *words = recipe.split()
            at = words.index("frshd")
            wanted = " ".join(words)
            script = self.write(f"bin/{program}", (
                f'#!/bin/sh\ntest "$(echo $*)" = "{wanted}" || exit 9\n'
                f"shift {at}\nSTARTED_BY={program} exec \"$@\"\n"))
            os.chmod(script, 0o755)
            result = self.run_tool("frsh", "--via", recipe, target,
                                   "tr '\\0' '\\n' </proc/$PPID/environ | grep ^STARTED_BY; cat; exit 5",
                                   stdin=b"in\n", env=own)
            self.assertEqual((5, f"STARTED_BY={program}\nin\n", ""),
                             (result.code, result.out, result.err), result)

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
