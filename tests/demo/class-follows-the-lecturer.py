#!/usr/bin/env python3
"""class-follows-the-lecturer.py FRSH_DEMO: with `serve --class` the lecturer's address runs lessons
and opens results; the address of the class shows the same and starts nothing."""
import http.client
import json
import re
import subprocess
import sys

server = subprocess.Popen([sys.argv[1], "serve", "--class", "--present", "--lang", "en"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
line = server.stdout.readline()
if not line and "built without" in server.stderr.read():
    print("SKIP: frsh-demo is built without cpp-httplib")
    sys.exit(77)
PORT, LECTURER = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{32})&present=1\n",
                              line).groups()
HOST, FOLLOWER = re.fullmatch(rf"http://([0-9.]+):{PORT}/\?token=([0-9a-f]{{32}})\n",
                              server.stdout.readline()).groups()


def get(path, token, host="127.0.0.1", **headers):
    connection = http.client.HTTPConnection(host, int(PORT), timeout=30)
    connection.request("GET", f"{path}{'&' if '?' in path else '?'}token={token}", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def followed(run=0, since=0):
    status, body = get(f"/follow?run={run}&since={since}", FOLLOWER)
    assert status == 200, status
    return json.loads(body)


try:
    assert LECTURER != FOLLOWER
    assert 'data-role="drive"' in get("/", LECTURER)[1]
    assert 'data-role="follow"' in get("/", FOLLOWER, HOST)[1]
    for path in ("/events?lesson=merge", "/events?lesson=try&send=A:5", "/open?count=1"):
        assert get(path, FOLLOWER)[0] == 403, path
    assert get("/", "0" * 32)[0] == 403
    assert get("/", FOLLOWER, Host=f"evil.example:{PORT}")[0] == 403
    assert get("/", FOLLOWER, Origin="http://evil.example")[0] == 403
    assert followed() == {"run": 0, "lesson": "", "opened": 0, "lines": []}
    assert get("/events?lesson=merge", LECTURER)[0] == 200
    state = followed()
    assert state["run"] == 1 and state["lesson"] == "merge" and state["opened"] == 0
    kinds = [one["kind"] for one in state["lines"]]
    assert kinds[-1] == "end" and kinds.count("question") >= 2, kinds
    assert followed(1, len(kinds))["lines"] == []
    get("/open?count=2", LECTURER)
    assert followed(1, len(kinds))["opened"] == 2
    get("/events?lesson=try&send=A:5", LECTURER)
    assert followed()["lesson"] == "merge", "the sandbox is the lecturer's own"
    get("/events?lesson=empty", LECTURER)
    state = followed(1, len(kinds))
    assert state["run"] == 2 and state["opened"] == 0 and len(state["lines"]) > 2
finally:
    server.terminate()
    server.wait()
