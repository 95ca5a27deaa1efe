"""Rung 1, the other half: the source in ONNX Runtime, quantizer by quantizer, against the golden model.

The source is cut behind every quantizer: each piece is given golden's own integers, so that a difference in
one layer does not reach the next. Quantizers of constants are cut off too: their integers are the exact ones.
ONNX Runtime computes in float32; where its integer differs, it must be one that the quantizer makes of some
value within float32's error of the exact one, anything else is a mismatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.frontend.places import quantizer_places
from pulsefold.compiler.ir.graph import Graph
from pulsefold.errors import ModelError
from pulsefold.sim.golden import quantize_input, run
from pulsefold.sim.reference import (
    Comparison,
    Report,
    compared,
    frames_at_once,
    merged,
    on_boundary,
    real_place,
)
from pulsefold.sim.source import Source, State
from pulsefold.sim.source.bounds import UNIT

__all__ = ["compare_runtime", "runnable"]

#: Relative rounding of float16.
_HALF_UNIT = 2.0**-11

#: What NumPy has no type for: these are cast on their way in and out.
_NARROW = {"int4": np.int8, "uint4": np.uint8, "int2": np.int8, "uint2": np.uint8}

#: Custom operators that ONNX Runtime does not have.
_QONNX = frozenset({"Quant", "BipolarQuant", "MultiThreshold"})


def runnable(path: Path | str) -> bool:
    """Whether ONNX Runtime knows the operators of a source."""
    return not any(node.op_type in _QONNX for node in load_model(path).graph.node)


def compare_runtime(path: Path | str, graph: Graph, x: np.ndarray | Mapping[str, np.ndarray]) -> Report:
    """Golden against ONNX Runtime behind every quantizer, and at the outputs.

    Parameters
    ----------
    path
        The source: QDQ or QOperator.
    graph
        What was imported from it.
    x
        An array for each input by name, or the single input's.

    Raises
    ------
    ModelError
        ONNX Runtime cannot run it.
    """
    source = Source(path)
    every = quantizer_places(path)
    places = {name: place for name, place in every.items() if place.tensor in graph.tensors}
    feeds = source.named(x)
    keep = {place.tensor for place in places.values()}
    weights = {n: v for n, v in source.constants.items() if v.dtype.name not in _NARROW}
    unit = _unit(source.model)
    pieces: _Pieces | None = None
    found: dict[str, list[Comparison]] = {}
    for part in source.chunks(feeds, frames_at_once(graph)):
        inputs = {entry.tensor: quantize_input(entry, part[entry.name]) for entry in graph.inputs}
        q = run(graph, inputs, keep=keep)
        # The exact evaluation goes on from golden's integers too, and tells how large float32's error may be.
        state, given = (
            State(),
            weights | {name: np.asarray(part[name]).astype(kind) for name, kind in source.inputs.items()},
        )
        nodes, exact, narrow = [], {}, {}
        for node in source.steps(part, state):
            name = node.outputs[0]
            if name not in every:
                continue
            value = np.asarray(state.values[name])
            golden, kept = value.astype(np.float64), state.keep(node)
            # One joined with the quantizer behind it has no integers in golden: they are the exact ones.
            if name in places:
                golden = real_place(places[name], q[places[name].tensor], value.shape)
                state.put(name, golden.astype(value.dtype))
            exact[name] = (node, kept, golden)
            nodes.append(name)
            if value.dtype.name in _NARROW:
                narrow[name] = helper.np_dtype_to_tensor_dtype(value.dtype)
            given[name] = golden.astype(_NARROW.get(value.dtype.name, value.dtype))
        pieces = pieces or _Pieces(source.model, given, nodes, narrow)
        got = pieces.run(given)
        for name, (node, kept, golden) in exact.items():
            differing = np.asarray(got[name]).astype(np.float64) != golden
            excused = on_boundary(node, kept, np.asarray(got[name]).astype(np.float64), unit)
            # The exact level settles to golden's integer, or lies on the boundary beside it.
            excused &= on_boundary(node, kept, golden, unit)
            found.setdefault(name, []).append(compared(name, differing, excused))
        for name in source.outputs:
            if name in exact:
                continue
            want, value = np.asarray(got[name], np.float64), np.asarray(state.values[name], np.float64)
            error = state.errors[name]
            room = 0.0 if error is None else 2 * unit * error
            differing = np.abs(want - value) > room
            found.setdefault(name, []).append(compared(name, differing, np.zeros(differing.shape, np.bool_)))
    return Report(
        comparisons=tuple(merged(parts) for parts in found.values()),
        frames=min(len(v) for v in feeds.values()),
    )


def _unit(model: onnx.ModelProto) -> float:
    """Relative rounding of the narrowest floats that the source computes in."""
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in model.graph.input}
    kinds |= {a.i for node in model.graph.node if node.op_type == "Cast" for a in node.attribute}
    return _HALF_UNIT if TensorProto.FLOAT16 in kinds else UNIT


class _Pieces:
    """The source with an input in place of every value that is given, in one session.

    Parameters
    ----------
    model
        The source.
    given
        Values that are fed, the model's own inputs among them.
    wanted
        Values behind quantizers to compute.
    narrow
        Element types of those among them that are given and wanted as bytes.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        given: Mapping[str, np.ndarray],
        wanted: list[str],
        narrow: Mapping[str, int],
    ) -> None:
        cut = onnx.ModelProto()
        cut.CopyFrom(model)
        # Exporters write versions that the runtime does not read yet; nodes are those of the operator set.
        cut.ir_version = min(cut.ir_version, 10)
        own = {value.name for value in cut.graph.input}
        cuts = {name for name in given if name not in own}
        self._names = {name: f"{name}/again" if name in cuts else name for name in wanted}
        for node in cut.graph.node:
            for i, name in enumerate(node.output):
                if name in cuts:
                    node.output[i] = f"{name}/again"
        self._given = {name: f"{name}/byte" if name in narrow else name for name in given}
        casts = []
        for name in cuts:
            kind = helper.np_dtype_to_tensor_dtype(given[name].dtype)
            cut.graph.input.append(helper.make_tensor_value_info(self._given[name], kind, None))
            if name in narrow:
                again, wide = self._names[name], f"{name}/wide"
                casts.append(helper.make_node("Cast", [self._given[name]], [name], to=narrow[name]))
                casts.append(helper.make_node("Cast", [again], [wide], to=kind))
                self._names[name] = wide
        cut.graph.node.extend(casts)
        outputs = [value for value in cut.graph.output if value.name not in self._names]
        self._names |= {value.name: value.name for value in outputs}
        del cut.graph.output[:], cut.graph.value_info[:]
        cut.graph.output.extend(outputs)
        for name in wanted:
            cut.graph.output.append(helper.make_empty_tensor_value_info(self._names[name]))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # The nodes as they are written: the rewriting of quantized graphs is another engine's arithmetic.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                cut.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        # Its bindings raise kinds of their own.
        except Exception as error:
            why = str(error).splitlines()[0]
            msg = "ONNX Runtime does not run this model"
            raise ModelError(msg, why=why, todo="compare in float64 alone") from None
        self._fed = {port.name for port in self._session.get_inputs()}

    def run(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values by the source's names."""
        feeds = {self._given[name]: value for name, value in given.items()}
        values = self._session.run(
            list(self._names.values()), {name: value for name, value in feeds.items() if name in self._fed}
        )
        return dict(zip(self._names, map(np.asarray, values), strict=True))
