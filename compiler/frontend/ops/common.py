"""What the rules share: their arguments, and constants seen by channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.builder import Builder
from pulsefold.compiler.frontend.load import check_frame
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.values import Const, Hosted, Pick, Rivals, Stream, Value, exact
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["WIDE_TODO", "WIDE_WHY", "Call", "finite"]

WIDE_WHY = "every step of a layer's output is a threshold of its own, and 16 bits have 65535"
WIDE_TODO = "quantize activations to 8 bits: activation_type QUInt8 or QInt8 in onnxruntime's quantize_static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One node, with what its inputs are.

    Parameters
    ----------
    node
        The node.
    inputs
        Values of its inputs; None for an optional one left out.
    builder
        The graph under construction.
    opset
        Version of the default operator set.
    batch
        Size of the batch axis where the model fixes it, else None.
    """

    node: OnnxNode
    inputs: tuple[Value | None, ...]
    builder: Builder
    opset: int
    batch: int | None

    def input(self, i: int) -> Value | None:
        """Input `i`, None where it is left out."""
        return self.inputs[i] if i < len(self.inputs) else None

    def inside(self) -> Call:
        """The call with an output of its own: the value in front of the node's quantizer."""
        return self.part("accumulators")

    def part(self, what: str) -> Call:
        """The call with an output for a part of its own."""
        return replace(self, node=replace(self.node, outputs=(f"{self.node.outputs[0]}/{what}",)))

    def refuse(self, what: str, todo: str, why: str = "") -> UnsupportedNodeError:
        """The error for something this node does that has no rule."""
        return UnsupportedNodeError(what, where=self.node.where, why=why, todo=todo)

    def wrong(self, what: str, todo: str = "check the model with onnx.checker") -> ModelError:
        """The error for a node that means nothing."""
        return ModelError(what, where=self.node.where, todo=todo)

    def stream(self, i: int = 0) -> Stream:
        """Input `i`, which must be a stream."""
        value = self.input(i)
        if isinstance(value, Stream):
            return value
        if isinstance(value, Pick):
            raise self.refuse(
                "it computes with the result of TopK or ArgMax", "make that the output of the model"
            )
        if isinstance(value, Rivals):
            todo = "quantize its output: the quantizer then takes each of its inputs"
            raise self.refuse(f"no quantizer stands between {value.node!r} and this node", todo)
        if isinstance(value, Hosted) and _is_wide(value.steps[0]):
            raise self.refuse("it reads 16-bit activations", WIDE_TODO, WIDE_WHY)
        if isinstance(value, Hosted):
            done = ", ".join(step.op for step in value.steps)
            msg = f"it computes with values that only the host has (behind {done})"
            todo = (
                "make the result of that step the output of the model; or cut the model in front of it "
                "(onnx.utils.extract_model) and compute what follows on the host"
            )
            raise self.refuse(msg, todo)
        if value is None:
            raise self.wrong(f"its input {i} is missing")
        raise self.refuse(f"its input {i} is a constant", "give the activations there, or fold the constants")

    def compared(self) -> Stream | Rivals:
        """Input 0 of a quantizer: a stream, or the greatest or least of several."""
        value = self.input(0)
        return value if isinstance(value, Rivals) else self.stream()

    def const(self, i: int, what: str) -> Const:
        """Input `i`, which must be a constant named `what` in the message."""
        value = self.input(i)
        if value is None:
            raise self.wrong(f"input {i}, its {what}, is missing")
        if not isinstance(value, Const):
            raise self.refuse(
                f"input {i}, its {what}, is computed from the model's input",
                "give a constant there: products of activations with activations have no fixed weights",
            )
        return value

    def number(self, name: str, default: float) -> Fraction:
        """A float attribute: the exact value of the float32 in the file."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, float | int) or not np.isfinite(value):
            raise self.wrong(f"its attribute {name} is {value!r}, and a number is meant")
        return exact(np.float32(value))

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.wrong(f"its attribute {name} is {value!r}, and an integer is meant")
        return value

    def integers(self, name: str, i: int | None = None) -> list[int] | None:
        """A list of integers: an attribute, or input `i` in later operator sets; None if absent."""
        if name in self.node.attributes:
            value = self.node.attributes[name]
            listed = value if isinstance(value, list) else [value]
            if not all(isinstance(v, int) for v in listed):
                raise self.wrong(f"its attribute {name} is {value!r}, and integers are meant")
            return listed
        if i is not None and self.input(i) is not None:
            array = self.const(i, name).value
            if array.dtype.kind not in "iu":
                raise self.wrong(f"its {name} (input {i}) hold {array.dtype}, and integers are meant")
            return [int(v) for v in array.ravel()]
        return None

    def by_channel(self, stream: Stream | Rivals, const: Const, what: str) -> tuple[Fraction, ...]:
        """A constant broadcast to the stream, as one exact number or one a channel."""
        if const.symbolic:
            raise self.refuse(
                f"its {what} depends on the size of the batch", "export with a fixed batch size"
            )
        array = finite(self, const, what)
        if array.size == 1 and array.ndim <= stream.index.ndim:
            return self._exact(const, np.zeros(1, np.int64))
        try:
            fits = np.broadcast_shapes(array.shape, stream.index.shape) == stream.index.shape
        except ValueError:
            fits = False
        if not fits:
            msg = f"its {what} of shape {list(array.shape)} does not fit activations of {self.shown(stream)}"
            raise self.wrong(msg, "check the shapes the model declares")
        positions = np.arange(array.size, dtype=np.int64).reshape(array.shape)
        positions = np.broadcast_to(positions, stream.index.shape).ravel()
        return self._exact(const, self.per_channel(stream, positions, array.ravel(), what))

    def per_channel(
        self, stream: Stream | Rivals, positions: np.ndarray, values: np.ndarray, what: str
    ) -> np.ndarray:
        """The one position a channel of a constant that has a position for each ONNX element."""
        channel = stream.index.ravel() % stream.channels
        first = np.zeros(stream.channels, np.int64)
        first[channel] = positions
        same = values[first[channel]] == values[positions]
        if not np.all(same):
            msg = f"its {what} differs within a channel"
            todo = "use one value for the tensor or one a channel"
            raise self.refuse(
                msg, todo, f"activations are {self.shown(stream)} with {stream.channels} channels"
            )
        return first

    def check(self, elements: int) -> None:
        """Refuse activations of too many elements before they are made."""
        check_frame([elements], self.node.where)

    def shown(self, stream: Stream | Rivals) -> str:
        """The ONNX shape of a stream, for messages."""
        return str(["N", *stream.index.shape[1:]])

    def _exact(self, const: Const, positions: np.ndarray) -> tuple[Fraction, ...]:
        if const.quantized is None:
            values = const.value.ravel()[positions]
            return tuple(exact(v) for v in values)
        taken = const.quantized.taken(positions)
        return tuple(taken.scales[g] * int(q) for q, g in zip(taken.q, taken.group, strict=True))


def _is_wide(step: HostStep) -> bool:
    """Whether it is a quantizer that is left to the host for its many levels."""
    return (
        step.op == "quantize"
        and step.low is not None
        and step.high is not None
        and step.high - step.low > 255
    )


def finite(call: Call, const: Const, what: str) -> np.ndarray:
    """The array of a constant that must hold finite numbers."""
    array = const.value
    if array.dtype.kind not in "iufb":
        raise call.wrong(f"its {what} holds {array.dtype} values")
    if not np.all(np.isfinite(array)):
        raise call.wrong(
            f"its {what} holds NaN or infinity", "train the model again, or remove the bad channel"
        )
    return array
