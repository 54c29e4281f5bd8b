"""The check of the step with UDP: the learner's sender against a receiver that loses."""
import contextlib
import random
import socket
import struct
import threading

from judging import Answer, Raised, Wrong, draw
from ladder import text_of


class LossyReceiver:
    """Drops every third datagram and every fourth acknowledgement, and sends some twice, late."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.got, self.seen, self.sent = {}, [], []
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        acknowledged, last = 0, None
        with contextlib.suppress(OSError):
            while True:
                datagram, source = self.socket.recvfrom(65535)
                if not datagram and source == self.socket.getsockname():
                    return
                self.seen.append(datagram)
                if len(self.seen) % 3 == 0:
                    if last and last != datagram[:4]:
                        self.acknowledge(last, source)  # An old one, once more.
                    continue
                if len(datagram) < 4:
                    continue
                self.got[datagram[:4]] = datagram[4:]
                acknowledged += 1
                if acknowledged % 4 != 0:
                    last = datagram[:4]
                    self.acknowledge(last, source)

    def acknowledge(self, number, source):
        """At most 20 times: if nothing is read, all of them fit into the sender's socket."""
        if self.sent.count(number) < 20:
            self.sent.append(number)
            self.socket.sendto(number, source)

    def close(self):
        """Returns when every datagram has been judged. A full socket drops the empty one."""
        while self.thread.is_alive():
            self.socket.sendto(b"", self.socket.getsockname())
            self.thread.join(0.1)


def udp(path):
    """Few messages: a sender that waits for a second before it repeats is right, too."""
    messages = [text_of(9), b"", text_of(12), random.randbytes(5)]
    receiver = LossyReceiver()
    problem = None
    with Answer(path, "send_all") as answer, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        try:
            answer.call(sock, receiver.socket.getsockname(), messages)
        except Raised as raised:
            problem = Wrong(f"it raised {raised}", f"抛出了 {raised}")
        except Wrong as late:
            problem = late
        receiver.close()
        # The acknowledgements that the answer has not read are still in the socket.
        unread = []
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                unread.append(sock.recv(65535)[:4])
    judge_udp(receiver, messages, unread, problem)
    return draw([(str(i), struct.pack(">I", i) + messages[i]) for i in range(3)],
                [("arrived", 4 + len(messages[i])) for i in range(3)])


def judge_udp(receiver, messages, unread, problem):
    got, numbers = receiver.got, [struct.pack(">I", i) for i in range(len(messages))]
    arrived = [got.get(number) == message for number, message in zip(numbers, messages)]
    drawing = draw([(str(i), numbers[i] + messages[i]) for i in range(3)],
                   [("arrived" if arrived[i] else "lost", 4 + len(messages[i])) for i in range(3)])
    seen = {datagram[:4] for datagram in receiver.seen if len(datagram) >= 4}
    if not all(arrived):
        if struct.pack("<I", 1) in seen:
            raise Wrong("the number is written with the least significant byte first",
                        "编号写成了低位在前", drawing)
        if seen and numbers[0] not in seen and numbers[1] in seen:
            raise Wrong("the numbers begin with 1; the first message is 0",
                        "编号从 1 开始了；第一条应当是 0", drawing)
        if receiver.seen and not seen & set(numbers):
            raise Wrong("a datagram does not begin with its number, four bytes of it",
                        "数据报的开头不是四个字节的编号", drawing)
        wrong = [i for i, number in enumerate(numbers) if number in got and not arrived[i]]
        if wrong:
            raise Wrong(f"message {wrong[0]} arrived with other bytes than it has",
                        f"第 {wrong[0]} 条到达的字节不对", drawing)
    if problem:
        raise Wrong(f"{problem}; a lost datagram never comes: wait with a timeout, and then send it "
                    "again", f"{problem}；丢了的数据报不会再来：等待要有时限，到时就重发", drawing)
    if not all(arrived):
        raise Wrong(f"{sum(arrived)} of {len(messages)} messages arrived; send each again until its "
                    "own number comes back (an acknowledgement may come twice)",
                    f"{len(messages)} 条只到了 {sum(arrived)} 条；每条都要重发到它自己的编号回来为止"
                    "（确认可能会来两次）", drawing)
    for i, number in enumerate(numbers):
        if number not in receiver.sent:
            raise Wrong(f"all messages arrived by luck: number {i} was not sent again until it came "
                        "back", f"都到了，但是靠运气：编号 {i} 没有回来，却不再重发", drawing)
        if receiver.sent.count(number) <= unread.count(number):
            raise Wrong("the messages are sent again and again, and the acknowledgements are not "
                        "read; how would it know that all have arrived?",
                        "只是反复地发，没有读确认；它怎么知道都到了？", drawing)
