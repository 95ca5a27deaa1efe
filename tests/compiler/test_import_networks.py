"""Random quantized networks of every style: imported, and equal to three engines that know nothing of it.

``make networks N=500`` tries so many of each style; a failure names its seed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from networks import STYLES, random_model
from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim import golden
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime

#: Networks of each style in an ordinary run.
FEW = 8

#: What may be refused, with the reason why no exact integers come of it.
REFUSALS = ("rises and falls", "slope differs", "negative gain")


def count_of(config: pytest.Config) -> int:
    return int(config.getoption("--networks") or FEW)


def inputs_of(graph: Graph, seed: int, frames: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for entry in graph.inputs:
        shape = (frames, *entry.shape)
        if entry.dtype.startswith("float"):
            arrays[entry.name] = rng.normal(size=shape).astype(entry.dtype)
        else:
            info = np.iinfo(entry.dtype)
            arrays[entry.name] = rng.integers(info.min, info.max + 1, shape).astype(entry.dtype)
    return arrays


@pytest.mark.parametrize("dyadic", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_networks(style: str, dyadic: bool, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """Exact source == golden == its export in ONNX Runtime == ONNX Runtime on the source, but for ties."""
    path = tmp_path / "net.onnx"
    counts: Counter[str] = Counter()
    for seed in range(count_of(pytestconfig)):
        named = f"random_model({seed}, style={style!r}, dyadic={dyadic})"
        path.write_bytes(random_model(seed, style=style, dyadic=dyadic).SerializeToString())
        try:
            graph = import_model(path)
        except UnsupportedNodeError as error:
            assert any(reason in error.message for reason in REFUSALS), (named, error.message)
            counts["refused"] += 1
            continue
        x = inputs_of(graph, seed)
        q = {entry.tensor: golden.quantize_input(entry, x[entry.name]) for entry in graph.inputs}
        want, got = golden.run(graph, q), Exported(graph).run(q)
        assert all(np.array_equal(got[name], want[name]) for name in want), named
        exact = compare(path, graph, x)
        assert exact.ok, (named, exact.first)
        counts["elements"] += sum(c.elements for c in exact.comparisons)
        counts["undecided"] += sum(c.on_boundary for c in exact.comparisons)
        if style != "qonnx":
            ran = compare_runtime(path, graph, x)
            assert ran.ok, (named, ran.first)
            counts["excused"] += sum(c.on_boundary for c in ran.comparisons)
            if dyadic and style == "qdq":
                # float32 computes every value exactly: nothing is excused.
                assert not any(c.differing for c in ran.comparisons), named
    assert counts["elements"] > 1000 * count_of(pytestconfig)
    assert counts["refused"] * 10 <= count_of(pytestconfig)
    # A tie is a rare thing in exact arithmetic, and in float32 too unless the scales make them.
    assert counts["undecided"] <= 1e-4 * counts["elements"]
    assert dyadic or counts["excused"] <= 1e-3 * counts["elements"]
