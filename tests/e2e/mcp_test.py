"""The server of the Model Context Protocol, by the JSON that the protocol publishes."""

import asyncio
import inspect
import json
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, "../../client/python")
sys.path[:0] = [os.path.join(HERE, "../support"), PACKAGE]
from harness import FRSH, PATIENCE, Case, environment, main, wait_until  # noqa: E402

from frsh.host import AsyncHost  # noqa: E402
from frsh.mcp import Server  # noqa: E402


class Mcp(Case):
    def setUp(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "frsh", "mcp", "local"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment(self.unix.runtime, HOME=self.folder,
                                                    PYTHONPATH=PACKAGE, FRSH_PROGRAM=FRSH))
        self.number = 0

    def tearDown(self):
        self.process.stdin.close()
        self.assertEqual(0, self.process.wait(PATIENCE))
        self.process.stdout.close()
        self.no_strays()

    def send(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def request(self, method, **params):
        self.number += 1
        answer = self.send(json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method,
                                       "params": params}))
        self.assertEqual(("2.0", self.number), (answer["jsonrpc"], answer["id"]))
        return answer

    def call(self, tool, **arguments):
        result = self.request("tools/call", name=tool, arguments=arguments)["result"]
        self.assertEqual(result["structuredContent"], json.loads(result["content"][0]["text"]))
        return result["structuredContent"], result["isError"]

    def test_the_published_messages_have_the_published_answers(self):
        answer = self.send('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{'
                           '"protocolVersion":"2024-11-05","capabilities":{"roots":{'
                           '"listChanged":true},"sampling":{}},"clientInfo":{'
                           '"name":"ExampleClient","version":"1.0.0"}}}')
        self.assertEqual("2024-11-05", answer["result"]["protocolVersion"])
        self.assertEqual({"tools": {}}, answer["result"]["capabilities"])
        self.process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        tools = self.request("tools/list")["result"]["tools"]
        self.assertEqual(["run", "output", "input", "signal", "runs", "shell"],
                         [tool["name"] for tool in tools])
        for tool in tools:
            self.assertEqual("object", tool["inputSchema"]["type"])
        self.assertEqual({}, self.request("ping")["result"])
        self.assertEqual(-32601, self.request("no/such")["error"]["code"])
        self.assertEqual(-32602, self.request("tools/call", name="none")["error"]["code"])
        self.assertEqual(-32700, self.send("{")["error"]["code"])
        self.assertEqual(-32600, self.send("[1]")["error"]["code"])

    def test_a_run_returns_its_end_and_its_output(self):
        found, failed = self.call("run", command="echo out; echo err >&2; exit 3")
        self.assertEqual((False, "ended", "exited", 3, "out\n", "err\n"),
                         (failed, found["state"], found["kind"], found["code"],
                          found["stdout"]["text"], found["stderr"]["text"]))
        self.assertTrue(self.call("run", command="true", cwd="/no/such/folder")[1])
        self.assertTrue(self.call("output", run="no-such-run")[1])
        self.assertTrue(self.call("run")[1])

    def test_d3_a_long_run_goes_on_and_is_continued_from_its_offsets(self):
        gate = self.path("gate")
        os.mkfifo(gate)
        begin = time.monotonic()
        found, _ = self.call("run", command=f"echo one; cat {gate}; exit 4", id="mcp-long", wait=0.3)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(("running", "mcp-long", "one\n", [4, 0]),
                         (found["state"], found["run"], found["stdout"]["text"], found["next"]))
        with open(gate, "w") as file:
            file.write("two\n")
        found, _ = self.call("output", run="mcp-long", **{"from": found["next"]})
        self.assertEqual(("ended", 4, "two\n", [8, 0]), (found["state"], found["code"],
                                                         found["stdout"]["text"], found["next"]))

    def test_d3_an_id_never_runs_twice(self):
        path = self.path("count")
        for _ in range(2):
            found, _ = self.call("run", command=f"echo x >> {path}; wc -l < {path}", id="mcp-once")
            self.assertEqual("1\n", found["stdout"]["text"])
        runs = self.call("runs")[0]["runs"]
        self.assertIn("mcp-once", [run["run"] for run in runs])

    def test_long_output_is_head_and_tail_with_the_gap_named(self):
        found, _ = self.call("run", command="seq 10000")
        stdout = found["stdout"]
        self.assertEqual({"from": 8192, "to": 48894 - 8192}, stdout["gap"])
        self.assertTrue(stdout["text"].startswith("1\n2\n"))
        self.assertTrue(stdout["tail"].endswith("\n9999\n10000\n"))
        found, _ = self.call("output", run=found["run"], **{"from": [8192, 0]})
        self.assertEqual(8192, found["stdout"]["from"])

    def test_a_shell_lasts_a_signal_ends_a_run_and_input_is_typed(self):
        self.call("shell", name="mcp-shell", command="cd /")
        self.assertEqual("/\n", self.call("shell", name="mcp-shell", command="pwd")[0]["stdout"]["text"])
        self.call("signal", run="mcp-shell")
        self.call("run", command="exec sleep 600", id="mcp-sleep", wait=0)
        self.call("signal", run="mcp-sleep", name="KILL")
        self.assertEqual("KILL", self.call("output", run="mcp-sleep")[0]["signal"])
        name = self.call("run", command="read a; echo got $a", interactive=True, wait=0)[0]["run"]
        self.call("input", run=name, text="typed\n")
        self.assertIn("got typed", self.call("output", run=name)[0]["stdout"]["text"])


    def test_a_call_that_is_cancelled_leaves_its_run_running(self):
        gate = self.path("gate")
        os.mkfifo(gate)
        self.process.stdin.write(json.dumps({
            "jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {
                "name": "run", "arguments": {"command": f"cat {gate}", "id": "mcp-cancelled"}}
        }).encode() + b"\n")
        wait_until(lambda: "mcp-cancelled" in self.path_of_runs(), "the run to begin")
        self.process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled",'
                                 b'"params":{"requestId":77}}\n')
        self.assertEqual({}, self.request("ping")["result"])  # And no answer to 77.
        with open(gate, "w") as file:
            file.write("on\n")
        found, _ = self.call("output", run="mcp-cancelled")
        self.assertEqual(("ended", 0, "on\n"), (found["state"], found["code"], found["stdout"]["text"]))

    def path_of_runs(self):
        return [run["run"] for run in self.call("runs")[0]["runs"]]


class Limit(Case):
    """A call ends in time also if its link does not come to be. Its limit is shorter here."""

    def calls(self, place, *calls, longest=2.0):
        """Returns, for each call, its answer and how long it took."""

        async def all_of_them():
            host = AsyncHost(place.words[-1], options=place.words[:-1], program=FRSH,
                             env=environment(place.runtime, HOME=self.folder))
            server, results = Server(host, longest), []
            for number, (tool, arguments) in enumerate(calls):
                begun = time.monotonic()
                answer = await server.answer({"id": number, "method": "tools/call", "params": {
                    "name": tool, "arguments": arguments}})
                results.append((answer["result"], time.monotonic() - begun))
            await host.close()
            return results

        return asyncio.run(all_of_them())

    def test_d3_the_limit_is_at_most_45_s(self):
        self.assertLessEqual(inspect.signature(Server).parameters["longest"].default, 45)

    def test_d3_a_call_to_a_silent_server_ends_in_time_with_its_id(self):
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        place = type(self.plain)("silent", self.plain.runtime, [
            "--plaintext", f"127.0.0.1:{listening.getsockname()[1]}"])
        calls = [("run", {"command": "true", "id": "mcp-silent"}), ("run", {"command": "true"}),
                 ("runs", {}), ("shell", {"name": "s", "command": "true"}),
                 ("output", {"run": "mcp-silent"}), ("signal", {"run": "mcp-silent"}),
                 ("run", {"command": "true", "interactive": True})]
        for (tool, arguments), (result, taken) in zip(calls, self.calls(place, *calls)):
            found = result["structuredContent"]
            self.assertLess(taken, 2.5, tool)
            self.assertEqual((True, "unknown"), (result["isError"], found["state"]), tool)
            if tool == "run":
                self.assertEqual(arguments.get("id", found["run"]), found["run"])

    def test_d3_a_run_that_goes_on_is_left_in_time(self):
        (result, taken), (end, _) = self.calls(
            self.unix, ("run", {"command": "echo one; sleep 3; echo two", "id": "mcp-limit"}),
            ("output", {"run": "mcp-limit", "from": [4, 0]}), longest=8.0)
        found = result["structuredContent"]
        self.assertLess(taken, 8)
        if found["state"] == "running":
            found = end["structuredContent"]
        self.assertEqual(("ended", 0), (found["state"], found["code"]))

    def test_d3_a_shell_command_is_ended_in_time(self):
        (result, taken), = self.calls(self.unix, ("shell", {"name": "limit", "command": "sleep 600"}),
                                      longest=6.0)
        self.assertLess(taken, 6)
        self.assertEqual("timed_out", result["structuredContent"]["kind"])
        self.unix.run(["--kill", "limit"])


if __name__ == "__main__":
    main()
