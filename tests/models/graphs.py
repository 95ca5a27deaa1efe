"""Integer graphs around one node, and ONNX Runtime's word on what they compute."""

from __future__ import annotations

import numpy as np
import onnx

from pulsefold.compiler.ir import ElementType, Graph, Input, Node, Output, Tensor
from pulsefold.sim.golden.export import Exported, to_onnx

__all__ = ["TYPES", "exported", "graph_of", "values"]

TYPES = [
    ElementType.bipolar(),
    ElementType.ternary(),
    ElementType.integer(8, signed=True),
    ElementType.integer(8, signed=False),
    ElementType.integer(3, signed=True),
    ElementType.integer(1, signed=False),
]


def values(rng: np.random.Generator, kind: ElementType, shape: tuple[int, ...]) -> np.ndarray:
    """Random integers of a type, both ends among them."""
    if kind.is_bipolar:
        return rng.choice([-1, 1], shape)
    x = rng.integers(kind.minimum, kind.maximum, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.1, rng.choice([kind.minimum, kind.maximum], shape), x)


def graph_of(node: Node, *inputs: tuple[ElementType, tuple[int, int, int]]) -> Graph:
    """One node between inputs of given types and frames and an output; more than one graph input for more."""
    names = list(dict.fromkeys(node.inputs))
    tensors = {
        name: Tensor(name=name, shape=shape, type=kind)
        for name, (kind, shape) in zip(names, inputs, strict=True)
    }
    sources = tuple(source_of(tensor) for tensor in tensors.values())
    y = node.output_tensor(*(tensors[name] for name in node.inputs))
    output = Output(tensor=y.name, name="y", index=np.arange(y.elements).reshape(y.shape))
    return Graph(name="one", inputs=sources, outputs=(output,), nodes=(node,), tensors={**tensors, y.name: y})


def source_of(tensor: Tensor) -> Input:
    """A graph input of a tensor; wide ones get one level, for no quantizer makes them."""
    kind = tensor.type
    count = 1 if kind.is_bipolar or kind.bits > 8 else kind.maximum - kind.minimum
    return Input(
        tensor=tensor.name,
        name=f"input {tensor.name}",
        index=np.arange(tensor.elements, dtype=np.int32).reshape(tensor.shape),
        frame=tensor.shape,
        dtype="float32",
        thresholds=np.arange(count, dtype=np.float32)[None] + kind.minimum + 1,
        descending=np.zeros(1, np.bool_),
        first=kind.minimum,
    )


def exported(graph: Graph, *q: np.ndarray) -> np.ndarray:
    """The first output of the exported graph in ONNX Runtime, for the integers of each input."""
    model = to_onnx(graph)
    onnx.checker.check_model(model, full_check=True)
    feeds = {source.tensor: part for source, part in zip(graph.inputs, q, strict=True)}
    return Exported(graph, model).run(feeds)[graph.outputs[0].tensor]
