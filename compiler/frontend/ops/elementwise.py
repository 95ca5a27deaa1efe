"""Steps on single elements: they wait until the next quantizer makes integers of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.ops.joins import added, extremes, multiplied
from pulsefold.compiler.frontend.ops.tables import differs, with_table
from pulsefold.compiler.frontend.values import Const, Hosted, Pick, Rivals, Stream, exact
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.compiler.numerics.functions import Reciprocal
from pulsefold.compiler.numerics.line import Line
from pulsefold.compiler.numerics.surd import Real, sqrt

__all__ = [
    "add",
    "batch_normalization",
    "cast",
    "clip",
    "divide",
    "extreme",
    "mean_of",
    "multiply",
    "negative",
    "relu",
    "subtract",
    "sum_of",
]

_ONE = Fraction(1)


def add(call: Call) -> Stream:
    """x + b, or x + y of two streams."""
    if both := _two_streams(call):
        if call.builder.same_integers(*both):
            a, b = both
            return a.curved(call.node.name, a.as_curve().plus(b.as_curve()))
        return added(call, both, (1, 1))
    if both := _stream_and_table(call):
        return added(call, both, (1, 1))
    stream, values, _ = _operands(call)
    return _affine(call, stream, (_ONE,), values)


def subtract(call: Call) -> Stream:
    """x - b, b - x, or x - y of two streams."""
    if both := _two_streams(call):
        return added(call, both, (1, -1))
    if both := _stream_and_table(call):
        return added(call, both, (-1, 1) if isinstance(call.input(0), Const) else (1, -1))
    stream, values, swapped = _operands(call)
    if swapped:
        return _affine(call, stream, (-_ONE,), values)
    return _affine(call, stream, (_ONE,), tuple(-v for v in values))


def sum_of(call: Call) -> Stream:
    """Sum-13 of streams and constants."""
    streams = [value for value in call.inputs if isinstance(value, Stream)]
    total = added(call, streams, (1,) * len(streams)) if len(streams) > 1 else streams[0]
    for value in call.inputs:
        if isinstance(value, Const) and differs(call, total, value):
            total = added(call, with_table(call, total, value), (1, 1))
        elif isinstance(value, Const):
            total = _affine(call, total, (_ONE,), call.by_channel(total, value, "constant"))
    return total


def mean_of(call: Call) -> Stream:
    """Mean-13 of streams and constants."""
    return _affine(call, sum_of(call), (Fraction(1, len(call.inputs)),), (Fraction(0),))


def multiply(call: Call) -> Stream:
    """x * a, or x * y of two streams."""
    if both := _two_streams(call):
        if call.builder.same_integers(*both):
            a, b = both
            return a.curved(call.node.name, a.as_curve().times(b.as_curve()))
        return multiplied(call, both)
    if both := _stream_and_table(call):
        return multiplied(call, both)
    stream, values, _ = _operands(call)
    return _affine(call, stream, values, (Fraction(0),))


def negative(call: Call) -> Stream:
    """-x."""
    return _affine(call, call.stream(), (-_ONE,), (Fraction(0),))


def divide(call: Call) -> Stream:
    """x / a, or a / x."""
    if _two_streams(call):
        why = "what is divided by activations is normalized: its gains come from the statistics of each frame"
        todo = "train with BatchNormalization, whose statistics are constants"
        raise call.refuse("it divides activations by activations", todo, why)
    if isinstance(call.input(1), Const) and (both := _stream_and_table(call, inverted=True)):
        return multiplied(call, both)
    stream, values, swapped = _operands(call)
    if swapped:
        stream = call.builder.narrow(stream, call.node)
        turned = stream.as_curve().then(Reciprocal()).then_line(*(Line(gain=v) for v in values))
        return stream.curved(call.node.name, turned)
    if not all(values):
        raise call.wrong("it divides by zero", "train the model again, or remove the bad channel")
    return _affine(call, stream, tuple(1 / v for v in values), (Fraction(0),))


def relu(call: Call) -> Stream | Hosted | Rivals:
    """max(x, 0)."""
    return _clamp(call, Fraction(0), None)


def clip(call: Call) -> Stream | Hosted | Rivals:
    """min(max(x, min), max), bounds as attributes (before operator set 11) or inputs."""
    value = call.input(0)
    stream = value.stream if isinstance(value, Hosted) else call.compared()
    bounds: list[Fraction | None] = [None, None]
    for i, name in enumerate(("min", "max")):
        if name in call.node.attributes:
            bounds[i] = call.number(name, 0)
        elif call.input(i + 1) is not None:
            bound = call.const(i + 1, name)
            # The least and greatest float stand for no bound, infinity too.
            if bound.value.size == 1 and abs(float(bound.value.ravel()[0])) < 3e38:
                (bounds[i],) = call.by_channel(stream, bound, name)
    low, high = (None if b is None or abs(b) > 3 * 10**38 else b for b in bounds)
    if low is not None and high is not None and low > high:
        raise call.wrong(f"its minimum {float(low)} is above its maximum {float(high)}")
    return _clamp(call, low, high)


def extreme(call: Call) -> Stream | Hosted | Rivals:
    """Max-13 or Min-13 of streams and constant numbers."""
    constants = [value for value in call.inputs if isinstance(value, Const)]
    values = [value for value in call.inputs if not isinstance(value, Const)]
    if any(c.value.size != 1 for c in constants):
        raise call.refuse("it compares with more than one number", "use Relu or Clip")
    greatest = call.node.op_type == "Max"
    value = extremes(call, values, greatest=greatest) if len(values) > 1 else values[0]
    if not constants:
        return value  # type: ignore[return-value]
    bounds = [exact(finite(call, c, "constant").ravel()[0]) for c in constants]
    call = replace(call, inputs=(value,))
    return _clamp(call, max(bounds), None) if greatest else _clamp(call, None, min(bounds))


def batch_normalization(call: Call) -> Stream:
    """(x - mean) / sqrt(var + epsilon) * scale + bias, exactly, the square root included."""
    stream = call.stream()
    if call.integer("training_mode", 0):
        raise call.refuse("it is in training mode", "export the model in evaluation mode: model.eval()")
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (
        call.by_channel(stream, _along_channels(call, stream, call.const(i + 1, name), name), name)
        for i, name in enumerate(names)
    )
    epsilon = call.number("epsilon", 1e-5)
    gains: list[Real] = []
    offsets: list[Real] = []
    for c in range(max(map(len, (scale, bias, mean, variance)))):
        spread = variance[c % len(variance)] + epsilon
        if spread <= 0:
            msg = f"variance + epsilon is {float(spread)} in channel {c}, and its square root is divided by"
            raise call.wrong(msg, "train the model again, or remove the bad channel")
        gain = scale[c % len(scale)] / sqrt(spread)
        gains.append(gain)
        offsets.append(bias[c % len(bias)] - gain * mean[c % len(mean)])
    return _affine(call, stream, tuple(gains), tuple(offsets))


def cast(call: Call) -> Stream | Hosted | Pick:
    """To another type that holds the values: exact numbers don't change."""
    value = call.input(0)
    kinds = {1: "float32", 10: "float16", 11: "float64"}
    integers = {2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64"}
    to = call.integer("to", 0)
    if isinstance(value, Pick) and to in kinds | integers:
        return replace(value, dtype=(kinds | integers)[to])
    if isinstance(value, Hosted) and to in kinds:
        return replace(value, stream=replace(value.stream, dtype=kinds[to]))
    stream = call.stream()
    whole = all(
        isinstance(n, Fraction) and n.denominator == 1
        for line in stream.lines
        for n in (line.gain, line.offset)
    )
    if to in (6, 7) and whole:
        return replace(stream, dtype=integers[to])
    if to not in kinds:
        todo = "remove the cast; integers of the network are shown by --raw"
        raise call.refuse("it casts activations to something other than a floating-point type", todo)
    return replace(stream, dtype=kinds[to])


def _two_streams(call: Call) -> list[Stream]:
    """The operands where both are streams, else nothing."""
    both = [value for value in (call.input(0), call.input(1)) if isinstance(value, Stream)]
    return both if len(both) == 2 else []


def _stream_and_table(call: Call, *, inverted: bool = False) -> list[Stream]:
    """Stream and constant (or one over it), where that differs within a channel; else nothing."""
    first = isinstance(call.input(0), Const)
    stream, const = call.stream(int(first)), call.const(int(not first), "constant")
    return with_table(call, stream, const, inverted=inverted) if differs(call, stream, const) else []


def _operands(call: Call) -> tuple[Stream, tuple[Fraction, ...], bool]:
    """The stream, the constant by channel, and whether the constant comes first."""
    swapped = isinstance(call.input(0), Const)
    stream = call.stream(1 if swapped else 0)
    return stream, call.by_channel(stream, call.const(0 if swapped else 1, "constant"), "constant"), swapped


def _along_channels(call: Call, stream: Stream, const: Const, what: str) -> Const:
    """A vector laid along axis 1, where batch norm has its channels."""
    array = finite(call, const, what)
    rank = stream.index.ndim
    if array.ndim != 1 or rank < 2 or array.shape[0] != stream.index.shape[1]:
        msg = f"its {what} of shape {list(array.shape)} does not fit activations of {call.shown(stream)}"
        raise call.wrong(msg, "check the shapes the model declares")
    return Const(value=array.reshape(-1, *(1,) * (rank - 2)))


def _affine(call: Call, stream: Stream, gains: tuple[Real, ...], offsets: tuple[Real, ...]) -> Stream:
    count = max(len(gains), len(offsets))
    step = tuple(Line(gain=gains[c % len(gains)], offset=offsets[c % len(offsets)]) for c in range(count))
    return stream.stepped(call.node.name, step)


def _clamp(call: Call, low: Fraction | None, high: Fraction | None) -> Stream | Hosted | Rivals:
    value = call.input(0)
    if isinstance(value, Rivals):
        return value.stepped(call.node.name, Line(low=low, high=high))
    if isinstance(value, Hosted):
        return value.then(HostStep(op="clip", low=low, high=high))
    stream = call.stream()
    return stream.stepped(call.node.name, (Line(low=low, high=high),))
