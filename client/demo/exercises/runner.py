"""Calls a function of the learner's file in a process of its own, for judging.Answer.

    runner.py FILE FUNCTION DESCRIPTOR

This process has the sockets and no expected value, so that no answer can copy one. A request is a
pickle of (name of the socket, arguments) with the socket's descriptor; a reply is JSON.
"""
import importlib.machinery
import importlib.util
import json
import os
import pickle
import socket
import sys


def plain(value):
    """The result as JSON: bytes in hexadecimal, anything else by the name of its type."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (str, int, float, type(None))):
        return {"type": type(value).__name__}
    try:
        return [plain(one) for one in value]
    except TypeError:
        return {"type": type(value).__name__}


def load(path, function):
    sys.path[0] = os.path.dirname(os.path.abspath(path))  # As for a program: its neighbours.
    loader = importlib.machinery.SourceFileLoader("answer", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("answer", loader))
    sys.modules["answer"] = module  # Data classes look for their module.
    loader.exec_module(module)
    return getattr(module, function, None)


def main():
    path, function, descriptor = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    sys.argv = [path]

    def reply(**what):
        sys.stdout.flush()
        control.sendall(json.dumps(what).encode() + b"\n")

    def guarded(act):
        try:
            reply(value=act())
            return True
        except BaseException as problem:  # Also SystemExit: the answer ends nothing but itself.
            reply(raised=[one.__name__ for one in type(problem).__mro__], text=str(problem))
            return False

    found = []
    if not guarded(lambda: found.append(load(path, function)) or callable(found[0])):
        return
    sockets = {}
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not request:
            return
        name, arguments = pickle.loads(request)
        if name in sockets:
            os.close(descriptors[0])
        else:
            sockets[name] = socket.socket(fileno=descriptors[0])
        guarded(lambda: plain(found[0](sockets[name], *arguments)))


main()
