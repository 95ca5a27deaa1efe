"""``pulsefold quantize`` from the command line, and the file it leaves."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import pulsefold as api
import zoo


@pytest.fixture
def given(tmp_path):
    """A float network and its calibration data."""
    model = zoo.nin(size=16, width=8)
    (tmp_path / "float.onnx").write_bytes(model.SerializeToString())
    x = np.random.default_rng(0).normal(size=(12, 3, 16, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "float.onnx", tmp_path / "x.npy", tmp_path / "q.onnx"


def test_quantize(pulsefold, given):
    model, x, out = given
    ran = pulsefold("quantize", model, "--calibration", x, "-o", out)
    assert ran.code == 0
    assert "conv0" in ran.out
    assert "dB" in ran.out
    assert "calibrating" in ran.err
    onnx.checker.check_model(onnx.load(out), full_check=True)
    images = np.load(x)
    wanted, got = (onnxruntime.InferenceSession(path).run(None, {"x": images})[0] for path in (model, out))
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.99


def test_json_says_what_was_done(pulsefold, given):
    model, x, out = given
    ran = pulsefold(
        "quantize", model, "--calibration", x, "-o", out, "--weights", "ternary", "--activations", "int4",
        "--per-tensor", "--method", "percentile", "--equalize", "--no-bias-correction", "--json", "--quiet",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.err == ""
    report = ran.document
    assert report["format"] == "qonnx"
    assert report["calibration_images"] == 12
    assert [row["weights"] for row in report["layers"]] == ["int8", *["ternary"] * 7, "int8"]
    assert {row["scales"] for row in report["layers"]} == {1}
    assert report["layers"][1]["activations"] == "uint4"
    assert 0 <= report["same_top1"] <= 1
    assert report["outputs"][0]["sqnr_db"] < 40


def test_the_function_does_the_same(given):
    model, x, out = given
    made = api.quantize(model, np.load(x), out, weights="int4", activations="int4")
    assert made.path == out
    assert made.report["opset"] == 21
    again = api.quantize(model, x, out.with_name("again.onnx"), weights="int4", activations="int4")
    assert out.read_bytes() == again.path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "int1"], "--weights"),
        (["--activations", "ternary"], "--activations"),
        (["--format", "qdq", "--weights", "int3"], "--format"),
        (["--per-tensor", "--per-channel"], "not allowed with"),
        (["--method", "magic"], "--method"),
    ],
)
def test_wrong_options(pulsefold, given, arguments, words):
    model, x, out = given
    ran = pulsefold("quantize", model, "--calibration", x, "-o", out, *arguments)
    assert ran.code == 2
    assert words in ran.err
    assert not out.exists()


def test_nothing_is_written_where_it_cannot_be(pulsefold, given, tmp_path):
    model, x, _ = given
    for place in (tmp_path, tmp_path / "absent" / "q.onnx"):
        ran = pulsefold("quantize", model, "--calibration", x, "-o", place)
        assert ran.code == 2
        assert str(place) in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["float.onnx", "x.npy"]


def test_wrong_calibration_data(pulsefold, given, tmp_path):
    model, _, out = given
    np.save(tmp_path / "bad.npy", np.zeros((2, 16, 16, 3)))
    ran = pulsefold("quantize", model, "--calibration", tmp_path / "bad.npy", "-o", out)
    assert ran.code == 2
    assert "(2, 16, 16, 3)" in ran.err
    assert "(N, 3, 16, 16)" in ran.err
