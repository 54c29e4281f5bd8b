#!/usr/bin/env python3
"""page-in-a-browser.py FRSH_DEMO: what `frsh-demo serve` sends, and to which requests.
Then the page in a headless Chromium, if there is one, 1280 and 390 pixels wide."""
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

server = subprocess.Popen([sys.argv[1], "serve", "--lang", "en"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE)
line = server.stdout.readline()
if not line and "built without" in server.stderr.read():
    print("SKIP: frsh-demo is built without cpp-httplib")
    sys.exit(77)
PORT, TOKEN = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{32})\n", line).groups()


def get(path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(PORT), timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def events(query):
    answer, body = get(f"/events?{query}&lang=en&token={TOKEN}")
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
    assert body.endswith("event: over\ndata: {}\n\n"), body[-200:]
    return [json.loads(one[6:]) for one in body.split("\n\n") if one.startswith("data: ")]


def only_the_printed_address():
    for path in ("/", "/page.js", "/page.css", "/events?lesson=merge", "/request"):
        assert get(path)[0].status == 403, path
        separator = "&" if "?" in path else "?"
        assert get(f"{path}{separator}token={'0' * 32}")[0].status == 403, path
    assert get(f"/?token={TOKEN}", Host="evil.example")[0].status == 403
    assert get(f"/?token={TOKEN}", Origin="http://evil.example")[0].status == 403
    assert get(f"/?token={TOKEN}", Origin=f"http://127.0.0.1:{PORT}")[0].status == 200
    assert get(f"/events?lesson=nosuch&token={TOKEN}")[0].status == 400
    with open("/proc/net/tcp", encoding="ascii") as table:
        assert [row.split()[1] for row in table if f":{int(PORT):04X} 00000000:0000 0A" in row] == [
            f"0100007F:{int(PORT):04X}"], "it listens on loopback alone"


def the_page_needs_nothing_else():
    answer, page = get(f"/?token={TOKEN}")
    policy = answer.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "{{" not in page and "http:" not in page and "https:" not in page
    assert " style=" not in page and "<style" not in page and " onclick" not in page


def lessons_are_events():
    told = events("lesson=merge")
    kinds = [one["kind"] for one in told]
    assert kinds[-1] == "end" and kinds.count("question") >= 2, kinds
    text = "".join(one["html"] for one in told)
    assert "claims, and all of them happened" in text and 'class="broken"' not in text
    assert " style=" not in text, "the policy forbids it"
    assert "import socket" in text, "the programs stand beside the calls"
    begin = time.monotonic()
    tried = "".join(one["html"] for one in events("lesson=try&send=A:5+B:7&recv=3&framing=length"))
    assert "2 / 2" in tried and time.monotonic() - begin < 5
    assert events("lesson=try&send=rubbish") == []


def a_browser_shows_it():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return "NOT tried: no chromium"
    with tempfile.TemporaryDirectory() as folder:
        for width in (1280, 390):
            picture = os.path.join(folder, f"{width}.png")
            done = subprocess.run(
                [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 f"--user-data-dir={folder}/{width}", f"--window-size={width},2000",
                 "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom",
                 f"--screenshot={picture}", f"http://127.0.0.1:{PORT}/?token={TOKEN}"],
                capture_output=True, text=True, check=False, timeout=60)
            assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
            assert ">You are B/S<" in done.stdout, done.stdout[:2000]
            assert "GET / HTTP" in done.stdout or "GET /request HTTP" in done.stdout
            if os.environ.get("FRSH_PICTURES"):
                shutil.copy(picture, os.environ["FRSH_PICTURES"])
            if os.environ.get("FRSH_PAGE_PICTURE") and width == 1280:  # For README.
                shutil.copy(picture, os.path.join(HERE, "../../client/demo/page.png"))
    return "shown"


try:
    only_the_printed_address()
    the_page_needs_nothing_else()
    lessons_are_events()
    print("in a browser:", a_browser_shows_it())
finally:
    server.terminate()
    server.wait()
