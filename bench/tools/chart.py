# SPDX-License-Identifier: MIT
"""Bars on a logarithmic scale, a group for each workload, as SVG."""

import math
from html import escape

COLOURS = {"posta": "#0b6e4f", "caf": "#b2b2b2", "erlang": "#a2195b", "pekko": "#e08e0b", "actix": "#4c6ef5",
           "ractor": "#7c5cbf", "protoactor": "#8d6e63", "go-channels": "#29a3c2"}
LEFT, WIDTH, BAR, GAP = 210, 640, 11, 14


def text(x, y, words, anchor="start", size=11, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
            f"{escape(words)}</text>")


def groups(rows):
    found = {}
    for row in rows:
        found.setdefault((row["workload"], row["workers"], row["unit"]), []).append(row)
    return found


def words(ns):
    return f"{ns:.1f} ns" if ns < 1e3 else f"{ns / 1e3:.1f} us" if ns < 1e6 else f"{ns / 1e6:.1f} ms"


def scale(rows):
    low = math.floor(math.log10(min(row["median"] for row in rows)))
    high = math.ceil(math.log10(max(row["median"] for row in rows)))
    high = max(high, low + 1)
    return low, high, lambda ns: max(0.0, (math.log10(ns) - low) / (high - low) * WIDTH)


def draw(rows):
    """rows: as in the JSON file. Returns: the drawing."""
    if not rows:
        return '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'
    low, high, place = scale(rows)
    out, y = [], 40
    for (workload, workers, unit), members in groups(rows).items():
        top = y
        for row in sorted(members, key=lambda row: row["median"]):
            width = place(row["median"])
            colour = COLOURS.get(row["system"], "#666")
            out.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            out.append(text(LEFT + width + 4, y + BAR - 3, f"{row['system']} {words(row['median'])}", size=9))
            y += BAR
        middle = (top + y) / 2
        out.append(text(LEFT - 8, middle, workload, "end", 11, "bold"))
        out.append(text(LEFT - 8, middle + 12, f"{workers} worker{'s' if workers > 1 else ''}, {unit}", "end", 9))
        y += GAP
    lines = [f'<line x1="{LEFT + place(10 ** e):.0f}" y1="26" x2="{LEFT + place(10 ** e):.0f}" y2="{y}" stroke="#ddd"/>'
             + text(LEFT + place(10 ** e), 22, words(10 ** e), "middle", 9) for e in range(low, high + 1)]
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 130}" height="{y + 10}" '
            f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>')
    return "\n".join([head] + lines + out + ["</svg>"]) + "\n"
