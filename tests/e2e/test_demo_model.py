"""The demo network in the repository is what its record says, and its training works."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from pulsefold.compiler.frontend import import_model
from pulsefold.sim import golden

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "demo" / "digits.onnx"


@pytest.fixture(autouse=True)
def demo_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo` is a folder of the repository, not an installed package."""
    monkeypatch.syspath_prepend(str(ROOT))


def demo(name: str) -> ModuleType:
    return importlib.import_module(f"demo.{name}")


@pytest.fixture
def record() -> dict:
    return json.loads((ROOT / "demo" / "digits.json").read_text())


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    return demo("data").load_test()


def correct(scores: np.ndarray, labels: np.ndarray) -> int:
    return int(np.count_nonzero(scores.reshape(len(labels), -1).argmax(axis=1) == labels))


def test_test_images(images, record):
    x, y = images
    assert x.shape == (record["test_images"], 1, 8, 8)
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (0, 16)
    assert np.bincount(y, minlength=10).min() >= 30


def test_test_images_are_those_of_scikit_learn(images):
    pytest.importorskip("sklearn")
    _, _, x, y = demo("data").load_digits_split()
    assert np.array_equal(images[0], x)
    assert np.array_equal(images[1], y)


def test_model_is_plain_qonnx(record):
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == record["sha256"]
    model = onnx.load(MODEL)
    onnx.checker.check_model(model)
    assert model.ir_version == 8
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 13), ("qonnx.custom_op.general", 1)}
    assert [n.op_type for n in model.graph.node if n.domain == ""] == [
        *("Conv", "BatchNormalization") * 2,
        *("MaxPool", "Flatten", "MatMul", "BatchNormalization"),
    ]
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith("_weight")]
    assert sum(w.size for w in weights) == 16032
    assert all(np.all(np.abs(w) == 1) for w in weights)


def test_reference_evaluation_gives_the_recorded_accuracy(images, record):
    x, y = images
    assert correct(demo("reference").predict(MODEL, x), y) == record["test_correct"]


def test_golden_model_gives_the_recorded_accuracy(images, record):
    x, y = images
    scores = golden.infer(import_model(MODEL), x)
    assert correct(scores, y) == record["test_correct"]


def test_golden_scores_are_the_reference_scores(images):
    x, _ = images
    scores = np.asarray(golden.infer(import_model(MODEL), x))
    # The golden scores are exact up to one rounding; the reference computes batch norm in float32.
    np.testing.assert_allclose(scores, demo("reference").predict(MODEL, x), rtol=1e-5, atol=1e-4)


def test_training_learns_and_exports_what_it_learned(images, tmp_path):
    x, y = images
    train = demo("train").train
    network = train(x, y, epochs=5, seed=1)
    assert network.accuracy(x, y) > 0.8
    demo("export").export(network, tmp_path / "m.onnx")
    scores = demo("reference").predict(tmp_path / "m.onnx", x)
    np.testing.assert_array_equal(scores.argmax(axis=1), network.forward(x).argmax(axis=1))


def test_training_is_deterministic(images):
    x, y = images
    a, b, other = (demo("train").train(x, y, epochs=1, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(a.forward(x), b.forward(x))
    assert not np.array_equal(a.forward(x), other.forward(x))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_gradient_of_a_layer_chain(images, index):
    """Batch norm, pooling and patches against differences; the signs have no true gradient to compare."""
    layers = demo("layers")
    rng = np.random.default_rng(index)
    norm = layers.BatchNorm(3)
    norm.gain += rng.normal(0, 0.3, 3).astype(np.float32)
    chain = [[norm], [layers.MaxPool()], [layers.Patches(3), layers.Flatten()]][index]
    x = rng.normal(0, 1, (2, 4, 4, 3))

    def loss(value: np.ndarray) -> tuple[float, np.ndarray]:
        for layer in chain:
            value = layer.forward(value, train=True)
        mix = np.cos(np.arange(value.size)).reshape(value.shape)
        return float((value * mix).sum()), mix

    dx = loss(x)[1]
    for layer in reversed(chain):
        dx = layer.backward(dx)
    step = 1e-5
    for where in [(0, 0, 0, 0), (1, 2, 3, 1), (0, 3, 3, 2), (1, 1, 1, 0)]:
        shift = np.zeros_like(x)
        shift[where] = step
        difference = (loss(x + shift)[0] - loss(x - shift)[0]) / (2 * step)
        assert dx[where] == pytest.approx(difference, rel=1e-3, abs=1e-3)
