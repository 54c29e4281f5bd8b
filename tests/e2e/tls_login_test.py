"""TCP with TLS: which keys may log in, and what a refused client is sent."""

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FULL, PATIENCE, main, needs_root, programs_for_others, wait_until  # noqa: E402
from tls import Relay, TlsCase, TlsServer, Users, make_folder, make_key, ssh_agent, write  # noqa: E402


class SameUser(TlsCase):
    def test_a_client_of_the_same_user_needs_no_set_up(self):
        result = self.own.run(self.target, "echo out; echo err >&2; cat; exit 3", stdin=b"in\n")
        self.assertEqual((result.code, result.out, result.err), (3, b"out\nin\n", "err\n"))

    def test_eight_mib_each_way_arrive_unchanged(self):
        data = os.urandom(8 * 1024 * 1024)
        result = self.own.run(self.target, "cat", stdin=data)
        self.assertEqual(result.code, 0, result)
        self.assertTrue(result.out == data)

    def test_a_command_takes_three_round_trips(self):
        """ClientHello, greeting, login with the first request, answer: no more goes up before it.

        The relay cannot see the round trip of TCP itself. It holds back what the client sends after
        the first byte of the answer, so goodbyes that cross the answer do not count."""
        ways, is_answered, is_read = [], threading.Event(), threading.Event()
        self.addCleanup(is_read.set)

        def see(way, _, number):
            if number != 2:
                return
            if way == "up" and is_answered.is_set():
                is_read.wait()
            ways.append(way)
            if way == "down" and ways.count("up") and "".join(ways).count("updown") == 2:
                is_answered.set()

        self.own.run(self.target, "true")
        relay = Relay(self.server.port, see)
        self.addCleanup(relay.close)
        # The relay has another port, and no known_hosts line names that port.
        client, line = self.trusting()
        self.authorize(line)
        self.assertEqual(client.run("--accept-new", f"127.0.0.1:{relay.port}", "true").code, 0)
        process = client.popen(f"127.0.0.1:{relay.port}", "echo answer")
        with contextlib.closing(process.stdout):
            ready = select.select([process.stdout], [], [], PATIENCE)[0]
            before = list(ways)
            self.assertEqual(([process.stdout], b"answer\n"), (ready, ready and process.stdout.readline()), before)
            turns = [way for at, way in enumerate(before) if at == 0 or before[at - 1] != way]
            self.assertEqual(turns, ["up", "down", "up", "down"], before)
            is_read.set()
            self.assertEqual((0, b""), (process.wait(PATIENCE), process.stderr.read()))
        process.stderr.close()

    def test_runs_have_ssh_connection_in_their_environment(self):
        result = self.own.run(self.target, "echo $SSH_CONNECTION $SSH_CLIENT")
        self.assertRegex(result.out.decode(), rf"^127\.0\.0\.1 (\d+) 127\.0\.0\.1 {self.server.port} "
                         rf"127\.0\.0\.1 \1 {self.server.port}\n$")

    def test_another_users_name_is_refused(self):
        for user in ("nobody", "no-such-user"):
            result = self.own.run(f"{user}@{self.target}", "id")
            self.one_line(result, user + "@", "login refused")


class Records(TlsCase):
    def test_the_audit_has_a_line_for_each_event(self):
        path = os.path.join(self.folder, "audit")

        def lines():
            with open(path) as file:
                return [json.loads(line) for line in file][before:]

        before = 0
        before = len(lines())  # Other tests have written these.
        self.own.run(self.target, "echo secret; exit 3")
        self.own.run("nobody@" + self.target, "true")

        wait_until(lambda: len(lines()) == 5, "five lines")
        connected, started, run, gone, refused = sorted(lines(), key=lambda line: [
            "connected", "started", "run", "disconnected", "refused"].index(line["event"]))
        self.assertEqual((started["command"], started["run"]), (run["command"], run["run"]))
        for line in (connected, started, run, gone, refused):
            self.assertRegex(line["from"], r"^127\.0\.0\.1:\d+$")
            self.assertRegex(line["key"], "^SHA256:")
        self.assertRegex(connected["tls"]["group"], "^X25519(MLKEM768)?$")
        self.assertRegex(connected["tls"]["cipher"], "^TLS_[A-Z0-9_]+$")
        self.assertEqual((run["command"], run["outcome"], run["stdout_bytes"]),
                         ("echo secret; exit 3", {"kind": "exited", "code": 3}, 7))
        self.assertEqual((gone["runs"], gone["bytes"], refused["user"]), (1, 7, "nobody"))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertIn("stdout 7, stderr 0 bytes", self.server.text())


    def test_both_ends_record_the_same_parameters_of_tls(self):
        client, line = self.trusting()
        self.authorize(line)
        result = client.run("--json", self.target, "true")
        record = json.loads(result.out)
        with open(os.path.join(self.folder, "audit")) as file:
            connected = [json.loads(text) for text in file if '"connected"' in text][-1]
        key = subprocess.run(["ssh-keygen", "-lf", os.path.join(client.home, ".ssh/id_ed25519")],
                             check=True, capture_output=True, text=True).stdout.split()[1]
        self.assertEqual({**connected["tls"], "host_key": self.server.fingerprint(), "key": key},
                         record["tls"])
        self.assertEqual(key, connected["key"])


class ForkedAhead(TlsCase):
    """A session that waits for its client has practised with the host key of that time."""

    def ready(self):
        wait_until(self.server.preforked, "the next session to be forked")

    def test_the_host_key_of_the_start_is_proved_whatever_its_file_has_become(self):
        kept = self.server.host_key + ".kept"
        os.rename(self.server.host_key, kept)
        self.addCleanup(os.rename, kept, self.server.host_key)
        for replace in (lambda: make_key(self.server.host_key), lambda: os.unlink(self.server.host_key)):
            replace()
            for _ in range(2):  # The second session has practised after that.
                self.ready()
                self.assertEqual(0, self.own.run(self.target, "true").code)


class Hosts(TlsCase):
    def test_an_unknown_host_is_refused_with_what_to_do(self):
        client = self.stranger()
        result = client.run(self.target, "true")
        self.one_line(result, "unknown host", self.server.fingerprint(), "--trust", "--accept-new")

    def test_trust_accepts_only_the_given_fingerprint(self):
        client = self.stranger()
        self.one_line(client.run("--trust", self.target, "SHA256:other"), "another key")
        self.assertFalse(os.path.exists(os.path.join(client.home, ".config/frsh/known_hosts")))
        self.assertEqual(client.run("--trust", self.target, self.server.fingerprint()).code, 0)
        self.one_line(client.run(self.target, "true"), "login refused")

    def test_a_changed_key_is_fatal(self):
        client = self.stranger()
        make_key(os.path.join(client.home, "other"))
        with open(os.path.join(client.home, "other.pub")) as file:
            other = " ".join(file.read().split()[:2])
        write(os.path.join(client.home, ".config/frsh/known_hosts"),
              f"[127.0.0.1]:{self.server.port} {other}\n")
        for options in ([], ["--accept-new"], ["--trust"]):
            result = client.run(*options, self.target, *([] if "--trust" in options else ["true"]))
            self.one_line(result, "CHANGED", self.server.fingerprint(), "ssh-keygen -R")

    def test_a_key_in_the_known_hosts_of_ssh_is_accepted(self):
        client = self.stranger()
        line = make_key(os.path.join(client.home, ".ssh/id_ed25519"))
        self.authorize(line)
        with open(self.server.host_key + ".pub") as file:
            key = " ".join(file.read().split()[:2])
        write(os.path.join(client.home, ".ssh/known_hosts"), f"127.0.0.1 {key}\n")
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")

    def test_a_person_is_asked_on_the_terminal(self):
        client, line = self.stranger(), None
        line = make_key(os.path.join(client.home, ".ssh/id_ed25519"))
        self.authorize(line)
        for answer, works in ((b"no\n", False), (b"yes\n", True)):
            master, slave = pty.openpty()

            def own_terminal():
                os.setsid()
                import fcntl
                import termios
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

            process = client.popen(self.target, "echo hi", stderr=slave, stdin=slave,
                                   preexec_fn=own_terminal)
            os.close(slave)
            seen = b""
            while b"(yes/no/fingerprint)" not in seen:
                seen += os.read(master, 4096)
            self.assertIn(self.server.fingerprint().encode(), seen)
            os.write(master, answer)
            out = process.stdout.read()
            process.stdout.close()
            self.assertEqual(process.wait(), 0 if works else 255, seen)
            self.assertEqual(out, b"hi\n" if works else b"")
            os.close(master)

    def test_another_kind_of_server_is_named(self):
        text = b'{"type":"error","reason":"busy","message":"too many","retry_after":7}'
        busy = len(text).to_bytes(4, "big") + text
        for words, said in ((b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"), (b"HTTP/1.1 400 Bad\r\n\r\n", "web"),
                            (busy, "try again in 7 s")):
            listening = socket.create_server(("127.0.0.1", 0))

            def serve():
                connection, _ = listening.accept()
                connection.recv(10)
                connection.sendall(words)
                with contextlib.suppress(OSError):
                    connection.recv(100000)
                connection.close()

            thread = threading.Thread(target=serve)
            thread.start()
            result = self.stranger().run(f"127.0.0.1:{listening.getsockname()[1]}", "true")
            self.one_line(result, said)
            thread.join()
            listening.close()
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        self.one_line(self.stranger().run(f"127.0.0.1:{port}", "true"), "Connection refused")

    def test_a3_a_silent_server_is_left_after_the_connect_timeout(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            began = time.monotonic()
            result = self.stranger().run("--connect-timeout", "500ms",
                                         f"127.0.0.1:{listening.getsockname()[1]}", "true")
            self.one_line(result, "--connect-timeout")
            self.assertLess(time.monotonic() - began, 5)


def serve_slowly(front, behind, seconds):
    """Runs an agent at `front` that relays to `behind`, and delays signatures as a touch would."""
    listening, took = socket.socket(socket.AF_UNIX), []
    listening.bind(front)
    listening.listen()

    def read(connection):
        size = connection.recv(4, socket.MSG_WAITALL)
        return size + connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)

    def serve():
        near, _ = listening.accept()
        with listening, near, socket.socket(socket.AF_UNIX) as far:
            far.connect(behind)
            while question := read(near):
                if question[4] == 13:  # SSH_AGENTC_SIGN_REQUEST
                    time.sleep(seconds)
                    took.append("signed")
                far.sendall(question)
                near.sendall(read(far))

    threading.Thread(target=serve, daemon=True).start()
    return took


class Keys(TlsCase):
    def test_a_key_that_is_authorized_gets_in_and_another_does_not(self):
        client, line = self.trusting()
        self.authorize("# nothing yet")
        self.one_line(client.run(self.target, "true"), "login refused", "id_ed25519")
        self.authorize(line)
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")

    def test_every_kind_of_key(self):
        for kind in ("ed25519", "ecdsa", "rsa"):
            client, _ = self.trusting()
            path = os.path.join(client.home, "key")
            self.authorize(make_key(path, kind=kind))
            self.assertEqual(client.run("-i", path, self.target, "echo hi").out, b"hi\n", kind)

    def test_of_several_keys_the_right_one_is_found_and_remembered(self):
        client, _ = self.trusting()
        line = make_key(os.path.join(client.home, ".ssh/id_rsa"), kind="rsa")
        self.authorize(line)
        for _ in range(2):
            self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")
        with open(os.path.join(client.runtime, "state/frsh/keys")) as file:
            self.assertIn(str(self.server.port), file.read())
        # The remembered key is refused now. The client reports that, forgets the key, and logs in.
        with open(os.path.join(client.home, ".ssh/id_ed25519.pub")) as file:
            self.authorize(file.read())
        self.one_line(client.run(self.target, "true"), "run it again")
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")

    def test_if_no_key_is_accepted_all_are_named(self):
        client, _ = self.trusting()
        make_key(os.path.join(client.home, ".ssh/id_ecdsa"), kind="ecdsa")
        self.authorize("")
        self.one_line(client.run(self.target, "true"), "no key was accepted", "id_ed25519", "id_ecdsa")

    def test_a_key_file_that_others_can_read_is_refused(self):
        client, line = self.trusting()
        path = os.path.join(client.home, ".ssh/id_ed25519")
        os.chmod(path, 0o644)
        self.one_line(client.run("-i", path, self.target, "true"), "chmod 600")
        self.assertIn("no such key file", client.run("-i", path + "-none", self.target, "true").err)

    def test_a_passphrase_is_asked_by_ssh_keygen(self):
        client, _ = self.trusting()
        path = os.path.join(client.home, "locked")
        self.authorize(make_key(path, passphrase="sesame"))
        ask = os.path.join(client.home, "ask")
        write(ask, "#!/bin/sh\necho sesame\n", 0o700)
        client.env.update(SSH_ASKPASS=ask, SSH_ASKPASS_REQUIRE="force")
        result = client.run("-i", path, self.target, "echo hi")
        self.assertEqual(result.out, b"hi\n", result)

    def test_awaiting_a_person_extends_the_login_time(self):
        takes = 60 if FULL else 12  # Ten seconds is what a login may take.
        locked, _ = self.trusting()
        path = os.path.join(locked.home, "locked")
        second = make_key(path, passphrase="sesame")
        ask = os.path.join(locked.home, "ask")
        write(ask, f"#!/bin/sh\nsleep {takes}\necho sesame\n", 0o700)
        locked.env.update(SSH_ASKPASS=ask, SSH_ASKPASS_REQUIRE="force")

        touched, first = self.trusting()
        held = os.path.join(touched.home, "held")
        os.rename(os.path.join(touched.home, ".ssh/id_ed25519"), held)
        behind, front = os.path.join(touched.home, "agent"), os.path.join(touched.home, "slow")
        self.authorize(first, second)
        with ssh_agent(behind, held):
            os.unlink(held)
            took = serve_slowly(front, behind, takes)
            touched.env["SSH_AUTH_SOCK"] = front
            words = ("--connect-timeout", "5s")
            processes = [touched.popen(*words, self.target, "echo touched"),
                         locked.popen("-i", path, *words, self.target, "echo unlocked")]
            for process, said in zip(processes, (b"touched\n", b"unlocked\n")):
                out, err = process.communicate(timeout=100)
                self.assertEqual((process.returncode, out), (0, said), err)
                if said == b"touched\n":
                    self.assertIn(b"waiting for ssh-agent: confirm or touch your key", err)
        self.assertEqual(took, ["signed"])

    def test_the_agent(self):
        client, line = self.trusting()
        held, path = os.path.join(client.home, "held"), os.path.join(client.home, "agent")
        os.rename(os.path.join(client.home, ".ssh/id_ed25519"), held)
        self.authorize(line)
        client.env["SSH_AUTH_SOCK"] = path
        with ssh_agent(path, held):
            self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")
            # No user can confirm, so the agent declines.
            env = dict(os.environ, SSH_AUTH_SOCK=path)
            subprocess.run(["ssh-add", "-q", "-D"], env=env, check=True)
            subprocess.run(["ssh-add", "-q", "-c", held], env=env, check=True)
            self.one_line(client.run(self.target, "echo hi"), "no key was accepted", "which declined to sign")
            # The client then offers the next key, however many there are.
            lines = [line, make_key(os.path.join(client.home, ".ssh/id_ecdsa"), kind="ecdsa")]
            for name in ("second", "third"):
                key = os.path.join(client.home, name)
                lines.append(make_key(key))
                subprocess.run(["ssh-add", "-q", "-c", key], env=env, check=True)
            self.authorize(*lines)
            result = client.run(self.target, "echo hi")
            self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""))

    def test_an_authorized_keys_file_others_can_write_is_ignored(self):
        client, line = self.trusting()
        path = os.path.join(self.server.home, ".ssh/authorized_keys")
        self.authorize(line)
        for name, mode in ((path, 0o664), (os.path.dirname(path), 0o770), (self.server.home, 0o720)):
            before = os.stat(name).st_mode & 0o777
            os.chmod(name, mode)
            self.one_line(client.run(self.target, "true"), "login refused")
            os.chmod(name, before)
        self.assertEqual(client.run(self.target, "true").code, 0)
        os.unlink(path)
        os.mkfifo(path, 0o600)
        self.one_line(client.run(self.target, "true"), "login refused")
        os.unlink(path)


class Options(TlsCase):
    def test_command_of_a_key_replaces_the_request(self):
        client, line = self.trusting()
        self.authorize('restrict,command="echo ran: \\"$FRSH_ORIGINAL_COMMAND\\" '
                       '$SSH_ORIGINAL_COMMAND; env" ' + line)
        for name in ("BASH_ENV", "LD_PRELOAD", "IFS", "FRSH_ORIGINAL_COMMAND"):
            for options in ((), ("--run-id", "named")):
                result = client.run(*options, "--env", f"{name}=/tmp/x", self.target, "id")
                self.one_line(result, name, "no client may set it")
        result = client.run("--env", "PATH=/evil", "--cwd", "/tmp", self.target, "rm -rf /; id")
        text = result.out.decode()
        self.assertTrue(text.startswith("ran: rm -rf /; id rm -rf /; id\n"), result)
        self.assertNotIn("/evil", text)
        self.assertIn("SSH_CLIENT=127.0.0.1 ", text)
        result = client.run("--argv", self.target, "a b", "c")
        self.assertTrue(result.out.startswith(b"ran: 'a b' c"), result)
        self.assertTrue(client.run(self.target, stdin=b"echo shell\n").out.startswith(b"ran: \n"))
        result = client.run("--batch", "--one-shell", self.target, stdin=b"echo shell\n")
        self.assertNotEqual(result.code, 0, result)
        self.assertNotIn(b"shell\n", result.out)

    def test_options_of_a_key_allow_or_forbid_a_terminal(self):
        client, line = self.trusting()
        for options, works in (('no-pty ', False), ('restrict ', False), ('restrict,pty ', True),
                               ('', True), ('no-pty,command="tty" ', False)):
            self.authorize(options + line)
            result = client.run("-tt", self.target, "tty")
            if works:
                self.assertEqual(result.code, 0, (options, result))
                self.assertIn(b"/dev/pts/", result.out)
            else:
                self.one_line(result, "this key may have no terminal")
                self.assertEqual(b"", result.out)
        self.authorize('restrict ' + line)
        self.assertEqual(b"not a tty\n", client.run(self.target, "tty").out)

    def test_options_of_a_key_limit_address_and_time(self):
        client, line = self.trusting()
        for options, works in (('from="10.0.0.0/8"', False), ('from="127.0.0.0/8,!127.0.0.1"', False),
                               ('from="127.*"', True), ('expiry-time="20200101"', False),
                               ('expiry-time="20990101"', True), ('tunnel-to="x"', False),
                               ('no-X11-forwarding,no-pty', True), ('cert-authority', False)):
            self.authorize(options + " " + line)
            result = client.run(self.target, "echo hi")
            self.assertEqual(result.code, 0 if works else 255, (options, result))


class OtherUsers(TlsCase):
    def as_nobody(self, *words, home):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] +
                              list(words), stdin=subprocess.DEVNULL, capture_output=True,
                              env={"PATH": os.environ["PATH"], "HOME": home,
                                   "XDG_RUNTIME_DIR": self.server.runtime})

    def test_another_user_of_this_machine_is_refused_as_root(self):
        needs_root(self)
        home = os.path.join("/tmp", os.path.basename(self.folder) + "-nobody")
        os.mkdir(home, 0o700)
        self.addCleanup(shutil.rmtree, home, True)
        program = programs_for_others(self) + "/frsh"
        os.chown(home, 65534, 65534)
        result = self.as_nobody(program, self.target, "id", home=home)
        self.assertEqual(result.returncode, 255, result)
        self.assertIn(b"unknown host", result.stderr)
        for user in ("root", "nobody"):
            result = self.as_nobody(program, "--accept-new", "-l", user, self.target, "id", home=home)
            self.assertEqual((result.returncode, result.stdout), (255, b""), result)
            self.assertIn(b"login refused", result.stderr)

    def test_a_session_has_the_users_ids_groups_and_home_as_root(self):
        needs_root(self)
        name, uid = "frsh-tester", 54099
        place = tempfile.mkdtemp(prefix="frsh-home-")
        self.addCleanup(shutil.rmtree, place, True)
        home = make_folder(place, "home")
        os.chmod(place, 0o755)
        users = Users(os.path.join(self.folder, "etc"))
        users.add(name, uid, home, group="audio")
        server = TlsServer(make_folder(self.folder, "whole"), prefix=users.prefix)
        try:
            client, line = self.trusting()
            self.assertEqual(client.run("--trust", server.name).code, 0)
            target = f"{name}@{server.name}"
            # The key of a client's own opens the server of the same user, and no other.
            write(os.path.join(home, ".config/frsh/id_ed25519.pub"), line + "\n")
            for path in (".", ".config", ".config/frsh", ".config/frsh/id_ed25519.pub"):
                os.chown(os.path.join(home, path), uid, uid)
            self.one_line(client.run(target, "id"), "login refused")
            write(os.path.join(home, ".ssh/authorized_keys"), line + "\n")
            for path in (".ssh", ".ssh/authorized_keys"):
                os.chown(os.path.join(home, path), uid, uid)
            result = client.run(target, "id -un; id -Gn; umask; pwd; echo $HOME $USER $SHELL; "
                                        "grep -E '^(Uid|Gid|CapEff)' /proc/self/status; "
                                        "true")
            lines = result.out.decode().splitlines()
            self.assertEqual(lines[0], name, result)
            self.assertIn("audio", lines[1])
            self.assertEqual(lines[2:5], ["0022", home, f"{home} {name} /bin/sh"], result)
            self.assertEqual(lines[5].split()[1:], [str(uid)] * 4)
            self.assertEqual(lines[6].split()[1:], [str(uid)] * 4)
            self.assertEqual(lines[7].split()[1], "0" * 16)
            # A process that holds the output is found, although the session came from root.
            result = client.run("--linger", "200ms", target, "sleep 7 & true")
            self.assertIn("held open by sleep", result.err)
            self.assertEqual(client.run(target, "true").code, 0)
            users.add(name, uid, home, "/usr/sbin/nologin")
            self.one_line(client.run(target, "true"), "/etc/shells")
            users.add(name, uid, home, expires="1")
            self.one_line(client.run(target, "true"), "the account has expired")
        finally:
            server.end()

    def test_root_logs_in_only_when_configured_as_root(self):
        needs_root(self)
        folder = os.path.join(self.folder, "strict")
        os.mkdir(folder, 0o700)
        from tls import Client
        import tls
        tls.ROOT = False
        try:
            server = TlsServer(folder)
        finally:
            tls.ROOT = True
        self.addCleanup(server.end)
        result = Client(server.home, server.runtime).run(server.name, "id")
        self.one_line(result, "permit_root_login")


if __name__ == "__main__":
    main()
