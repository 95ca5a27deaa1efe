"""Where the values behind the source's quantizers lie in the integer graph: for whoever compares the two."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pulsefold.compiler.frontend.importer import Walk, is_quantizer
from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.frontend.values import Stream

__all__ = ["Place", "quantizer_places"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """One ONNX value: real = scale * q + offset, elements gathered from a tensor.

    Parameters
    ----------
    tensor
        Of the graph as imported; a pass may have removed it.
    index
        int32 in the ONNX shape behind the batch axis: where each element lies in the (H, W, C) frame.
    scale, offset
        One, or one a channel of the tensor.
    """

    tensor: str
    index: np.ndarray
    scale: tuple[Fraction, ...]
    offset: tuple[Fraction, ...]


def quantizer_places(path: Path | str) -> dict[str, Place]:
    """By ONNX value name: the outputs of quantizers of activations."""
    walk = Walk.start(load_model(path), str(path))
    found: dict[str, Place] = {}
    for node in walk.nodes:
        if node.name not in walk.wanted:
            continue
        walk.visit(node)
        value = walk.values.get(node.outputs[0])
        if not is_quantizer(node) or node.op_type in _READERS or not isinstance(value, Stream):
            continue
        affine = [(line.gain, line.offset) for line in value.lines]
        if value.tensor is None or value.pools or any(line.clamped for line in value.lines):
            continue
        rational = [(g, b) for g, b in affine if isinstance(g, Fraction) and isinstance(b, Fraction)]
        if len(rational) == len(affine):
            found[node.outputs[0]] = Place(
                tensor=value.tensor,
                index=value.index[0],
                scale=tuple(g for g, _ in rational),
                offset=tuple(b for _, b in rational),
            )
    return found


#: Operators that count as quantizers of a model and whose outputs are no levels.
_READERS = frozenset({"ConvInteger", "DequantizeLinear", "MatMulInteger"})
