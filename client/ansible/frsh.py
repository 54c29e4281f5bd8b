"""Connects ansible through frsh: `ansible -c frsh`."""

DOCUMENTATION = """
    name: frsh
    short_description: connect through frsh
    description:
        - Runs commands and copies files through the program frsh, over one login for each host. A
          connection that breaks is resumed with its commands; none is started twice.
        - The exit code of a command is a result, also 255. Only a lost run, or a failure of frsh
          itself, makes a host unreachable.
    author: The frsh authors
    options:
        pipelining:
            description:
                - A module is passed to the remote Python through stdin, and no file is copied first.
                  frsh gives such a command no terminal, so it is on where ssh needs a setting.
            type: bool
            default: true
            env: [{name: ANSIBLE_PIPELINING}, {name: ANSIBLE_FRSH_PIPELINING}]
            ini:
                - {section: defaults, key: pipelining}
                - {section: connection, key: pipelining}
            vars: [{name: ansible_pipelining}, {name: ansible_frsh_pipelining}]
        share:
            description:
                - How long the link to a host is kept for further commands after its last one.
                - Commands through such a link have no id. A link that is cut resumes by itself, and
                  the run with it. A command that is lost all the same is not asked for again,
                  since it may have run; the host is unreachable then.
                - C(0s) gives each command a login and an id of its own.
            default: 60s
            env: [{name: ANSIBLE_FRSH_SHARE}]
            vars: [{name: ansible_frsh_share}]
        host:
            description: The target.
            default: inventory_hostname
            vars: [{name: inventory_hostname}, {name: ansible_host}, {name: ansible_frsh_host}]
        port:
            description: The port of the target.
            type: int
            vars: [{name: ansible_port}, {name: ansible_frsh_port}]
        remote_user:
            description: The user to log in as.
            vars: [{name: ansible_user}, {name: ansible_frsh_user}]
        frsh_executable:
            description: The program frsh.
            default: frsh
            env: [{name: ANSIBLE_FRSH_EXECUTABLE}]
            vars: [{name: ansible_frsh_executable}]
        frsh_args:
            description: Further options of frsh, such as C(--via COMMAND).
            default: ''
            env: [{name: ANSIBLE_FRSH_ARGS}]
            vars: [{name: ansible_frsh_args}]
        retries:
            description:
                - How often a command that did not begin is asked for again. Without C(share) a lost
                  one is, too, under the same id.
            type: int
            default: 2
            env: [{name: ANSIBLE_FRSH_RETRIES}]
            vars: [{name: ansible_frsh_retries}]
"""

import hashlib
import json
import os
import secrets
import selectors
import shlex
import subprocess
import threading

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_bytes, to_native
from ansible.plugins.connection import ConnectionBase

# After one of these stages, asking again can help.
PASSING = ("resolve", "connect", "busy")


class Connection(ConnectionBase):
    transport = "frsh"
    has_pipelining = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._name = secrets.token_hex(16)
        self._count = 0

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        self._connected = False

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        prompts = bool(sudoable and self.become and self.become.expect_prompt())
        code, out, err = self._run(to_bytes(cmd), in_data or b"", prompts)
        return code, out, err

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        try:
            with open(to_bytes(in_path), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise AnsibleFileNotFound(f"{to_native(in_path)}: no such file") from None
        target = shlex.quote(to_native(out_path))
        code, out, err = self._run(to_bytes(f"cat > {target} && sha256sum < {target}"), data)
        self._compare(code, out.split(b" ")[0], data, err, out_path)

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        source = shlex.quote(to_native(in_path))
        code, data, err = self._run(to_bytes(f"cat < {source} && sha256sum < {source} >&2"), b"")
        self._compare(code, err.split(b" ")[0], data, err, in_path)
        with open(to_bytes(out_path), "wb") as file:
            file.write(data)

    @staticmethod
    def _compare(code, digest, data, err, path):
        if code != 0:
            raise AnsibleError(f"{to_native(path)}: {to_native(err).strip() or code}")
        if digest != hashlib.sha256(data).hexdigest().encode():
            raise AnsibleError(f"{to_native(path)}: the checksums of the two copies differ")

    def _run(self, command, data, prompts=False):
        """Returns code, stdout and stderr. Asks for a lost run again, under its id."""
        self._count += 1
        host = self.get_option("host")
        text = f"{self._name} {host} {self._count}".encode()
        name = "ansible-" + hashlib.sha256(text).hexdigest()[:32]
        for left in range(self.get_option("retries"), -1, -1):
            record, code, out, err = self._once(name, command, data, prompts)
            outcome = (record or {}).get("outcome", {"kind": "lost"})
            is_same_run = outcome["kind"] == "lost" and not self._shares()
            passes = is_same_run or outcome.get("stage") in PASSING
            if outcome["kind"] in ("exited", "signaled", "timed_out"):
                return code, out, err
            if not passes or left == 0:
                break
        raise AnsibleConnectionFailure(to_native(err).strip() or f"frsh: {outcome}")

    def _shares(self):
        return self.get_option("share").strip("0") not in ("", "s", "ms", "m", "h")

    def _words(self, name, record_fd):
        words = [self.get_option("frsh_executable"), "--status-fd", str(record_fd),
                 "-o", "BatchMode=yes"]
        # A run with an id may be that of an earlier session, which a shared link cannot reach.
        words += ["--share=" + self.get_option("share")] if self._shares() else ["--run-id", name]
        if self.get_option("port"):
            words += ["-p", str(self.get_option("port"))]
        if self.get_option("remote_user"):
            words += ["-l", self.get_option("remote_user")]
        return words + shlex.split(self.get_option("frsh_args")) + [self.get_option("host")]

    def _once(self, name, command, data, prompts):
        read_end, write_end = os.pipe()
        try:
            process = subprocess.Popen(
                [to_bytes(word) for word in self._words(name, write_end)] + [command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                pass_fds=[write_end])
        finally:
            os.close(write_end)
        found = []
        with os.fdopen(read_end, "rb") as records:
            reader = threading.Thread(target=lambda: found.append(records.read()))
            reader.start()
            seen = self._give_password(process) if prompts else {}
            out, err = process.communicate(data)
            reader.join()
        line = found[0].strip() if found else b""
        return (json.loads(line) if line else None, process.returncode,
                seen.get("stdout", b"") + out, seen.get("stderr", b"") + err)

    def _give_password(self, process):
        """Reads up to the prompt for the password of become, or to its success."""
        seen = {"stdout": b"", "stderr": b""}
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, "stdout")
            selector.register(process.stderr, selectors.EVENT_READ, "stderr")
            while selector.get_map():
                ready = selector.select(self._play_context.timeout)
                if not ready:
                    process.kill()
                    raise AnsibleError("timeout: no prompt for the password of become")
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    seen[key.data] += data
                    if self.become.check_success(seen[key.data]):
                        return seen
                    if self.become.check_password_prompt(seen[key.data]):
                        password = self.become.get_option("become_pass",
                                                          playcontext=self._play_context)
                        process.stdin.write(to_bytes(password or "") + b"\n")
                        process.stdin.flush()
                        return seen
        return seen
