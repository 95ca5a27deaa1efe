"""Float models as exporters write them, quantized by ONNX Runtime's own quantizer in each of its formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exports import NETWORKS, Net, enlarged, quantized

from pulsefold.compiler.frontend import import_model
from pulsefold.errors import UnsupportedNodeError
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime


@pytest.mark.parametrize("style", ["pulsefold", "u8 pairs", "s8 pairs", "u8 operators"])
@pytest.mark.parametrize("make", NETWORKS)
def test_every_integer(make: Callable[[], tuple[Net, str]], style: str, tmp_path: Path) -> None:
    """Against the source in float64 and in ONNX Runtime, behind every quantizer."""
    net, y = make()
    path = quantized(net, y, tmp_path, style)
    graph = import_model(path)
    x = np.random.default_rng(3).normal(size=(4, *net.shape)).astype(np.float32)
    for check in (compare, compare_runtime):
        report = check(path, graph, x)
        assert report.ok, report.first
        assert sum(c.elements for c in report.comparisons) > 100


def test_integers_enlarged_by_three(tmp_path: Path) -> None:
    """In float32 the weights of thirds do not add up to one, and the fraction is dropped."""
    with pytest.raises(UnsupportedNodeError, match="integers linearly"):
        import_model(quantized(*enlarged(3), tmp_path, "u8 operators"))
    import_model(quantized(*enlarged(3), tmp_path, "u8 pairs"))
