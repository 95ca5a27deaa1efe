"""What an ONNX file holds, node by node, and what becomes of it: `pulsefold inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from pulsefold.compiler.frontend.fold import FOLDABLE
from pulsefold.compiler.frontend.importer import Walk, is_quantizer, unsupported
from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.frontend.nodes import OnnxNode, needed, read_nodes
from pulsefold.compiler.frontend.registry import rule_for
from pulsefold.compiler.ir.conv import Conv
from pulsefold.compiler.ir.graph import Graph
from pulsefold.compiler.passes import run_passes
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["Inspection", "NodeReport", "inspect_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One ONNX node.

    Parameters
    ----------
    name, op_type, domain
        As in the file; a generated name where it has none.
    verdict
        ``"supported"``: a node of the integer graph comes of it. ``"folded"``: it goes into others.
        ``"unused"``: no output depends on it. ``"unsupported"``: it stops the import.
        ``"unchecked"``: it has a rule, and something in front of it is unsupported.
        ``"unquantized"``: it has a rule, and the model computes in floating point.
    why
        What becomes of it, or why nothing does.
    todo
        What to change, where it is unsupported.
    """

    name: str
    op_type: str
    domain: str
    verdict: str
    why: str
    todo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The whole file.

    Parameters
    ----------
    path
        The file.
    nodes
        In topological order.
    graph
        The integer graph; None where the model is unsupported.
    macs
        Multiply-accumulates of one frame; of a model that is unsupported, those of its layers whose
        shapes the file tells.
    parameters
        Elements of the weights of matrix products.
    weight_bits, activation_bits
        Widths that occur, ascending; empty where the model is unsupported.
    advice
        What stands in the way and what to do; empty where nothing does.
    """

    path: Path
    nodes: tuple[NodeReport, ...]
    graph: Graph | None
    macs: int
    parameters: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    advice: str

    @property
    def supported(self) -> bool:
        """Whether the model can be imported."""
        return self.graph is not None


def inspect_model(path: Path | str) -> Inspection:
    """Every node of a model with what becomes of it.

    Raises
    ------
    ModelError
        The file is not an ONNX model, or a damaged one. A model that is merely unsupported is
        reported instead.
    """
    path = Path(path)
    model = load_model(path)
    nodes = read_nodes(model.graph)
    wanted = needed(nodes, [value.name for value in model.graph.output])
    reports: list[NodeReport] = []
    graph, error, walk = None, None, None
    try:
        walk = Walk.start(model, str(path))
    except ModelError as refused:
        error = refused
    # A model in floating point: everything that has a rule waits for quantizers.
    floating = walk is None and not any(is_quantizer(node) for node in nodes)
    for node in nodes:
        if node.name not in wanted:
            reports.append(_report(node, "unused", "no output of the model depends on it"))
        elif isinstance(error, UnsupportedNodeError) and error.where == node.where:
            reports.append(_report(node, "unsupported", _reason(error), error.todo))
        elif walk is None or error is not None:
            reports.append(_unvisited(node, floating))
        else:
            try:
                kept = walk.visit(node)
            except ModelError as refused:
                error = refused
                reports.append(_report(node, "unsupported", _reason(refused), refused.todo))
            else:
                reports.append(_report(node, *kept))
    if walk is not None and error is None:
        try:
            graph = run_passes(walk.finish(path.stem))
        except ModelError as refused:
            error = refused
    if graph is None:
        macs, parameters = _declared(model, nodes)
        weight_bits, activation_bits = set[int](), set[int]()
    else:
        products = [node for node in graph.nodes if isinstance(node, Conv)]
        macs = sum(node.macs(graph.tensors[node.input]) for node in products)
        parameters = sum(node.weights.size for node in products)
        weight_bits = {node.weight_type.bits for node in products}
        activation_bits = {graph.tensors[node.input].type.bits for node in products}
    return Inspection(
        path=path,
        nodes=tuple(reports),
        graph=graph,
        macs=macs,
        parameters=parameters,
        weight_bits=tuple(sorted(weight_bits)),
        activation_bits=tuple(sorted(activation_bits)),
        advice="" if error is None else error.message,
    )


def _reason(error: ModelError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def _report(node: OnnxNode, verdict: str, why: str, todo: str = "") -> NodeReport:
    return NodeReport(
        name=node.name, op_type=node.op_type, domain=node.domain, verdict=verdict, why=why, todo=todo
    )


def _unvisited(node: OnnxNode, floating: bool) -> NodeReport:
    """A node that the import did not reach."""
    rule = rule_for(node)
    if rule is None and (node.op_type not in FOLDABLE or node.domain):
        error = unsupported(node)
        return _report(node, "unsupported", _reason(error), error.todo)
    if floating:
        why = f"once quantized: {rule.why}" if rule is not None else "a constant"
        return _report(node, "unquantized", why)
    return _report(node, "unchecked", "something else stops the import")


def _declared(model: onnx.ModelProto, nodes: list[OnnxNode]) -> tuple[int, int]:
    """Multiply-accumulates and weights by the shapes that onnx infers, where it does."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    # Inference on a model that is not valid raises whatever its C++ raises.
    except Exception:
        graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        shapes.setdefault(value.name, tuple(dims))
    macs = parameters = 0
    for node in nodes:
        if node.op_type not in ("Conv", "MatMul", "Gemm") or len(node.inputs) < 2:
            continue
        weights = shapes.get(node.inputs[1], ())
        output = shapes.get(node.outputs[0], ())
        parameters += prod(weights)
        per_output = prod(weights[1:]) if node.op_type == "Conv" else 0
        if node.op_type != "Conv" and len(weights) == 2:
            per_output = weights[1 if node.attributes.get("transB", 0) else 0]
        macs += per_output * prod(max(d, 1) for d in output[1:]) if len(output) > 1 else 0
    return int(macs), int(np.int64(parameters))
