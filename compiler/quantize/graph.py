"""The float network while it is rewritten: nodes, constants, and who reads what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["FloatGraph", "Node"]

#: Newest that ONNX Runtime reads without complaint among those that know 4-bit integers.
IR_VERSION = 10


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One ONNX node, free to be changed.

    Parameters
    ----------
    name
        Unique in the graph.
    op
        Operator type.
    inputs, outputs
        Value names; ``""`` is an optional one left out.
    attributes
        By name: numbers, bytes, lists and tensors as onnx gives them.
    domain
        ``""`` is the default one.
    """

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""

    @property
    def where(self) -> str:
        """``name (Type)``, as errors show it."""
        return f"{self.name} ({self.op})"

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]

    def proto(self) -> onnx.NodeProto:
        """The node in ONNX's form."""
        made = helper.make_node(self.op, self.inputs, self.outputs, name=self.name, domain=self.domain)
        for key, value in self.attributes.items():
            # ONNX has no type for an empty list, and means the same by none.
            if not (isinstance(value, list) and not value):
                made.attribute.append(helper.make_attribute(key, value))
        return made

    def text(self, attribute: str, default: str) -> str:
        """A string attribute."""
        value = self.attributes.get(attribute, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def input(self, i: int) -> str:
        """Input `i`, ``""`` where it is left out."""
        return self.inputs[i] if i < len(self.inputs) else ""


@dataclass(slots=True, kw_only=True, eq=False)
class FloatGraph:
    """A network in ONNX operators, its constants apart.

    Parameters
    ----------
    name
        Of the model.
    nodes
        In topological order, at any time.
    constants
        By value name.
    inputs
        Declarations of what the user gives: constants are not among them.
    outputs
        Declarations of the results.
    opset
        Version of the default operators.
    """

    name: str
    nodes: list[Node]
    constants: dict[str, np.ndarray]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    opset: int
    _fresh: int = 0

    @property
    def output_names(self) -> list[str]:
        """Names of the results."""
        return [value.name for value in self.outputs]

    def makers(self) -> dict[str, Node]:
        """The node behind every value that one makes."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read each value, a node as often as it reads it."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in filter(None, node.inputs):
                found.setdefault(name, []).append(node)
        return found

    def fresh(self, stem: str) -> str:
        """A value or node name that is not taken."""
        taken = set(self.constants) | {n for node in self.nodes for n in (node.name, *node.outputs)}
        taken.update(value.name for value in self.inputs)
        name = stem
        while name in taken:
            self._fresh += 1
            name = f"{stem}_{self._fresh}"
        return name

    def constant(self, stem: str, value: np.ndarray) -> str:
        """Enter a new constant; its name."""
        name = self.fresh(stem)
        self.constants[name] = value
        return name

    def redirect(self, old: str, new: str) -> None:
        """Everything that reads `old` reads `new`."""
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]

    def drop(self, node: Node) -> None:
        """Remove a node that passes its first input on; its output keeps its name if it is a result."""
        source, result = node.inputs[0], node.output
        self.nodes.remove(node)
        if result not in self.output_names:
            self.redirect(result, source)
            return
        maker = self.makers().get(source)
        if maker is None or source in self.output_names:
            # The model's input, or another result: nothing but a copy can carry the name.
            self.nodes.append(Node(name=self.fresh("copy"), op="Identity", inputs=[source], outputs=[result]))
            return
        maker.outputs = [result if name == source else name for name in maker.outputs]
        self.redirect(source, result)

    def prune(self) -> None:
        """Remove nodes and constants that no result depends on."""
        wanted = set(self.output_names)
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in wanted}

    def protos(self) -> list[onnx.NodeProto]:
        """The nodes in ONNX's form."""
        return [proto for node in self.nodes for proto in self._protos(node)]

    def _protos(self, node: Node) -> list[onnx.NodeProto]:
        if node.op != "MatMul" or len(node.inputs) < 3:
            return [node.proto()]
        # The bias of a MatMul is ours alone.
        product = self.fresh(f"{node.name}.product")
        parts = helper.make_node("MatMul", node.inputs[:2], [product], name=node.name)
        return [parts, helper.make_node("Add", [product, node.inputs[2]], node.outputs, name=product)]

    def to_model(self, *, domains: Iterable[tuple[str, int]] = (), constants: bool = True) -> onnx.ModelProto:
        """The model; without its constants if the caller stores them elsewhere."""
        tensors = [tensor(name, value) for name, value in self.constants.items()] if constants else []
        graph = helper.make_graph(self.protos(), self.name, self.inputs, self.outputs, tensors)
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, v) for d, v in domains)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pulsefold"
        )


def tensor(name: str, value: np.ndarray) -> onnx.TensorProto:
    """An initializer."""
    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
