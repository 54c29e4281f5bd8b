"""Draws a stream as the lessons do: what was sent above the bytes, what was received below."""
WIDTH = 64


def bracket(parts, left, right):
    line = ""
    for label, size in parts:
        room = min(size, WIDTH - len(line))
        if room <= 0:
            break
        if room < 3:
            line += "│" * room
            continue
        text = f" {label}: {size} "
        text = text if len(text) <= room - 2 else label if len(label) <= room - 2 else ""
        line += left + text.center(room - 2, "─") + (right if room == size else "─")
    return line


def glyph(byte):
    return chr(byte) if 0x20 <= byte < 0x7F else "↵" if byte == 10 else "∙"


def draw(pieces, takes):
    """`pieces`: (label, bytes) as sent. `takes`: (label, size) as received. Labels are ASCII."""
    stream = b"".join(data for _, data in pieces)
    shown = "".join(map(glyph, stream[:WIDTH])) + (" …" if len(stream) > WIDTH else "")
    above = bracket([(label, len(data)) for label, data in pieces], "┌", "┐")
    below = bracket(takes, "└", "┘")
    return "\n".join("  " + line for line in (above, shown, below))
