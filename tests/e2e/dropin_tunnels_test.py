"""Programs that tunnel through ssh, unchanged, with frsh in the place of ssh."""

import contextlib
import getpass
import glob
import http.server
import json
import os
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402
import jump_test  # noqa: E402

from dropin import ToolCase, need, skip  # noqa: E402
from harness import PATIENCE, environment, main, wait_until  # noqa: E402
from tls import make_folder, write  # noqa: E402

PAGE = b"a page of the other side\n" * 4000


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Daemon(http.server.BaseHTTPRequestHandler):
    """As much of a Docker daemon as `docker version` asks for."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        body = b"OK"
        if self.path.endswith("/version"):
            body = json.dumps({"Version": "9.8.7", "ApiVersion": "1.44", "MinAPIVersion": "1.24", "Os": "linux",
                               "Arch": "amd64", "GitCommit": "x", "GoVersion": "go1", "KernelVersion": "6",
                               "BuildTime": "", "Platform": {"Name": "stand-in"}, "Components": []}).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Tunnels(ToolCase):
    def serving(self, server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def page(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        return self.serving(server).server_address[1]

    @contextlib.contextmanager
    def tunnel(self, *options):
        """Runs `ssh -N` with these options, and yields the port that it chose."""
        process = self.popen("ssh", "-N", *options, "-p", self.port, "127.0.0.1")
        try:
            found = re.search(rb"Allocated port (\d+) for ", process.stderr.readline())
            yield int(found.group(1))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)

    def test_psql_through_L(self):
        need("psql")
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not programs or os.geteuid() == 0:
            skip("no PostgreSQL server here, or it refuses root")
        data = self.path("data")
        self.good(programs[-1] + "/initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = self.popen(programs[-1] + "/postgres", "-D", data, "-p", str(port), "-k", self.folder,
                            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with self.tunnel("-L", f"0:127.0.0.1:{port}") as near:
                ask = ["psql", "-h", "127.0.0.1", "-p", str(near), "-U", "tester", "-d", "postgres", "-Atc"]
                wait_until(lambda: self.run_tool(*ask, "select 1").code == 0, "PostgreSQL")
                out = self.good(*ask, "select count(*), sum(i) from generate_series(1, 100000) i").out
                self.assertEqual(out, "100000|5000050000\n")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(PATIENCE)

    def test_curl_through_D_with_names_resolved_at_the_server(self):
        need("curl")
        port = self.page()
        with self.tunnel("-D", "0") as proxy:
            for kind in ("socks5h", "socks5", "socks4a"):
                with self.subTest(kind):
                    out = self.good("curl", "-sS", "--noproxy", "", "-x", f"{kind}://127.0.0.1:{proxy}",
                                    f"http://localhost:{port}/").out
                    self.assertEqual(out.encode(), PAGE)
            result = self.run_tool("curl", "-sS", "--noproxy", "", "-x", f"socks5h://127.0.0.1:{proxy}",
                                   "http://127.0.0.1:1/")
            self.assertEqual(result.code, 97, result)  # CURLE_PROXY: with SOCKS5's own answer.

    def test_vs_codes_form_has_a_shell_and_a_proxy_on_one_connection(self):
        port = self.page()
        with socket.create_server(("127.0.0.1", 0)) as free:
            proxy = free.getsockname()[1]
        script = ("echo 'ready: 5f'; uname -s; printf 'listeningOn==%s==\\n' " + str(port) +
                  "; read line; echo \"end: $line\"\n")
        process = self.popen("ssh", "-T", "-D", str(proxy), "-o", "ConnectTimeout=15", "-p", self.port,
                             "127.0.0.1", "bash", stdin=subprocess.PIPE)
        process.stdin.write(script.encode())
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(3)]
        self.assertEqual(lines, [b"ready: 5f\n", b"Linux\n", f"listeningOn=={port}==\n".encode()])
        with socket.create_connection(("127.0.0.1", proxy), timeout=PATIENCE) as stream:
            stream.sendall(b"\5\1\0")
            self.assertEqual(stream.recv(2), b"\5\0")
            stream.sendall(b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
            self.assertEqual(stream.recv(10)[:2], b"\5\0")
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(forward_test.read_to_end(stream).endswith(PAGE[-100:]))
        out, err = process.communicate(b"over\n", timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, b"end: over\n"), err)

    def test_docker_H_ssh_dials_its_daemon(self):
        need("docker")
        path = os.path.join(self.folder, "docker.sock")
        self.serving(UnixServer(path, Daemon))
        # The command runs with a clean environment: SetEnv says where the daemon is.
        write(os.path.join(self.server.home, ".ssh/config"),
              f"Host box\n HostName 127.0.0.1\n User {getpass.getuser()}\n SetEnv DOCKER_HOST=unix://{path}\n")
        out = self.good("docker", "-H", f"ssh://box:{self.port}", "version", "--format", "{{.Server.Version}}").out
        self.assertEqual(out, "9.8.7\n")

    def test_sshuttles_form_sends_its_program_and_then_frames(self):
        program = b"""
import struct
while True:
    head = stdin.read(8)
    if not head: break
    magic, channel, kind, size = struct.unpack('!2sHHH', head)
    data = stdin.read(size)
    sys.stdout.buffer.write(struct.pack('!2sHHH', magic, channel, kind, size) + data[::-1])
    sys.stdout.buffer.flush()
sys.exit(0)
"""
        starter = ("import sys, os; verbosity=0; stdin = os.fdopen(0, 'rb'); "
                   f"exec(compile(stdin.read({len(program)}), 'assembler.py', 'exec')); sys.exit(98);")
        words = ["ssh", "-p", self.port, "127.0.0.1", "--", "/bin/sh -c " +
                 shlex.quote(f"exec python3 -c {shlex.quote(starter)}")]
        process = self.popen(*words, stdin=subprocess.PIPE)
        process.stdin.write(program)
        for number in range(200):
            data = os.urandom(number * 17 % 4000)
            frame = b"SS" + number.to_bytes(2, "big") + b"\x42\x00" + len(data).to_bytes(2, "big")
            process.stdin.write(frame + data)
            process.stdin.flush()
            self.assertEqual(process.stdout.read(8), frame)
            self.assertEqual(process.stdout.read(len(data)), data[::-1])
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out, err), (0, b"", b""))

    def test_libvirts_and_x2gos_forms_reach_a_socket_by_nc(self):
        need("nc")
        path = os.path.join(self.folder, "libvirt.sock")
        peer = forward_test.Peer(forward_test.echo, path)
        self.addCleanup(peer.close)
        libvirt = ("if 'nc' -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; then ARG=-q0;else ARG=;fi;"
                   f"'nc' $ARG -U {path}")
        out = self.good("ssh", "-T", "-e", "none", "-p", self.port, "--", "127.0.0.1",
                        "sh -c " + shlex.quote(libvirt), stdin=b"to libvirtd and back").out
        self.assertEqual(out, "to libvirtd and back")
        tcp = forward_test.Peer(forward_test.echo)
        self.addCleanup(tcp.close)
        out = self.good("ssh", "-p", self.port, "127.0.0.1", f"nc -N 127.0.0.1 {tcp.port}",
                        stdin=b"x2go's channel").out
        self.assertEqual(out, "x2go's channel")


class HopTools(jump_test.Hops):
    """git and rsync through two hops: one has a frshd, the other only an sshd."""

    def tool(self, client, *words, **more):
        bin_folder = make_folder(client.home, "bin")
        for name in ("ssh", "frsh"):
            with contextlib.suppress(FileExistsError):
                os.symlink(jump_test.FRSH, os.path.join(bin_folder, name))
        env = environment(client.runtime, HOME=client.home, **client.env)
        env["PATH"] = bin_folder + ":" + env["PATH"]
        result = subprocess.run(words, env=env, cwd=client.home, capture_output=True, stdin=subprocess.DEVNULL,
                                timeout=4 * PATIENCE, **more)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout

    def test_git_and_rsync_through_a_frshd_and_an_sshd(self):
        need("git", "rsync")
        client = self.traveller()
        self.sshd(client)
        hops = f"{self.first},sshd:bastion"
        # The sshd that is reached from the first hop.
        rsh = f"frsh -F {client.ssh_config} -J {hops}"
        target, port = self.target.split(":")
        source = make_folder(client.home, "source")
        for number in range(20):
            write(os.path.join(source, f"file-{number}"), os.urandom(5000).hex())
        self.tool(client, "rsync", "-a", "-e", rsh + f" -p {port}", source + "/", f"{target}:{client.home}/copy/")
        diff = subprocess.run(["diff", "-r", source, client.home + "/copy"], capture_output=True)
        self.assertEqual(diff.returncode, 0, diff.stdout)
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
        self.tool(client, *git, "init", "-q", source)
        self.tool(client, *git, "-C", source, "add", ".")
        self.tool(client, *git, "-C", source, "commit", "-q", "-m", "one")
        client.env["GIT_SSH_COMMAND"] = rsh
        self.tool(client, *git, "clone", "-q", f"ssh://{target}:{port}{source}", client.home + "/clone")
        self.assertEqual(self.tool(client, *git, "-C", client.home + "/clone", "rev-parse", "HEAD"),
                         self.tool(client, *git, "-C", source, "rev-parse", "HEAD"))


# The cases of jump_test run in their own area.
for inherited in [name for name in dir(jump_test.Hops) if name.startswith("test")]:
    setattr(HopTools, inherited, None)

if __name__ == "__main__":
    main()
