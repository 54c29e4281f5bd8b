"""Real machines: agents full of keys, homes that cannot be written, files of other modes."""

import contextlib
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import BIN, environment, main, needs_root, programs_for_others, wait_until  # noqa: E402
from tls import ROOT, TlsCase, make_folder, make_key, ssh_agent, write  # noqa: E402


def public_of(line):
    return " ".join(line.split()[:2])


class Keys(TlsCase):
    def add(self, socket_path, *keys):
        subprocess.run(["ssh-add", "-q", *keys], env=dict(os.environ, SSH_AUTH_SOCK=socket_path), check=True,
                       stdin=subprocess.DEVNULL)

    def test_every_key_of_a_full_agent_is_offered(self):
        client, _ = self.trusting()
        path = os.path.join(client.home, "agent")
        keys, lines = [], []
        for number in range(14):
            keys.append(os.path.join(client.home, f"key-{number:02}"))
            lines.append(make_key(keys[-1]))
        client.env["SSH_AUTH_SOCK"] = path
        with ssh_agent(path, keys[0]):
            self.add(path, *keys[1:])
            for number in (6, 13, 0):
                # The key that worked last is remembered there.
                shutil.rmtree(os.path.join(client.runtime, "state"), True)
                self.authorize(lines[number])
                result = client.run(self.target, "echo hi")
                self.assertEqual((result.code, result.out), (0, b"hi\n"), (number, result))
            shutil.rmtree(os.path.join(client.runtime, "state"), True)
            self.authorize("")
            result = client.run(self.target, "true")
            self.one_line(result, "no key was accepted")
            self.assertEqual(result.err.count("(ssh-agent)"), 14)

    def test_a_public_key_file_names_a_key_of_the_agent(self):
        client, _ = self.trusting()
        path, key = os.path.join(client.home, "agent"), os.path.join(client.home, "key")
        self.authorize(make_key(key))
        client.env["SSH_AUTH_SOCK"] = path
        with ssh_agent(path, key):
            os.unlink(key)
            for name in (key + ".pub", key):
                result = client.run("-i", name, self.target, "echo hi")
                self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), result)
        result = client.run("-i", key + ".pub", self.target, "true")
        self.assertEqual(result.code, 255, result)
        self.assertIn(f"{key}.pub: only a public key", result.err)

    def test_a_missing_key_file_is_a_warning(self):
        client, line = self.trusting()
        self.authorize(line)
        missing = os.path.join(client.home, "none")
        for words in (["-i", missing], ["-oIdentityFile=" + missing]):
            result = client.run(*words, self.target, "echo hi")
            self.assertEqual((result.code, result.out), (0, b"hi\n"), result)
            self.assertEqual(result.err, f"frsh: warning: {missing}: no such key file\n")

    def test_a_key_of_root_that_the_group_may_read_is_used_as_root(self):
        needs_root(self)
        client, line = self.trusting()
        self.authorize(line)
        key = os.path.join(client.home, ".ssh/id_ed25519")
        os.chmod(key, 0o440)
        os.chown(key, 0, 65534)
        os.chmod(self.folder, 0o755)
        for folder in (client.home, client.runtime, os.path.dirname(client.home), os.path.dirname(key)):
            os.chmod(folder, 0o755)
        result = subprocess.run(
            [programs_for_others(self) + "/frsh", "-l", "root", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-i", key, self.target,
             "echo hi"], capture_output=True, user=65534, group=65534, extra_groups=[], stdin=subprocess.DEVNULL,
            env=environment("/nowhere", HOME="/nonexistent"))
        self.assertEqual((result.returncode, result.stdout), (0, b"hi\n"), result)

    def on_terminal(self, client, *words):
        """Starts the client on a terminal of its own; returns the process and the terminal."""
        master, slave = pty.openpty()

        def own_terminal():
            import fcntl
            import termios
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        process = client.popen(*words, stdin=slave, stderr=slave, preexec_fn=own_terminal)
        os.close(slave)
        self.addCleanup(os.close, master)
        return process, master

    def finish(self, process, master):
        """Reads on meanwhile: changing a terminal's modes waits until its output has been read."""
        def drain():
            with contextlib.suppress(OSError):
                while os.read(master, 4096):
                    pass
        threading.Thread(target=drain, daemon=True).start()
        return process.communicate(timeout=30)[0]

    def read_until(self, master, words, seen=b""):
        while not re.search(words, seen):
            seen += os.read(master, 4096)
        return seen

    def test_a_passphrase_has_three_attempts_and_names_the_file(self):
        client, _ = self.trusting()
        path = os.path.join(client.home, "locked")
        self.authorize(make_key(path, passphrase="sesame"))
        process, master = self.on_terminal(client, "-i", path, self.target, "echo hi")
        for answer in (b"one\n", b"two\n", b"sesame\n"):
            seen = self.read_until(master, b"Enter passphrase[^:]*: ?")
            self.assertIn(path.encode(), seen)
            os.write(master, answer)
        out = self.finish(process, master)
        self.assertEqual((process.returncode, out), (0, b"hi\n"))
        # Ctrl-C at the question.
        process, master = self.on_terminal(client, "-i", path, self.target, "echo hi")
        self.read_until(master, b"Enter passphrase[^:]*: ?")
        # ssh-keygen misses a Ctrl-C that comes between its prompt and its read(2), so repeat it.
        wait_until(lambda: os.write(master, b"\x03") and process.poll() is not None, "the end")
        self.assertEqual((process.returncode, self.finish(process, master)), (130, b""))

    def test_y_is_asked_again(self):
        client = self.stranger()
        self.authorize(make_key(os.path.join(client.home, ".ssh/id_ed25519")))
        process, master = self.on_terminal(client, self.target, "echo hi")
        self.read_until(master, rb"\(yes/no/fingerprint\) ")
        os.write(master, b"y\n")
        self.read_until(master, b"Please type")
        os.write(master, b"yes\n")
        out = self.finish(process, master)
        self.assertEqual((process.returncode, out), (0, b"hi\n"))


class Hosts(TlsCase):
    def test_a_host_that_ssh_knows_by_another_key_is_not_new(self):
        client = self.stranger()
        self.authorize(make_key(os.path.join(client.home, ".ssh/id_ed25519")))
        known = os.path.join(client.home, ".ssh/known_hosts")
        for kind in ("ed25519", "ecdsa"):
            other = public_of(make_key(os.path.join(client.home, "other-" + kind), kind=kind))
            for name in ("127.0.0.1", f"[127.0.0.1]:{self.server.port}"):
                write(known, f"{name} {other}\n")
                for words in (["--accept-new"], ["-oStrictHostKeyChecking=no"], ["-oStrictHostKeyChecking=accept-new"]):
                    result = client.run(*words, self.target, "true")
                    self.one_line(result, "HOST KEY HAS CHANGED", known + ":1", "--trust")
                self.one_line(client.run("--trust", self.target), "HOST KEY HAS CHANGED")
        self.assertFalse(os.path.exists(os.path.join(client.home, ".config/frsh/known_hosts")))
        # The given fingerprint is the user's confirmation.
        self.assertEqual(client.run("--trust", self.target, self.server.fingerprint()).code, 0)
        self.assertEqual(client.run("--accept-new", self.target, "echo hi").out, b"hi\n")

    def test_a_known_hosts_file_that_cannot_be_written_is_a_warning(self):
        client = self.stranger()
        self.authorize(make_key(os.path.join(client.home, ".ssh/id_ed25519")))
        # A file where a folder should be stops root, too.
        write(os.path.join(client.home, ".config"), "no folder")
        own = os.path.join(client.home, ".config/frsh/known_hosts")
        result = client.run("--accept-new", self.target, "echo hi")
        self.assertEqual((result.code, result.out), (0, b"hi\n"), result)
        self.assertIn(f"is not added to {own}", result.err)
        self.assertIn(self.server.fingerprint(), result.err)
        # --trust has nothing else to do.
        result = client.run("--trust", self.target)
        self.assertEqual(result.code, 255, result)
        self.assertIn(".config", result.err)

    def test_a_server_of_another_kind_is_named_with_the_probable_cause(self):
        for words, said in ((b"\0\0\0\0", "0 bytes|no bytes|header"), (b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00", "TLS"),
                            (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"), (b"\x01\x02\x03\x04garbage", "TLS")):
            with socket.create_server(("127.0.0.1", 0)) as listening:
                def serve():
                    connection, _ = listening.accept()
                    connection.recv(10)
                    connection.sendall(words)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(100000)
                    connection.close()
                thread = threading.Thread(target=serve)
                thread.start()
                place = f"127.0.0.1:{listening.getsockname()[1]}"
                result = self.stranger().run(place, "true")
                thread.join()
            self.one_line(result, place)
            self.assertRegex(result.err, said)
            self.assertRegex(result.err, "probably|not as frsh|is not frsh|closed")


class Folders(unittest.TestCase):
    """The folders of `frsh local`."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="frsh-folders-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.home = make_folder(self.folder, "home")

    def run_local(self, *words, prefix=(), programs=BIN, **env):
        # A folder of its own, without the state of other tests.
        return subprocess.run([*prefix, programs + "/frsh", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={"PATH": programs + ":/usr/bin:/bin", "HOME": self.home, **env}, timeout=60)

    def test_a_runtime_folder_of_another_form_is_not_used(self):
        long_folder = make_folder(self.folder, "x" * 80, "y" * 20)
        for runtime in (long_folder, os.path.join(self.folder, "none"), "relative", "/proc/1"):
            result = self.run_local("local", "echo hi", XDG_RUNTIME_DIR=runtime, XDG_STATE_HOME=self.folder)
            self.assertEqual((result.returncode, result.stdout), (0, "hi\n"), (runtime, result))
            result = self.run_local("--runs", "local", XDG_RUNTIME_DIR=runtime, XDG_STATE_HOME=self.folder)
            self.assertEqual((result.returncode, result.stderr), (0, ""), (runtime, result))

    def test_the_runtime_folder_of_another_user_is_neither_used_nor_filled_as_root(self):
        needs_root(self)
        theirs = make_folder(self.folder, "theirs")
        os.chown(theirs, 65534, 65534)
        result = self.run_local("--shell", "x", "local", "echo hi", XDG_RUNTIME_DIR=theirs, XDG_STATE_HOME=self.folder)
        self.assertEqual((result.returncode, result.stdout), (0, "hi\n"), result)
        self.assertEqual(os.listdir(theirs), [])
        self.run_local("--kill", "x", "local", XDG_RUNTIME_DIR=theirs, XDG_STATE_HOME=self.folder)

    def test_a_squatted_name_in_tmp_takes_nothing_away_as_root(self):
        needs_root(self)
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
            self.skipTest("SKIP: no mount namespaces here")
        script = ('mount -t tmpfs none /tmp && mkdir -p "$1" && shift && '
                  'case $1 in folder) mkdir /tmp/frsh-0; chown 65534 /tmp/frsh-0;; file) touch /tmp/frsh-0;; '
                  'link) ln -s /etc /tmp/frsh-0;; esac; shift; exec "$@"')
        # The home must not be below /tmp, which is hidden.
        self.home = make_folder("/var/tmp", os.path.basename(self.folder))
        self.addCleanup(shutil.rmtree, self.home, True)
        programs = programs_for_others(self)
        for squat in ("folder", "file", "link"):
            prefix = ["unshare", "--mount", "sh", "-c", script, "sh", "/tmp/x", squat]
            for words in (["local", "echo hi"], ["--batch", "--one-shell", "local"]):
                result = self.run_local(*words, prefix=prefix, programs=programs, XDG_RUNTIME_DIR="/nonexistent")
                self.assertEqual((result.returncode, result.stderr), (0, ""), (squat, words, result))

    def test_a_group_of_ones_own_may_write_the_configuration(self):
        config = os.path.join(self.home, ".config/frsh/config.toml")
        write(config, '[hosts.box]\nport = 7\n')
        os.chmod(config, 0o664)
        os.chmod(os.path.dirname(config), 0o775)
        group = os.stat(config).st_gid
        if ROOT and group == 0:
            result = self.run_local("-G", "box")
            self.assertEqual(result.returncode, 0, result)
            self.assertIn("port 7\n", result.stdout)
            os.chown(config, 0, 1)
        else:
            os.chmod(os.path.dirname(config), 0o755)
            os.chmod(config, 0o666)
        result = self.run_local("-G", "box")
        self.assertEqual(result.returncode, 255, result)
        self.assertIn(f"chmod go-w {config}", result.stderr)

    def test_a_host_with_dots_needs_no_quotes_in_the_configuration(self):
        config = os.path.join(self.home, ".config/frsh/config.toml")
        write(config, '[hosts.build.example.com]\nport = 7\n[hosts."b.example.com"]\nport = 8\n[hosts.build]\nport = 9\n')
        for name, port in (("build.example.com", 7), ("b.example.com", 8), ("build", 9), ("build.example", 7722)):
            result = self.run_local("-G", name)
            self.assertIn(f"port {port}\n", result.stdout, result)
        write(config, "[hosts.build.example.com]\nprot = 7\n")
        self.assertIn("config.toml:2: unknown key: prot", self.run_local("-G", "x").stderr)

    def test_a_user_without_an_entry_has_the_given_home_as_root(self):
        needs_root(self)
        os.chmod(self.folder, 0o755)
        os.chown(self.home, 54321, 54321)
        programs = programs_for_others(self)
        result = subprocess.run([programs + "/frsh", "local", "pwd; echo $HOME"], capture_output=True, text=True,
                                env={"PATH": programs + ":/usr/bin:/bin", "HOME": self.home}, user=54321, group=54321,
                                extra_groups=[], stdin=subprocess.DEVNULL, cwd="/")
        self.assertEqual((result.returncode, result.stdout), (0, f"{self.home}\n{self.home}\n"), result)


if __name__ == "__main__":
    main()
