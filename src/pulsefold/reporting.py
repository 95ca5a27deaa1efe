"""Report: what a build folder knows of its design, as text, JSON and a page."""

from __future__ import annotations

import html
from typing import Any

from rich.console import Console
from rich.table import Table

from pulsefold.arrays import write_whole
from pulsefold.design import Design

__all__ = ["print_report", "write_page"]

_LAYER_COLUMNS = (
    ("layer", "name"),
    ("op", "op"),
    ("PE", "pe"),
    ("SIMD", "simd"),
    ("MACs", "macs"),
    ("cycles", "cycles"),
    ("weight bits", "weight_bits"),
    ("LUTs est.", "luts_estimated"),
    ("BRAMs est.", "brams_estimated"),
    ("DSPs est.", "dsps_estimated"),
)


def facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The report's figures, a line each."""
    model = report.get("model", {})
    rows = [
        (
            "model",
            f"{model.get('name')}, {model.get('macs', 0):,} MACs, {model.get('parameters', 0):,} weights",
        ),
        ("board", f"{report.get('board')} at {report.get('clock_mhz'):g} MHz, {report.get('engine')} engine"),
    ]
    promise, simulation = report.get("promise", {}), report.get("simulation", {})
    cycles, latency = promise.get("cycles_per_image"), promise.get("latency_cycles")
    rows.append(("promised", f"{cycles:,} cycles an image, first result within {latency:,} cycles"))
    if simulation:
        rows.append(("simulated", simulated(simulation)))
    guess = report.get("estimated", {})
    if guess:
        text = (
            f"{guess['luts']:,} LUTs, {guess['ffs']:,} FFs, {guess['brams']} block RAMs, {guess['dsps']} DSPs"
        )
        empty = f", {report['bram_padding']:.0%} of the block RAM empty" if guess["brams"] else ""
        rows.append(("estimated", text + empty))
    limit = report.get("proven")
    if limit:
        text = f"no folding that fits takes fewer than {limit['least_cycles_per_image']:,} cycles an image"
        rows.append(("proven", f"{text}; layers cost at most {limit['cost_gap']:.1%} more than they must"))
    if "fastest_cycles_per_image" in report:
        rows.append(("", f"{report['fastest_cycles_per_image']:,} cycles an image with --padding 100"))
    made = report.get("implementation", {})
    if made:
        rows += [
            (
                "timing",
                f"Fmax {made['fmax_mhz']:.1f} MHz, clock {made['clock_mhz']:g} MHz, seed {made['seed']}",
            ),
            *seed_facts(made),
            (
                "resources",
                f"{made['luts']:,} LUTs, {made['ffs']:,} FFs, {made['brams']} block RAMs, "
                f"{made['dsps']:g} DSPs",
            ),
            ("bitstream", made["bitstream"]),
        ]
    for rung in report.get("verification", {}).get("rungs", []):
        rows.append((f"rung {rung['rung']}", f"{'ok' if rung['passed'] else 'DIFFERS'}: {rung['detail']}"))
    rows.append(("throughput", f"{report.get('throughput_fps', 0):,.0f} frames a second at the clock"))
    if made:
        rows.append(("", f"{made['throughput_fps_at_fmax']:,.0f} frames a second at Fmax"))
    rows.append(("latency", f"{report.get('latency_us', 0):,.2f} us from the first input to the last result"))
    return rows


def seed_facts(made: dict[str, Any]) -> list[tuple[str, str]]:
    """What each of several seeds came to."""
    tried = made.get("seeds", [])
    if len(tried) < 2:
        return []
    shown = [f"{t['seed']}: {t['fmax_mhz']:.1f}" if t["fmax_mhz"] else f"{t['seed']}: failed" for t in tried]
    return [("seeds", f"{', '.join(shown)} MHz")]


def simulated(simulation: dict[str, Any]) -> str:
    """One line of a simulation."""
    text = f"{simulation['images']} images, {simulation['mismatches']} mismatches"
    if simulation.get("cycles_per_image"):
        text += f", {simulation['cycles_per_image']:,.1f} cycles an image"
        text += f" (promised {simulation['cycles_per_image_promised']:,})"
    if simulation.get("latency_cycles"):
        text += f", first result after {simulation['latency_cycles']:,}"
        text += f" (promised {simulation['latency_cycles_promised']:,})"
    return text


def print_report(report: dict[str, Any], console: Console) -> None:
    """Layers as a table, then the figures."""
    table = Table(box=None, header_style="bold")
    for title, _ in _LAYER_COLUMNS:
        table.add_column(title, justify="left" if title in ("layer", "op") else "right")
    for layer in report.get("layers", []):
        table.add_row(*(cell(layer.get(key)) for _, key in _LAYER_COLUMNS))
    console.print(table)
    for name, text in facts(report):
        console.print(f"{name:>12}  {text}", markup=False, soft_wrap=True)


def cell(value: object) -> str:
    """A table cell."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_page(design: Design) -> None:
    """Write ``report.html`` from ``report.json``: one page without scripts or links."""
    report = design.read_report()
    head = "".join(f"<th>{html.escape(title)}</th>" for title, _ in _LAYER_COLUMNS)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(cell(layer.get(key)))}</td>" for _, key in _LAYER_COLUMNS)
        + "</tr>"
        for layer in report.get("layers", [])
    )
    lines = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in facts(report)
    )
    title = html.escape(str(report.get("model", {}).get("name", "design")))
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{title}</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;"
        "color-scheme:light dark}table{border-collapse:collapse;margin:1rem 0}"
        "th,td{padding:.2rem .7rem;text-align:right}th:first-child,td:first-child{text-align:left}"
        "tr+tr{border-top:1px solid #8884}</style>"
        f"<h1>{title}</h1><table>{lines}</table><h2>Layers</h2><table><tr>{head}</tr>{body}</table></html>\n"
    )
    write_whole(design.folder / "report.html", lambda stream: stream.write(page.encode()))
