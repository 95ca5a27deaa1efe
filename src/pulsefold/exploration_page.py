"""The page of an exploration: rate over logic as a drawing, and a table; no scripts, no links."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["COLUMNS", "page_of", "row_of"]

COLUMNS = (
    "point",
    "front",
    "board",
    "clock MHz",
    "cycles",
    "FPS",
    "LUTs",
    "block RAMs",
    "DSPs",
    "Fmax MHz",
    "seed",
    "LUTs est.",
    "state",
)

#: Colours that tell apart in print and to most eyes (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _EDGE = 860, 460, 90, 50, 20


def row_of(point: Mapping[str, Any]) -> tuple[str, ...]:
    """A point's cells under :data:`COLUMNS`."""
    built = point["built"]
    taken = {name: built.get(name, value) for name, value in point["estimated"].items()}
    state = "built" if built else (point["failure"].splitlines() or ["estimated"])[0]
    return (
        point["name"],
        "*" if point["front"] else "",
        point["board"],
        f"{built.get('clock_mhz', point['clock_mhz']):.4g}",
        f"{point['cycles']:,}",
        f"{point['fps']:,.0f}",
        f"{taken['luts']:,.0f}",
        f"{taken['brams']:,.0f}",
        f"{taken['dsps']:g}",
        f"{built['fmax_mhz']:.1f}" if built else "",
        f"{built['seed']}" if built else "",
        f"{point['estimated']['luts']:,.0f}",
        state,
    )


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from `low` to `high`."""
    every = [m * 10.0**e for e in range(math.floor(math.log10(low)), 12) for m in (1, 2, 5)]
    return [t for t in every if low <= t <= high]


def drawing(points: Sequence[Mapping[str, Any]]) -> str:
    """SVG: frames a second over LUTs, both logarithmic; fronts as lines, estimates hollow."""
    shown = [p for p in points if not p["failure"]]
    if not shown:
        return ""
    places = [(p["built"].get("luts", p["estimated"]["luts"]), p["fps"]) for p in shown]
    spans = []
    for values in zip(*places, strict=True):
        low, high = max(1e-3, min(values)), max(values)
        spans.append((low / 1.15, high * 1.15))
    (x0, x1), (y0, y1) = spans

    def at(luts: float, fps: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - _EDGE) * math.log(luts / x0) / math.log(x1 / x0)
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _EDGE) * math.log(fps / y0) / math.log(y1 / y0)
        return round(x, 1), round(y, 1)

    parts = []
    for tick in ticks(x0, x1):
        x, _ = at(tick, y0)
        parts.append(f'<path class=grid d="M{x} {_EDGE}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(f"<text x={x} y={_HEIGHT - _BOTTOM + 18} text-anchor=middle>{tick:,.0f}</text>")
    for tick in ticks(y0, y1):
        _, y = at(x0, tick)
        parts.append(f'<path class=grid d="M{_LEFT} {y}H{_WIDTH - _EDGE}"/>')
        parts.append(f"<text x={_LEFT - 8} y={y + 4} text-anchor=end>{tick:,.6g}</text>")
    for n, board in enumerate(dict.fromkeys(p["board"] for p in shown)):
        colour = _COLOURS[n % len(_COLOURS)]
        mine = [(at(*place), p) for place, p in zip(places, shown, strict=True) if p["board"] == board]
        line = " ".join(f"{x},{y}" for (x, y), p in sorted(mine, key=lambda m: m[0]) if p["front"])
        parts.append(f'<polyline points="{line}" fill=none stroke="{colour}" stroke-opacity=.5 />')
        for (x, y), p in mine:
            fill = colour if p["built"] else "none"
            title = html.escape(", ".join(f"{k} {v}" for k, v in zip(COLUMNS, row_of(p), strict=True) if v))
            parts.append(
                f'<circle cx={x} cy={y} r=5 fill="{fill}" stroke="{colour}" stroke-width=1.5>'
                f"<title>{title}</title></circle>"
            )
        parts.append(
            f'<text x={_LEFT + 12} y={_EDGE + 16 + 18 * n} fill="{colour}">{html.escape(board)}</text>'
        )
    parts.append(f"<text x={_WIDTH / 2} y={_HEIGHT - 8} text-anchor=middle>LUTs</text>")
    parts.append(f'<text transform="translate(16 {_HEIGHT / 2}) rotate(-90)" text-anchor=middle>FPS</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img>{"".join(parts)}</svg>'


def page_of(name: str, points: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    title = html.escape(name)
    head = "".join(f"<th>{html.escape(column)}</th>" for column in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row_of(p)) + "</tr>" for p in points
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{title}</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem;"
        "color-scheme:light dark}table{border-collapse:collapse}"
        "th,td{padding:.2rem .6rem;text-align:right}th:first-child,td:first-child{text-align:left}"
        "tr+tr{border-top:1px solid #8884}svg{max-width:60rem;font-size:13px}"
        "text{fill:currentColor}.grid{stroke:#8883}</style>"
        f"<h1>{title}</h1><p>Frames a second over LUTs. Full: routed; hollow: estimated; lines: what no "
        "other point of the board beats in rate, LUTs, block RAMs and DSPs at once.</p>"
        f"{drawing(points)}<table><tr>{head}</tr>{rows}</table></html>\n"
    )
