"""A page in a headless Chromium, driven by the DevTools protocol over a pipe."""
import base64
import json
import os
import select
import shutil
import subprocess
import time


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab. `problems` collects errors of its console."""

    def __init__(self, folder):
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def pipes():
            os.dup2(to_browser, 13)
            os.dup2(from_browser, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)
            os.closerange(5, 20)

        self.process = subprocess.Popen(
            [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.waiting, self.session, self.problems = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def read(self, timeout):
        while b"\0" not in self.waiting:
            assert select.select([self.into], [], [], timeout)[0], "the browser does not answer"
            some = os.read(self.into, 1 << 16)
            assert some, "the browser has ended"
            self.waiting += some
        line, _, self.waiting = self.waiting.partition(b"\0")
        return json.loads(line)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.read(60)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            kind, about = answer.get("method"), answer.get("params", {})
            if kind == "Runtime.exceptionThrown" or (
                    kind == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning")) or (
                    kind == "Log.entryAdded" and about["entry"]["level"] == "error"):
                self.problems.append(json.dumps(about)[:500])

    def run(self, script):
        """Returns the value of an expression, awaited."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                         awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in done, (script, done["exceptionDetails"])
        return done["result"].get("value")

    def wait(self, script, seconds=30):
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)
        return value

    def show(self, address, width=1280, height=900, dark=False, still=False, media=""):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media, features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def key(self, name, text=""):
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39,
                "ArrowDown": 40, "Home": 36}[name]
        text = {"Enter": "\r", " ": " "}.get(name, text)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code,
                      code="Space" if name == " " else name, text=text if kind == "keyDown" else "")

    def picture(self, path, is_whole=True):
        data = self.call("Page.captureScreenshot", format="png",
                         captureBeyondViewport=is_whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
