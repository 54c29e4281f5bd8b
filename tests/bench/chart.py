"""Draws a run of scripts/bench as an SVG: for each row a bar for each way."""

import html

LEFT, WIDTH, BAR, GAP = 130, 460, 15, 34
COLOURS = {"frsh": "#1769aa", "ssh": "#9a9a9a", "dropbear": "#c0a060", "sh": "#cfd8dc"}
LOWER_IS_BETTER = {"cold", "echo", "mix", "throttled", "delay", "memory", "crowd", "client", "size"}


def first(value):
    """Returns the first value of a pair or a list; None for a reason in words."""
    if isinstance(value, (list, tuple)):
        value = value[0]
    return None if isinstance(value, str) else value


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def draw(rows, machine):
    """Returns the SVG of `rows`, as scripts/bench has them: {name: (unit, {way: value})}."""
    body, y = [], 44
    for row, (unit, found) in rows.items():
        values = {way: first(value) for way, value in found.items() if first(value)}
        if not values:
            continue
        better = "less" if row in LOWER_IS_BETTER else "more"
        note = html.escape(f"{unit}; {better} is better")
        body.append(f'<text x="8" y="{y}" class="row">{row}</text>'
                    f'<text x="{LEFT}" y="{y}" class="unit">{note}</text>')
        y += 8
        longest = max(values.values())
        for way, value in values.items():
            length = max(1, value / longest * WIDTH)
            colour = COLOURS[way.split()[0]]
            end, base = LEFT + length + 5, y + 12
            body.append(f'<text x="{LEFT - 6}" y="{base}" class="way">{html.escape(way)}</text>'
                        f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{BAR - 4}" '
                        f'fill="{colour}"/>'
                        f'<text x="{end:.1f}" y="{base}" class="value">{figure(value)}</text>')
            y += BAR
        y += GAP - 8
    title = (f"{machine['date']}, {machine['cores']} cores, Linux {machine['kernel']}, "
             f"load {machine['load']:.1f}")
    width = LEFT + WIDTH + 90
    style = ("text{font:12px sans-serif;fill:#222}.row{font-weight:bold}.unit,.value{fill:#555}"
             ".way{text-anchor:end}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" role="img" '
            f'aria-label="scripts/bench">\n<style>{style}</style>\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n<text x="8" y="20">{html.escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n")
