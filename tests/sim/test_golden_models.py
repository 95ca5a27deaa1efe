"""Trained networks: figures that hardware and their publishers printed, and three ways of computing them."""

from __future__ import annotations

import gzip
import os
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.compiler.ir import Graph
from pulsefold.sim import golden
from pulsefold.sim.golden.export import Exported
from pulsefold.sim.reference import compare

SHARED = Path(os.environ.get("PULSEFOLD_SHARED", Path(__file__).parents[3] / "shared"))

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not (SHARED / "models").is_dir(), reason=f"no trained models in {SHARED / 'models'}"),
]

NAMES = [
    "cifar10_cnvW1A1",
    "cifar10_cnvW1A2",
    "mnist_lfcW1A1",
    "tfc_w1a1_mnist_qonnx_raw",
    "tfc_w1a1_mnist_qonnx",
    "tfc_w2a2_mnist_qonnx",
    "tfc_w1a1_finn_multithreshold",
    "kws_w3a3_qonnx",
]


@cache
def load(name: str) -> Graph:
    path = SHARED / "models" / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"no {path}")
    return import_model(path)


@cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    folder = SHARED / "data" / "mnist"
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        return x, np.frombuffer(file.read(), np.uint8, offset=8)


def frames(name: str) -> np.ndarray:
    """The model's own input for every frame there is."""
    if name.startswith("cifar10"):
        return np.load(SHARED / "data" / "cnv_golden.npz")["input"]
    if name.startswith("kws"):
        x = np.load(SHARED / "data" / "kws" / "kws_1000_int8.npz")["x"]
        # The input quantizer's own scale.
        return (x * np.float32(0.33674246072769165)).reshape(-1, 1, 10, 49)
    x, _ = mnist()
    if name.startswith("mnist_lfc"):
        return np.where(x >= 128, 1, -1).astype(np.float32).reshape(-1, 784)
    if name.endswith("multithreshold"):
        return x.reshape(-1, 1, 28, 28)
    return (x / 255).astype(np.float32).reshape(-1, 1, 28, 28)


def test_cnv_scores_equal_the_hardware() -> None:
    recorded = np.load(SHARED / "data" / "cnv_golden.npz")
    one = golden.infer(load("cifar10_cnvW1A1"), recorded["input"])
    assert one.dtype == np.float32
    assert np.array_equal(one, recorded["w1a1_scores"])
    two = golden.infer(load("cifar10_cnvW1A2"), recorded["input"][:1])
    assert np.array_equal(two[0], recorded["w1a2_scores_deer"])


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("mnist_lfcW1A1", 9834),
        ("tfc_w1a1_mnist_qonnx_raw", 9296),
        ("tfc_w1a1_mnist_qonnx", 9296),
        ("tfc_w2a2_mnist_qonnx", 9660),
        ("tfc_w1a1_finn_multithreshold", 9296),
    ],
)
@pytest.mark.slow
def test_accuracy_on_mnist(name: str, right: int) -> None:
    y = golden.infer(load(name), frames(name))
    best = y.ravel() if y.dtype == np.int64 else y.argmax(axis=1)
    assert (best == mnist()[1]).sum() == right


def test_the_multithreshold_form_agrees_with_the_bipolar_one() -> None:
    scores = golden.infer(load("tfc_w1a1_mnist_qonnx"), frames("tfc_w1a1_mnist_qonnx")[:500])
    index = golden.infer(load("tfc_w1a1_finn_multithreshold"), frames("tfc_w1a1_finn_multithreshold")[:500])
    assert index.shape == (500, 1)
    assert np.array_equal(index[:, 0], scores.argmax(axis=1))


def test_keyword_spotting() -> None:
    """825 of 1000; frame 886 is an exact tie of its label with a lower class, 826 if it counted as right."""
    graph = load("kws_w3a3_qonnx")
    label = np.load(SHARED / "data" / "kws" / "kws_1000_int8.npz")["y"]
    y = golden.infer(graph, frames("kws_w3a3_qonnx"))
    assert (y.argmax(axis=1) == label).sum() == 825
    among_best = y[np.arange(1000), label] == y.max(axis=1)
    assert among_best.sum() == 826
    assert np.flatnonzero(among_best & (y.argmax(axis=1) != label)).tolist() == [886]


@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_computes_the_same_integers(name: str) -> None:
    exported_equals_golden(name, 100)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_onnx_runtime_computes_the_same_integers_on_all(name: str) -> None:
    exported_equals_golden(name, 10000)


def exported_equals_golden(name: str, count: int) -> None:
    graph = load(name)
    source, output = graph.inputs[0], graph.outputs[0]
    runtime = Exported(graph)
    x = frames(name)[:count]
    for start in range(0, len(x), 500):
        q = golden.quantize_input(source, x[start : start + 500])
        want = golden.run(graph, {source.tensor: q})[output.tensor]
        assert np.array_equal(runtime.run({source.tensor: q})[output.tensor], want)


@pytest.mark.parametrize("name", NAMES)
def test_the_source_in_float64_agrees(name: str) -> None:
    source_agrees(name, 20)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_the_source_in_float64_agrees_on_many(name: str) -> None:
    source_agrees(name, 400)


def source_agrees(name: str, count: int) -> None:
    graph = load(name)
    report = compare(SHARED / "models" / f"{name}.onnx", graph, frames(name)[:count])
    assert report.ok, report.first
    # Every quantizer of activations and the output were looked at.
    assert len(report.comparisons) >= 4
    assert all(c.elements for c in report.comparisons)


def test_import_is_quick() -> None:
    """Millions of weights in seconds: no rational number for each of them."""
    start = time.process_time()
    import_model(SHARED / "models" / "mnist_lfcW1A1.onnx")
    import_model(SHARED / "models" / "cifar10_cnvW1A1.onnx")
    assert time.process_time() - start < 10
