"""What a simulation drives and watches: the stream ports of a component."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

__all__ = ["Ports", "StreamPort"]

#: Taps may be nested (``tap_x.payload``, in Verilog ``tap_x__payload``) or flat (``tap_x_payload``).
_TAP = re.compile(r"tap_(\w+?)(__?)(payload|valid|ready)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPort:
    """One stream of lanes.

    Parameters
    ----------
    name
        ``i``, ``o``, or the name of a tap without ``tap_``.
    prefix
        Start of the names of its Verilog ports, before ``payload``, ``valid`` and ``ready``.
    width
        Bits of a lane, 1 to 64.
    lanes
        Lanes of a beat, lane 0 in the lowest bits.
    """

    name: str
    prefix: str
    width: int
    lanes: int

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 64:
            msg = f"a lane of stream {self.name!r} must be 1 to 64 bits wide, not {self.width}"
            raise ValueError(msg)
        if self.lanes < 1:
            msg = f"stream {self.name!r} must have at least one lane, not {self.lanes}"
            raise ValueError(msg)

    @classmethod
    def of(cls, name: str, prefix: str, shape: Any) -> StreamPort:
        """A stream whose payload has an Amaranth shape; (nested) arrays are lanes, all else is one lane."""
        lanes = 1
        while isinstance(shape, data.ArrayLayout):
            lanes, shape = lanes * shape.length, shape.elem_shape
        return cls(name=name, prefix=prefix, width=Shape.cast(shape).width, lanes=lanes)

    @property
    def bits(self) -> int:
        """Bits of a beat."""
        return self.width * self.lanes

    @property
    def words(self) -> int:
        """32-bit words of a packed beat."""
        return -(-self.bits // 32)

    @property
    def payload(self) -> str:
        """Verilog name of the payload."""
        return f"{self.prefix}payload"

    @property
    def valid(self) -> str:
        """Verilog name of valid."""
        return f"{self.prefix}valid"

    @property
    def ready(self) -> str:
        """Verilog name of ready."""
        return f"{self.prefix}ready"


def stream_names(ports: Iterable[str], letter: str) -> list[str]:
    """The numbered streams of a letter, in order; the letter alone where there are none."""
    found = {int(match[1]) for port in ports if (match := re.fullmatch(rf"{letter}(\d+)__valid", port))}
    return [f"{letter}{k}" for k in sorted(found)] or [letter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of a design that a simulation needs to know.

    Parameters
    ----------
    inputs, outputs
        Streams ``i`` and ``o``; where there are several, ``i0``, ``i1`` and so on.
    taps
        Observation streams: outputs ``tap_<name>`` with payload, valid and ready.
    clock, reset
        Whether there is a port ``clk``, a port ``rst``.
    """

    inputs: tuple[StreamPort, ...]
    outputs: tuple[StreamPort, ...]
    taps: tuple[StreamPort, ...] = ()
    clock: bool = True
    reset: bool = True

    @classmethod
    def of(cls, component: wiring.Component, inputs: Iterable[str] = ("clk", "rst")) -> Ports:
        """The ports of a component, from its signature.

        Parameters
        ----------
        component
            With streams `i` or `i0`, `i1`, ..., and `o` or `o0`, `o1`, ...
        inputs
            Names of the Verilog inputs of the converted component; of interest are ``clk`` and ``rst``.

        Raises
        ------
        ValueError
            If there are no such streams, or if there are inputs that nothing would drive.
        """
        shapes: dict[str, Any] = {}
        given = set(inputs)
        for path, member, _ in component.signature.flatten(component):
            name = "__".join(map(str, path))
            shapes[name] = member.shape
            if member.flow == wiring.In:
                given.add(name)
        ins, outs = (stream_names(shapes, letter) for letter in "io")
        driven = {f"{s}__{member}" for s in ins for member in ("payload", "valid")}
        undriven = given - {"clk", "rst"} - driven - {f"{s}__ready" for s in outs}
        if undriven:
            msg = f"input ports {sorted(undriven)!r} have nothing to drive them in a simulation"
            raise ValueError(msg)
        if missing := {f"{s}__{m}" for s in (*ins, *outs) for m in ("payload", "valid", "ready")} - set(
            shapes
        ):
            msg = f"a component to simulate must have streams i and o; missing: {sorted(missing)!r}"
            raise ValueError(msg)
        taps = [
            StreamPort.of(match[1], name.removesuffix("payload"), shape)
            for name, shape in shapes.items()
            if (match := _TAP.fullmatch(name)) and match[3] == "payload"
        ]
        for tap in taps:
            if tap.valid not in shapes or tap.ready not in shapes:
                msg = f"tap {tap.name!r} must have payload, valid and ready"
                raise ValueError(msg)
        return cls(
            inputs=tuple(StreamPort.of(s, f"{s}__", shapes[f"{s}__payload"]) for s in ins),
            outputs=tuple(StreamPort.of(s, f"{s}__", shapes[f"{s}__payload"]) for s in outs),
            taps=tuple(taps),
            clock="clk" in given,
            reset="rst" in given,
        )
