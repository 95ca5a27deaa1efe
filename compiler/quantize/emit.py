"""Writing the quantized network as an ONNX file; ``formats`` has the three kinds.

A quantized value keeps its name, so whoever reads it reads the rounded one; what its node computes is
called ``..._float``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import onnx

from pulsefold.compiler.quantize.graph import FloatGraph, Node, tensor
from pulsefold.compiler.quantize.linear import is_linear
from pulsefold.compiler.quantize.quantizer import Quantizer
from pulsefold.compiler.quantize.weights import LayerWeights

__all__ = ["QONNX_DOMAIN", "Writer"]

QONNX_DOMAIN = "qonnx.custom_op.general"


class Writer(ABC):
    """Writes a simplified graph with its quantizers.

    Parameters
    ----------
    graph
        The float network; it is left as it is.
    activations
        Quantizer of each quantized value.
    layers
        The integers of each linear node, by its name. Those without keep their floats.
    unsigned
        Whether weights are stored as unsigned numbers.
    """

    domains: tuple[tuple[str, int], ...] = ()

    def __init__(
        self,
        graph: FloatGraph,
        activations: Mapping[str, Quantizer],
        layers: Mapping[str, LayerWeights],
        input_scales: Mapping[str, float],
        *,
        unsigned: bool = False,
    ) -> None:
        self.source = graph
        self.unsigned = unsigned
        self.input_scales = input_scales
        self.activations = activations
        self.layers = layers
        self.tensors: list[onnx.TensorProto] = []
        self.out = FloatGraph(
            name=graph.name,
            nodes=[],
            constants={},
            inputs=graph.inputs,
            outputs=graph.outputs,
            opset=graph.opset,
        )
        self.names = set(graph.constants) | {n for node in graph.nodes for n in (node.name, *node.outputs)}
        self.names.update(value.name for value in graph.inputs)

    @abstractmethod
    def activation(self, raw: str, result: str, quantizer: Quantizer) -> None:
        """Round `raw` to levels, named `result`."""

    @abstractmethod
    def weights(self, name: str, layer: LayerWeights) -> str:
        """Enter weights; the value to read."""

    @abstractmethod
    def bias(self, name: str, levels: np.ndarray, scale: np.ndarray) -> str:
        """Enter a bias of these integers; the value to read."""

    def write(self) -> onnx.ModelProto:
        """The model."""
        renamed: dict[str, str] = {}
        for value in self.source.inputs:
            if value.name in self.activations:
                # An input has to keep its name: the rounded one gets another.
                renamed[value.name] = self.fresh(f"{value.name}_levels")
                self.activation(value.name, renamed[value.name], self.activations[value.name])
        used: set[str] = set(self.source.output_names)
        for node in self.source.nodes:
            made = Node(
                name=node.name,
                op=node.op,
                inputs=[renamed.get(n, n) for n in node.inputs],
                outputs=list(node.outputs),
                attributes=node.attributes,
                domain=node.domain,
            )
            raws = {}
            for i, name in enumerate(node.outputs):
                if name in self.activations:
                    made.outputs[i] = raws[name] = self.fresh(f"{name}_float")
            added = self._linear(made) if is_linear(node) and node.name in self.layers else None
            self.out.nodes.append(made)
            if added is not None:
                self.out.nodes.append(added)
            used.update(made.inputs)
            for name, raw in raws.items():
                self.activation(raw, name, self.activations[name])
        constants = {name: value for name, value in self.source.constants.items() if name in used}
        model = self.out.to_model(domains=self.domains, constants=False)
        model.graph.initializer.extend(tensor(name, value) for name, value in constants.items())
        model.graph.initializer.extend(self.tensors)
        return model

    def _linear(self, node: Node) -> Node | None:
        """Give a linear node its integers; the Add that holds the bias of a MatMul."""
        layer = self.layers[node.name]
        bias = ""
        if layer.bias is not None:
            scale = layer.bias_scale(self.input_scales[node.name])
            bias = self.bias(node.name, layer.bias, scale)
        node.inputs = [node.inputs[0], self.weights(node.name, layer), *([bias] if bias else [])]
        if node.op != "MatMul" or not bias:
            return None
        result, product = node.outputs[0], self.fresh(f"{node.name}_product")
        node.outputs, node.inputs = [product], node.inputs[:2]
        return Node(name=self.fresh(f"{node.name}_add"), op="Add", inputs=[product, bias], outputs=[result])

    def fresh(self, stem: str) -> str:
        """A name that is not taken."""
        name, i = stem, 0
        while name in self.names:
            i += 1
            name = f"{stem}_{i}"
        self.names.add(name)
        return name

    def add(self, op: str, inputs: list[str], result: str, **attributes: object) -> str:
        """Append a node."""
        domain = QONNX_DOMAIN if op in ("Quant", "BipolarQuant") else ""
        self.out.nodes.append(
            Node(
                name=self.fresh(f"{result}_{op}"),
                op=op,
                inputs=inputs,
                outputs=[result],
                attributes=dict(attributes),
                domain=domain,
            )
        )
        return result

    def number(self, stem: str, value: object) -> str:
        """Enter a float constant."""
        name = self.fresh(stem)
        self.tensors.append(tensor(name, np.asarray(value, np.float32)))
        return name
