"""A worker of ClusterShell that runs commands through frsh: clush -R frsh_clush -w host[1-9] uname

With FRSH_RUN_ID=job7 in the environment, each host's run has the id "job7-HOST" and is kept on the
host. The same call again prints what ended and begins only what never began. FRSH names the
program, with options if needed ("frsh"). The options of `clush -o`, `-l` and `-t` are ssh's, and so
are frsh's.
"""

import hashlib
import os
import re
import shlex

from ClusterShell.Worker.Exec import ExecWorker
from ClusterShell.Worker.Ssh import ScpClient, SshClient


def program():
    return shlex.split(os.environ.get("FRSH", "frsh"))


def own_options(host):
    name = os.environ.get("FRSH_RUN_ID")
    if not name:
        return []
    # A run id has at most 64 characters, and no colon.
    run = name + "-" + re.sub(r"[^A-Za-z0-9._-]", "_", host)
    if len(run) > 64:
        run = name[:30] + "-" + hashlib.sha256(run.encode()).hexdigest()[:32]
    return ["--run-id", run]


class FrshClient(SshClient):
    def _build_cmd(self):
        words, env = super()._build_cmd()
        path = shlex.split(self.worker.task.info("ssh_path") or "ssh")
        return program() + own_options(str(self.key)) + words[len(path):], env


class FrshCopyClient(ScpClient):
    def _build_cmd(self):
        words, env = super()._build_cmd()
        return [words[0], "-S", program()[0]] + words[1:], env


class FrshWorker(ExecWorker):
    SHELL_CLASS = FrshClient
    COPY_CLASS = FrshCopyClient


WORKER_CLASS = FrshWorker
