"""Configuration files: frsh's own, and what ssh's say."""

import contextlib
import grp
import os
import pwd
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSHD, PATIENCE, environment, main, needs_root, wait_until  # noqa: E402
from tls import ROOT, TlsCase, TlsServer, make_folder, make_key, ssh_agent, write  # noqa: E402

ME = pwd.getpwuid(os.geteuid()).pw_name


class ClientFile(TlsCase):
    def configured(self, text):
        """A stranger with a key in an unusual place, and this config.toml."""
        client = self.stranger()
        line = make_key(os.path.join(client.home, "keys/work"))
        self.authorize(line)
        write(os.path.join(client.home, ".config/frsh/config.toml"), text)
        return client

    def host(self, extra=""):
        return (f'[hosts.box]\naddress = "127.0.0.1"\nport = {self.server.port}\n'
                f'user = "{ME}"\nidentity = "~/keys/work"\naccept_new = true\n{extra}')

    def test_a_host_is_reached_as_configured(self):
        client = self.configured('[defaults]\nuser = "nobody"\nport = 1\n' + self.host())
        result = client.run("box", "echo hi")
        self.assertEqual((result.code, result.out), (0, b"hi\n"), result)
        # The command line overrides the files.
        self.one_line(client.run("-p", "1", "box", "true"), "127.0.0.1:1", "Connection refused")
        self.one_line(client.run("box:1", "true"), "127.0.0.1:1", "Connection refused")
        self.one_line(client.run("no-such-user@box", "true"), "no-such-user@127.0.0.1", "login refused")
        self.one_line(client.run("-l", "no-such-user", "box", "true"), "login refused")
        missing = os.path.join(client.home, "none")
        self.assertIn("no such key file", client.run("-i", missing, "box", "true").err)

    def test_defaults_are_for_every_target(self):
        client = self.configured(f'[defaults]\nport = {self.server.port}\nidentity = "~/keys/work"\n'
                                 "accept_new = true\n")
        self.assertEqual(client.run("127.0.0.1", "echo hi").out, b"hi\n")
        self.assertEqual(client.run("local", "echo hi").out, b"hi\n")

    def test_linger_of_a_host_limits_the_wait_for_holders(self):
        client = self.configured(self.host('linger = "10ms"\n'))
        began = time.monotonic()
        result = client.run("box", "sleep 20 & echo hi")
        # The shell may not have executed the program yet.
        self.assertIn("output still held open by ", result.err)
        self.assertLess(time.monotonic() - began, 2)

    def test_via_of_a_host_starts_that_command(self):
        client = self.configured(f'[hosts.box]\nvia = "{FRSHD} --stdio"\n')
        self.assertEqual(client.run("box", "echo hi").out, b"hi\n")

    def test_a_wrong_setting_is_one_line_with_name_and_line(self):
        client = self.configured("[hosts.box]\nprot = 1\n")
        path = os.path.join(client.home, ".config/frsh/config.toml")
        for target in ("box", "other", "local"):
            self.one_line(client.run(target, "true"), f"frsh: {path}:2: unknown key: prot\n")
        write(path, "[hosts.box]\nport = 0\n")
        self.one_line(client.run("box", "true"), f"frsh: {path}:2: port: ")
        write(path, "")
        self.assertEqual(client.run("local", "echo hi").out, b"hi\n")

    def test_a_file_that_others_could_have_written_is_refused(self):
        client = self.configured(self.host())
        path = os.path.join(client.home, ".config/frsh/config.toml")
        os.chmod(path, 0o622)
        self.one_line(client.run("box", "true"), "not trusted", path, "others can write it")
        os.unlink(path)
        os.mkfifo(path)
        self.one_line(client.run("box", "true"), "not trusted", "not a regular file")


class Jump(TlsCase):
    """Jump hosts. An ssh of the test plays `ssh -W`, and writes down its arguments."""

    def jumping(self, config=""):
        client, _ = self.trusting()
        with open(os.path.join(client.home, ".ssh/id_ed25519.pub")) as file:
            self.authorize(file.read())
        folder = os.path.join(client.home, "bin")
        write(os.path.join(folder, "ssh"), f"""#!{sys.executable}
import os, select, socket, sys
if "-G" in sys.argv:
    os.execv("/usr/bin/ssh", sys.argv)
with open({os.path.join(client.home, "asked")!r}, "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
host, port = sys.argv[sys.argv.index("-W") + 1].rsplit(":", 1)
if sys.argv[-1] == "broken":
    sys.exit("ssh: connect to host broken: refused")
there = socket.create_connection((host, int(port)))
ends = {{0: lambda b: there.sendall(b), there.fileno(): lambda b: os.write(1, b)}}
while True:
    for fd in select.select(list(ends), [], [])[0]:
        data = os.read(fd, 65536)
        if not data:
            sys.exit()
        ends[fd](data)
""", 0o700)
        write(os.path.join(client.home, ".ssh/config"), config)
        client.env["PATH"] = folder + ":/usr/bin:/bin"

        def asked():
            path = os.path.join(client.home, "asked")
            with contextlib.suppress(FileNotFoundError), open(path) as file:
                lines = file.read().splitlines()
                os.unlink(path)
                return lines
            return []

        return client, asked

    def test_a_hop_with_an_sshd_leads_to_the_server(self):
        client, asked = self.jumping()
        result = client.run("-J", "sshd:a,sshd:me@b:23", self.target, "echo hi")
        self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), result)
        self.assertEqual(asked(), [f"-W {self.target} -J a -l me -p 23 -- b"])
        self.assertEqual(client.run("-J", "none", self.target, "echo hi").out, b"hi\n")
        self.assertEqual(asked(), [])

    def test_proxyjump_of_ssh_config_is_followed(self):
        client, asked = self.jumping("Host bastion\n HostName 127.0.0.1\nHost *\n ProxyJump bastion\n")
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        write(os.path.join(client.home, ".config/frsh/config.toml"), f"[hosts.bastion]\nport = {port}\n")
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")
        self.assertEqual(asked(), [f"-W {self.target} -- bastion"])
        # The command line has precedence; the first of -J and ProxyCommand wins.
        client.run("-J", "sshd:other", "-o", "ProxyCommand=false", self.target, "true")
        self.assertEqual(asked(), [f"-W {self.target} -- other"])
        client.run("-o", "ProxyCommand=false", "-J", "sshd:other", self.target, "true")
        self.assertEqual(asked(), [])

    def test_jump_of_config_toml_is_followed(self):
        client, asked = self.jumping()
        write(os.path.join(client.home, ".config/frsh/config.toml"), '[defaults]\njump = "sshd:c"\n')
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")
        self.assertEqual(asked(), [f"-W {self.target} -- c"])

    def test_the_hop_that_fails_is_named(self):
        client, _ = self.jumping()
        result = client.run("-J", "sshd:broken", self.target, "true")
        self.assertEqual(result.code, 255, result)
        self.assertIn("through sshd:broken", result.err)

    def test_a_hop_that_could_be_an_option_or_a_command_is_refused(self):
        client, asked = self.jumping()
        for hop in ("sshd:-oProxyCommand=x", "sshd:$(x)", "sshd:a;b", "sshd:", "-a", "a;b", "$(a)", "local", "sshd:a,", "a,,b", ""):
            self.one_line(client.run("-J", hop, self.target, "true"), "frsh: ")
        self.assertEqual(asked(), [])


class SshFile(TlsCase):
    def configured(self, text):
        client, _ = self.trusting()
        os.rename(os.path.join(client.home, ".ssh/id_ed25519"), os.path.join(client.home, "held"))
        os.rename(os.path.join(client.home, ".ssh/id_ed25519.pub"), os.path.join(client.home, "held.pub"))
        with open(os.path.join(client.home, "held.pub")) as file:
            self.authorize(file.read())
        write(os.path.join(client.home, ".ssh/config"), text)
        return client

    def host(self):
        return f"Host box\n HostName 127.0.0.1\n Port 1\n User {ME}\n IdentityFile %d/held\n"

    def test_ssh_config_gives_name_user_and_key_but_no_port(self):
        client = self.configured(self.host().replace("%d/held", "~/held"))
        port = str(self.server.port)
        result = client.run("-p", port, "box", "echo hi")
        self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), result)
        self.assertEqual(client.run(f"box:{port}", "echo hi").out, b"hi\n")
        # The same with a token in place of the home.
        self.assertEqual(self.configured(self.host()).run(f"box:{port}", "echo hi").out, b"hi\n")
        # frsh's own port, not sshd's.
        result = client.run("-v", "--connect-timeout", "2s", "box", "true")
        self.assertIn("127.0.0.1:7722", result.err)

    def box(self, extra):
        """Returns a client with these settings for a box, and a function that runs there."""
        client = self.configured(self.host() + "".join(f" {line}\n" for line in extra))
        return client, lambda *words, v=(): client.run(*v, f"box:{self.server.port}", *words)

    def test_ssh_config_sets_what_an_option_would_set(self):
        client, run = self.box(["SetEnv LC_OF=file", "StrictHostKeyChecking yes",
                                f"UserKnownHostsFile {self.folder}/hosts",
                                "RemoteCommand echo $LC_OF"])
        self.assertIn("known", run("true").err)  # No such host in that file.
        known = os.path.join(client.home, ".config/frsh/known_hosts")
        os.rename(known, os.path.join(self.folder, "hosts"))
        result = run()
        self.assertEqual((result.code, result.out, result.err), (0, b"file\n", ""), result)
        # The command line has precedence.
        self.assertEqual(run("echo $LC_OF", v=["-o", "SetEnv LC_OF=mine"]).out, b"mine\n")

    def test_what_is_set_and_not_acted_on_is_named_once(self):
        _, run = self.box(["Compression yes", "Tunnel yes", "ForwardX11 yes"])
        result = run("echo hi")
        self.assertEqual((result.code, result.out), (0, b"hi\n"), result)
        for name, times in (("Tunnel", 1), ("ForwardX11:", 1), ("ompression", 0)):
            self.assertEqual(result.err.count(name), times, result)
        said = run("true", v=["-v"]).err
        for name in ("Tunnel", "ForwardX11:", "compression"):
            self.assertEqual(said.count(name), 1, said)
        self.assertEqual(run("echo hi", v=["-q"]).err, "")

    def counted(self, text):
        """A client whose ssh counts its calls, and a function that returns and clears the count."""
        client = self.configured(text)
        calls = os.path.join(client.home, "calls")
        write(os.path.join(client.home, "bin/ssh"),
              f'#!/bin/sh\necho >>{calls}\nexec /usr/bin/ssh "$@"\n', 0o700)
        client.env["PATH"] = os.path.join(client.home, "bin") + ":/usr/bin:/bin"

        def count():
            result = client.run(f"box:{self.server.port}", "echo hi")
            self.assertEqual(result.out, b"hi\n", result)
            with contextlib.suppress(FileNotFoundError), open(calls) as file:
                number = len(file.readlines())
                os.unlink(calls)
                return number
            return 0

        return client, count

    def test_the_answer_of_ssh_is_cached_until_a_file_changes(self):
        included = os.path.join(self.folder, "included")
        write(included, "# empty\n")
        client, count = self.counted(f"Include {included}*\n" + self.host())
        self.assertGreater(count(), 0)
        wait_until(lambda: count() == 0, "an answer from the cache")
        cache = os.path.join(client.runtime, "state/frsh/ssh-config")
        for name in os.listdir(cache):
            self.assertEqual(os.stat(os.path.join(cache, name)).st_mode & 0o777, 0o600)
        write(included, "# another\n")
        self.assertGreater(count(), 0)
        wait_until(lambda: count() == 0, "an answer from the cache")
        write(included + "-more", "# one more file for the pattern\n")
        self.assertGreater(count(), 0)
        wait_until(lambda: count() == 0, "an answer from the cache")
        # A damaged file is ignored.
        for name in os.listdir(cache):
            with open(os.path.join(cache, name), "r+b") as file:
                file.seek(-3, os.SEEK_END)
                file.write(b"x")
        self.assertGreater(count(), 0)

    def test_an_answer_that_a_program_decides_is_not_cached(self):
        _, count = self.counted(self.host() + 'Match exec "true"\n Compression yes\n')
        for _ in range(4):
            self.assertGreater(count(), 0)

    def test_a_configured_key_does_not_exclude_the_usual_keys(self):
        client = self.configured(self.host().replace("%d/held", "%d/none"))
        self.authorize(make_key(os.path.join(client.home, ".ssh/id_ed25519")))
        self.assertEqual(client.run(f"box:{self.server.port}", "echo hi").out, b"hi\n")

    def test_config_toml_overrides_ssh_config(self):
        client = self.configured(self.host().replace(ME, "no-such-user"))
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              f'[hosts.box]\nuser = "{ME}"\nport = {self.server.port}\n')
        self.assertEqual(client.run("box", "echo hi").out, b"hi\n")
        self.one_line(client.run(f"no-such-user@box:{self.server.port}", "true"), "no-such-user@")

    def test_ssh_is_not_started_if_its_file_has_nothing_for_the_host(self):
        client = self.configured(self.host())
        asked = os.path.join(client.home, "asked")
        write(os.path.join(client.home, "bin/ssh"), f"#!/bin/sh\necho >>{asked}\nexit 1\n", 0o700)
        client.env["PATH"] = os.path.join(client.home, "bin") + ":/usr/bin:/bin"
        # 127.0.0.1 is no "Host box".
        client.run(f"127.0.0.1:{self.server.port}", "true")
        client.run("local", "true")
        self.assertFalse(os.path.exists(asked))
        self.one_line(client.run("box", "true"), "ssh -G box", "ssh_config")
        self.assertTrue(os.path.exists(asked))

    def test_a_file_that_ssh_rejects_is_an_error_with_a_remedy(self):
        client = self.configured("Nonsense yes\n" + self.host())
        self.one_line(client.run("box", "true"), "ssh -G box", 'ssh_config = "none"')
        write(os.path.join(client.home, ".config/frsh/config.toml"), '[defaults]\nssh_config = "none"\n')
        key = os.path.join(client.home, "held")
        self.assertEqual(client.run("-i", key, self.target, "echo hi").out, b"hi\n")

    def test_an_ssh_that_hangs_is_ended(self):
        client = self.configured('Match exec "sleep 3600"\n User x\n')
        began = time.monotonic()
        self.one_line(client.run(self.target, "true"), "within five seconds")
        self.assertLess(time.monotonic() - began, 20)

    def test_without_ssh_its_file_is_ignored_with_a_notice(self):
        client = self.configured(self.host())
        client.env["PATH"] = make_folder(client.home, "empty")
        key = os.path.join(client.home, "held")
        result = client.run("-v", "-i", key, "-p", str(self.server.port), "box.invalid", "true")
        self.assertNotIn("left aside", result.err)  # The file has no setting for that host.
        result = client.run("-v", "-p", str(self.server.port), "box", "true")
        self.assertIn("left aside", result.err)

    def test_a_locked_key_held_by_the_agent_needs_no_passphrase(self):
        client = self.configured(self.host().replace("%d/held", "%d/locked"))
        locked = os.path.join(client.home, "locked")
        self.authorize(make_key(locked, passphrase="sesame"))
        sock = os.path.join(client.home, "agent")
        ask = os.path.join(client.home, "ask")
        write(ask, "#!/bin/sh\necho sesame\n", 0o700)
        with ssh_agent(sock, locked, SSH_ASKPASS=ask, SSH_ASKPASS_REQUIRE="force"):
            client.env.update(SSH_AUTH_SOCK=sock, SSH_ASKPASS="/bin/false", SSH_ASKPASS_REQUIRE="force")
            for words in (["-p", str(self.server.port), "box"], ["-i", locked, self.target]):
                result = client.run(*words, "echo hi")
                self.assertEqual(result.out, b"hi\n", result)


class ServerFile(TlsCase):
    def serve(self, text, *arguments):
        type(self).count += 1
        folder = make_folder(self.folder, f"server-{self.count}")
        path = os.path.join(folder, "frshd.toml")
        write(path, text)
        server = TlsServer(folder, "--config", path, *arguments)
        self.addCleanup(server.end)
        return server

    def user_of(self, server):
        """A client that the server's user let in, and that user's file of keys."""
        client = self.stranger()
        line = make_key(os.path.join(client.home, ".ssh/id_ed25519"))
        write(os.path.join(server.home, ".ssh/authorized_keys"), line + "\n")
        self.assertEqual(client.run("--trust", server.name).code, 0)
        return client, line

    def refusal(self, text, *arguments, mode=0o600):
        path = os.path.join(self.folder, "bad.toml")
        write(path, text, mode)
        result = subprocess.run([FRSHD, "--config", path, *arguments], capture_output=True,
                                env=environment(self.folder, HOME=self.folder), timeout=PATIENCE)
        self.assertEqual(result.returncode, 255, result)
        text = result.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        return text.replace(path, "F")

    def test_a_wrong_setting_is_one_line_with_name_and_line(self):
        self.assertEqual(self.refusal("# x\nlisten_on = 1\n"), "frshd: F:2: unknown key: listen_on\n")
        self.assertIn("F:1: permit_root_login: ", self.refusal("permit_root_login = 'no'\n"))
        self.assertIn("frshd: not trusted: F: others can write it", self.refusal("", mode=0o622))
        self.assertIn("--plaintext: goes with --listen", self.refusal("", "--plaintext"))
        result = subprocess.run([FRSHD, "--config", "/no/such"], capture_output=True, timeout=PATIENCE,
                                env=environment(self.folder, HOME=self.folder))
        self.assertEqual(result.stderr, b"frshd: /no/such: no such file\n")

    def test_a_file_of_another_user_is_refused_as_root(self):
        needs_root(self)
        path = os.path.join(self.folder, "given.toml")
        write(path, "")
        os.chown(path, 65534, 65534)
        result = subprocess.run([FRSHD, "--config", path], capture_output=True, timeout=PATIENCE,
                                env=environment(self.folder, HOME=self.folder))
        self.assertIn(b"belongs to another user (uid 65534)", result.stderr)

    def test_the_command_line_overrides_where_the_file_listens(self):
        runtime = make_folder(self.folder, "listen")
        path = os.path.join(runtime, "frshd.toml")
        key = os.path.join(runtime, "key")
        sock = os.path.join(runtime, "s")
        write(path, f'listen = "127.0.0.1:0"\nunix = "{sock}"\nhost_key = "{key}"\n'
                    f'audit = "{runtime}/audit"\nlog_level = "info"\n')
        for words, seen in (([], ["127.0.0.1:", sock]), (["--unix", sock + "2"], [sock + "2"])):
            log = os.path.join(runtime, "log")
            with open(log, "wb") as file:
                server = subprocess.Popen([FRSHD, "--config", path, "--no-sandbox", *words], stderr=file,
                                          env=environment(runtime, HOME=runtime))
            try:
                def lines():
                    with open(log) as file:
                        return [line.split("listening on ")[1] for line in file if "listening on" in line]

                wait_until(lambda: len(lines()) == len(seen), "frshd to listen")
                for line, start in zip(lines(), seen):
                    self.assertTrue(line.startswith(start), lines())
            finally:
                server.terminate()
                server.wait()
            self.assertTrue(os.path.exists(runtime + "/audit"))

    def test_a_plain_users_server_reads_the_users_own_file(self):
        if ROOT:
            self.skipTest("not a plain user: the file of root is /etc/frsh/frshd.toml")
        home = make_folder(self.folder, "plain")
        write(os.path.join(home, ".config/frsh/frshd.toml"), "unknown = 1\n")
        result = subprocess.run([FRSHD], capture_output=True, timeout=PATIENCE,
                                env=environment(home, HOME=home))
        self.assertIn(b"/.config/frsh/frshd.toml:1: unknown key: unknown", result.stderr)

    def test_a_user_not_allowed_is_refused_like_any_other(self):
        for rule, name in ((f'allow_users = ["{ME}-not"]', "allow_users"), ("allow_users = []", "allow_users"),
                           ('allow_groups = "no-such-group"', "allow_groups"),
                           (f'allow_users = "{ME}"\nallow_groups = []', "allow_groups")):
            server = self.serve(rule)
            client, _ = self.user_of(server)
            began = time.monotonic()
            self.one_line(client.run(server.name, "true"), "login refused: ", f"({name})")
            self.assertGreater(time.monotonic() - began, 0.39)
            # Without the key, a client does not learn that there is a rule.
            other = self.stranger()
            make_key(os.path.join(other.home, ".ssh/id_ed25519"))
            self.assertEqual(other.run("--trust", server.name).code, 0)
            result = other.run(server.name, "true")
            self.one_line(result, "no such user here, or not with this key")
            self.assertNotIn("allow", result.err)
        rules = f'allow_users = ["x", "{ME[0]}*"]\n'
        with contextlib.suppress(KeyError):
            rules += f'allow_groups = ["x", "{grp.getgrgid(os.getegid()).gr_name}"]\n'
        server = self.serve(rules)
        client, _ = self.user_of(server)
        self.assertEqual(client.run(server.name, "echo hi").out, b"hi\n")

    def test_accept_env_selects_the_forwarded_variables(self):
        plain, strict = self.serve(""), self.serve('accept_env = ["LC_A*", "LD_*"]')
        for server, seen in ((plain, b"en 1 2\n"), (strict, b"none 1 none\n")):
            client, _ = self.user_of(server)
            client.env.update(LANG="en", LC_A1="1", LC_B="2")
            result = client.run(server.name, "echo ${LANG:-none} $LC_A1 ${LC_B:-none}")
            self.assertEqual(result.out, seen, result)

    def test_variables_of_a_key_need_permit_user_environment(self):
        for text, seen in (("", b"none\n"), ("permit_user_environment = true", b"yes\n")):
            server = self.serve(text)
            client, line = self.user_of(server)
            write(os.path.join(server.home, ".ssh/authorized_keys"), f'environment="OF_KEY=yes" {line}\n')
            self.assertEqual(client.run(server.name, "echo ${OF_KEY:-none}").out, seen)


if __name__ == "__main__":
    main()
