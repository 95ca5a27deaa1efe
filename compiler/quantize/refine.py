"""Weights and biases in integers, layer by layer.

The float network and the quantized one run side by side over part of the calibration data. Each linear layer
is rounded for the inputs that it will meet, those of the quantized network: its weights are first adapted to
them, then rounded in turn, and its bias makes up for the mean of the error that is left (M. Nagel et al.,
"Data-free quantization through weight equalization and bias correction", 2019, in its empirical form).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import onnxruntime
from onnx import TensorProto

from pulsefold.compiler.quantize.calibration import Images
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.hessian import LARGEST, Moments, adapted, round_in_turn
from pulsefold.compiler.quantize.layers import Layer
from pulsefold.compiler.quantize.linear import channels_of, group_of, output_axis
from pulsefold.compiler.quantize.quantizer import Quantizer
from pulsefold.compiler.quantize.recipe import Recipe
from pulsefold.compiler.quantize.stage import Stage, patches
from pulsefold.compiler.quantize.types import Types, infer_types
from pulsefold.compiler.quantize.weights import (
    LayerWeights,
    as_matrix,
    from_matrix,
    integer_bias,
    quantize_weights,
    roomy,
    weight_quantizer,
)

__all__ = ["refine"]

#: Bytes of values of both networks that are alive at once, and images beyond which more say little.
_BUDGET, _MOST = 512 << 20, 256

#: Fewest images whose mean is trusted.
_FEWEST = 4

#: Of inputs that are no floats.
_DTYPES: dict[int, type] = {TensorProto.UINT8: np.uint8, TensorProto.INT8: np.int8}

#: A value of one network: an array a batch.
Batches = list[np.ndarray]


def refine(
    graph: FloatGraph,
    layers: Sequence[Layer],
    activations: Mapping[str, Quantizer],
    x: Images,
    recipe: Recipe,
    say: Callable[[str], None],
) -> dict[str, LayerWeights]:
    """The integers of each linear layer, by its name."""
    walk = _Walk(graph, activations, x) if recipe.in_turn or recipe.bias_correction else None
    nodes = {node.name: node for node in graph.nodes}
    found: dict[str, LayerWeights] = {}
    for i, layer in enumerate(layers):
        node = nodes[layer.name]
        if walk is not None:
            walk.advance_to(node)
        input_scale = float(activations[layer.source].scale)
        found[layer.name] = _layer(graph, node, layer, input_scale, recipe, walk)
        if walk is not None:
            walk.finish(node, found[layer.name], input_scale)
        say(f"rounding weights: layer {i + 1} / {len(layers)}")
    return found


def _layer(
    graph: FloatGraph, node: Node, layer: Layer, input_scale: float, recipe: Recipe, walk: _Walk | None
) -> LayerWeights:
    weights = graph.constants[node.inputs[1]]
    bias = graph.constants[node.inputs[2]] if node.input(2) else None
    axis = output_axis(node)
    shared = group_of(node) if node.op == "ConvTranspose" else 1
    moments = walk.moments(node) if walk is not None and recipe.in_turn else None
    importance = None
    if moments is not None:
        outputs = weights.shape[axis]
        groups, columns = moments.importance.shape
        importance = np.repeat(moments.importance, outputs // groups, axis=0).reshape(outputs, columns)
    if moments is not None:
        weights = from_matrix(adapted(as_matrix(weights, axis), moments), axis, weights.shape).astype(
            np.float32
        )
    quantizer = weight_quantizer(
        weights, axis, layer.format, per_channel=recipe.per_channel, importance=importance
    )
    quantizer = roomy(quantizer, bias, input_scale, shared)
    if moments is None:
        levels = quantize_weights(weights, quantizer, axis)
    else:
        matrix = round_in_turn(as_matrix(weights, axis), quantizer, moments)
        levels = from_matrix(matrix, axis, weights.shape)
    made = LayerWeights(levels=levels, quantizer=quantizer, axis=axis, bias=None)
    if walk is not None and recipe.bias_correction and walk.images >= _FEWEST:
        missing = walk.missing(node, made.values)
        bias = missing if bias is None else bias + missing
    if bias is None:
        return made
    whole = integer_bias(bias, quantizer, input_scale, shared)
    return LayerWeights(levels=levels, quantizer=quantizer, axis=axis, bias=whole)


class _Walk:
    """Both networks, run node by node; values are dropped once nothing more reads them."""

    def __init__(self, graph: FloatGraph, activations: Mapping[str, Quantizer], x: Images) -> None:
        self.graph = graph
        self.activations = activations
        self.types: Types = infer_types(graph)
        self.left = Counter(
            name for node in graph.nodes for name in set(node.inputs) if name and name not in graph.constants
        )
        self.next = 0
        kinds = {v.name: v.type.tensor_type for v in graph.inputs}
        fixed = max(kind.shape.dim[0].dim_value for kind in kinds.values())
        count = max(1, min(len(x), _MOST, _BUDGET // max(1, 2 * self._alive())))
        batch = fixed or 16
        if len(x) >= batch:
            count = max(batch, count // batch * batch)
        # Spread over the data, which may be sorted by class.
        chosen = np.linspace(0, len(x) - 1, count).astype(int)
        if count % batch and fixed:
            chosen = np.resize(chosen, batch)
        self.images = count
        self.exact: dict[str, Batches] = {}
        for name, array in x[chosen].arrays.items():
            given = np.asarray(array, _DTYPES.get(kinds[name].elem_type, np.float32))
            self.exact[name] = [given[i : i + batch] for i in range(0, len(given), batch)]
        self.rounded = {name: self._round(name, batches) for name, batches in self.exact.items()}

    def _alive(self) -> int:
        """Most bytes of one network that are alive at once, an image."""
        left, most, alive = Counter(self.left), 0, 0
        size = {
            name: 4 * prod(d or 1 for d in self.types.shapes.get(name, [1 << 18]))
            for node in self.graph.nodes
            for name in (*node.outputs, *node.inputs)
        }
        for node in self.graph.nodes:
            alive += sum(size[name] for name in node.outputs if name)
            most = max(most, alive)
            for name in set(node.inputs):
                if name in left:
                    left[name] -= 1
                    alive -= size[name] if not left[name] else 0
        return most

    def _round(self, name: str, batches: Batches) -> Batches:
        quantizer = self.activations.get(name)
        return batches if quantizer is None else [quantizer.apply(v) for v in batches]

    def advance_to(self, node: Node) -> None:
        """Run everything in front of a linear node."""
        while self.graph.nodes[self.next] is not node:
            self._step(self.graph.nodes[self.next])
            self.next += 1

    def _step(self, node: Node) -> None:
        streams = [n for n in dict.fromkeys(node.inputs) if n and n not in self.graph.constants]
        stage = Stage(self.graph, node, streams, self.types)
        for values in (self.exact, self.rounded):
            made: dict[str, Batches] = {n: [] for n in node.outputs if n}
            for feeds in zip(*(values[n] for n in streams), strict=True):
                for name, y in stage(dict(zip(streams, feeds, strict=True))).items():
                    made[name].append(y)
            for name, batches in made.items():
                values[name] = self._round(name, batches) if values is self.rounded else batches
        self._drop(node)

    def _drop(self, node: Node) -> None:
        for name in {n for n in node.inputs if n in self.left}:
            self.left[name] -= 1
            if not self.left[name]:
                del self.exact[name], self.rounded[name]
        for name in node.outputs:
            if name and not self.left[name]:
                del self.exact[name], self.rounded[name]

    def moments(self, node: Node) -> Moments | None:
        """Second moments of what a node multiplies; None where that is too wide, or the node scatters."""
        weights = self.graph.constants[node.inputs[1]]
        if node.op == "ConvTranspose":
            return None
        groups = group_of(node)
        columns = weights.size // weights.shape[output_axis(node)]
        if columns > LARGEST or (weights.ndim > 2 and not node.op.startswith("Conv")):
            return None
        values = self.rounded[node.inputs[0]]
        largest = max(float(np.abs(v).max()) for v in (*values, *self.exact[node.inputs[0]]))
        moments = Moments(groups, columns, largest)
        random = np.random.default_rng(0)
        conv = None
        if node.op == "Conv":
            conv = patches(node, weights.shape[1] * groups, weights.shape[2:], self.graph.opset)
        share = -(-moments.most // sum(len(v) for v in values))
        for batch, exact in zip(values, self.exact[node.inputs[0]], strict=True):
            if conv is None:
                moments.add(batch, exact)
                continue
            # An image at a time: the patches of one are as large as its kernel is.
            pairs = []
            for images in zip(batch, exact, strict=True):
                both = [_rows(conv, image) for image in images]
                if len(both[0]) > share:
                    chosen = random.choice(len(both[0]), share, replace=False)
                    both = [rows[chosen] for rows in both]
                pairs.append(both)
            moments.add(*(np.concatenate(rows) for rows in zip(*pairs, strict=True)))
        return moments

    def missing(self, node: Node, weights: np.ndarray) -> np.ndarray:
        """Mean of what the float layer gives more than the rounded one, an output channel."""
        total, count = np.zeros(channels_of(self.graph, node)), 0
        axis = 1 if node.op.startswith("Conv") else -1
        stage = self._linear(node)
        x, w = node.inputs[:2]
        for exact, rounded in zip(self.exact[x], self.rounded[x], strict=True):
            a = stage({x: exact, w: self.graph.constants[w]})[node.output]
            b = stage({x: rounded, w: weights})[node.output]
            difference = np.moveaxis(a.astype(np.float64) - b, axis, -1)
            difference = difference.reshape(-1, difference.shape[-1])
            total += difference.sum(axis=0)
            count += len(difference)
        return total / max(1, count)

    def _linear(self, node: Node) -> Stage:
        plain = Node(
            name=node.name,
            op=node.op,
            inputs=node.inputs[:2],
            outputs=node.outputs,
            attributes=node.attributes,
        )
        return Stage(self.graph, plain, plain.inputs, self.types)

    def finish(self, node: Node, layer: LayerWeights, input_scale: float) -> None:
        """Run a linear node in both networks."""
        stage = self._linear(node)
        x, w = node.inputs[:2]
        rank = self.graph.constants[w].ndim
        shape = (-1, *[1] * (rank - 2)) if node.op.startswith("Conv") else (-1,)
        bias = self.graph.constants[node.inputs[2]].reshape(shape) if node.input(2) else np.float32(0)
        self.exact[node.output] = [
            stage({x: v, w: self.graph.constants[w]})[node.output] + bias for v in self.exact[x]
        ]
        whole = np.float32(0)
        if layer.bias is not None:
            whole = (layer.bias * layer.bias_scale(input_scale)).astype(np.float32).reshape(shape)
        rounded = [stage({x: v, w: layer.values})[node.output] + whole for v in self.rounded[x]]
        self.rounded[node.output] = self._round(node.output, rounded)
        self._drop(node)
        self.next += 1


def _rows(conv: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """What a convolution multiplies for each pixel of an image, (pixels, columns)."""
    y = np.asarray(conv.run(None, {"x": image[None]})[0])[0]
    return y.reshape(len(y), -1).T
