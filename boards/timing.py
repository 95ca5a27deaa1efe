"""Reads nextpnr's timing and utilization report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulsefold.errors import ToolFailedError

__all__ = ["RouteReport", "read_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReport:
    """The part of the report that matters here.

    Parameters
    ----------
    fmax_mhz
        Of the compute clock.
    used
        Sites taken, by type.
    critical_path
        Of the compute clock, one line a hop.
    missed
        The other clocks that are not reached, a line each.
    """

    fmax_mhz: float
    used: dict[str, int]
    critical_path: tuple[str, ...]
    missed: tuple[str, ...] = ()


def read_report(path: Path, clock: str) -> RouteReport:
    """Read the JSON report at `path` for the clock net whose name holds `clock`, or the only clock.

    Without a PLL the net goes by the name of the pin it comes from.

    Raises
    ------
    ToolFailedError
        If the report is unreadable or has no such clock.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        clocks: dict[str, dict[str, float]] = data["fmax"]
        used = {name: int(count["used"]) for name, count in data["utilization"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolFailedError("the report of place and route is not readable", where=str(path)) from error
    name = next((name for name in clocks if clock in name), next(iter(clocks)) if len(clocks) == 1 else None)
    if name is None:
        raise ToolFailedError(
            f"the report of place and route has no clock {clock!r}",
            where=str(path),
            why=f"its clocks: {', '.join(clocks) or 'none'}",
        )
    return RouteReport(
        fmax_mhz=clocks[name]["achieved"],
        used=used,
        critical_path=_path(data.get("critical_paths", []), name),
        missed=tuple(
            f"{other} reaches {found['achieved']:.1f} MHz, not {found['constraint']:.6g} MHz"
            for other, found in clocks.items()
            if other != name and found["achieved"] < found["constraint"]
        ),
    )


def _path(paths: list[dict[str, Any]], clock: str) -> tuple[str, ...]:
    """The hops between two edges of `clock`."""
    ends = f"posedge {clock}"
    found = next((p for p in paths if p.get("from") == ends and p.get("to") == ends), None)
    if found is None:
        return ()
    lines = []
    for hop in found["path"]:
        net = f" {hop['net']}" if hop.get("net") else ""
        lines.append(f"{hop['delay']:6.2f} ns  {hop['type']}{net} -> {hop['to']['cell']}.{hop['to']['port']}")
    return tuple(lines)
