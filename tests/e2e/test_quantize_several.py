"""``pulsefold quantize`` of a network with an image and a vector as inputs, on to its circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import pulsefold as api
import zoo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx.save(zoo.fused(size=5, width=2, features=3), tmp_path / "float.onnx")
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(12, 3, 5, 5)), "speed": rng.normal(0, 9, size=(12, 3))}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
    np.savez(tmp_path / "both.npz", **{name: array.astype(np.float32) for name, array in arrays.items()})
    return tmp_path


def test_to_the_circuit(pulsefold, folder: Path) -> None:
    model, q, d = (folder / name for name in ("float.onnx", "q.onnx", "d"))
    named = [f"{name}={folder / name}.npy" for name in ("speed", "x")]
    data = [part for one in named for part in ("--calibration", one)]
    ran = pulsefold("quantize", model, *data, "-o", q, "--json")
    assert ran.code == 0
    assert ran.document["calibration_images"] == 12
    assert [y["sqnr_db"] > 15 for y in ran.document["outputs"]] == [True, True]
    for again in (["--calibration", folder / "both.npz"], [*data[2:], *data[:2]]):
        assert pulsefold("quantize", model, *again, "-o", folder / "again.onnx").code == 0
        assert (folder / "again.onnx").read_bytes() == q.read_bytes()
    api.quantize(model, {n: folder / f"{n}.npy" for n in ("x", "speed")}, folder / "again.onnx")
    assert (folder / "again.onnx").read_bytes() == q.read_bytes()
    assert pulsefold("compile", q, "--board", "unlimited", "--fps", "5000", "-o", d).code == 0
    given = ["--input", folder / "both.npz", "--limit", "4"]
    ran = pulsefold("simulate", d, *given, "--stalls", "0.3", "--json")
    assert (ran.code, ran.document["simulation"]["mismatches"]) == (0, 0)
    ran = pulsefold("verify", d, *given, "--rungs", "1,2", "--json")
    assert [rung["passed"] for rung in ran.document["rungs"]] == [True, True]


def test_wrong_calibration_data(pulsefold, folder: Path) -> None:
    x, speed = folder / "x.npy", folder / "speed.npy"
    np.save(folder / "few.npy", np.load(speed)[:5])
    for given, words in [
        ([x], ("x, speed", "NAME=X.npy")),
        ([f"x={x}"], ("'speed'",)),
        ([f"x={x}", f"sped={speed}"], ("'sped'", "x, speed")),
        ([f"x={x}", f"speed={folder / 'few.npy'}"], ("12 of x", "5 of speed")),
        ([f"x={speed}", f"speed={x}"], ("(12, 3)", "(N, 3, 5, 5)")),
        ([f"x={x}", f"x={x}"], ("already",)),
        ([f"x={folder / 'absent.npy'}"], ("absent.npy", "no such file")),
    ]:
        data = [part for one in given for part in ("--calibration", one)]
        ran = pulsefold("quantize", folder / "float.onnx", *data, "-o", folder / "q.onnx")
        assert ran.code == 2
        assert ran.err.count("error: ") == 1
        for word in words:
            assert word in ran.err
        assert not (folder / "q.onnx").exists()
