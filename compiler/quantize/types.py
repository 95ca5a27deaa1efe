"""Element types and shapes of values, as far as ONNX's own inference knows them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from pulsefold.compiler.quantize.graph import FloatGraph

__all__ = ["Types", "infer_types"]

#: Constants up to this many elements may say something about shapes; larger ones are weights.
_SHAPES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """What is known of each value.

    Parameters
    ----------
    kinds
        ONNX element type; absent where it is unknown.
    shapes
        Sizes, None where one is open; absent where not even the rank is known.
    """

    kinds: dict[str, int]
    shapes: dict[str, list[int | None]]

    def is_float(self, name: str) -> bool:
        """Whether a value holds floats; what nothing is known of counts as such."""
        return self.kinds.get(name, TensorProto.FLOAT) == TensorProto.FLOAT

    def rank(self, name: str) -> int | None:
        """Number of axes, None where unknown."""
        return len(self.shapes[name]) if name in self.shapes else None


def infer_types(graph: FloatGraph) -> Types:
    """Run ONNX's inference, on declarations of the weights instead of the weights themselves."""
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in graph.constants.items()
        if value.size > _SHAPES
    ]
    model = graph.to_model(constants=False)
    model.graph.input.extend(declared)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name)
        for name, value in graph.constants.items()
        if value.size <= _SHAPES
    )
    kinds: dict[str, int] = {}
    shapes: dict[str, list[int | None]] = {}
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    # A model that contradicts itself is told apart when it first runs; here, less is known.
    except (onnx.shape_inference.InferenceError, ValueError):
        inferred = model.graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if not value.type.HasField("tensor_type"):
            continue
        kind = value.type.tensor_type
        kinds[value.name] = kind.elem_type
        if kind.HasField("shape"):
            shapes[value.name] = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    for name, array in graph.constants.items():
        kinds[name] = helper.np_dtype_to_tensor_dtype(array.dtype)
        shapes[name] = list(array.shape)
    for node in graph.nodes:
        # Inference gives up on sizes that depend on the batch; how many there are is known all the same.
        length = shapes.get(node.inputs[1]) if node.op == "Reshape" else None
        if length and length[0] is not None:
            shapes.setdefault(node.output, [None] * length[0])
    return Types(kinds=kinds, shapes=shapes)
