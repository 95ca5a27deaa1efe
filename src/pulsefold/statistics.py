"""What the units of a design counted on a board, in terms of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pulsefold.design import Design
from pulsefold.errors import PulsefoldError
from pulsefold.firmware.board import UnitCounts

__all__ = ["check_statistics", "print_statistics", "statistics_section"]

#: Cycles that a counter holds.
_WRAPS = 1 << 32

#: Share of the cycles from which on the busiest unit is said to set the rate.
_PRESSED = 0.9


def check_statistics(design: Design) -> None:
    """Whether a design counts.

    Raises
    ------
    PulsefoldError
        If it does not.
    """
    if not design.debug.counters:
        raise PulsefoldError(
            "the design has no counters",
            where="--statistics",
            todo="compile it with --counters, and build and load that",
        )


def statistics_section(
    design: Design, counts: Sequence[UnitCounts], images: int, *, seconds: float | None
) -> dict[str, Any]:
    """Section ``statistics``: a row a unit, and which sets the rate.

    Parameters
    ----------
    design
        What ran.
    counts
        Of each unit, in the order of the plan.
    images
        That went through since the counters began.
    seconds
        How long that took, where the network's clock runs in real time.
    """
    plan = design.plan
    rows = [
        {
            "name": unit.name,
            "kind": unit.kind,
            "layer": owner,
            "busy": count.busy,
            "starved": count.starved,
            "stalled": count.stalled,
            "busy_promised": images * unit.cycles,
        }
        for unit, owner, count in zip(plan.units, plan.network.owners, counts, strict=True)
    ]
    busiest = max(rows, key=lambda row: row["busy"])
    cycles = counts[0].cycles
    return {
        "cycles": cycles,
        "units": rows,
        "busiest": busiest["name"],
        "sets_the_rate": busiest["busy"] >= _PRESSED * cycles,
        "wrapped": seconds is not None and seconds * plan.target.clock_mhz * 1e6 >= _WRAPS,
    }


def print_statistics(section: dict[str, Any], console: Console) -> None:
    """The rows as a table, then what they mean."""
    cycles = max(1, section["cycles"])
    table = Table(box=None, header_style="bold")
    for title in ("unit", "kind", "layer", "busy", "", "promised", "starved", "", "stalled", ""):
        left = title in ("unit", "kind", "layer")
        table.add_column(title, justify="left" if left else "right", overflow="fold")
    for row in section["units"]:
        cells = [row["name"], row["kind"], row["layer"]]
        for name in ("busy", "starved", "stalled"):
            cells += [f"{row[name]:,}", f"{row[name] / cycles:.1%}"]
            if name == "busy":
                cells.append(f"{row['busy_promised']:,}")
        table.add_row(*cells)
    console.print(table)
    busiest = next(row for row in section["units"] if row["name"] == section["busiest"])
    text = f"{section['cycles']:,} cycles, {busiest['busy'] / cycles:.1%} of which the busiest unit worked, "
    text += f"{busiest['name']} of layer {busiest['layer']}"
    if not section["sets_the_rate"]:
        waits = "input" if busiest["starved"] >= busiest["stalled"] else "its results to be taken"
        text += f"; it waits for {waits}, so the line or the host sets the rate"
    console.print(text, markup=False)
    if section["wrapped"]:
        console.print("the counters have wrapped at 2^32 cycles: take fewer images", markup=False)
