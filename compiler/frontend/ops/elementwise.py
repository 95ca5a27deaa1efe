"""Steps on single elements: they wait until the next quantizer makes integers of them."""

from __future__ import annotations

from fractions import Fraction

from pulsefold.compiler.frontend.ops.common import Call, finite
from pulsefold.compiler.frontend.values import Const, Stream
from pulsefold.compiler.numerics.line import Line, compose
from pulsefold.compiler.numerics.surd import Real, sqrt

__all__ = ["add", "batch_normalization", "cast", "clip", "divide", "multiply", "relu", "subtract"]

_ONE = Fraction(1)


def add(call: Call) -> Stream:
    """x + b."""
    stream, values, _ = _operands(call)
    return _affine(call, stream, (_ONE,), values)


def subtract(call: Call) -> Stream:
    """x - b, or b - x."""
    stream, values, swapped = _operands(call)
    if swapped:
        return _affine(call, stream, (-_ONE,), values)
    return _affine(call, stream, (_ONE,), tuple(-v for v in values))


def multiply(call: Call) -> Stream:
    """x * a."""
    stream, values, _ = _operands(call)
    return _affine(call, stream, values, (Fraction(0),))


def divide(call: Call) -> Stream:
    """x / a."""
    stream, values, swapped = _operands(call)
    if swapped:
        raise call.refuse("it divides a constant by the activations", "remove it from the model")
    if not all(values):
        raise call.wrong("it divides by zero", "train the model again, or remove the bad channel")
    return _affine(call, stream, tuple(1 / v for v in values), (Fraction(0),))


def relu(call: Call) -> Stream:
    """max(x, 0)."""
    stream = call.stream()
    return _clamp(call, stream, Fraction(0), None)


def clip(call: Call) -> Stream:
    """min(max(x, min), max), bounds as attributes (before operator set 11) or inputs."""
    stream = call.stream()
    bounds: list[Fraction | None] = [None, None]
    for i, name in enumerate(("min", "max")):
        if name in call.node.attributes:
            bounds[i] = call.number(name, 0)
        elif call.input(i + 1) is not None:
            (bounds[i],) = call.by_channel(stream, call.const(i + 1, name), name)
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise call.wrong(f"its minimum {float(low)} is above its maximum {float(high)}")
    return _clamp(call, stream, low, high)


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


def cast(call: Call) -> Stream:
    """To another floating-point type: exact values don't change."""
    stream = call.stream()
    kinds = {1: "float32", 11: "float64"}
    to = call.integer("to", 0)
    if to not in kinds:
        todo = "remove the cast; integers of the network are shown by --raw"
        raise call.refuse("it casts activations to something other than float or double", todo)
    return Stream(
        tensor=stream.tensor,
        shape=stream.shape,
        index=stream.index,
        dtype=kinds[to],
        pools=stream.pools,
        lines=stream.lines,
        pending=stream.pending,
    )


def _operands(call: Call) -> tuple[Stream, tuple[Fraction, ...], bool]:
    """The stream, the constant by channel, and whether the constant comes first."""
    first, second = call.input(0), call.input(1)
    if isinstance(first, Stream) and isinstance(second, Stream):
        msg = "it joins two streams of activations"
        todo = "only straight-line networks are supported so far: remove the branch (a residual connection)"
        raise call.refuse(msg, todo)
    swapped = isinstance(first, Const)
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
    return stream.stepped(call.node.name, compose(stream.lines, step))


def _clamp(call: Call, stream: Stream, low: Fraction | None, high: Fraction | None) -> Stream:
    return stream.stepped(call.node.name, compose(stream.lines, (Line(low=low, high=high),)))
