#!/usr/bin/env python3
"""example.py TARGET: what the package frsh does, in a few lines."""

import sys

import frsh

with frsh.Host(sys.argv[1]) as host:
    # A text is for the shell on the server; a list is a program and its arguments.
    record = host.run("echo out; echo err >&2; exit 3")
    print(record.kind, record.code, record.stdout, record.stderr)
    print(host.run(["printf", "%s|", "a  b", "*"]).stdout)

    # Input, a folder, variables, and a limit in seconds.
    record = host.run("cat; pwd; echo $LEVEL", stdin=b"in\n", cwd="/", env={"LEVEL": "3"},
                      timeout=10)
    print(record.stdout)

    # Output as it arrives. The command waits for a slow reader.
    run = host.start("seq 100000")
    print(sum(len(data) for _, data in run.chunks()), run.wait().code)

    # No exit code is invented: what did not run, or was lost, is an exception.
    try:
        host.run(["no-such-program"])
    except frsh.NotStarted as error:
        print("not started:", error.stage)
