"""How late a placed design is, by what its wires will last."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pulsefold.boards.refine.packed import PackedDesign

__all__ = ["WIRE_NS", "PlacedTiming", "Timing"]

#: What a wire lasts in ns, by the tiles between its ends. Routed ones: within a tile a half, to the next one
#: three quarters, and from there as much for each tile as nextpnr's own estimate says for half of one.
WIRE_NS = np.array([0.45, *(0.75 + 0.065 * d for d in range(1, 512))], np.float32)

#: Clock to output, ns at speed grade 6; other grades have other figures in about the same relation.
_CLOCK_TO_OUTPUT = {"TRELLIS_FF": 0.52, "MULT18X18D": 0.74}
_BLOCK_RAM, _BLOCK_RAM_REGISTERED = 5.6, 0.96

#: Through a LUT, into a carry chain, along half a cell of it and out of it; through multiplexers of LUTs.
_THROUGH, _INTO_CARRY, _CARRY, _OUT_OF_CARRY = 0.24, 0.45, 0.071, 0.44
_MULTIPLEXER = {"FXA": 0.24, "FXB": 0.24, "M": 0.26, "F1": 0.17}

#: From the write port's inputs to the RAM, with its setup.
_WRITE_PORT = 0.1

#: Other clocks than the compute clock are slower by far: a path of the link counts when it is this long.
_OTHER_NS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What one look at a placement says.

    Parameters
    ----------
    longest_ns
        The longest path of the clock that most flip-flops have.
    through_ns
        By pin: the longest path through it, counted so that it is as long as `longest_ns` where none may be
        longer; 0 where there is none.
    wire_ns
        By pin: what the wire there lasts.
    """

    longest_ns: float
    through_ns: np.ndarray
    wire_ns: np.ndarray


class PlacedTiming:
    """Paths from clock to clock of a design, whose wires change as cells are placed."""

    def __init__(self, design: PackedDesign) -> None:
        self.design = design
        nets = len(design.net_start) - 1
        self._driver = design.net_pin[design.net_start[:-1]] if nets else np.zeros(0, np.int32)
        self._first = np.zeros(nets)
        outputs: dict[int, list[tuple[int, str]]] = {}
        for net in range(nets):
            k, port = int(self._driver[net]), design.ports[design.net_start[net]]
            outputs.setdefault(k, []).append((net, port))
            if design.types[k] != "TRELLIS_COMB":
                self._first[net] = self._clock_to_output(k, port)
        arcs: list[tuple[int, int, float]] = []
        ends: list[int] = []
        for pin, (k, port) in enumerate(zip(design.net_pin.tolist(), design.ports, strict=True)):
            if design.drives[pin]:
                continue
            if design.types[k] != "TRELLIS_COMB":
                ends.append(pin)
                continue
            for net, output in outputs.get(k, ()):
                delay = self._delay(k, port, output)
                if delay is not None:
                    arcs.append((pin, net, delay))
        self._from = np.array([pin for pin, *_ in arcs], np.int64)
        self._to = np.array([net for _, net, _ in arcs], np.int64)
        self._delays = np.array([delay for *_, delay in arcs])
        self._ends = np.array(ends, np.int64)
        self._setup = np.array([_WRITE_PORT if self._type(pin) == "TRELLIS_RAMW" else 0.0 for pin in ends])
        clocks = [self._clock(int(design.net_pin[pin])) for pin in ends]
        common = Counter(design.net(k, "CLK") for k, _ in design.of_type("TRELLIS_FF")).most_common(1)
        self._main = np.array([bool(common) and clock == common[0][0] for clock in clocks], bool)
        self._levels = self._by_level(nets)

    def look(self) -> Timing:
        """At the placement as it is now."""
        d = self.design
        x, y, of_driver = d.x, d.y, self._driver[d.pin_net]
        distance = np.abs(x[d.net_pin] - x[of_driver]) + np.abs(y[d.net_pin] - y[of_driver])
        wire = np.where(d.dedicated, 0.0, WIRE_NS[distance])
        start = d.pin_net[self._from]
        through = wire[self._from] + self._delays
        arrival = self._first.copy()
        for level in self._levels:
            np.maximum.at(arrival, self._to[level], arrival[start[level]] + through[level])
        at_end = wire[self._ends] + self._setup
        lengths = arrival[d.pin_net[self._ends]] + at_end
        longest = float(lengths[self._main].max(initial=1e-3))
        others = max(float(lengths[~self._main].max(initial=0.0)), _OTHER_NS)
        period = np.where(self._main, longest, others)
        required = np.full(len(arrival), np.inf)
        np.minimum.at(required, d.pin_net[self._ends], period - at_end)
        for level in reversed(self._levels):
            np.minimum.at(required, start[level], required[self._to[level]] - through[level])
        slack = np.full(len(d.net_pin), np.inf)
        slack[self._ends] = period - lengths
        np.minimum.at(slack, self._from, required[self._to] - through - arrival[start])
        return Timing(longest_ns=longest, through_ns=np.maximum(longest - slack, 0.0), wire_ns=wire)

    def _type(self, pin: int) -> str:
        return self.design.types[self.design.net_pin[pin]]

    def _clock_to_output(self, k: int, port: str) -> float:
        kind = self.design.types[k]
        if kind == "DP16KD":
            registered = self.design.cells[self.design.names[k]]["parameters"].get(f"REGMODE_{port[2]}")
            return _BLOCK_RAM_REGISTERED if registered == "OUTREG" else _BLOCK_RAM
        return _CLOCK_TO_OUTPUT.get(kind, 0.0)

    def _delay(self, k: int, port: str, output: str) -> float | None:
        """Through a LUT; None where the output does not depend on the input in the same cycle."""
        cell = self.design.cells[self.design.names[k]]
        if port.startswith("W"):
            return None
        if cell["parameters"].get("MODE") == "CCU2":
            if port == "FCI":
                return _CARRY if output == "FCO" else _OUT_OF_CARRY
            return _INTO_CARRY
        if output == "F" and port in _MULTIPLEXER:
            return None
        if output == "OFX" and port not in _MULTIPLEXER and cell["connections"].get("FXA"):
            return None
        return _MULTIPLEXER.get(port, _THROUGH)

    def _clock(self, k: int) -> int | None:
        d = self.design
        if d.types[k] == "TRELLIS_RAMW":
            # Its own clock is the RAM's, on the other side of a dedicated wire.
            rams = d.readers(d.net(k, "WADO0"))
            return d.net(rams[0][0], "WCK") if rams else None
        return next(
            (net for port in ("CLK", "CLKA", "CLKB", "CLK0") if (net := d.net(k, port)) is not None), None
        )

    def _by_level(self, nets: int) -> list[np.ndarray]:
        """Arcs in groups, each of which needs the earlier ones only."""
        waits = np.bincount(self._to, minlength=nets)
        start = self.design.pin_net[self._from]
        order = np.argsort(start, kind="stable")
        first = np.searchsorted(start[order], np.arange(nets + 1))
        levels: list[np.ndarray] = []
        ready = np.flatnonzero(waits == 0)
        while len(ready):
            arcs = np.concatenate([order[first[net] : first[net + 1]] for net in ready])
            np.subtract.at(waits, self._to[arcs], 1)
            reached = np.unique(self._to[arcs])
            if len(arcs):
                levels.append(arcs)
            ready = reached[waits[reached] == 0]
        return levels
