"""An sshd whose verdict about a login is the oracle for frshd's."""

import os
import socket
import subprocess
import threading

SSHD = "/usr/sbin/sshd"


class Oracle:
    """Listens on a free port, and starts an sshd for each connection.

    The connection is its stdin and stdout. So each login reads the configuration again."""

    def __init__(self, config, *options, prefix=()):
        self.command = [*prefix, SSHD, "-i", "-f", config, *options]
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.children = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                self.children.append(subprocess.Popen(self.command, stdin=connection, stdout=connection,
                                                      stderr=subprocess.DEVNULL))

    def login(self, user, key, *words, home, command="echo in"):
        """Returns whether a login with this key alone runs the command, and what it prints."""
        words = ["ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                 *words, "-p", str(self.port), f"{user}@127.0.0.1"]
        words += [command] if command else []
        result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                env={"PATH": os.environ["PATH"], "HOME": home})
        return result.returncode == 0, result.stdout

    def end(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for child in self.children:
            child.terminate()
            child.wait()
