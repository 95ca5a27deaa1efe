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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of a design that a simulation needs to know.

    Parameters
    ----------
    input, output
        Streams ``i`` and ``o``.
    taps
        Observation streams: outputs ``tap_<name>`` with payload, valid and ready.
    clock, reset
        Whether there is a port ``clk``, a port ``rst``.
    """

    input: StreamPort
    output: StreamPort
    taps: tuple[StreamPort, ...] = ()
    clock: bool = True
    reset: bool = True

    @classmethod
    def of(cls, component: wiring.Component, inputs: Iterable[str] = ("clk", "rst")) -> Ports:
        """The ports of a component, from its signature.

        Parameters
        ----------
        component
            With streams `i` and `o`.
        inputs
            Names of the Verilog inputs of the converted component; of interest are ``clk`` and ``rst``.

        Raises
        ------
        ValueError
            If `i` or `o` is not a stream, or if there are inputs that nothing would drive.
        """
        shapes: dict[str, Any] = {}
        given = set(inputs)
        for path, member, _ in component.signature.flatten(component):
            name = "__".join(map(str, path))
            shapes[name] = member.shape
            if member.flow == wiring.In:
                given.add(name)
        undriven = given - {"clk", "rst", "i__payload", "i__valid", "o__ready"}
        if undriven:
            msg = f"input ports {sorted(undriven)!r} have nothing to drive them in a simulation"
            raise ValueError(msg)
        if missing := {f"{s}__{m}" for s in "io" for m in ("payload", "valid", "ready")} - set(shapes):
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
            input=StreamPort.of("i", "i__", shapes["i__payload"]),
            output=StreamPort.of("o", "o__", shapes["o__payload"]),
            taps=tuple(taps),
            clock="clk" in given,
            reset="rst" in given,
        )
