"""All passes together on trained networks of many levels: the model's own output stays, bit by bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.frontend import importer as importer_module
from pulsefold.compiler.ir import Graph, Requantize, Sum, Threshold
from pulsefold.sim import golden
from pulsefold.sim.golden.present import present_output, quantize_input

SHARED = Path(os.environ.get("PULSEFOLD_SHARED", Path(__file__).parents[3] / "shared"))

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not (SHARED / "models").is_dir(), reason=f"no trained models in {SHARED / 'models'}"),
]


def outputs(graph: Graph, frames: int) -> list[np.ndarray]:
    """What the model itself gives for random frames."""
    rng = np.random.default_rng(0)
    q = {}
    for source in graph.inputs:
        kind = np.dtype(source.dtype)
        ends = (-128, 128) if kind.kind != "u" else (0, 256)
        x = rng.integers(*ends, (frames, *source.shape)).astype(kind)
        q[source.tensor] = quantize_input(source, x / kind.type(128) if kind.kind == "f" else x)
    results = golden.run(graph, q)
    return [present_output(graph, output, results[output.tensor]) for output in graph.outputs]


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("resnet8_int8_qdq", 8),
        ("kws_dscnn_int8_qdq", 20),
        ("vww_mobilenetv1_025_96_int8_qdq", 3),
        ("ad_autoencoder_int8_qdq", 50),
        ("espcn_nnresize_quant_qonnx", 1),
    ],
)
def test_outputs_stay(monkeypatch: pytest.MonkeyPatch, name: str, frames: int) -> None:
    path = SHARED / "models" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"no {path}")
    after = import_model(path)
    monkeypatch.setattr(importer_module, "run_passes", lambda graph: graph)
    before = import_model(path)
    assert any(isinstance(node, Threshold) and node.count > 15 for node in before.nodes)
    assert not any(isinstance(node, Threshold) and node.count > 15 for node in after.nodes)
    assert any(isinstance(node, Requantize) for node in after.nodes)
    # A residual connection's gains are those of float32 scales before, and fit a small multiplier behind.
    assert all(max(map(abs, node.gains)) < 1 << 24 for node in after.nodes if isinstance(node, Sum))
    for a, b in zip(outputs(before, frames), outputs(after, frames), strict=True):
        assert np.array_equal(a, b)
