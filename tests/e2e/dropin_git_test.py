"""Version control with frsh in ssh's place: git, Mercurial."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase  # noqa: E402
from harness import main  # noqa: E402


class Git(ToolCase):
    tools = ("git",)
    variant = "frsh"

    def setUp(self):
        super().setUp()
        self.own = {"GIT_CONFIG_GLOBAL": self.write("gitconfig", (
            "[user]\nname = n\nemail = n@example\n[init]\ndefaultBranch = main\n"
            "[protocol \"file\"]\nallow = always\n[safe]\ndirectory = *\n")),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_SSH_COMMAND": self.variant}

    def git(self, *words, env=None, cwd=None):
        return self.good("git", *words, env={**self.own, **(env or {})}, cwd=cwd or self.work)

    def url(self, name):
        return f"ssh://127.0.0.1:{self.port}{self.path(name)}"

    def repository(self, name="repo.git"):
        self.git("init", "-q", "--bare", name)
        self.git("init", "-q", "first")
        self.write("first/file", os.urandom(400_000))
        first = self.path("first")
        self.git("add", ".", cwd=first)
        self.git("commit", "-q", "-m", "one", cwd=first)
        self.git("push", "-q", self.url(name), "main", cwd=first)
        return first

    def test_clone_push_and_fetch(self):
        first = self.repository()
        self.git("clone", "-q", self.url("repo.git"), "second")
        self.same(os.path.join(first, "file"), self.path("second/file"))
        self.write("second/file", "two\n")
        self.git("commit", "-q", "-a", "-m", "two", cwd=self.path("second"))
        self.git("push", "-q", cwd=self.path("second"))
        self.git("pull", "-q", self.url("repo.git"), "main", cwd=first)
        self.same(os.path.join(first, "file"), self.path("second/file"))

    def test_protocol_version_2_is_spoken(self):
        self.repository()
        result = self.run_tool("git", "-c", "protocol.version=2", "ls-remote", self.url("repo.git"),
                               env={**self.own, "GIT_TRACE_PACKET": "1"})
        self.assertEqual(result.code, 0, result)
        self.assertIn("ls-remote< version 2", result.err)

    def test_git_detects_the_ssh_variant_by_G(self):
        # Without -G git would know no port, and no such option as -4.
        self.repository()
        result = self.run_tool("git", "ls-remote", "--heads", self.url("repo.git"),
                               env={**self.own, "GIT_TRACE": "1"})
        self.assertEqual(result.code, 0, result)
        self.assertIn("-p", result.err)
        if self.variant != "ssh":
            self.assertIn(" -G ", result.err)
        self.git("fetch", "-q", "-4", self.url("repo.git"), "main", cwd=self.path("first"))

    def test_submodules(self):
        self.repository()
        self.git("init", "-q", "--bare", "outer.git")
        self.git("clone", "-q", self.url("repo.git"), "outer")
        outer = self.path("outer")
        self.git("submodule", "--quiet", "add", self.url("repo.git"), "inner", cwd=outer)
        self.git("commit", "-q", "-m", "with a submodule", cwd=outer)
        self.git("push", "-q", self.url("outer.git"), "HEAD:main", cwd=outer)
        self.git("clone", "-q", "--recurse-submodules", self.url("outer.git"), "whole")
        self.same(self.path("first/file"), self.path("whole/inner/file"))

    def test_errors_are_gits_own(self):
        result = self.run_tool("git", "clone", self.url("no-such.git"), env=self.own)
        self.assertEqual(result.code, 128, result)
        self.assertIn("does not appear to be a git repository", result.err)
        self.assertNotIn("frsh:", result.err)
        result = self.run_tool("git", "ls-remote", "ssh://127.0.0.1:1/x", env=self.own)
        self.assertEqual(result.code, 128, result)
        self.assertIn("Connection refused", result.err)
        self.assertIn("Could not read from remote repository", result.err)


class GitCallsSsh(Git):
    """The program that is called ssh is not asked whether it is one."""

    variant = "ssh"


class Mercurial(ToolCase):
    tools = ("hg",)

    def test_clone_push_and_pull(self):
        own = {"HGPLAIN": "1", "HGUSER": "n", "HGRCPATH": self.write("hgrc", "")}

        def hg(*words, cwd=None):
            return self.good("hg", *words, env=own, cwd=cwd or self.work)

        hg("init", "first")
        self.write("first/file", os.urandom(300_000))
        hg("commit", "-q", "-A", "-m", "one", cwd=self.path("first"))
        ssh = ["--ssh", self.rsh.split()[0]]
        url = f"ssh://127.0.0.1:{self.port}/{self.path('first')}"
        hg("clone", "-q", *ssh, url, "second")
        self.same(self.path("first/file"), self.path("second/file"))
        self.write("second/file", "two\n")
        hg("commit", "-q", "-m", "two", cwd=self.path("second"))
        hg("push", "-q", *ssh, cwd=self.path("second"))
        hg("update", "-q", cwd=self.path("first"))
        self.same(self.path("first/file"), self.path("second/file"))


if __name__ == "__main__":
    main()
