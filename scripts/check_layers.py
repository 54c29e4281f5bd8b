#!/usr/bin/env python3
"""Checks the tree: includes only go down, and each library has one door."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each layer may include of ours.
LAYERS = {
    "common/base": ["common/base"],
    "common/sys": ["common/base", "common/sys"],
    "common/keys": ["common/base", "common/sys", "common/keys"],
    "common/net": ["common/base", "common/sys", "common/keys", "common/net"],
    "common/proto": ["common/base", "common/proto"],
    "common/link": ["common/"],
    # main -> {listener, session} -> {login, kept, forward} -> {run, handoff, audit}
    "server/listener": ["common/", "server/listener", "server/login", "server/run", "server/audit",
                        "server/handoff", "server/options"],
    "server/session": ["common/", "server/session", "server/kept", "server/forward", "server/login",
                       "server/run", "server/audit", "server/handoff"],
    "server/forward": ["common/", "server/forward", "server/run"],
    "server/login": ["common/", "server/login", "server/audit"],
    "server/kept": ["common/", "server/kept", "server/run", "server/audit", "server/handoff"],
    "server/run": ["common/", "server/run"],
    "server": ["common/", "server/"],
    # main -> modes -> holder -> forward -> connection -> run -> {cli, io}
    "client/forward": ["common/", "client/forward", "client/connection", "client/run",
                       "client/cli", "client/io"],
    "client/modes": ["common/", "client/modes", "client/forward", "client/holder", "client/connection", "client/run", "client/cli",
                     "client/io"],
    "client/holder": ["common/", "client/holder", "client/forward", "client/connection", "client/run", "client/cli",
                      "client/io"],
    "client/connection": ["common/", "client/connection", "client/run", "client/cli", "client/io"],
    "client/run": ["common/", "client/run", "client/cli", "client/io"],
    "client/cli": ["common/", "client/cli"],
    "client/io": ["common/", "client/io"],
    "client/demo": ["common/", "client/demo"],
    "client": ["common/", "client/"],
    "tests": ["common/", "server/", "client/", "tests/"],
}

# A foreign header, and the only files that may include it.
DOORS = [
    (r"openssl/", r"(common/keys/.*|common/net/tls.*|tests/unit/.*|tests/fuzz/.*|tests/integration/.*)"),
    (r"nlohmann/", r"common/proto/json_value\.hpp"),
    (r"libdeflate", r"common/proto/checksum\.cpp"),
    (r"toml", r"common/base/config\.cpp"),
    (r"httplib\.h", r"client/demo/tellers/serve\.cpp"),
    (r"CLI/", r"(client/cli|server|client/demo)/options\.cpp"),
    (r"doctest/", r"tests/.*"),
]

# Files of ours that include a header with one door, so only these may include them.
PRIVATE = (r"common/proto/(json_value|object_reader|message_reader|message_writer)\.hpp",
           r"(common/proto|tests/unit/common/proto)/.*")

# proto is pure: no descriptors, no clock of the system, no network.
IMPURE = re.compile(r"<(unistd|fcntl|poll|sys/|netinet/|arpa/|netdb|termios|signal\.h|csignal)")


def layer_of(path):
    return next((layer for layer in LAYERS if path.startswith(layer + "/")), None)


def types_of(top):
    """Maps each type that a header of this folder defines for namespace frsh to the header."""
    types = {}
    for file in (ROOT / top).rglob("*.hpp"):
        path = str(file.relative_to(ROOT))
        if not path.startswith("client/demo/"):
            for name in re.findall(r"^(?:struct|class|enum class) (\w+)[^;{]*{", file.read_text(), re.M):
                types[name] = path
    return types


def main():
    # The unit tests link client and server: two types of one name would be mixed up in silence.
    client = types_of("client")
    problems = [f"{path}: {name} is also a type of {client[name]}"
                for name, path in sorted(types_of("server").items()) if name in client]
    for file in sorted(p for top in ("common", "server", "client", "tests")
                       for p in (ROOT / top).rglob("*.[ch]pp")):
        path = str(file.relative_to(ROOT))
        layer = layer_of(path)
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = re.match(r'\s*#include\s+(?:"([^"]+)"|<([^>]+)>)', line)
            if not found:
                continue
            ours, foreign = found.groups()
            where = f"{path}:{number}: {line.strip()}"
            if ours and not any(ours.startswith(allowed) for allowed in LAYERS[layer]):
                problems.append(f"{where}: not for {layer}")
            if ours and re.fullmatch(PRIVATE[0], ours) and not re.fullmatch(PRIVATE[1], path):
                problems.append(f"{where}: is private to its folder")
            for header, allowed in DOORS:
                if foreign and re.match(header, foreign) and not re.fullmatch(allowed, path):
                    problems.append(f"{where}: has one door, and this is not it")
            if layer == "common/proto" and IMPURE.match(line.split(None, 1)[1]):
                problems.append(f"{where}: proto is pure")
    allowed_top = {"CMakeLists.txt", "server", "client", "common", "tests", "scripts", "README.md",
                   "LICENSE", "CMakePresets.json", "build"}
    for entry in ROOT.iterdir():
        if entry.name not in allowed_top and not entry.name.startswith("."):
            problems.append(f"{entry.name}: has no place at the top")
    for problem in problems:
        print(problem)
    print(f"layers: {len(problems)} problems" if problems else "layers: includes only go down")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
