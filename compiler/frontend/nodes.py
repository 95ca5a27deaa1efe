"""ONNX nodes, read into plain values, named, and put in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from pulsefold.errors import ModelError

__all__ = ["OnnxNode", "needed", "read_nodes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxNode:
    """One node of the source graph.

    Parameters
    ----------
    name
        Its own, or a generated one; unique in the model.
    op_type, domain
        As in the file; the default domain is ``""``.
    inputs, outputs
        Value names; an optional one that is left out is ``""``.
    attributes
        By name: numbers, bytes, lists and tensors as onnx gives them.
    proto
        The node itself.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: onnx.NodeProto

    @property
    def where(self) -> str:
        """``name (Type)``, as errors show it."""
        return f"{self.name} ({self.op_type})"

    def text(self, attribute: str, default: str) -> str:
        """A string attribute."""
        value = self.attributes.get(attribute, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_nodes(graph: onnx.GraphProto) -> list[OnnxNode]:
    """All nodes in topological order; raises ModelError where there is none or names clash."""
    taken = {node.name for node in graph.node if node.name}
    used: set[str] = set()
    nodes = []
    for i, proto in enumerate(graph.node):
        name = proto.name
        if not name or name in used:
            stem = name or proto.op_type
            k = i
            while f"{stem}_{k}" in taken or f"{stem}_{k}" in used:
                k += 1
            name = f"{stem}_{k}"
        used.add(name)
        nodes.append(
            OnnxNode(
                name=name,
                op_type=proto.op_type,
                domain="" if proto.domain == "ai.onnx" else proto.domain,
                inputs=tuple(proto.input),
                outputs=tuple(proto.output),
                attributes={a.name: _attribute(a, f"{name} ({proto.op_type})") for a in proto.attribute},
                proto=proto,
            )
        )
    return _ordered(nodes, {v.name for v in graph.input} | {t.name for t in graph.initializer})


def needed(nodes: list[OnnxNode], outputs: list[str]) -> set[str]:
    """Names of the nodes that some of `outputs` depend on."""
    wanted = set(outputs)
    found = set()
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            found.add(node.name)
            wanted.update(node.inputs)
    return found


def _attribute(proto: onnx.AttributeProto, where: str) -> Any:
    try:
        return onnx.helper.get_attribute_value(proto)
    except ValueError as error:
        msg = f"its attribute {proto.name!r} has no value"
        raise ModelError(msg, where=where, why=str(error), todo="write the model again") from None


def _ordered(nodes: list[OnnxNode], given: set[str]) -> list[OnnxNode]:
    """Kahn's algorithm; nodes that are ready stay in the order of the file."""
    maker: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for output in filter(None, node.outputs):
            if output in given or output in maker:
                msg = f"the value {output!r} is written more than once"
                raise ModelError(msg, where=node.where, todo="give every value of the model one producer")
            maker[output] = i
    waiting = []
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        sources = set()
        for name in filter(None, node.inputs):
            if name in maker:
                sources.add(maker[name])
            elif name not in given:
                msg = f"it reads {name!r}, which nothing in the model produces"
                raise ModelError(msg, where=node.where, todo="write the model again: it is incomplete")
        waiting.append(len(sources))
        for j in sources:
            readers.setdefault(j, []).append(i)
    ready = deque(i for i, count in enumerate(waiting) if not count)
    order = []
    while ready:
        i = ready.popleft()
        order.append(nodes[i])
        for j in readers.get(i, ()):
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    if len(order) < len(nodes):
        left = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        todo = "a network here has no cycles: unroll it in the exporter"
        raise ModelError("the graph has a cycle through this node", where=left.where, todo=todo)
    return order
