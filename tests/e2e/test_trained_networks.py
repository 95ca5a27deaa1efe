"""Trained networks through the circuit, where the shared folder of models and data is there."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def needs(*names: str) -> list[Path]:
    paths = [SHARED / name for name in names]
    absent = [str(p) for p in paths if not p.exists()]
    if absent:
        pytest.skip(f"not there: {', '.join(absent)}")
    return paths


def mnist() -> np.ndarray:
    (path,) = needs("data/mnist/t10k-images-idx3-ubyte.gz")
    with gzip.open(path) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)


INPUTS = {
    "tfc_w1a1_mnist_qonnx": lambda: mnist() / np.float32(255),
    "tfc_w1a1_mnist_qonnx_raw": lambda: mnist() / np.float32(255),
    "tfc_w2a2_mnist_qonnx": lambda: mnist() / np.float32(255),
    "tfc_w1a1_finn_multithreshold": lambda: mnist().astype(np.float32),
    "mnist_lfcW1A1": lambda: np.where(mnist() >= 128, 1, -1).reshape(-1, 784).astype(np.float32),
}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_circuit_equals_golden_on_200_images(pulsefold, tmp_path, name):
    (model,) = needs(f"models/{name}.onnx")
    np.save(tmp_path / "x.npy", INPUTS[name]()[:200])
    folder = tmp_path / "d"
    assert pulsefold("compile", model, "--board", "ulx3s-85f", "-o", folder, "--fps", "10000").code == 0
    ran = pulsefold("simulate", folder, "--input", tmp_path / "x.npy", "--json")
    assert ran.code == 0
    figures = ran.document["simulation"]
    assert figures["images"] == 200
    assert figures["mismatches"] == 0
    assert figures["cycles_per_image"] <= 1.02 * figures["cycles_per_image_promised"]


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scores"), [("cifar10_cnvW1A1", "w1a1_scores"), ("cifar10_cnvW1A2", "w1a2_scores_deer")]
)
def test_circuit_gives_the_scores_of_the_hardware(pulsefold, tmp_path, name, scores):
    model, known = needs(f"models/{name}.onnx", "data/cnv_golden.npz")
    with np.load(known) as file:
        want = np.atleast_2d(file[scores])
        np.save(tmp_path / "x.npy", file["input"][: len(want)])
    folder, y = tmp_path / "d", tmp_path / "y.npy"
    assert pulsefold("compile", model, "--board", "ulx3s-85f", "-o", folder, "--fps", "1000").code == 0
    assert pulsefold("simulate", folder, "--input", tmp_path / "x.npy", "--output", y).code == 0
    np.testing.assert_array_equal(np.load(y), want)


@pytest.mark.models
@pytest.mark.slow
def test_cnv_on_the_virtual_board(pulsefold, tmp_path):
    """20 images through host protocol and network, equal to golden and to the scores of the hardware."""
    model, known = needs("models/cifar10_cnvW1A1.onnx", "data/cnv_golden.npz")
    with np.load(known) as file:
        want, given = np.atleast_2d(file["w1a1_scores"]), file["input"]
    x, y, z = (tmp_path / f"{name}.npy" for name in "xyz")
    others = np.random.default_rng(3).integers(0, 256, (20 - len(want), *given.shape[1:]))
    np.save(x, np.concatenate([given[: len(want)], others.astype(given.dtype)]))
    folder = tmp_path / "d"
    assert pulsefold("compile", model, "--board", "ulx3s-85f", "-o", folder, "--fps", "500").code == 0
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--output", y, "--json")
    assert ran.code == 0
    assert ran.document["run"]["images"] == 20
    assert pulsefold("simulate", folder, "--level", "golden", "--input", x, "--output", z).code == 0
    np.testing.assert_array_equal(np.load(y), np.load(z))
    np.testing.assert_array_equal(np.load(y)[: len(want)], want)


INT8 = {
    "resnet8_int8_qdq": (32, 32, 3),
    "kws_dscnn_int8_qdq": (49, 10, 1),
    "ad_autoencoder_int8_qdq": (640,),
    "vww_mobilenetv1_025_96_int8_qdq": (96, 96, 3),
}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", INT8)
def test_int8_networks(pulsefold, tmp_path, name):
    """The four of MLPerf Tiny: the circuit equals golden, and keeps what the plan promised."""
    (model,) = needs(f"models/{name}.onnx")
    x = np.random.default_rng(0).integers(-128, 128, (5, *INT8[name])).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "d"
    assert pulsefold("compile", model, "--board", "ulx3s-85f", "-o", folder).code == 0
    ran = pulsefold("simulate", folder, "--input", tmp_path / "x.npy", "--json")
    assert ran.code == 0
    figures = ran.document["simulation"]
    assert figures["images"] == 5
    assert figures["mismatches"] == 0
    assert figures["cycles_per_image"] <= 1.02 * figures["cycles_per_image_promised"]
