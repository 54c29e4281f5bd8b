"""Root's server and one account: what its shell, its keys and the machine's rules permit.

The account exists in a mount namespace of the server only."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSHD, descendants, is_alive, main, needs_root, wait_until  # noqa: E402
from tls import Client, TlsCase, TlsServer, Users, make_folder, make_key, write  # noqa: E402

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../server")
NAME, UID = "frsh-account", 54098


class AccountCase(TlsCase):
    config = ""

    @classmethod
    def replaced_folders(cls):
        """Returns folders of the machine, and those that the server sees in their place."""
        return {}

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.folder = tempfile.mkdtemp(prefix="frsh-account-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        cls.count = 0
        cls.home = make_folder(cls.folder, "home")
        cls.users = Users(os.path.join(cls.folder, "etc"), shells=("/usr/bin/git-shell",), folders=cls.replaced_folders())
        cls.account("/bin/sh")
        cls.client = Client(make_folder(cls.folder, "client"), make_folder(cls.folder, "run"))
        cls.line = make_key(os.path.join(cls.client.home, ".ssh/id_ed25519"))
        cls.server = cls.start("server", cls.config)
        cls.target = f"{NAME}@{cls.server.name}"
        cls.keys(cls.line)

    @classmethod
    def account(cls, shell, **fields):
        cls.users.add(NAME, UID, cls.home, shell, **fields)

    @classmethod
    def start(cls, name, config, **options):
        folder = make_folder(cls.folder, name)
        write(os.path.join(folder, "frshd.toml"), config)
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"),
                           prefix=cls.users.prefix, **options)
        cls.addClassCleanup(server.end)
        assert cls.client.run("--trust", server.name).code == 0
        return server

    @classmethod
    def keys(cls, *lines):
        """These lines are the account's authorized_keys from now on."""
        cls.put(".ssh/authorized_keys", "\n".join(lines) + "\n")

    @classmethod
    def put(cls, name, text, mode=0o600):
        path = os.path.join(cls.home, name)
        write(path, text, mode)
        while True:
            os.chown(path, UID, UID)
            if path == cls.home:
                return
            path = os.path.dirname(path)


class Shells(AccountCase):
    config = 'accept_env = ["*"]\n'

    def refused(self, result, *parts):
        self.one_line(result, *parts)

    def test_c8_a_restricted_shell_runs_every_program_as_root(self):
        needs_root(self)
        self.account("/bin/rbash")
        run = self.client.run
        self.assertEqual(run(self.target, "echo $SHELL").out, b"/bin/rbash\n")
        # rbash refuses names with a slash, redirections and cd, however the request comes.
        for words in (("--argv", self.target, "/bin/echo", "free"),
                      (self.target, "/bin/echo free"),
                      ("--argv", self.target, "cd", "/"),
                      (self.target, "cd / && echo free"),
                      (self.target, "echo free >x")):
            result = run(*words)
            self.assertNotIn(b"free", result.out, words)
            self.assertIn("restricted", result.err, words)
            self.assertNotEqual(result.code, 0, words)
        # Words arrive as they are, and an assignment or a keyword is the name of a program.
        words = ("a b", "$HOME", "'", "*", "", "x\ny", "!", "A=b")
        result = run("--argv", self.target, "printf", "<%s>", *words)
        self.assertEqual(result.out.decode(), "".join(f"<{word}>" for word in words), result)
        for first in ("A=b", "!", "if"):
            result = run("--argv", self.target, first, "echo", "free")
            self.assertEqual((result.code, result.out), (127, b""), (first, result))

    def test_c8_a_restricted_shell_has_no_other_shell_beside_it_as_root(self):
        needs_root(self)
        self.account("/bin/rbash")
        for words in (("--shell", "work", self.target, "/bin/echo free"),
                      ("--batch", "--one-shell", self.target)):
            result = self.client.run(*words, stdin=b"/bin/echo free\n")
            self.assertNotEqual(result.code, 0, (words, result))
            self.assertNotIn(b"free", result.out)
            self.assertIn("/bin/rbash", result.err)
            self.assertIn("plain_shells", result.err)
        self.one_line(self.client.run("--cwd", "/", self.target, "pwd"), "/bin/rbash", "plain_shells")
        result = self.client.run("--on-disconnect=keep", "--argv", self.target, "/bin/echo", "free")
        self.assertNotIn(b"free", result.out)
        self.assertIn("restricted", result.err, result)

    def test_c8_git_shell_runs_only_what_git_runs_as_root(self):
        needs_root(self)
        self.account("/usr/bin/git-shell")
        repository = os.path.join(self.home, "r.git")
        subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
        subprocess.run(["chown", "-R", f"{UID}:{UID}", repository], check=True)
        trace = os.path.join(self.home, "trace")
        for words in (("--argv", self.target, "git-receive-pack", "r.git"),
                      (self.target, "git-receive-pack 'r.git'")):
            result = self.client.run("--env", "GIT_TRACE=" + trace, *words, stdin=b"0000")
            self.assertIn(b"capabilities^{}", result.out, result)
        self.assertFalse(os.path.exists(trace))
        for words in (("--argv", self.target, "id"), (self.target, "id"),
                      ("--shell", "s", self.target, "id"), ("--argv", self.target, "/usr/bin/id")):
            result = self.client.run(*words)
            self.assertNotEqual(result.code, 0, words)
            self.assertNotIn(b"uid=", result.out, words)

    def test_c6_a_restricted_shell_and_a_bound_key_get_harmless_variables_only_as_root(self):
        needs_root(self)
        kept = {"OTHER": "1", "LC_X": "1", "GIT_PROTOCOL": "version=2"}
        left_out = ("PATH", "HOME", "SHELL", "PYTHONSTARTUP", "PERL5OPT", "GIT_SSH_COMMAND",
                    "SSH_ORIGINAL_COMMAND", "XDG_CONFIG_HOME", "LESSOPEN")
        refused = ("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "ZDOTDIR", "IFS", "SHELLOPTS",
                   "PROMPT_COMMAND", "BASH_FUNC_ls%%", "FRSH_RUN")
        for shell, options in (("/bin/rbash", ""), ("/bin/bash", 'command="env" ')):
            self.account(shell)
            self.keys(options + self.line)
            env = [f"--env={name}={value}" for name, value in kept.items()]
            env += [f"--env={name}=/evil" for name in left_out]
            result = self.client.run(*env, self.target, "env")
            self.assertEqual(result.code, 0, result)
            self.assertNotIn(b"/evil", result.out)
            for name, value in kept.items():
                self.assertIn(f"{name}={value}\n", result.out.decode())
            for name in refused:
                result = self.client.run(f"--env={name}=/evil", self.target, "env")
                self.assertNotIn(b"/evil", result.out, name)
                self.one_line(result, name, "no client may set it")
                run = f"evil-{refused.index(name)}-{os.path.basename(shell)}"
                result = self.client.run("--run-id", run, f"--env={name}=/evil", self.target, "env")
                self.one_line(result, name, "no client may set it")
            result = self.client.run("-oSetEnv=LD_PRELOAD=/evil", self.target, "env")
            self.assertNotIn(b"LD_PRELOAD", result.out)
        self.keys(self.line)

    def test_k7_the_store_of_a_bound_key_is_the_users_own_as_root(self):
        needs_root(self)
        self.account("/bin/sh")
        self.keys(f'command="echo bound" {self.line}')
        self.assertEqual(self.client.run("--run-id", "k7", self.target, "x").out, b"bound\n")
        keys = os.path.join(self.home, ".local/state/frsh/keys")
        [name] = [one for one in os.listdir(keys) if os.path.exists(f"{keys}/{one}/runs/k7")]
        self.assertRegex(name, "^[0-9a-f]{32}$")
        for path in (keys, f"{keys}/{name}", f"{keys}/{name}/runs", f"{keys}/{name}/runs/k7"):
            status = os.stat(path)
            self.assertEqual((status.st_uid, status.st_mode & 0o777), (UID, 0o700), path)
        self.keys(self.line)
        self.assertIn(b'"k7"', self.client.run("--runs", "--json", self.target).out)
        self.assertEqual(self.client.run("--logs", "k7", self.target).out, b"bound\n")

    def test_c8_what_counts_as_plain_is_configured_as_root(self):
        needs_root(self)
        other = self.start("plain", 'plain_shells = ["rbash", "/usr/bin/git-*"]\n')
        target = f"{NAME}@{other.name}"
        for shell, is_plain in (("/bin/rbash", True), ("/usr/bin/git-shell", True), ("/bin/sh", False)):
            self.account(shell)
            result = self.client.run("--cwd", "/", "--argv", target, "/bin/echo", "free")
            self.assertEqual(result.out == b"free\n", is_plain, (shell, result))
            self.assertEqual(result.code == 0, is_plain)


class Closed(AccountCase):
    """Closed accounts and machines, without PAM: /etc/shadow and the nologin files."""

    config = "use_pam = false\n"

    @classmethod
    def replaced_folders(cls):
        return {"/run": make_folder(cls.folder, "machine-run")}

    def refused(self, *parts):
        result = self.client.run(self.target, "echo in")
        self.one_line(result, *parts)

    def admitted(self):
        result = self.client.run(self.target, "echo in")
        self.assertEqual((result.code, result.out), (0, b"in\n"), result)

    def test_g1_an_account_that_shadow_closes_is_refused_with_the_reason_as_root(self):
        needs_root(self)
        today = int(time.time() // 86400)
        for fields, reason in (
                ({"expires": today}, "has expired"),
                ({"expires": "0"}, "has expired"),
                ({"aging": "0:0:99999:7:"}, "must be changed"),
                ({"aging": f"{today - 40}:0:30:7:"}, "must be changed"),
                ({"aging": f"{today - 40}:0:30:7:5"}, "inactive"),
                ({"password": "!$6$salt$hash"}, "locked"),
                ({"password": "!"}, "locked")):
            self.account("/bin/sh", **fields)
            self.refused(reason)
        for fields in ({}, {"expires": today + 1}, {"aging": f"{today - 30}:0:30:7:"},
                       {"password": "$6$salt$hash"}, {"aging": f"{today + 9}:0:3:7:"}):
            self.account("/bin/sh", **fields)
            self.admitted()
        self.account("/bin/sh")

    def test_g1_an_account_without_a_line_in_shadow_is_refused_as_root(self):
        needs_root(self)
        self.account("/bin/sh")
        self.users.remove_from_shadow(NAME)
        self.refused("/etc/shadow")
        # A password of /etc/passwd itself refers to no such line.
        for field, is_admitted in (("*", True), ("$6$salt$hash", True), ("!", False), ("!$6$salt$hash", False)):
            self.users.added["passwd"][NAME] = f"{NAME}:{field}:{UID}:{UID}::{self.home}:/bin/sh\n"
            self.users.remove_from_shadow(NAME)
            self.admitted() if is_admitted else self.refused("locked")
        self.account("/bin/sh")
        self.admitted()

    def test_g1_nologin_in_run_refuses_with_its_text_as_root(self):
        needs_root(self)
        path = os.path.join(self.folder, "machine-run", "nologin")
        write(path, "back at nine\x1b[2J\nask the desk\n", 0o644)
        self.refused("/run/nologin", "back at nine", "ask the desk")
        self.assertNotIn("\x1b", self.client.run(self.target, "true").err)
        os.unlink(path)
        self.admitted()

    def test_g1_nologin_has_its_reason_on_each_try_as_root(self):
        """Also if the client has several keys, and has forgotten the one that worked last time."""
        needs_root(self)
        folder = os.path.join(self.client.home, ".ssh")
        for number in range(7):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/more-{number}"],
                           check=True)
        more = [word for number in range(7) for word in ("-i", f"{folder}/more-{number}")]
        path = os.path.join(self.folder, "machine-run", "nologin")
        for first in ("true", "echo in"):
            self.assertEqual(0, self.client.run(*more, "-i", f"{folder}/id_ed25519", self.target, first).code)
            write(path, "back at nine\n", 0o644)
            for _ in range(4):
                result = self.client.run(*more, "-i", f"{folder}/id_ed25519", self.target, "echo in")
                self.one_line(result, "/run/nologin", "back at nine")
                self.assertNotIn("no key was accepted", result.err)
            os.unlink(path)

    def test_g1_a_login_sets_the_login_uid_as_root(self):
        needs_root(self)
        before = None
        if os.path.exists("/proc/self/loginuid"):
            with open("/proc/self/loginuid") as file:
                before = int(file.read())
        if before != 2**32 - 1:
            self.skipTest("the login uid of this test is set, or the kernel has none")
        result = self.client.run(self.target, "cat /proc/self/loginuid")
        self.assertIn(int(result.out), (UID, before), result)
        if int(result.out) == before:
            self.skipTest("this kernel or container permits nobody to set a login uid")


class Pam(AccountCase):
    """With PAM, by the packaged file and a few modules of its own."""

    @classmethod
    def replaced_folders(cls):
        folder = os.path.join(cls.folder, "pam.d")
        shutil.copytree("/etc/pam.d", folder)
        with open(os.path.join(SERVER, "package/pam.d/frshd")) as file:
            text = file.read()
        security = os.path.join(cls.folder, "security")
        shutil.copytree("/etc/security", security)
        write(os.path.join(security, "limits.conf"), f"{NAME} hard nofile 333\n", 0o644)
        cls.marks = os.path.join(cls.folder, "marks")
        script = os.path.join(cls.folder, "modules", "mark")
        write(script, f'#!/bin/sh\necho "$PAM_TYPE $PAM_USER $PAM_RHOST" >>{cls.marks}\n', 0o755)
        text += f"session required pam_exec.so {script}\n"
        text += f"session optional pam_env.so conffile={security}/frsh_env.conf\n"
        write(os.path.join(security, "frsh_env.conf"), "FRSH_FROM_PAM DEFAULT=yes\n", 0o644)
        write(os.path.join(folder, "frshd"), text, 0o644)
        return {"/etc/pam.d": folder, "/etc/security": security,
                "/run": make_folder(cls.folder, "machine-run")}

    def setUp(self):
        with open(FRSHD, "rb") as file:
            if b"pam_start" not in file.read():
                self.skipTest("this frshd was built without PAM")

    def text_of_marks(self):
        if not os.path.exists(self.marks):
            return ""
        with open(self.marks) as file:
            return file.read()

    def test_g2_pam_opens_and_closes_a_session_with_limits_as_root(self):
        needs_root(self)
        result = self.client.run(self.target, "ulimit -Hn; echo $FRSH_FROM_PAM")
        self.assertEqual(result.out, b"333\nyes\n", result)
        wait_until(lambda: f"close_session {NAME} 127.0.0.1\n" in self.text_of_marks(), "the session's end")
        self.assertIn(f"open_session {NAME} 127.0.0.1\n", self.text_of_marks())
        # Nothing of root's stays behind that waits for a session.
        wait_until(lambda: not [stat for stat in descendants(self.server.pid) if stat.name == "frshd-pam"],
                   "the keeper's end")

    def test_g2_the_session_stays_open_while_a_kept_run_lives_as_root(self):
        needs_root(self)
        before = self.text_of_marks().count("close_session")
        result = self.client.run("--detach", self.target, "echo $$ >pid; exec sleep 600")
        self.assertEqual(result.code, 0, result)
        pid_file = os.path.join(self.home, "pid")

        def pid():
            if os.path.exists(pid_file):
                with open(pid_file) as file:
                    return int(file.read() or 0)

        pid = wait_until(pid, "the pid of the kept run")
        self.addCleanup(lambda: is_alive(pid) and os.kill(pid, signal.SIGKILL))
        self.assertTrue([stat for stat in descendants(self.server.pid) if stat.name == "frshd-pam"])
        self.assertEqual(self.text_of_marks().count("close_session"), before)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.text_of_marks().count("close_session") > before, "the session's end")

    def test_g1_pam_refuses_accounts_with_the_reason_as_root(self):
        needs_root(self)
        today = int(time.time() // 86400)
        for fields, reason in (({"expires": today}, "expired"), ({"aging": "0:0:99999:7:"}, "must be changed"),
                               ({"aging": f"{today - 40}:0:30:7:5"}, "contact your system"),
                               ({"password": "!$6$salt$hash"}, "locked")):
            self.account("/bin/sh", **fields)
            self.one_line(self.client.run(self.target, "true"), reason)
        self.account("/bin/sh", password="!")  # It never had a password: open to keys, as in sshd.
        self.assertEqual(self.client.run(self.target, "true").code, 0)
        self.account("/bin/sh")
        path = os.path.join(self.folder, "machine-run", "nologin")
        write(path, "back at nine\n", 0o644)
        self.one_line(self.client.run(self.target, "true"), "back at nine")
        os.unlink(path)


class Keyring(AccountCase):
    """The server is started in a session keyring that holds a key, as a service manager does."""

    # The numbers of system calls: those of x86-64, and those of newer architectures.
    KEYS = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
ADD_KEY, KEYCTL = (248, 250) if platform.machine() == "x86_64" else (217, 219)
"""
    JOIN = KEYS + """
import os, sys
if libc.syscall(KEYCTL, 1, None) == -1: sys.exit("keyctl is not permitted here")
libc.syscall(ADD_KEY, b"user", b"frsh-secret", b"secret", 6, -3)
os.execvp(sys.argv[1], sys.argv[1:])
"""
    LOOK = KEYS + """
print(libc.syscall(KEYCTL, 0, -3, 0), libc.syscall(KEYCTL, 10, -3, b"user", b"frsh-secret", 0))
"""

    def test_each_login_has_a_session_keyring_of_its_own_as_root(self):
        needs_root(self)
        self.account("/bin/sh")
        if subprocess.run([sys.executable, "-c", self.JOIN, "true"]).returncode != 0:
            self.skipTest("keyctl is not permitted here")
        prefix = self.users.prefix
        type(self).users.prefix = [sys.executable, "-c", self.JOIN, *prefix]
        try:
            server = self.start("keyring", "")
        finally:
            type(self).users.prefix = prefix
        seen = set()
        for _ in range(2):
            result = self.client.run("--argv", f"{NAME}@{server.name}", "/usr/bin/python3", "-c", self.LOOK)
            keyring, secret = map(int, result.out.split())
            self.assertGreater(keyring, 0)
            self.assertEqual(secret, -1, "the key of the server's keyring is found")
            seen.add(keyring)
        self.assertEqual(len(seen), 2, seen)


if __name__ == "__main__":
    main()
