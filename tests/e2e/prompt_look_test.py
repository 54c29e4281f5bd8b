"""What the prompt shows beside the line: greeting, title, marks, durations, what ends frsh."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402


class PromptLook(Case):
    def terminal(self, options=(), **env):
        home = os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        return Terminal(self, self.unix.command(["--env", "HOME=" + home, *options], []),
                        environment(self.unix.runtime, XDG_STATE_HOME=self.path("state"), **env))

    def test_l13_one_line_greets_at_the_first_prompt_unless_quiet(self):
        with self.terminal() as t:
            t.prompt()
            self.assertRegex(t.plain(t.raw), r"^[^\n]+: frshd/\S+, bash; :help\n")
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(1, t.raw.count(b":help"))
            self.assertEqual(0, t.leave())
        with self.terminal(["-q"]) as t:
            t.prompt()
            self.assertNotIn(b":help", t.raw)
            self.assertEqual(0, t.leave())

    def test_l13_title_folder_and_marks_are_sent_and_the_title_comes_back(self):
        with self.terminal() as t:
            t.prompt()
            t.run("mkdir -p '/tmp/a b'; cd '/tmp/a b'")
            t.run("(exit 3)")
            t.run("true")
            self.assertIn(b"\x1b[22;2t", t.raw)
            self.assertRegex(bytes(t.raw), rb"\x1b\]2;[^\x07]+@[^\x07]+: ~\x07")
            self.assertRegex(bytes(t.raw), rb"\x1b\]2;[^\x07]+: /tmp/a b\x07")
            self.assertRegex(bytes(t.raw), rb"\x1b\]7;file://[^/]+/tmp/a%20b\x07")
            marks = re.findall(rb"\x1b\]133;([ACD][^\x07]*)\x07", bytes(t.raw))
            self.assertEqual(b"A C D;0 A C D;3 A C D;0 A".split(), marks)
            self.assertRegex(bytes(t.raw), rb"[$#] \x1b\]133;B\x07")
            self.assertEqual(0, t.leave())
            self.assertTrue(t.raw.rstrip(b"\r\n").endswith(b"\x1b[23;2t"), bytes(t.raw[-60:]))
        for term in ("dumb", "linux"):
            with self.terminal(TERM=term) as t:
                t.wait_for(rb"[#$] ")
                self.assertNotIn(b"\x1b]", t.raw)
                self.assertEqual(0, t.leave())

    def test_l13_a_long_command_shows_its_duration_at_the_right(self):
        with self.terminal() as t:
            t.prompt()
            t.run("sleep 2.2")
            t.wait_for(rb"2\.[2-9] s")
            t.run("true")
            start = t.mark
            t.run("true")
            self.assertNotRegex(bytes(t.raw[start:]), rb"\d s")
            self.assertEqual(0, t.leave())

    def test_l13_the_screen_is_reset_by_whatever_ends_frsh(self):
        for name, code in (("TERM", 143), ("HUP", 129)):
            with self.terminal() as t:
                t.prompt()
                t.enter(r"printf '\033[?1049h\033[?25l\033[?1000h\033[?1h\033[4h\033[31mUP'; "
                        "sleep 60")
                t.wait_for_text("UP")
                t.send_signal(name)
                self.assertEqual(code, t.ended())
                for sequence in (b"?1049l", b"?25h", b"?1000l", b"?1l", b"4l", b"0m"):
                    self.assertIn(b"\x1b[" + sequence, t.raw[t.mark:])
                self.assertEqual(t.modes, t.modes_now())
                self.assertEqual(t.raw.count(b"\x1b[?2004h"), t.raw.count(b"\x1b[?2004l"))

    def test_l13_lines_typed_ahead_are_shown_once_more_only(self):
        with self.terminal() as t:
            t.prompt()
            t.enter("echo U''P; sleep 0.7")
            t.wait_for_text("UP\r\n")
            t.keys("echo o''ne\recho t''wo\recho th''ree\r")
            t.wait_for(rb"[\n\a]three\r\n")
            t.prompt()
            shown = t.plain(t.raw)
            for word in ("o''ne", "t''wo", "th''ree"):
                self.assertEqual(2, shown.count(word), shown)
            self.assertEqual(0, t.leave())


if __name__ == "__main__":
    main()
