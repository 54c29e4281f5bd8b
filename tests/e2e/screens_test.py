"""Full-screen programs through frsh, in tmux, beside the same run here: screen by screen."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main, wait_until  # noqa: E402
from tmux import TMUX, Pair, Screen, Tmux  # noqa: E402


def needs(program):
    """A test that needs this program; without it a skip, said aloud."""
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


@needs("tmux")
class Screens(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if TMUX is None:
            return
        cls.env = environment(cls.unix.runtime, LANG="C.UTF-8", HOME=cls.folder, SHELL="/bin/sh",
                              LESSHISTFILE="-", TMUX_TMPDIR=cls.folder)
        cls.tmux_folder = tempfile.mkdtemp(prefix="frsh-")  # Sockets have short names.
        cls.addClassCleanup(shutil.rmtree, cls.tmux_folder, True)
        cls.tmux = Tmux(cls.tmux_folder, cls.env)
        cls.addClassCleanup(cls.tmux.end)

    def tearDown(self):
        self.tmux.clear()
        super().tearDown()

    def strays(self):
        return [stat for stat in super().strays() if not stat.name.startswith("tmux")]

    def screen(self, name, command, columns, rows, files):
        folder = os.path.join(self.path("files"), name)
        os.makedirs(folder)
        for path, text in files.items():
            with open(os.path.join(folder, path), "w") as file:
                file.write(text)
        if name == "here":
            words = ["/bin/sh", "-c", command]
        else:
            variables = [f"{key}={self.env[key]}" for key in ("HOME", "LESSHISTFILE")]
            options = ["-t", "--cwd", folder]
            for variable in variables:
                options += ["--env", variable]
            words = self.unix.command(options, ["exec /bin/sh -c " + f"'{command}'"])
        return Screen(self.tmux, name, words, folder, columns, rows)

    def pair(self, command, columns=80, rows=24, **files):
        files = {name.replace("_", "."): text for name, text in files.items()}
        return Pair(self, *(self.screen(name, command, columns, rows, files)
                            for name in ("here", "there")))

    def file(self, name, path):
        with open(os.path.join(self.path("files"), name, path)) as file:
            return file.read()

    @needs("vim")
    def test_vim_edits_a_file(self):
        lines = "".join(f"line {i} of the file\n" for i in range(100))
        pair = self.pair("vim -N -u NONE -i NONE +syntax\\ on text.c", text_c=lines)
        pair.same("line 0 of", "text.c")
        for keys in (("G",), ("o",), ("int main(void) { /* 漢字 */ return 0; }",), ("Escape",),
                     (":50", "Enter"), ("d", "5", "d"), (":vsplit", "Enter"), ("z", "z"),
                     ("/line 99", "Enter"), ("v", "w", "w", "~"), (":set number", "Enter")):
            pair.keys(*keys)
            pair.same()
        pair.resize(100, 40)
        pair.same("LINE 99")
        pair.resize(60, 20)
        pair.same("LINE 99")
        pair.keys(":wqa", "Enter")
        pair.ended()
        self.assertEqual(self.file("here", "text.c"), self.file("there", "text.c"))
        self.assertIn("int main(void) { /* 漢字 */ return 0; }\n", self.file("there", "text.c"))

    @needs("less")
    def test_less_pages_and_searches(self):
        pair = self.pair("less long.txt", long_txt="".join(f"word {i} end\n" for i in range(2000)))
        pair.same("word 0 end")
        for keys in ("Space", "Space", "b", "G"):
            pair.keys(keys)
            pair.same()
        pair.keys("?word 777", "Enter")
        pair.same("word 777 end")
        pair.resize(50, 12)
        pair.same("word 777 end")
        pair.keys("q")
        pair.ended()

    @needs("dialog")
    def test_a_curses_form_is_filled_in(self):
        pair = self.pair("dialog --no-mouse --form Who? 12 50 4 Name 1 2 \"\" 1 10 20 30 "
                         "Town 2 2 \"\" 2 10 20 30 2>answer")
        pair.same("Who?", "Name", "Town")
        pair.type("Ada")
        pair.keys("Down")
        pair.type("Zürich")
        pair.keys("BSpace")
        pair.same("Ada", "Züric")
        pair.keys("Tab", "Enter")
        for screen in pair.screens:
            screen.wait_for("[ended with 0]")
            screen.modes_are_back(self)
        self.assertEqual("Ada\nZüric\n", self.file("there", "answer"))
        self.assertEqual(self.file("here", "answer"), self.file("there", "answer"))

    def test_a_log_of_200_columns_at_full_speed(self):
        pair = self.pair("seq 1 20000 | while read -r n; do printf \"%06d %0193d\\n\" $n $n; done",
                         columns=200, rows=50)
        pair.same("020000 ", "[ended with 0]", history=2500)

    def test_wide_and_combining_characters_shown_typed_and_erased(self):
        text = "漢字 ｗｉｄｅ e\u0301 a\u0308\u0323 👍 ┌─┐ \u05e9\u05dc\u05d5\u05dd ﬁ\n" * 3
        pair = self.pair("cat text.txt; head -n 1 >typed", text_txt=text)
        pair.same("┌─┐")
        pair.type("漢字é")
        pair.same("漢字é")
        pair.keys("BSpace", "BSpace")
        pair.type("ok")
        pair.same("ok")  # Both kernels count each of these as one column.
        pair.keys("Enter")
        pair.ended()
        self.assertEqual("漢ok\n", self.file("there", "typed"))

    def test_a_paste_is_bracketed_if_the_program_requests_it(self):
        pair = self.pair("s=$(stty -g); stty raw -echo; printf \"\\033[?2004hready\"; "
                         "head -c 31 | cat -v; printf \"\\033[?2004l\"; stty $s")
        pair.same("ready")
        pair.paste("two\nlines of a text")
        shown = pair.ended()
        self.assertIn("^[[200~two", shown)
        self.assertIn("of a text^[[201~", shown)

    def test_the_mouse_is_switched_on_and_its_clicks_arrive(self):
        pair = self.pair("s=$(stty -g); stty raw -echo; printf \"\\033[?1000h\\033[?1006hready\"; "
                         "head -c 20 | cat -v; printf \"\\033[?1000l\\033[?1006l\"; stty $s")
        pair.same("ready")
        for screen in pair.screens:
            self.assertEqual("1", screen.flag("mouse_standard_flag"))
            self.assertEqual("1", screen.flag("mouse_sgr_flag"))
        pair.type("\x1b[<0;12;5M\x1b[<0;12;5m")
        self.assertIn("^[[<0;12;5M^[[<0;12;5m", pair.ended())

    def monitor(self, program, sign, quit_key):
        there = self.screen("there", program, 90, 24, {})
        there.wait_for(sign)
        for columns, rows in ((120, 40), (70, 18)):
            there.resize(columns, rows)
            # It fills the new size: its last line is in use.
            wait_until(lambda r=rows: there.plain().split("\n")[r - 1].strip(), "a whole screen")
        there.keys(quit_key)
        there.wait_for("[ended with 0]")
        there.modes_are_back(self)
        there.type("typed here")
        there.wait_for("typed here")  # The terminal echoes again, so its modes are restored.
        self.assertEqual("1", there.flag("cursor_flag"))
        self.assertEqual("0", there.flag("alternate_on"))

    @needs("top")
    def test_top_starts_resizes_quits_and_leaves_the_terminal_as_it_was(self):
        self.monitor("top", "load average", "q")

    @needs("htop")
    def test_htop_starts_resizes_quits_and_leaves_the_terminal_as_it_was(self):
        self.monitor("htop", "Quit", "q")


if __name__ == "__main__":
    main()
