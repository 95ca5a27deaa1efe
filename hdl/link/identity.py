"""What a board tells of the network in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from amaranth.hdl import Value
from amaranth.lib import wiring

from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.units import Stream
from pulsefold.hdl.link.network import ports_of
from pulsefold.hdl.link.protocol import Feature, Hello, Kind, TensorFormat

__all__ = ["Identity", "LinkOptions", "format_of"]


class LinkOptions(TypedDict):
    """What a link is built with: frames buffered each way, and whether it counts."""

    input_slots: int
    result_slots: int
    counts: bool


def format_of(stream: Stream, shape: tuple[int, int, int]) -> TensorFormat:
    """How a tensor's stream crosses the link."""
    return TensorFormat(
        beats=stream.beats, lanes=stream.lanes, bits=stream.type.bits, kind=kind_of(stream.type), shape=shape
    )


def kind_of(element: ElementType) -> Kind:
    """The link's name of an element type."""
    if element.kind == "int":
        return Kind.SIGNED if element.signed else Kind.UNSIGNED
    return {"bipolar": Kind.BIPOLAR, "ternary": Kind.TERNARY}[element.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A network by its streams.

    Parameters
    ----------
    design_id
        16 bytes that no other design has.
    inputs, outputs
        Streams by index.
    units
        Units whose counters the core shows at its port `counters`.
    probe
        Whether the core has streams that can be looked at.
    writable
        Whether the core's constants can be written.
    """

    design_id: bytes
    inputs: tuple[TensorFormat, ...]
    outputs: tuple[TensorFormat, ...]
    units: int = 0
    probe: bool = False
    writable: bool = False

    @classmethod
    def of(cls, core: wiring.Component) -> Identity:
        """A core that nobody described: one beat an image, each beat one element."""
        formats = [tuple(_one_beat(len(Value.cast(p.payload))) for p in ports) for ports in ports_of(core)]
        return cls(design_id=bytes(16), inputs=formats[0], outputs=formats[1])

    def hello(self, *, clock_hz: int, input_slots: int, result_slots: int, counts: bool) -> Hello:
        """The description, with what the link adds to it."""
        return Hello(
            input_slots=input_slots,
            result_slots=result_slots,
            features=(Feature.COUNTS if counts else 0)
            | (Feature.UNIT_COUNTS if self.units else 0)
            | (Feature.PROBE if self.probe else 0)
            | (Feature.WEIGHTS if self.writable else 0),
            units=self.units,
            design_id=self.design_id,
            clock_hz=clock_hz,
            inputs=self.inputs,
            outputs=self.outputs,
        )


def _one_beat(width: int) -> TensorFormat:
    # An element has at most 64 bits; wider beats are told as so many single bits.
    lanes, bits = (1, width) if width <= 64 else (width, 1)
    return TensorFormat(beats=1, lanes=lanes, bits=bits, kind=Kind.UNSIGNED, shape=(1, 1, lanes))
