"""Graph, tensors, inputs and outputs of the integer network.

All tensors are one frame, without the batch axis, in stream order (H, W, C): channels innermost.
A vector is (1, 1, C). Golden functions take batches (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np

from pulsefold.compiler.ir.types import ElementType

__all__ = ["Graph", "Input", "Node", "Output", "Tensor"]

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
    def input(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...

    def output_tensor(self, x: Tensor) -> Tensor:
        """Shape and type of the output for the input `x`; raises ModelError if they don't agree."""
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
    shape
        ONNX shape after the batch axis.
    layout
        Where the ONNX axes after the batch go: ``"CHW"``, ``"HWC"`` or ``"C"``; a vector input of any
        rank is ``"C"`` when its shape has one axis, else ``"CHW"`` or ``"HWC"``.
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
    shape: tuple[int, ...]
    layout: str
    dtype: str
    thresholds: np.ndarray
    descending: np.ndarray
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A graph output and the host-side arithmetic behind the last integers.

    Parameters
    ----------
    tensor
        Integer tensor it reads; real values are that tensor's scale and offset applied.
    name
        ONNX output name.
    shape
        ONNX shape after the batch axis.
    layout
        As for :class:`Input`.
    dtype
        ONNX element type, as a NumPy name.
    kind
        ``"values"``: the real values. ``"topk_values"``, ``"topk_indices"``: of the `k` largest
        channels by exact real value, the lower index first on ties.
    k
        How many of them.
    largest
        Whether the greatest (True) or least values are taken.
    """

    tensor: str
    name: str
    shape: tuple[int, ...]
    layout: str
    dtype: str = "float32"
    kind: str = "values"
    k: int = 0
    largest: bool = True


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
