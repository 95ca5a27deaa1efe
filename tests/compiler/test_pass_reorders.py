"""Reorders: joined, dropped, left to the host; what the network computes stays the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph, Reorder
from pulsefold.sim.golden import present_output, quantize_input, run

RNG = np.random.default_rng(3)
Start = Callable[..., Any]


def imported(net: Any, folder: Path) -> Graph:
    """The graph; what it gives is what ONNX Runtime gives."""
    path = net.save(folder)
    graph = import_model(path)
    (source,) = graph.inputs
    x = RNG.integers(-128, 128, (3, *source.shape)).astype(np.int8)
    integers = run(graph, {source.tensor: quantize_input(source, x)})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for output, want in zip(graph.outputs, session.run(None, {source.name: x}), strict=True):
        assert np.array_equal(present_output(graph, output, integers[output.tensor]), np.asarray(want))
    return graph


def start(net: Start, *shape: int) -> Any:
    n = net("N", *shape, dtype=TensorProto.INT8)
    return dequantized(n)


def dequantized(n: Any) -> Any:
    return n.add("DequantizeLinear", n.const(0.5), n.const(0, np.int8))


def quantized(n: Any) -> Any:
    return dequantized(n.add("QuantizeLinear", n.const(0.5), n.const(0, np.int8)))


def doubled(n: Any, channels: int) -> Any:
    """A 1 x 1 convolution: something in between."""
    weights = n.const(np.eye(channels)[:, ::-1].reshape(channels, channels, 1, 1) * 2)
    return quantized(n.add("Conv", weights))


def reorders(graph: Graph) -> int:
    return sum(isinstance(node, Reorder) for node in graph.nodes)


def test_ends_are_left_to_the_host(tmp_path: Path, net: Start) -> None:
    n = doubled(start(net, 8, 3, 5).add("DepthToSpace", blocksize=2), 2)
    n.add("SpaceToDepth", blocksize=2).add("Transpose", perm=[0, 3, 1, 2])
    graph = imported(n, tmp_path)
    assert reorders(graph) == 0
    assert graph.inputs[0].frame == (6, 10, 2)


def test_neighbours_are_joined(tmp_path: Path, net: Start) -> None:
    n = doubled(start(net, 4, 4, 4), 4)
    n.add("Slice", n.const([1], np.int64), n.const([4], np.int64), n.const([2], np.int64))
    n.add("Pad", n.const([0, 0, 1, 0, 0, 0, 0, 2], np.int64))
    n.add("Resize", n.const([], np.float32), n.const([1, 1, 2, 2]), mode="nearest")
    graph = imported(doubled(n, 4), tmp_path)
    assert reorders(graph) == 1


def test_other_fills_are_kept_apart(tmp_path: Path, net: Start) -> None:
    n = doubled(start(net, 2, 3, 3), 2)
    n.add("Pad", n.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), n.const(1.0))
    n.add("Pad", n.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), n.const(-2.0))
    graph = imported(doubled(n, 2), tmp_path)
    assert reorders(graph) == 2


def test_back_and_forth_is_nothing(tmp_path: Path, net: Start) -> None:
    n = doubled(start(net, 4, 4, 4), 4)
    n.add("DepthToSpace", blocksize=2).add("SpaceToDepth", blocksize=2)
    assert reorders(imported(doubled(n, 4), tmp_path)) == 0


def test_dropped_input_elements_stay_the_networks(tmp_path: Path, net: Start) -> None:
    n = start(net, 2, 4, 4)
    n.add("Slice", n.const([1], np.int64), n.const([4], np.int64), n.const([2], np.int64))
    assert reorders(imported(doubled(n, 2), tmp_path)) == 1
