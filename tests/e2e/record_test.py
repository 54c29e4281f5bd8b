"""The record: --status-fd, --json and the exit code say one thing."""

import base64
import binascii
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, Place, code_of, main, wait_until_full  # noqa: E402

KEYS = ["run", "target", "command", "outcome", "stdout", "stderr", "usage", "holders", "survivors"]


class Record(Case):
    def test_json_status_fd_and_exit_code_agree_for_every_kind_of_end(self):
        cases = [([], ["echo out; echo err >&2"]), ([], ["exit 3"]), ([], ["kill -9 $$"]),
                 (["--timeout", "150ms"], ["echo x; sleep 60"]),
                 (["--idle-timeout", "150ms"], ["echo x; sleep 60"]),
                 (["--cwd", "/none"], ["true"]), (["--argv"], ["no-such-program"]),
                 (["--argv"], ["/etc"]), (["--max-output", "4"], ["echo 0123456789"]),
                 ([], ["head -c 3000000 /dev/zero"])]
        for place in self.everywhere():
            for options, words in cases:
                plain = place.run(options, *words, record=True)
                both = place.run(["--json"] + options, *words, record=True)
                self.agrees(plain)
                self.agrees(both)
                self.assertEqual(plain.code, both.code)
                self.assertTrue(both.out.endswith(b"\n") and both.out.count(b"\n") == 1)
                printed = json.loads(both.out)
                self.assertEqual(KEYS, list(printed))
                self.assertEqual(KEYS, list(plain.record))
                for stream, got in (("stdout", plain.out), ("stderr", None)):
                    content = printed[stream].pop("text", None)
                    if content is None:
                        content = base64.b64decode(printed[stream].pop("base64"))
                    else:
                        content = content.encode()
                    if got is not None:
                        self.assertEqual(got, content)
                    if "gap_at" not in printed[stream]:
                        self.assertEqual(len(content), printed[stream]["bytes"])
                        self.assertEqual(binascii.crc32(content), printed[stream]["crc32"])
                self.assertEqual(both.record, printed)
                self.assertEqual(plain.record["outcome"], printed["outcome"])
                self.assertEqual(" ".join(words) if "--argv" not in options else words,
                                 printed["command"])

    def test_no_control_of_a_terminal_is_in_what_people_read(self):
        foreign = "".join(map(chr, (0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0x61c, 0x200e, 0x202e, 0x2069)))
        raw = [character.encode() for character in foreign]

        def has_none(text):
            text = text if isinstance(text, bytes) else text.encode()
            self.assertEqual([], [control for control in raw if control in text], text)

        folder = self.path("folder" + foreign)
        os.mkdir(folder)
        for options, words in ((["--json"], [f"printf %s '{foreign}'"]),
                               (["--json", "--argv"], ["echo", foreign]),
                               (["--json", "--cwd", folder + "/none"], ["true"])):
            result = self.unix.run(options, *words, record=True)
            has_none(result.out)
            has_none(result.err)
        self.assertEqual(foreign, json.loads(self.unix.run(
            ["--json"], f"printf %s '{foreign}'").out)["stdout"]["text"])
        for options, words in ((["--cwd", folder + "/none"], ["true"]),
                               (["--argv"], ["none" + foreign]), (["-F", folder + "/none"], ["true"]),
                               (["--env", foreign], ["true"]), (["-v", "--argv"], ["/" + foreign]),
                               (["--wire", "-"], ["true " + foreign])):
            has_none(self.unix.run(options, *words).err)

    def test_usage_is_that_of_the_run(self):
        record = self.unix.run([], "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
                               record=True).record
        usage = record["usage"]
        self.assertGreater(usage["user_s"] + usage["sys_s"], 0.01)
        self.assertGreater(usage["wall_s"], 0.01)
        self.assertGreater(usage["max_rss_kib"], 500)

    def test_run_ids_are_never_the_same_twice(self):
        ids = {self.unix.run([], "true", record=True).record["run"] for _ in range(20)}
        self.assertEqual(20, len(ids))

    def test_output_that_is_not_utf8_is_base64_and_large_output_spills(self):
        data = os.urandom(5 * 1024 * 1024)
        source = self.path("source")
        with open(source, "wb") as file:
            file.write(data)
        os.chmod(source, 0o644)
        for place in self.everywhere():
            printed = json.loads(place.run(["--json"], f"cat {source}").out)
            self.assertTrue(base64.b64decode(printed["stdout"]["base64"]) == data)
            self.assertEqual("", printed["stderr"]["text"])
        result = self.unix.run(["--json"], "printf 'a\\0\\033\\n'")
        self.assertEqual("a\0\x1b\n", json.loads(result.out)["stdout"]["text"])

    def test_json_keeps_the_first_and_last_8_mib_by_default(self):
        result = self.unix.run(["--json"], "head -c 20000000 /dev/zero | tr '\\0' x")
        summary = json.loads(result.out)["stdout"]
        self.assertEqual((20000000, 16 << 20, 8 << 20),
                         (summary["bytes"], summary["delivered"], summary["gap_at"]))
        self.assertEqual("x" * (16 << 20), summary["text"])

    def test_a_command_that_is_not_utf8_has_a_base64_key(self):
        record = self.unix.run([], b"true \xff", record=True).record
        self.assertEqual(b"true \xff", base64.b64decode(record["command_b64"]))
        self.assertNotIn("command", record)
        record = self.unix.run(["--argv"], "true", b"\xff", record=True).record
        self.assertEqual([b"true", b"\xff"], [base64.b64decode(w) for w in record["command_b64"]])

    def test_the_record_may_go_to_stdout_or_stderr(self):
        for number in (1, 2):
            result = self.unix.run(["--status-fd", str(number)], "echo out; echo err >&2; exit 4")
            self.assertEqual(4, result.code)
            lines = (result.out if number == 1 else result.err).splitlines()
            self.assertEqual(2, len(lines), result)
            self.assertEqual(4, json.loads(lines[1])["outcome"]["code"])

    def stalled(self, options, *words):
        """A client whose reader does not read, once the pipe between them is full."""
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        process = self.unix.popen([option.format(write_end) for option in options], *words,
                                  stdin=subprocess.DEVNULL, pass_fds=(write_end,),
                                  stdout=write_end if "--json" in options else subprocess.DEVNULL)
        os.close(write_end)
        wait_until_full(read_end)
        return process

    def test_ctrl_c_ends_the_wait_for_a_stopped_reader_of_the_record(self):
        long = [": " + "x" * 100000 + ";"] * 3
        for options, words in ((["--json"], ["head -c 1000000 /dev/zero"]),
                               (["--status-fd", "{}"], long),
                               (["--status-fd", "{}", "-q"], long)):
            for name in ("INT", "TERM"):
                process = self.stalled(options, *words)
                with self.running(process):
                    number = getattr(signal, "SIG" + name)
                    process.send_signal(number)
                    self.assertEqual(128 + number, process.wait(10))

    def test_a_record_without_a_reader_is_never_success(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        result = self.unix.run(["--status-fd", str(write_end)], "true", pass_fds=(write_end,))
        os.close(write_end)
        self.assertEqual(255, result.code, result)
        self.assertIn(b"the record: write: Broken pipe", result.err)

    def test_a_run_without_a_server_is_recorded_as_not_started(self):
        place = Place("nowhere", self.folder, ["unix:/no/such/socket"])
        result = place.run([], "true", record=True)
        self.assertEqual(255, result.code)
        self.assertEqual(("not_started", "connect"),
                         (result.record["outcome"]["kind"], result.record["outcome"]["stage"]))

    def test_the_exit_code_of_every_outcome(self):
        self.assertEqual(
            [0, 137, 124, 130, 127, 126, 255, 255],
            [code_of(outcome) for outcome in (
                {"kind": "exited", "code": 0}, {"kind": "signaled", "number": 9},
                {"kind": "timed_out"}, {"kind": "canceled"},
                {"kind": "not_started", "stage": "exec", "errno": 2},
                {"kind": "not_started", "stage": "exec", "errno": 13},
                {"kind": "not_started", "stage": "cwd", "errno": 2}, {"kind": "lost"})])


if __name__ == "__main__":
    main()
