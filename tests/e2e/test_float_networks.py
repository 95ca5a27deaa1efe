"""Float networks of published structure: quantized, imported, and their integers held against the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import zoo
from pulsefold import api
from pulsefold.compiler.frontend import import_model
from pulsefold.sim.reference import compare
from pulsefold.sim.runtime import compare_runtime

#: Structures that the package onnx brings, with constant weights.
LIGHT = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)


def held(path: Path, folder: Path, frames: int, seed: int) -> None:
    """Every integer equals ONNX Runtime's, or lies within float32's error of a rounding boundary."""
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    # Old files list their weights among the inputs.
    (port,) = (value for value in graph.input if value.name not in weights)
    shape = [d.dim_value for d in port.type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(seed).normal(size=(frames, *shape)).astype(np.float32)
    quantized = folder / "quantized.onnx"
    api.quantize(path, x, quantized)
    report = compare_runtime(quantized, import_model(quantized), x[:2])
    assert report.ok, report.first
    assert sum(c.elements for c in report.comparisons) > 100


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "resnet152" else n for n in zoo.SMALL]
)
def test_small(name: str, tmp_path: Path) -> None:
    onnx.save(zoo.SMALL[name](), tmp_path / "float.onnx")
    held(tmp_path / "float.onnx", tmp_path, 8, 5)


@pytest.mark.parametrize("name", ["unet", "xception", "yolo"])
def test_against_exact_semantics(name: str, tmp_path: Path) -> None:
    """The same, against the source in float64 with error bounds."""
    model = zoo.SMALL[name]()
    onnx.save(model, tmp_path / "float.onnx")
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(2).normal(size=(8, *shape)).astype(np.float32)
    quantized = tmp_path / "quantized.onnx"
    api.quantize(tmp_path / "float.onnx", x, quantized)
    report = compare(quantized, import_model(quantized), x[:2])
    assert report.ok, report.first


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT)
def test_structures_of_the_onnx_package(name: str, tmp_path: Path) -> None:
    """At full size, 224 x 224."""
    path = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"
    held(path, tmp_path, 2, 7)
