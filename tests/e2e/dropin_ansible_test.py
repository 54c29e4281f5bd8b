"""Ansible with frsh in the place of ssh, set up as in frsh-ssh(7)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase  # noqa: E402
from harness import main  # noqa: E402


class Ansible(ToolCase):
    tools = ("ansible", "ansible-playbook")

    def setUp(self):
        super().setUp()
        self.write("inventory", (
            f"box ansible_host=127.0.0.1 ansible_port={self.port}\n"
            "down ansible_host=127.0.0.1 ansible_port=1\n"
            "[all:vars]\nansible_ssh_executable=frsh\nansible_sftp_extra_args='-S frsh'\n"
            "ansible_scp_extra_args='-S frsh'\nansible_python_interpreter=/usr/bin/python3\n"
            f"ansible_remote_tmp={self.path('remote')}\n"))
        self.own = {"ANSIBLE_LOCAL_TEMP": self.path("tmp"), "ANSIBLE_HOME": self.path("home"),
                    "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": self.write("ansible.cfg", "[defaults]\n"),
                    "ANSIBLE_RETRIES": "0", "ANSIBLE_SSH_RETRIES": "0"}

    def ansible(self, *words, env=None):
        return self.run_tool("ansible", "-i", "inventory", *words, env={**self.own, **(env or {})})

    def test_ping_and_a_host_that_cannot_be_reached(self):
        result = self.ansible("all", "-m", "ping")
        self.assertEqual(result.code, 4, result)
        self.assertIn('"ping": "pong"', result.out)
        self.assertIn("down | UNREACHABLE!", result.out)
        self.assertIn("Connection refused", result.out)
        self.assertNotIn("WARNING", result.err)

    def test_a_command_and_its_code(self):
        result = self.ansible("box", "-m", "shell", "-a", "echo \"it's\" '$HOME'; exit 3")
        self.assertIn("it's $HOME", result.out, result)
        self.assertIn("rc=3", result.out)
        self.assertEqual(result.code, 2, result)

    def test_copies_in_three_ways(self):
        self.write("file", os.urandom(500_000))
        for way in ("sftp", "scp", "piped"):
            target = self.path("copy-" + way)
            result = self.ansible("box", "-m", "copy", "-a", f"src=file dest={target}",
                                  env={"ANSIBLE_SSH_TRANSFER_METHOD": way})
            self.assertEqual(result.code, 0, result)
            self.same(self.path("file"), target)

    def test_a_playbook_pipelined(self):
        self.write("play.yml", (
            "- hosts: box\n  gather_facts: false\n  tasks:\n"
            f"  - command: echo out\n    register: said\n"
            f"  - copy: {{content: '{{{{ said.stdout }}}}', dest: '{self.path('made')}'}}\n"
            f"  - file: {{path: '{self.path('folder')}', state: directory}}\n"
            f"  - shell: sleep 1; echo async > {self.path('async')}\n    async: 30\n    poll: 1\n"))
        result = self.run_tool("ansible-playbook", "-i", "inventory", "play.yml",
                               env={**self.own, "ANSIBLE_PIPELINING": "1"})
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.read("made"), b"out")
        self.assertEqual(self.read("async"), b"async\n")


if __name__ == "__main__":
    main()
