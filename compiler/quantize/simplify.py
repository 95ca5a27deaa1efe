"""The float network in a normal form, with the same results.

Afterwards: no node does nothing; every linear node has its batch norm, scale and bias inside; Gemm is plain
(alpha = beta = 1, A not transposed); activations of one value stand in front of pools and movements, directly
behind what computes their input.
"""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.quantize.affine import fold_affine
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.linear import is_linear
from pulsefold.compiler.quantize.types import infer_types
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["MOVES", "simplify"]

#: Operators that move elements and compute none, and that nothing is padded by.
MOVES = frozenset(
    {
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)

#: ln(1 + exp(-20)) is 2e-9, a thousandth of the distance of two float32 numbers at 20.
_LINEAR = 20

#: Functions of one value that never fall when it rises: they commute with a maximum as well.
_RISING = frozenset({"Relu", "Sigmoid", "Tanh", "HardSigmoid", "Clip"})


def simplify(graph: FloatGraph) -> None:
    """Apply all rewritings, in the order that each needs."""
    _drop_idle(graph)
    _plain_softplus(graph)
    _check_products(graph)
    _plain_gemms(graph)
    _pads_into_convs(graph)
    _means_to_pools(graph)
    _matmuls_to_gemms(graph)
    _hoist(graph)
    fold_affine(graph, infer_types(graph))
    _matmuls_to_gemms(graph)
    _check_weights(graph)


def _drop_idle(graph: FloatGraph) -> None:
    types, readers = infer_types(graph), graph.readers()
    for node in list(graph.nodes):
        idle = node.op in ("Identity", "Dropout")
        if node.op == "Cast":
            idle = node.attributes.get("to") == types.kinds.get(node.inputs[0])
        if node.op == "MaxPool" and not any(
            n in readers or n in graph.output_names for n in node.outputs[1:]
        ):
            del node.outputs[1:]
        if idle and not (node.inputs[0] in graph.constants and node.output in graph.output_names):
            graph.drop(node)


def _plain_softplus(graph: FloatGraph) -> None:
    """Where(x > c, x, Softplus(x)), as torch writes it: in float32 both are the same from c = 20 on."""
    makers = graph.makers()
    for node in list(graph.nodes):
        if node.op != "Where" or node.output in graph.output_names:
            continue
        above, curved = makers.get(node.inputs[0]), makers.get(node.inputs[2])
        if above is None or curved is None or above.op != "Greater" or curved.op != "Softplus":
            continue
        x = curved.inputs[0]
        limit = graph.constants.get(above.inputs[1])
        if node.inputs[1] == above.inputs[0] == x and limit is not None and np.all(limit >= _LINEAR):
            graph.redirect(node.output, curved.output)
    graph.prune()


def _check_products(graph: FloatGraph) -> None:
    """Weights must be constants, and on the right."""
    for node in graph.nodes:
        if node.op in ("Einsum", "DeformConv") or (
            is_linear(node)
            and node.inputs[1] not in graph.constants
            and node.inputs[0] not in graph.constants
        ):
            why = "a circuit's weights are constants; attention multiplies activations with activations"
            todo = "use a network whose matrix products and convolutions have constant weights"
            msg = "it multiplies two activation tensors as matrices"
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=todo)
        if node.op == "Div" and not graph.constants.keys() & set(node.inputs):
            msg = "it divides activations by activations"
            why = "that normalizes: its gains come from the statistics of each frame"
            todo = "train with BatchNormalization, whose statistics are constants"
            raise UnsupportedNodeError(msg, where=node.where, why=why, todo=todo)
        if is_linear(node) and node.inputs[1] not in graph.constants:
            todo = "write it as activations times weights, transposing both"
            raise UnsupportedNodeError("its weights are on the left", where=node.where, todo=todo)
        if is_linear(node) and node.input(2) and node.input(2) not in graph.constants:
            todo = "add it with an Add behind the node"
            raise UnsupportedNodeError("its bias is computed", where=node.where, todo=todo)


def _plain_gemms(graph: FloatGraph) -> None:
    for node in graph.nodes:
        if node.op != "Gemm":
            continue
        if node.attributes.pop("transA", 0):
            raise UnsupportedNodeError(
                "it transposes its activations", where=node.where, todo="put a Transpose in front of it"
            )
        alpha, beta = node.attributes.pop("alpha", 1.0), node.attributes.pop("beta", 1.0)
        if alpha != 1.0:
            weights = graph.constants[node.inputs[1]] * np.float32(alpha)
            node.inputs[1] = graph.constant(f"{node.name}.weight", weights)
        if node.input(2):
            bias = graph.constants[node.inputs[2]] * np.float32(beta)
            if bias.ndim > 1 and bias.shape[0] > 1:
                raise UnsupportedNodeError(
                    "its bias differs from image to image", where=node.where, todo="give one bias a feature"
                )
            size = graph.constants[node.inputs[1]].shape[0 if node.attributes.get("transB", 0) else 1]
            bias = np.broadcast_to(bias.ravel(), size).copy()
            node.inputs[2] = graph.constant(f"{node.name}.bias", bias)


def _matmuls_to_gemms(graph: FloatGraph) -> None:
    """A product of a matrix with weights is a Gemm, which has room for a bias."""
    types = infer_types(graph)
    for node in graph.nodes:
        flat = types.rank(node.inputs[0]) == 2 if node.op == "MatMul" else False
        if flat and graph.constants[node.inputs[1]].ndim == 2:
            node.op = "Gemm"


def _pads_into_convs(graph: FloatGraph) -> None:
    """Zeros around the input of a convolution are its own padding."""
    readers, makers = graph.readers(), graph.makers()
    for conv in graph.nodes:
        pad = makers.get(conv.inputs[0]) if conv.op == "Conv" else None
        if pad is None or pad.op != "Pad" or len(readers[pad.output]) > 1 or pad.output in graph.output_names:
            continue
        known = graph.constants.get(pad.input(1))
        value = graph.constants.get(pad.input(2), np.zeros(1)) if pad.input(2) else np.zeros(1)
        rank = graph.constants[conv.inputs[1]].ndim
        if known is None or pad.input(3) or known.size != 2 * rank or np.any(value):
            continue
        pads = known.reshape(2, rank)
        if (
            pad.text("mode", "constant") != "constant"
            or pads[:, :2].any()
            or (pads < 0).any()
            or conv.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        ):
            continue
        own = np.reshape(conv.attributes.get("pads", [0] * 2 * (rank - 2)), (2, rank - 2))
        conv.attributes["pads"] = [int(v) for v in (own + pads[:, 2:]).ravel()]
        conv.attributes.pop("auto_pad", None)
        conv.inputs[0] = pad.inputs[0]
        graph.nodes.remove(pad)


def _means_to_pools(graph: FloatGraph) -> None:
    """A mean over all positions of each channel is a GlobalAveragePool."""
    types = infer_types(graph)
    for node in list(graph.nodes):
        if node.op != "ReduceMean":
            continue
        rank = types.rank(node.inputs[0])
        axes = node.attributes.get("axes")
        if node.input(1) in graph.constants:
            axes = graph.constants[node.input(1)].tolist()
        if rank not in (3, 4) or axes is None or sorted(a % rank for a in axes) != list(range(2, rank)):
            continue
        keep = node.attributes.get("keepdims", 1)
        node.op, node.attributes = "GlobalAveragePool", {}
        del node.inputs[1:]
        if not keep:
            inner = graph.fresh(f"{node.name}.pooled")
            flat = Node(
                name=graph.fresh(f"{node.name}.flatten"),
                op="Flatten",
                inputs=[inner],
                outputs=[node.output],
                attributes={"axis": 1},
            )
            node.outputs = [inner]
            graph.nodes.insert(graph.nodes.index(node) + 1, flat)


def _hoist(graph: FloatGraph) -> None:
    """Activations in front of the maximum pools and movements whose result they read."""
    changed = True
    while changed:
        changed = False
        readers, makers = graph.readers(), graph.makers()
        for node in graph.nodes:
            before = makers.get(node.inputs[0]) if node.op in _RISING else None
            if before is None or len(before.outputs) != 1 or before.op not in MOVES | {"MaxPool"}:
                continue
            if len(readers[before.output]) > 1 or before.output in graph.output_names:
                continue
            if any(graph.constants[n].size != 1 for n in node.inputs[1:] if n in graph.constants):
                continue
            if before.inputs[0] in graph.constants or any(
                n not in graph.constants for n in node.inputs[1:] if n
            ):
                continue
            # x -> before -> node -> y becomes x -> node -> before -> y; `before.output` names the middle.
            node.inputs[0], before.inputs[0] = before.inputs[0], before.output
            before.outputs, node.outputs = node.outputs, before.outputs
            i, j = graph.nodes.index(before), graph.nodes.index(node)
            graph.nodes.insert(i, graph.nodes.pop(j))
            changed = True
            break


def _check_weights(graph: FloatGraph) -> None:
    for node in graph.nodes:
        for name in node.inputs[1:] if is_linear(node) else ():
            if name and not np.isfinite(graph.constants[name]).all():
                msg = "its weights hold NaN or infinity, or numbers too large for float32"
                raise ModelError(msg, where=node.where, todo="train the model again")
    if not any(is_linear(node) for node in graph.nodes):
        raise ModelError(
            "the network has no matrix product", where=graph.name, todo="give a network with weights"
        )
