#!/usr/bin/env python3
"""exercises-judge-rightly.py ROOT [NAME]: each check of LESSONS.md accepts right answers in many
styles, and refuses wrong ones with a ribbon where there is a stream, and the name of the fault.

FRSH_SHOW_VERDICTS=1 prints what each wrong one is told."""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

import exercise_answers
import exercise_programs

ROOT = sys.argv[1]
NAMES = ["printf", "hunt", "exactly", "echo", "empty", "hostile", "file", "two", "udp", "client"]
RIGHT = {**exercise_answers.RIGHT, **exercise_programs.RIGHT}
WRONG = {**exercise_answers.WRONG, **exercise_programs.WRONG}
PROGRAMS = ("echo", "empty", "hostile", "two", "client")
CHECK = f"{ROOT}/client/demo/exercises/exercises.py"


def judge(exercise, answer, seconds, language="C"):
    done = subprocess.run([sys.executable, CHECK, exercise, answer],
                          capture_output=True, text=True, check=False, timeout=200,
                          env={**os.environ, "LC_ALL": language, "PYTHONIOENCODING": "utf-8",
                               "FRSH_EXERCISE_SECONDS": str(seconds),
                               "PYTHONUNBUFFERED": "", "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.stderr == "", (exercise, answer, done.stderr)
    return done.returncode, done.stdout


def written(folder, exercise, name, text):
    path = os.path.join(folder, "my_" + name + ".py" * (exercise not in (*PROGRAMS, "printf")))
    head = f"#!{sys.executable}\n" if exercise in PROGRAMS and name != "no_first_line" else ""
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + text)
    os.chmod(path, 0o644 if name == "not_executable" else 0o755)
    return path


def judged_right(folder, exercise, name, text, command):
    # A generous limit: a right answer is to pass on a busy machine, too.
    code, verdict = judge(command, written(folder, exercise, name, text), 30)
    if code != 0 or not verdict.endswith("right\n"):
        return f"{exercise}: {name} is right, and refused: {verdict}"
    if exercise != "client" and "┌" not in verdict:
        return f"{exercise}: {name} has no ribbon: {verdict}"
    return ""


def judged_wrong(folder, exercise, name, text, fault):
    # Ten seconds as for a learner: on a busy machine the fault takes a while to show.
    code, verdict = judge(exercise, written(folder, exercise, name, text), 10)
    last = (verdict.splitlines() or [""])[-1]
    if code != 1 or not last.startswith("not yet: "):
        return f"{exercise}: {name} is wrong, and accepted ({code}): {verdict}"
    if os.environ.get("FRSH_SHOW_VERDICTS"):
        print(f"--- {exercise} {name}\n{verdict}", end="")
    return "" if fault in last else f"{exercise}: {name} is not refused for {fault!r}: {verdict}"


def cases(folder):
    for number, exercise in enumerate(NAMES, 1):
        if sys.argv[2:] and exercise not in sys.argv[2:]:
            continue
        assert len(RIGHT[exercise]) >= 5 and len(WRONG[exercise]) >= 8, exercise
        place = os.path.join(folder, exercise)
        for kind, answers in (("right", RIGHT), ("wrong", WRONG)):
            os.makedirs(f"{place}/{kind}")
        with open(f"{place}/right/exactly.py", "w", encoding="utf-8") as file:
            file.write(exercise_answers.EXACTLY)  # A learner uses the answer of step 3 again.
        for at, (name, text) in enumerate(RIGHT[exercise]):
            yield judged_right, (f"{place}/right", exercise, name, text,
                                 str(number) if at == 0 else exercise)
        for name, text, fault in WRONG[exercise]:
            yield judged_wrong, (f"{place}/wrong", exercise, name, text, fault)


def stuck_and_chinese(folder):
    code, text = judge("stuck", "7", 30)
    assert (code, text) == (0, "right\n"), text
    for answer, fault in (("31", "no payload"), ("seven", "a number"), ("98", "headers, too")):
        code, text = judge("stuck", answer, 30)
        assert code == 1 and fault in text, (answer, text)
    path = os.path.join(folder, "chinese.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write("def exactly(sock, size):\n    return sock.recv(1)\n")
    code, text = judge("exactly", path, 30, "zh_CN.UTF-8")
    assert code == 1 and text.splitlines()[-1].startswith("还不对：") and "返回: 1" in text, text
    code, text = judge("nothing", path, 30, "zh_CN.UTF-8")
    assert code == 2 and "检查 LESSONS.zh.md 的十个练习" in text, text
    code, text = judge("exactly", os.path.join(folder, "no such file"), 30)
    assert code == 1 and "there is no file" in text, text
    copied = shutil.copytree(os.path.dirname(CHECK), os.path.join(folder, "copied"))
    for name, needed in (("stuck", "LESSONS.md"), ("client", "mini_server.py")):
        done = subprocess.run([sys.executable, os.path.join(copied, "exercises.py"), name, "7"],
                              capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, "LC_ALL": "C"})
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.endswith(
            f"{needed}: not found; run it from the source tree\n"), (name, done)
        assert done.stderr.count("\n") == 1, (name, done)


def main():
    problems, seen = [], 0
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        stuck_and_chinese(folder)
        for done in [pool.submit(act, *arguments) for act, arguments in cases(folder)]:
            seen += 1
            problems += filter(None, [done.result()])
    print(*problems, f"{seen} answers were judged, {len(problems)} of them wrongly", sep="\n")
    return 1 if problems or not seen else 0


sys.exit(main())
