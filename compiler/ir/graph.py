"""Graph, tensors, inputs and outputs of the integer network.

All tensors are one frame, without the batch axis, in stream order (H, W, C): channels innermost.
A vector is (1, 1, C). Golden functions take batches (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np

from pulsefold.compiler.ir.types import ElementType

__all__ = ["Graph", "HostStep", "Input", "Node", "Output", "Shape", "Tensor", "chw_index"]

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One stream of integers and the real numbers they stand for.

    real[h, w, c] = scale[c] * q[h, w, c] + offset[c], with one entry or one a channel. Scales that a
    batch norm makes irrational are rounded to 256 bits: they only present results and never decide
    an integer.

    Parameters
    ----------
    name
        Name of the ONNX value where there is one.
    shape
        (H, W, C).
    type
        Element type.
    scale, offset
        Exact rationals, 1 or C of them.
    """

    name: str
    shape: Shape
    type: ElementType
    scale: tuple[Fraction, ...] = (Fraction(1),)
    offset: tuple[Fraction, ...] = (Fraction(0),)

    @property
    def elements(self) -> int:
        """Elements of one frame."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@runtime_checkable
class Node(Protocol):
    """What every operation answers: its place in the graph and its type and shape rule."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]:
        """Tensors read, in the order of the operation's formula."""
        ...

    @property
    def output(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...

    @property
    def output_tensor(self) -> Callable[..., Tensor]:
        """A method: shape and type of the output for the input tensors; ModelError if they don't agree.

        Scale and offset of what it returns mean nothing where the inputs differ in theirs: who adds the node
        knows them.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Input:
    """A graph input and the host-side quantizer in front of it.

    q = first + step * count(x >= thresholds[c]) on ascending channels and
    q = first + step * (T - count) on descending ones; step is 2 for bipolar tensors, else 1.
    The thresholds are the smallest float32 values on the upper side of each exact real boundary,
    so the comparison is exact for every float32 input.

    Parameters
    ----------
    tensor
        Name of the integer tensor it feeds.
    name
        ONNX input name.
    index
        int32 in the ONNX shape after the batch axis: where each element lies in the flattened (H, W, C)
        frame. A permutation.
    frame
        (H, W, C) of the tensor it feeds.
    dtype
        ONNX element type, as a NumPy name.
    thresholds
        [1 or C, T] in the input's own type, ascending along T; -inf is always reached, +inf never.
    descending
        [1 or C] booleans.
    first
        Integer at count 0 of an ascending channel.
    """

    tensor: str
    name: str
    index: np.ndarray
    frame: Shape
    dtype: str
    thresholds: np.ndarray
    descending: np.ndarray
    first: int

    @property
    def shape(self) -> tuple[int, ...]:
        """ONNX shape after the batch axis."""
        return self.index.shape


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStep:
    """One step that the host computes in float64 behind the last integers.

    Parameters
    ----------
    op
        ``"clip"``: min(max(x, low), high). ``"softmax"``, ``"log_softmax"``: over `axes` together.
        ``"sigmoid"``, ``"tanh"``, ``"softplus"``, ``"abs"``, ``"exp"``, ``"log"``, ``"sqrt"``: of each
        element.
        ``"leaky_relu"``: x * scale below 0.
        ``"affine"``: x * scale + offset.
        ``"quantize"``: clamp(round_half_even(x / scale) + offset, low, high).
    axes
        ONNX axes, the batch being axis 0.
    scale, offset, low, high
        Exact numbers; None is no bound.
    """

    op: str
    axes: tuple[int, ...] = (-1,)
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    low: Fraction | None = None
    high: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Output:
    """A graph output and the host-side arithmetic behind the last integers.

    Parameters
    ----------
    tensor
        Integer tensor it reads; real values are that tensor's scale and offset applied.
    name
        ONNX output name.
    index
        As for :class:`Input`, without duty to name every element once: where each ONNX element comes from.
        For ``"topk_*"`` kinds, positions among the picks [H, W, k].
    dtype
        ONNX element type, as a NumPy name.
    steps
        Host-side steps behind the real values, first to last; for ``"values"`` alone.
    kind
        ``"values"``: the real values. ``"topk_values"``, ``"topk_indices"``: of the `k` largest
        channels of each pixel by exact real value, the lower index first on ties.
    k
        How many of them.
    largest
        Whether the greatest (True) or least values are taken.
    """

    tensor: str
    name: str
    index: np.ndarray
    dtype: str = "float32"
    steps: tuple[HostStep, ...] = ()
    kind: str = "values"
    k: int = 0
    largest: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """ONNX shape after the batch axis."""
        return self.index.shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """Nodes in topological order, tensors by name, and the host side at both ends."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]

    def producer(self, tensor: str) -> Node | None:
        """The node that writes `tensor`, or None for an input."""
        return next((n for n in self.nodes if n.output == tensor), None)

    def readers(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that read `tensor`, in order; a node that reads it twice is there once."""
        return tuple(n for n in self.nodes if tensor in n.inputs)


def chw_index(frame: Shape) -> np.ndarray:
    """int32 [C, H, W]: where the elements of an ONNX frame lie in the (H, W, C) stream."""
    return np.arange(frame[0] * frame[1] * frame[2], dtype=np.int32).reshape(frame).transpose(2, 0, 1)
