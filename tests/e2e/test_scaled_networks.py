"""Real networks that no board here holds, at a small input, through the circuit on no board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pulsefold import api

SHARED = Path(__file__).resolve().parents[3] / "shared"

#: Edge of the input, frames a second that bound the circuit, whether inputs are pixels, outputs.
NETWORKS = {
    "yunet_n_320_float": (64, 2_000, True, 12),
    "espcn_nnresize_float": (16, 1_000, False, 1),
    "squeezenet_imagenet_fp16": (48, 500, False, 1),
}


def scaled(path: Path, size: int, out: Path) -> None:
    """The same network for inputs of `size` x `size`; its weights do not depend on it."""
    model = onnx.load(path)
    constants = {t.name for t in model.graph.initializer}
    (entry,) = (v for v in model.graph.input if v.name not in constants)
    for axis in entry.type.tensor_type.shape.dim[2:]:
        axis.dim_value = size
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim[1:]:
            axis.ClearField("dim_value")
    del model.graph.value_info[:]
    onnx.save(onnx.shape_inference.infer_shapes(model), out)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_circuit_equals_golden(name: str, tmp_path: Path) -> None:
    """Quantized to int8, every integer of four images, pauses at both ends, and the first in time."""
    path = SHARED / f"models/{name}.onnx"
    if not path.exists():
        pytest.skip(f"not there: {path}")
    size, fps, pixels, outputs = NETWORKS[name]
    scaled(path, size, tmp_path / "float.onnx")
    rng = np.random.default_rng(0)
    shape = (8, 3, size, size)
    x = rng.integers(0, 256, shape) if pixels else rng.normal(size=shape)
    x = x.astype(np.float16 if name.endswith("fp16") else np.float32)
    api.quantize(tmp_path / "float.onnx", x, tmp_path / "int8.onnx")
    design = api.compile(tmp_path / "int8.onnx", board="unlimited", out=tmp_path / "d", fps=fps)
    assert len(design.plan.outputs) == outputs
    free = api.simulate(tmp_path / "d", x[:4])
    assert free.mismatches == 0
    assert free.report["latency_cycles"] <= free.report["latency_cycles_promised"]
    assert free.report["cycles_per_image"] <= free.report["cycles_per_image_promised"]
    assert api.simulate(tmp_path / "d", x[:1], stalls=0.3).mismatches == 0
