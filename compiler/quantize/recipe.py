"""What the user asks for, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pulsefold.compiler.quantize.ranges import METHODS
from pulsefold.errors import PulsefoldError

__all__ = ["FORMATS", "ROUNDINGS", "Format", "Recipe"]

FORMATS = ("auto", "qdq", "qonnx")
ROUNDINGS = ("auto", "nearest", "hessian")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A number format: ``int8`` .. ``int2``, ``uint8`` .. ``uint2``, ``ternary`` or ``binary``.

    Parameters
    ----------
    name
        One of these.
    bits
        Bits a number is stored in.
    signed
        False for the unsigned ones.
    """

    name: str
    bits: int
    signed: bool

    @classmethod
    def parse(cls, text: str, option: str, *, few: bool) -> Format:
        """Read a name; `few` says whether ternary and binary are allowed."""
        name = text.strip().lower()
        if few and name in ("ternary", "binary"):
            return cls(name=name, bits=2 if name == "ternary" else 1, signed=True)
        match = re.fullmatch(r"(u?)int([2-8])", name)
        if match is None:
            todo = "int2 to int8, or uint2 to uint8" + (", or ternary or binary" if few else "")
            why = ""
            if name in ("ternary", "binary"):
                why = "activations that coarse need training with them"
            raise PulsefoldError(f"no number format {text!r}", where=option, why=why, todo=f"use {todo}")
        return cls(name=name, bits=int(match[2]), signed=not match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to quantize.

    Parameters
    ----------
    weights
        Format of weights: ``intN`` is symmetric; ``uintN`` is the same around the zero point 2**(N - 1);
        ``ternary`` is -a, 0, a and ``binary`` -a, a.
    activations
        ``intN`` has the zero point 0: unsigned where a value cannot be negative, signed elsewhere.
        ``uintN`` is unsigned everywhere, with a zero point where values are negative.
    edges
        Format of the weights, and of the activations they multiply, of the first and the last linear
        layers, where it is wider than the others.
    sums
        Format of activations that no linear layer multiplies, where it is wider than the others: they
        meet adders and pools alone.
    per_channel
        Whether each output channel has a scale of its own.
    method
        How activation ranges are found, one of :data:`pulsefold.compiler.quantize.ranges.METHODS`.
    equalize
        Whether the channels of successive layers are brought to equal ranges first.
    bias_correction
        Whether biases make up for the mean error of the layers.
    rounding
        ``nearest``; ``hessian``: weights are rounded in turn, each making up for the errors before; or
        ``auto``: that where weights or activations have fewer than 8 bits.
    format
        ``qdq``, ``qonnx`` or ``auto``: QDQ where all widths are 4 or 8.
    """

    weights: Format = Format(name="int8", bits=8, signed=True)
    activations: Format = Format(name="int8", bits=8, signed=True)
    edges: Format = Format(name="int8", bits=8, signed=True)
    sums: Format = Format(name="int8", bits=8, signed=True)
    per_channel: bool = True
    method: str = "mse"
    equalize: bool = False
    bias_correction: bool = True
    rounding: str = "auto"
    format: str = "auto"

    def __post_init__(self) -> None:
        for option, value, known in (
            ("method", self.method, tuple(METHODS)),
            ("rounding", self.rounding, ROUNDINGS),
            ("format", self.format, FORMATS),
        ):
            if value not in known:
                msg = f"there is no {value!r}"
                raise PulsefoldError(msg, where=f"--{option}", todo=f"use one of {', '.join(known)}")
        odd = [f.name for f in self._formats() if f.name in ("ternary", "binary") or f.bits not in (4, 8)]
        if self.format == "qdq" and odd:
            msg = f"QDQ has 4 and 8 bits, and {odd[0]} is asked for"
            raise PulsefoldError(msg, where="--format", todo="use --format qonnx, or auto")

    @property
    def in_turn(self) -> bool:
        """Whether weights are rounded in turn."""
        few = min(self.weights.bits, self.activations.bits) < 8
        return self.rounding == "hessian" or (self.rounding == "auto" and few)

    @property
    def qdq(self) -> bool:
        """Whether QuantizeLinear and DequantizeLinear are written, and not QONNX."""
        if self.format != "auto":
            return self.format == "qdq"
        return all(f.bits in (4, 8) for f in self._formats())

    @property
    def opset(self) -> int:
        """Oldest opset that has what is written: per-channel DequantizeLinear, 4-bit integers."""
        return 21 if self.qdq and any(f.bits == 4 for f in self._formats()) else 13

    def _formats(self) -> tuple[Format, ...]:
        return self.weights, self.activations, self.edges, self.sums
