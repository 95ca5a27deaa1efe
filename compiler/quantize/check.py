"""What the importer would refuse of the quantized file, refused before any work is done."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pulsefold.compiler.frontend.refused import DEFAULT_TODO
from pulsefold.compiler.frontend.registry import RULES
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.linear import is_linear
from pulsefold.compiler.quantize.types import infer_types
from pulsefold.errors import UnsupportedNodeError

__all__ = ["check_operators"]

#: Finest places that a linear Resize may ask for: multiples of 1 / this of a pixel.
_FINEST = 1024


def check_operators(graph: FloatGraph) -> None:
    """Raise UnsupportedNodeError for the first node of a simplified graph that no integers come of."""
    types = infer_types(graph)
    readers = graph.readers()
    for node in graph.nodes:
        streams = [n for n in node.inputs if n and n not in graph.constants and types.is_float(n)]
        if not streams or not any(types.is_float(n) for n in node.outputs if n):
            continue
        if node.op not in RULES:
            msg = f"there is no rule for {node.op} on activations"
            raise UnsupportedNodeError(msg, where=node.where, todo=DEFAULT_TODO)
        axes = _axes(graph, node)
        if axes > 2:
            msg = f"its kernel has {axes} spatial axes"
            raise UnsupportedNodeError(msg, where=node.where, todo="use 1-D or 2-D convolutions and pools")
        if node.op == "MaxPool" and any(
            n in readers or n in graph.output_names for n in node.outputs[1:] if n
        ):
            msg = "the places of its maxima are read"
            todo = "replace unpooling by ConvTranspose or Resize"
            raise UnsupportedNodeError(msg, where=node.where, todo=todo)
        if node.op == "Resize":
            _check_resize(graph, node)


def _axes(graph: FloatGraph, node: Node) -> int:
    """Spatial axes of a kernel, 0 where it has none."""
    if node.op.startswith("Conv") and is_linear(node):
        return graph.constants[node.inputs[1]].ndim - 2
    return len(node.attributes.get("kernel_shape", ()))


def _check_resize(graph: FloatGraph, node: Node) -> None:
    mode, how = node.text("mode", "nearest"), node.text("coordinate_transformation_mode", "half_pixel")
    scales = graph.constants.get(node.input(2), np.zeros(0))
    if mode == "cubic" or how == "tf_crop_and_resize":
        todo = "use nearest or linear, and half_pixel or asymmetric"
        raise UnsupportedNodeError(f"it resizes with {mode} and {how}", where=node.where, todo=todo)
    if mode == "linear" and node.attributes.get("antialias", 0):
        todo = "export with antialias off"
        raise UnsupportedNodeError(
            "it smooths what it makes smaller (antialias)", where=node.where, todo=todo
        )
    if mode == "linear" and scales.size and max(Fraction(float(v)).numerator for v in scales) > _FINEST:
        msg = f"it resizes linearly by {scales.tolist()}, to places of no small fractions of a pixel"
        todo = "give the sizes of its result instead, or whole factors"
        raise UnsupportedNodeError(msg, where=node.where, todo=todo)
