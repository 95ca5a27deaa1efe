"""Constants that differ within a channel: grids, anchors, embeddings of positions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Constant, Graph, Product, Sum
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim import golden
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.reference import compare

Start = Callable[..., Any]
RNG = np.random.default_rng(5)


def checked(net: Any, folder: Path, frames: int = 3) -> Graph:
    """Golden against the source in float64, and against its own export in ONNX Runtime."""
    path = net.save(folder)
    graph = import_model(path)
    x = RNG.normal(size=(frames, *graph.inputs[0].shape)).astype(np.float32) * 3
    report = compare(path, graph, x)
    assert report.ok, report.first
    q = golden.quantize_inputs(graph, x)
    mine = golden.run(graph, q)
    theirs = Exported(graph).run(q)
    for name, value in theirs.items():
        assert np.array_equal(value, mine[name])
    return graph


def kinds(graph: Graph) -> list[str]:
    return [type(node).__name__ for node in graph.nodes]


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 1, 4, 5), (4, 5), (1, 3, 4, 1), (3, 1, 5)])
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Sum"])
@pytest.mark.parametrize("first", [False, True])
def test_constants_by_position(
    tmp_path: Path, net: Start, kind: str, shape: tuple[int, ...], first: bool
) -> None:
    n = net("N", 3, 4, 5).quant(0.25, bits=6)
    table = RNG.integers(-9, 10, shape) / 4 if kind != "Div" else 2.0 ** RNG.integers(-3, 3, shape)
    c = n.const(table)
    if kind == "Div" and first:
        n.add(kind, first=[c, n.last]).quant(0.5)
        with pytest.raises(UnsupportedNodeError, match="differs within a channel"):
            import_model(n.save(tmp_path))
        return
    n.add(kind, first=[c, n.last] if first else [n.last, c]).quant(0.5, bits=8)
    graph = checked(n, tmp_path)
    assert sum(isinstance(node, Constant) for node in graph.nodes) == 1
    assert sum(isinstance(node, Sum | Product) for node in graph.nodes) == 1


def test_quantized_embedding(tmp_path: Path, net: Start) -> None:
    """The constant's own scale is exact, as that of weights is."""
    n = net("N", 3, 4, 5).quant(0.3, bits=6)
    c = n.weights(RNG.normal(size=(1, 3, 4, 5)), scale=0.1, bits=5)
    n.add("Add", c).quant(0.5, bits=4)
    graph = checked(n, tmp_path)
    (constant,) = (node for node in graph.nodes if isinstance(node, Constant))
    assert np.abs(constant.values).max() <= 16


def test_float_embedding(tmp_path: Path, net: Start) -> None:
    """Float32 numbers of any kind, exactly."""
    n = net("N", 3, 4, 5).quant(0.3, bits=6)
    n.add("Add", n.const(RNG.normal(size=(1, 3, 4, 5)))).quant(0.5, bits=4)
    checked(n, tmp_path)


def test_stream_spread_over_a_larger_constant(tmp_path: Path, net: Start) -> None:
    n = net("N", 3, 1, 5).quant(0.25, bits=6)
    n.add("Mul", n.const(RNG.integers(1, 5, (1, 1, 4, 5)))).quant(0.5)
    assert checked(n, tmp_path).outputs[0].shape == (3, 4, 5)


def test_grid_decode(tmp_path: Path, net: Start) -> None:
    """The boxes of a YOLOv5 head: (xy * 2 + grid) * stride, (wh * 2) ** 2 * anchors."""
    n = net("N", 4, 3, 3).quant(0.25, bits=8)
    n.conv(n.weights(RNG.normal(size=(14, 4, 1, 1)), scale=0.1, bits=6))
    n.add("Reshape", n.const([0, 2, 7, 3, 3], np.int64)).add("Transpose", perm=[0, 1, 3, 4, 2])
    n.add("Sigmoid").quant(1 / 256, bits=8, signed=False)
    head = n.last
    parts = []
    for start, end in ((0, 2), (2, 4), (4, 7)):
        bounds = [n.const([v], np.int64) for v in (start, end, 4)]
        parts.append(n.add("Slice", first=[head, *bounds]).last)
    xy, wh, conf = parts
    y, x = np.meshgrid(np.arange(3), np.arange(3), indexing="ij")
    grid = np.broadcast_to(np.stack([x, y], axis=-1) - 0.5, (1, 2, 3, 3, 2))
    n.add("Mul", first=[xy, n.const(2.0)]).quant(1 / 128, bits=8, signed=False)
    n.add("Add", n.const(grid)).quant(1 / 32, bits=8).add("Mul", n.const(8.0)).quant(0.25, bits=8)
    xy = n.last
    n.add("Mul", first=[wh, n.const(2.0)]).add("Pow", n.const(2.0)).quant(1 / 64, bits=8, signed=False)
    anchors = np.broadcast_to(np.array([[10, 13], [16, 30]]).reshape(1, 2, 1, 1, 2), (1, 2, 3, 3, 2))
    n.add("Mul", n.const(anchors)).quant(0.5, bits=8, signed=False)
    n.add("Concat", first=[xy, n.last, conf], axis=4).add("Reshape", n.const([0, 18, 7], np.int64))
    graph = checked(n, tmp_path)
    assert graph.outputs[0].shape == (18, 7)
    assert {"Constant", "Sum", "Product"} <= set(kinds(graph))


def test_concat_with_constants_of_several_numbers(tmp_path: Path, net: Start) -> None:
    n = net(1, 2, 3, 4).quant(0.25, bits=6)
    y, x = np.meshgrid(np.arange(3), np.arange(4), indexing="ij")
    places = n.const(np.stack([x, y])[np.newaxis] / 4)
    n.add("Concat", first=[places, n.last, n.const(np.full((1, 1, 3, 4), 3.0))], axis=1).quant(0.25, bits=6)
    n.conv(n.weights(RNG.normal(size=(3, 5, 2, 2)), scale=0.5, bits=4))
    checked(n, tmp_path, frames=1)


def test_constants_without_a_common_measure_are_refused(tmp_path: Path, net: Start) -> None:
    n = net("N", 1, 2, 2).quant(0.25, bits=6)
    n.add("Add", n.const([[1e30, 1e-30], [0, 1]])).quant(0.5)
    with pytest.raises(UnsupportedNodeError, match=r"takes .* bits") as error:
        import_model(n.save(tmp_path))
    assert "quantize the constant" in str(error.value)
