"""Files of ONNX Runtime's quantizer through the circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exports import NETWORKS, quantized

from pulsefold import api

STYLES = ("u8 pairs", "s8 pairs", "u8 operators")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=[make.__name__ for make in NETWORKS])
def test_circuit_equals_golden(number: int, tmp_path: Path) -> None:
    """Every integer, freely running and with pauses at both ends; cycles and latency as promised."""
    net, y = NETWORKS[number]()
    path = quantized(net, y, tmp_path, STYLES[number % len(STYLES)])
    api.compile(path, board="unlimited", out=tmp_path / "d", fps=10_000)
    x = np.random.default_rng(3).normal(size=(4, *net.shape)).astype(np.float32)
    free = api.simulate(tmp_path / "d", x)
    assert free.mismatches == 0
    assert free.report["latency_cycles"] <= free.report["latency_cycles_promised"]
    assert free.report["cycles_per_image"] <= free.report["cycles_per_image_promised"]
    assert api.simulate(tmp_path / "d", x[:2], stalls=0.3).mismatches == 0
