"""Exercise 2. This reader has three faults. Copy it to /tmp/hunt.py and mend the copy.

A message is four bytes of length, the most significant first, and then so many bytes.
练习 2：这段程序有三处错误。复制到 /tmp/hunt.py 再改。
一条消息是 4 个字节的长度（高位在前），后面是那么多字节。
"""
import struct


def read_messages(sock):
    """Returns the messages in order, until the peer closes."""
    messages = []
    while True:
        head = sock.recv(4)
        if not head:
            return messages
        size, = struct.unpack("<I", head)
        data = sock.recv(size)
        if not data:
            return messages
        messages.append(data)
