"""The packages: what is in them, and whose it is."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import BIN, SANITIZED, main  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(BIN))


@unittest.skipUnless(os.path.exists(os.path.join(BUILD, "CPackConfig.cmake")), "no build folder here")
@unittest.skipUnless(shutil.which("dpkg-shlibdeps") and shutil.which("file"), "no dpkg-dev or no file(1) here")
@unittest.skipIf(SANITIZED, "a sanitizer build is not packaged")
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="frsh-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        result = subprocess.run(["cpack", "-G", "DEB", "-B", cls.folder], cwd=BUILD, capture_output=True,
                                text=True, timeout=120)
        assert result.returncode == 0, result
        cls.packages = {name.split("_")[0]: os.path.join(cls.folder, name)
                        for name in os.listdir(cls.folder) if name.endswith(".deb")}

    def ask(self, *words):
        return subprocess.run(["dpkg-deb", *words], capture_output=True, text=True, check=True).stdout

    def files(self, package):
        """Path: (mode, owner), without folders."""
        found = {}
        for line in self.ask("-c", self.packages[package]).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            self.assertEqual(owner, "root/root", line)
            self.assertNotIn("w", mode[5] + mode[8], line)
            if not mode.startswith("d"):
                found[path.removeprefix(".")] = mode
        return found

    def test_the_build_makes_three_packages(self):
        self.assertEqual(sorted(self.packages), ["frsh", "frshd", "python3-frsh"])

    def test_the_python_package_can_be_imported_and_has_the_worker(self):
        deb = self.packages["python3-frsh"]
        self.assertEqual("all", self.ask("-f", deb, "Architecture").strip())
        self.assertIn("frsh", self.ask("-f", deb, "Depends"))
        files = self.files("python3-frsh")
        here = "/usr/lib/python3/dist-packages"
        for path in (f"{here}/frsh/__init__.py", f"{here}/frsh/mcp.py", f"{here}/frsh/py.typed",
                     f"{here}/frsh_clush.py", "/usr/share/doc/python3-frsh/copyright"):
            self.assertIn(path, files)
        self.assertFalse([path for path in files if "__pycache__" in path])
        folder = os.path.join(self.folder, "python")
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        subprocess.run([sys.executable, "-c", "import frsh; frsh.Host"], check=True,
                       env=dict(os.environ, PYTHONPATH=folder + here, PYTHONDONTWRITEBYTECODE="1"))

    def test_the_client_package_has_programs_pages_and_completions(self):
        files = self.files("frsh")
        self.assertEqual(files["/usr/bin/frsh"], "-rwxr-xr-x")
        self.assertIn("/usr/bin/frsh-demo", files)
        self.assertIn("/usr/share/man/man1/frsh.1.gz", files)
        for path in ("bash-completion/completions/frsh", "zsh/vendor-completions/_frsh",
                     "fish/vendor_completions.d/frsh.fish"):
            self.assertIn(f"/usr/share/{path}", files)
        self.assertFalse([path for path in files if not path.startswith("/usr/")])
        for package in ("libc6", "libssl3"):
            self.assertIn(package, self.ask("-f", self.packages["frsh"], "Depends"))

    @unittest.skipUnless(shutil.which("lintian"), "no lintian here")
    def test_lintian_has_no_error(self):
        result = subprocess.run(["lintian", "--allow-root", "--fail-on", "error",
                                 *self.packages.values()], capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_server(self):
        files = self.files("frshd")
        self.assertEqual(files, {
            "/usr/bin/frshd": "-rwxr-xr-x",
            "/etc/frsh/frshd.toml": "-rw-r--r--",
            "/etc/pam.d/frshd": "-rw-r--r--",
            "/usr/lib/systemd/system/frshd.service": "-rw-r--r--",
            "/usr/lib/systemd/system/frshd.socket": "-rw-r--r--",
            "/usr/lib/systemd/user/frshd.service": "-rw-r--r--",
            "/usr/share/bash-completion/completions/frshd": "-rw-r--r--",
            "/usr/share/doc/frshd/changelog.gz": "-rw-r--r--",
            "/usr/share/doc/frshd/copyright": "-rw-r--r--",
            "/usr/share/fish/vendor_completions.d/frshd.fish": "-rw-r--r--",
            "/usr/share/man/man5/frshd.toml.5.gz": "-rw-r--r--",
            "/usr/share/man/man8/frshd.8.gz": "-rw-r--r--",
            "/usr/share/zsh/vendor-completions/_frshd": "-rw-r--r--"})
        depends = self.ask("-f", self.packages["frshd"], "Depends")
        for package in ("adduser", "libc6", "libssl3", "libpam0g", "libpam-runtime"):
            self.assertIn(package, depends)

    def test_the_packaged_configuration_listens_on_loopback_only(self):
        place = os.path.join(self.folder, "x")
        self.ask("-x", self.packages["frshd"], place)
        with open(os.path.join(place, "etc/frsh/frshd.toml")) as file:
            # With "info", the journal would have every command line.
            said = [line for line in file.read().splitlines() if line and not line.startswith("#")]
        self.assertEqual(said, ['listen = ["127.0.0.1:7722"]', 'log_level = "notice"'])
        with open(os.path.join(place, "usr/lib/systemd/system/frshd.socket")) as file:
            self.assertEqual(re.findall("^ListenStream=.*", file.read(), re.M), ["ListenStream=127.0.0.1:7722"])
        for kind in ("system", "user"):
            with open(os.path.join(place, f"usr/lib/systemd/{kind}/frshd.service")) as file:
                self.assertIn("\nExecStart=/usr/bin/frshd\n", file.read())

    def test_every_key_in_the_packaged_configuration_is_valid(self):
        place = os.path.join(self.folder, "y")
        self.ask("-x", self.packages["frshd"], place)
        config = os.path.join(self.folder, "all.toml")
        with open(os.path.join(place, "etc/frsh/frshd.toml")) as file:
            text = re.sub(r"^#(?=[a-z_]+ = )", "", file.read(), flags=re.M)
        for key in ("audit", "allow_users", "allow_groups", "permit_root_login", "permit_user_environment",
                    "accept_env", "host_key"):
            self.assertRegex(text, f"(?m)^{key} = ")
        with open(config, "w") as file:
            file.write(text.replace("/var/log", self.folder))
        os.chmod(config, 0o644)
        # It has nowhere to listen on a command line with --stdio, and a peer that says nothing.
        result = subprocess.run([os.path.join(place, "usr/bin/frshd"), "--config", config, "--stdio"],
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertNotIn(b"unknown key", result.stderr)
        self.assertEqual(result.returncode, 0, result)

    def test_the_maintainer_scripts_are_well_formed(self):
        control = os.path.join(self.folder, "control")
        self.ask("-e", self.packages["frshd"], control)
        with open(os.path.join(control, "conffiles")) as file:
            self.assertEqual(file.read(), "/etc/frsh/frshd.toml\n/etc/pam.d/frshd\n")
        for script in ("postinst", "prerm", "postrm"):
            path = os.path.join(control, script)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o755)
            subprocess.run(["sh", "-n", path], check=True)
            with open(path) as file:
                text = file.read()
            self.assertNotRegex(text, r"systemctl (enable|start|restart)")
        with open(os.path.join(control, "postinst")) as file:
            self.assertRegex(file.read(), r"adduser[^;]*--system[^;]* _frsh\n")

    def in_overlay(self, script):
        """Runs a script as root in an overlay of the file system, which is dropped afterwards. The
        packages are in /packages."""
        over = tempfile.mkdtemp(dir=self.folder)
        outer = f"""
            mount -t tmpfs none {over} || exit 77
            cd {over} && mkdir up work root
            mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root || exit 77
            mount --bind /proc root/proc && mount --bind /dev root/dev || exit 77
            mkdir root/packages && script=$1 && shift && cp "$@" root/packages
            exec chroot root sh -ec "$script"
        """
        result = subprocess.run(["unshare", "--mount", "sh", "-c", outer, "sh", script, *self.packages.values()],
                                capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if result.returncode == 77:
            self.skipTest(f"SKIP: no overlays here: {result.stderr}")
        self.assertEqual(result.returncode, 0, result)
        return result

    @unittest.skipUnless(os.geteuid() == 0, "SKIP: only root installs packages")
    def test_the_packages_install_and_remove_cleanly(self):
        result = self.in_overlay("""
            dpkg -i /packages/*.deb >&2
            getent passwd _frsh; frsh --version; frshd --version
            systemctl is-enabled frshd frshd.socket || true
            dpkg -P python3-frsh frsh frshd >&2
            ls -d /etc/frsh /usr/bin/frsh* 2>&1 || true; getent passwd _frsh || echo nobody
        """)
        self.assertRegex(result.stdout, r"(?m)^_frsh:x:\d+:\d+::/nonexistent:/usr/sbin/nologin$")
        self.assertNotRegex(result.stdout, "(?m)^enabled")
        self.assertTrue(result.stdout.endswith("\nnobody\n"), result)
        left = re.findall("(?m)^ls: cannot access .*/(?:etc/frsh|frsh\\*)", result.stdout)
        self.assertEqual(len(left), 2, result)

    @unittest.skipUnless(os.geteuid() == 0, "SKIP: only root installs packages")
    @unittest.skipUnless(os.path.exists("/usr/bin/ssh"), "SKIP: no ssh here")
    def test_x6_frsh_as_ssh_of_the_package_takes_the_place_of_ssh_and_gives_it_back(self):
        result = self.in_overlay("""
            dpkg -i /packages/*.deb >&2
            frsh-as-ssh status; ssh -V 2>&1
            frsh-as-ssh enable >&2; frsh-as-ssh status
            readlink /usr/bin/ssh; ssh -V 2>&1; ssh.openssh -V 2>&1; ssh local echo by frsh
            frsh-as-ssh disable >&2; ssh -V 2>&1
            frsh-as-ssh enable >&2; dpkg -P python3-frsh frsh frshd >&2
            ssh -V 2>&1; ls /usr/bin/ssh.openssh 2>&1 || echo gone; dpkg-divert --list "*ssh*"
        """)
        real = r"OpenSSH_[^\n]*OpenSSL[^\n]*\n"
        self.assertRegex(result.stdout, rf"^disabled\n{real}enabled\nfrsh\nOpenSSH_\S+ compatible, frsh [^\n]*\n{real}"
                         rf"by frsh\n{real}{real}ls: [^\n]*\ngone\n$")


if __name__ == "__main__":
    main()
