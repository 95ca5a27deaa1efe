"""Functions of single elements: they wait as exact curves until a quantizer makes a table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Hosted, Rivals, Stream
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.compiler.numerics import activations
from pulsefold.compiler.numerics.curve import Curve
from pulsefold.compiler.numerics.functions import (
    Abs,
    Elu,
    Erf,
    Exp,
    LeakyRelu,
    Log,
    Reciprocal,
    Sigmoid,
    Softplus,
    Softsign,
    Sqrt,
    Tanh,
)
from pulsefold.compiler.numerics.line import Line

__all__ = ["activation", "parametric_relu"]

_ZERO, _ONE = Fraction(0), Fraction(1)

#: What waits, and what the host does for it; nothing where it has no such function.
Made = tuple[Curve, tuple[HostStep, ...]]


def activation(call: Call) -> Stream | Hosted | Rivals:
    """The function of the node's operator, as the table below has it; |x| of wide sums is max(x, -x)."""
    value = call.input(0)
    if isinstance(value, Hosted):
        _, steps = _FUNCTIONS[call.node.op_type](call, Curve())
        if not steps:
            raise call.refuse("it follows a step of the host, which has no such function", "drop it")
        for step in steps:
            value = value.then(step)
        return value
    stream = call.builder.narrow(call.stream(), call.node)
    if call.node.op_type == "Abs" and stream.curve is None and call.builder.is_wide(stream):
        minus = stream.stepped(call.node.name, (Line(gain=-_ONE),))
        return Rivals(streams=(stream, minus), greatest=True, node=call.node.name)
    curve, steps = _FUNCTIONS[call.node.op_type](call, stream.as_curve())
    return stream.curved(call.node.name, curve, *steps)


def parametric_relu(call: Call) -> Stream:
    """PRelu-16: a slope below zero for each channel."""
    stream = call.builder.narrow(call.stream(), call.node)
    const = call.const(1, "slope")
    slopes = call.by_channel(stream, const, "slope")
    curve = stream.as_curve().then(*(LeakyRelu(slope) for slope in slopes))
    step = [HostStep(op="leaky_relu", scale=slopes[0])] if len(slopes) == 1 else []
    return stream.curved(call.node.name, curve, *step)


def _leaky_relu(call: Call, x: Curve) -> Made:
    slope = call.number("alpha", 0.01)
    return x.then(LeakyRelu(slope)), (HostStep(op="leaky_relu", scale=slope),)


def _elu(call: Call, x: Curve) -> Made:
    return x.then(Elu(call.number("alpha", 1.0))), ()


def _selu(call: Call, x: Curve) -> Made:
    alpha, gamma = call.number("alpha", 1.67326319), call.number("gamma", 1.05070102)
    return x.then(Elu(alpha)).then_line(Line(gain=gamma)), ()


def _celu(call: Call, x: Curve) -> Made:
    alpha = call.number("alpha", 1.0)
    return x.then_line(Line(gain=1 / alpha)).then(Elu()).then_line(Line(gain=alpha)), ()


def _hard_sigmoid(call: Call, x: Curve) -> Made:
    alpha, beta = call.number("alpha", 0.2), call.number("beta", 0.5)
    line = HostStep(op="affine", scale=alpha, offset=beta)
    return activations.hard_sigmoid(x, alpha, beta), (line, HostStep(op="clip", low=_ZERO, high=_ONE))


def _swish(call: Call, x: Curve) -> Made:
    return activations.silu(x, call.number("alpha", 1.0)), ()


def _gelu(call: Call, x: Curve) -> Made:
    return activations.gelu(x, approximate=call.node.text("approximate", "none") == "tanh"), ()


def _thresholded_relu(call: Call, x: Curve) -> Made:
    raise call.refuse("it jumps", "use Relu or Clip")


def _power(call: Call, x: Curve) -> Made:
    """Pow-15 of a small whole exponent, 1/2, -1/2 or -1."""
    exponent = call.const(1, "exponent").value
    if exponent.size == 1 and float(exponent.ravel()[0]) in (0.5, -0.5, -1.0):
        root = x if exponent.ravel()[0] == -1 else x.then(Sqrt())
        return root if exponent.ravel()[0] > 0 else root.then(Reciprocal()), ()
    n = int(exponent.ravel()[0]) if exponent.size == 1 else 0
    if exponent.size != 1 or n != exponent.ravel()[0] or not 1 <= n <= 4:
        raise call.refuse(
            f"its exponent is {exponent.ravel()[:4].tolist()}",
            "use a whole exponent from 1 to 4, or 1/2, -1/2, -1",
        )
    curve = x
    for _ in range(n - 1):
        curve = curve.times(x)
    return curve, ()


_FUNCTIONS: Mapping[str, Callable[[Call, Curve], Made]] = MappingProxyType(
    {
        "Abs": lambda _, x: (x.then(Abs()), (HostStep(op="abs"),)),
        "Celu": _celu,
        "Elu": _elu,
        "Erf": lambda _, x: (x.then(Erf()), ()),
        "Exp": lambda _, x: (x.then(Exp()), (HostStep(op="exp"),)),
        "Gelu": _gelu,
        "HardSigmoid": _hard_sigmoid,
        "HardSwish": lambda _, x: (activations.hard_swish(x), ()),
        "LeakyRelu": _leaky_relu,
        "Log": lambda _, x: (x.then(Log()), (HostStep(op="log"),)),
        "Mish": lambda _, x: (activations.mish(x), ()),
        "Pow": _power,
        "Reciprocal": lambda _, x: (x.then(Reciprocal()), ()),
        "Selu": _selu,
        "Sigmoid": lambda _, x: (x.then(Sigmoid()), (HostStep(op="sigmoid"),)),
        "Softplus": lambda _, x: (x.then(Softplus()), (HostStep(op="softplus"),)),
        "Softsign": lambda _, x: (x.then(Softsign()), ()),
        "Sqrt": lambda _, x: (x.then(Sqrt()), (HostStep(op="sqrt"),)),
        "Swish": _swish,
        "Tanh": lambda _, x: (x.then(Tanh()), (HostStep(op="tanh"),)),
        "ThresholdedRelu": _thresholded_relu,
    }
)

#: Operators of this file.
OPERATORS = tuple(_FUNCTIONS)
