"""Top-1 of a trained int8 network: golden's exact arithmetic beside ONNX Runtime's float32."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"


@pytest.mark.models
@pytest.mark.slow
def test_top1_differs_by_rounding_alone() -> None:
    """Every image that the two classify differently has a value on a rounding boundary."""
    for path in (SHARED / "models/resnet8_int8_qdq.onnx", SHARED / "data/cifar10-jpeg"):
        if not path.exists():
            pytest.skip(f"not there: {path}")
    script = REPOSITORY / "bench" / "accuracy.py"
    ran = subprocess.run(
        [sys.executable, script, "--shared", SHARED, "--json"], capture_output=True, text=True, check=True
    )
    figures = json.loads(ran.stdout)
    assert figures["images"] == 10_000
    # Exact arithmetic gives the same on every machine; float32 depends on the order of the runtime's sums.
    assert figures["golden_right"] == 7546
    assert abs(figures["runtime_right"] - figures["golden_right"]) <= 10
    assert figures["other_class"] <= 60
    assert figures["mismatches"] == 0
    assert sum(figures["values_differing"].values()) >= figures["other_class"]
