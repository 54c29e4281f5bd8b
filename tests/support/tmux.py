"""Two screens in a private tmux: a program that runs here, and the same program through frsh.

Both get the same keys. Their screens are compared cell by cell, colours included.
"""

import os
import shlex
import shutil
import subprocess

from harness import wait_until

TMUX = shutil.which("tmux")


class Tmux:
    def __init__(self, folder, env):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.socket = os.path.join(folder, "tmux")
        self.env = env
        settings = (("-s", "escape-time", "0"),
                    ("-g", "default-terminal", "tmux-256color"), ("-g", "history-limit", "3000"))
        # Without a session it would end.
        words = ["-f", "/dev/null", "new-session", "-d", "-s", "keeper", f"exec {TMUX} wait never"]
        for setting in settings:
            words += [";", "set", *setting]
        self.call(*words)

    def call(self, *arguments):
        done = subprocess.run([TMUX, "-u", "-S", self.socket, *arguments], env=self.env,
                              capture_output=True, text=True, check=False, timeout=30)
        if done.returncode != 0:
            raise AssertionError(f"tmux {arguments}: {done.stderr}")
        return done.stdout

    def clear(self):
        for name in self.call("list-sessions", "-F", "#{session_name}").split():
            if name != "keeper":
                self.call("kill-session", "-t", name)

    def end(self):
        subprocess.run([TMUX, "-S", self.socket, "kill-server"], env=self.env, check=False,
                       capture_output=True)


class Screen:
    """A program in a window; what it leaves of the terminal's modes is in `after`."""

    def __init__(self, tmux, name, command, folder, columns, rows):
        self.tmux, self.name = tmux, name
        self.before = os.path.join(folder, "before")
        self.after = os.path.join(folder, "after")
        script = (f"cd {shlex.quote(folder)}; stty -g >before; {shlex.join(command)}; "
                  "printf '\\n[ended with %s]\\n' $?; stty -g >after; exec cat")
        tmux.call("new-session", "-d", "-s", name, "-x", str(columns), "-y", str(rows), script)

    def text(self, history=0):
        """Returns the screen with attributes and colours."""
        return self.tmux.call("capture-pane", "-p", "-e", "-t", self.name, "-S", str(-history))

    def plain(self):
        return self.tmux.call("capture-pane", "-p", "-t", self.name)

    def keys(self, *names):
        self.tmux.call("send-keys", "-t", self.name, *names)

    def type(self, text):
        self.tmux.call("send-keys", "-t", self.name, "-l", text)

    def paste(self, text):
        self.tmux.call("set-buffer", "-b", self.name, text)
        self.tmux.call("paste-buffer", "-p", "-b", self.name, "-t", self.name)

    def resize(self, columns, rows):
        self.tmux.call("resize-window", "-t", self.name, "-x", str(columns), "-y", str(rows))

    def flag(self, name):
        return self.tmux.call("display", "-p", "-t", self.name, "#{" + name + "}").strip()

    def wait_for(self, *texts):
        def look():
            shown = self.plain()
            return all(text in shown for text in texts)

        try:
            wait_until(look, f"{texts!r} on the screen {self.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.plain()}") from None

    def modes_are_back(self, case):
        wait_until(lambda: os.path.exists(self.after) and os.path.getsize(self.after), "the modes")
        with open(self.before) as before, open(self.after) as after:
            case.assertEqual(before.read(), after.read(), "the terminal's modes")


class Pair:
    """Two windows with the same program. `screens` has the local one and the one through frsh."""

    def __init__(self, case, here, there):
        self.case = case
        self.screens = (here, there)

    def same(self, *texts, history=0):
        """Waits until both screens show these texts and are equal. Returns what they show."""
        here, there = self.screens
        here.wait_for(*texts)
        there.wait_for(*texts)

        def look():
            shown = here.text(history)
            return shown if shown == there.text(history) else None

        try:
            return wait_until(look, "both screens to be the same", 10)
        except AssertionError:
            self.case.assertEqual(here.text(history), there.text(history))
            raise

    def keys(self, *names):
        for screen in self.screens:
            screen.keys(*names)

    def type(self, text):
        for screen in self.screens:
            screen.type(text)

    def paste(self, text):
        for screen in self.screens:
            screen.paste(text)

    def resize(self, columns, rows):
        for screen in self.screens:
            screen.resize(columns, rows)

    def ended(self):
        for screen in self.screens:
            screen.wait_for("[ended with 0]")
            screen.modes_are_back(self.case)
        return self.same("[ended with 0]")
