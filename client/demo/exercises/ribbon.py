"""Draws a stream as the lessons do: what was sent above the bytes, what was received below."""
import unicodedata

WIDTH = 72  # Columns; what lies behind them is cut off.
SHOWN = 20  # Bytes that are drawn of a longer part.
CHINESE = {"length": "长度", "data": "数据", "header": "报头", "sent": "发出", "returned": "返回",
           "back": "返回", "missing": "缺少", "right": "正确", "wrong": "不对", "wanted": "应有",
           "judged": "检查", "stored": "存下", "arrived": "到达", "lost": "丢失", "next": "下一个",
           "skipped": "跳过", "empty": "空", "extra": "多出", "half": "一半"}


def cells(text):
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def glyph(byte):
    return chr(byte) if 0x20 <= byte < 0x7F else "↵" if byte == 10 else "∙"


def spans(parts):
    """(label, size) one behind the other, as (label, begin, end). Empty ones are left out."""
    at, found = 0, []
    for label, size in parts:
        if size > 0:
            found.append((label, at, at + size))
        at += size
    return found


def draw(pieces, takes, is_chinese=False):
    """`pieces`: (label, bytes) as sent. `takes`: (label, size) as received. Each label is drawn
    whole: where its bytes are fewer, blanks follow them."""
    stream = b"".join(data for _, data in pieces)
    above, below = (
        [(f"{CHINESE.get(label, label) if is_chinese else label}: {end - begin}", begin, end)
         for label, begin, end in spans(parts) if begin < len(stream)]
        for parts in ([(label, len(data)) for label, data in pieces], takes))
    edges = sorted({0, len(stream), *(min(edge, len(stream)) for row in (above, below)
                                      for _, *both in row for edge in both)})
    width = {edge: min(following - edge, SHOWN) for edge, following in zip(edges, edges[1:])}
    column = {}

    def place():
        at = 0
        for edge in edges:
            column[edge] = at
            at += width.get(edge, 0)

    for row in (above, below):
        for label, begin, end in row:
            place()
            end = min(end, len(stream))
            last = max(edge for edge in edges if edge < end)
            width[last] += max(0, cells(label) + 4 - (column[end] - column[begin]))
    place()

    def bracket(row, left, right):
        line = ""
        for label, begin, end in row:
            room = column[min(end, len(stream))] - column[begin] - 2 - cells(label)
            line += left + "─" * (room // 2) + label + "─" * (room - room // 2) + right
        return line

    middle = "".join(
        ("".join(map(glyph, stream[edge:following])) if following - edge <= SHOWN else
         "".join(map(glyph, stream[edge:edge + SHOWN - 1])) + "…").ljust(width[edge])
        for edge, following in zip(edges, edges[1:]))
    lines = (bracket(above, "┌", "┐"), middle, bracket(below, "└", "┘"))
    return "\n".join(("  " + clip(line)).rstrip() for line in lines if line)


def clip(line):
    while cells(line) > WIDTH:
        line = line[:-1]
    return line
