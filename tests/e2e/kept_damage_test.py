"""A damaged state folder: each kept run is listed, each request has an answer, and damage is never
a success, a hang or silence."""

import json
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, Place, main  # noqa: E402

QUICK = 5  # Seconds in which a request for a damaged run has its answer.


def as_file(path):
    with open(path, "w") as file:
        file.write("x")


def as_link(path):
    os.symlink("/etc", path)


def as_dangling_link(path):
    os.symlink("/nowhere", path)


def with_asked(make):
    def form(path):
        os.mkdir(path, 0o700)
        make(os.path.join(path, "asked"))
    return form


def unreadable(path):
    as_file(path)
    os.chmod(path, 0)


def closed_folder(path):
    os.mkdir(path, 0)


# What may have the name of a run in the state folder.
FORMS = {
    "file": as_file, "link": as_link, "dangling-link": as_dangling_link, "fifo": os.mkfifo,
    "closed-folder": closed_folder, "asked-file": with_asked(as_file),
    "asked-unreadable": with_asked(unreadable), "asked-folder": with_asked(os.mkdir),
    "asked-link": with_asked(as_link), "asked-fifo": with_asked(os.mkfifo),
}


class KeptDamage(Case):
    def setUp(self):
        self.runtime = tempfile.mkdtemp(dir=self.folder)
        self.here = Place("stdio", self.runtime, ["local"])
        self.runs = os.path.join(self.runtime, "state/frsh/runs")
        self.assertEqual(0, self.here.run(["--run-id", "whole"], "echo out; exit 0").code)

    def listed(self):
        result = self.here.run(["--runs", "--json"], timeout=QUICK)
        self.assertEqual((0, b""), (result.code, result.err), result)
        return {one["run"]: one for one in map(json.loads, result.out.splitlines())}

    def make_forms(self):
        for name, make in FORMS.items():
            make(os.path.join(self.runs, name))

    def test_k1_an_id_of_an_unexpected_form_is_refused_in_one_line(self):
        self.make_forms()
        for name in FORMS:
            for option in ("--run-id", "--shell"):
                with self.subTest(name, option=option):
                    result = self.here.run([option, name], "echo ran", timeout=QUICK, record=True)
                    self.assertEqual((255, b"", 1), (result.code, result.out, result.err.count(b"\n")),
                                     result)
                    self.assertIn(result.record["outcome"]["kind"], ("lost", "not_started"))

    def test_k1_every_damaged_run_is_listed_and_can_be_forgotten(self):
        self.make_forms()
        end = os.path.join(self.runs, "whole/end")
        for name in ("end-folder", "end-unreadable", "journal-unreadable"):
            shutil.copytree(os.path.join(self.runs, "whole"), os.path.join(self.runs, name))
        for name, make in (("end-folder", os.mkdir), ("end-unreadable", unreadable)):
            os.unlink(os.path.join(self.runs, name, "end"))
            make(os.path.join(self.runs, name, "end"))
        os.unlink(os.path.join(self.runs, "journal-unreadable/end"))
        os.chmod(os.path.join(self.runs, "journal-unreadable/stdout-" + "0" * 16), 0)
        self.assertTrue(os.path.isfile(end))
        names = {*FORMS, "end-folder", "end-unreadable", "journal-unreadable"}
        listed = self.listed()
        self.assertEqual({"whole"} | names, set(listed))
        for name, one in listed.items():
            self.assertEqual("exited" if name == "whole" else "lost", one["outcome"]["kind"], one)
        plain = self.here.run(["--runs"])
        self.assertEqual((0, len(names) + 1), (plain.code, len(plain.out.splitlines())), plain)
        for name in names:
            result = self.here.run(["--forget", name], timeout=QUICK)
            self.assertEqual((0, b""), (result.code, result.err), name)
        self.assertEqual(["whole"], os.listdir(self.runs))

    def test_k1_the_output_of_a_run_with_a_damaged_record_is_never_a_success(self):
        for number, (file, damage) in enumerate((name, way) for name in ("asked", "end")
                                                for way in ("flip", "empty", "folder")):
            run = f"damaged-{number}"
            shutil.copytree(os.path.join(self.runs, "whole"), os.path.join(self.runs, run))
            path = os.path.join(self.runs, run, file)
            if damage == "folder":
                os.unlink(path)
                os.mkdir(path)
            else:
                with open(path, "r+b") as opened:
                    opened.write(b"?")
                    opened.truncate(0 if damage == "empty" else os.path.getsize(path))
            for options in (["--logs"], ["-q", "--logs"], ["--json", "--logs"], ["--attach"], ["--wait"]):
                with self.subTest(file=file, damage=damage, options=options):
                    result = self.here.run([*options, run], timeout=QUICK)
                    self.assertEqual(255, result.code, result)

    def test_k1_a_damaged_start_record_is_lost_and_not_run_again(self):
        count = self.path("count")
        self.assertEqual(0, self.here.run(["--run-id", "once"], f"echo >> {count}").code)
        with open(os.path.join(self.runs, "once/asked"), "r+b") as file:
            file.write(b"?")
        result = self.here.run(["--run-id", "once"], f"echo >> {count}", record=True, timeout=QUICK)
        self.assertEqual((255, "lost", 1), (result.code, result.record["outcome"]["kind"],
                                            result.err.count(b"\n")), result)
        self.assertEqual(1, os.path.getsize(count))

    def test_a_new_id_takes_no_longer_with_many_kept_runs(self):
        def time_of(name):
            begin = time.monotonic()
            self.assertEqual(0, self.here.run(["--run-id", name], "true").code)
            return time.monotonic() - begin

        few = sorted(time_of(f"few-{i}") for i in range(5))[2]
        whole = os.path.join(self.runs, "whole")
        for i in range(3000):
            copy = os.path.join(self.runs, f"many-{i}")
            os.mkdir(copy, 0o700)
            for name in os.listdir(whole):
                os.link(os.path.join(whole, name), os.path.join(copy, name))
        many = sorted(time_of(f"more-{i}") for i in range(5))[2]
        self.assertLess(many, few + 0.1)
        self.no_strays()


if __name__ == "__main__":
    main()
