"""A network of several inputs and outputs through every verb that takes arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from two import SHAPE, two_in_two_out

FRAMES = 6


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {n: rng.normal(0, 3, (FRAMES, *SHAPE)).astype(np.float32) for n in ("left", "right")}


@pytest.fixture
def folder(pulsefold, tmp_path: Path, arrays) -> Path:
    onnx.save(two_in_two_out(), tmp_path / "two.onnx")
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "both.npz", **arrays)
    made = pulsefold(
        "compile", tmp_path / "two.onnx", "--board", "ulx3s-25f", "-o", tmp_path / "d", "--fps", "1000"
    )
    assert made.code == 0
    return tmp_path


def test_every_verb(pulsefold, folder: Path) -> None:
    """simulate, verify and run; inputs by name and in one archive, outputs by name and in one archive."""
    named = [part for name in ("left", "right") for part in ("--input", f"{name}={folder / f'{name}.npy'}")]
    archived = ["--input", folder / "both.npz"]
    out = ["--output", f"mix={folder / 'mix.npy'}", "--output", f"maps={folder / 'maps.npy'}"]
    assert pulsefold("simulate", folder / "d", *named, *out, "--level", "golden").code == 0
    want = {name: np.load(folder / f"{name}.npy") for name in ("mix", "maps")}
    assert want["mix"].shape == (FRAMES, *SHAPE)
    assert want["maps"].shape == (FRAMES, 3, *SHAPE[1:])
    assert all(len(np.unique(y)) > 10 for y in want.values())

    def same(*arguments: object) -> dict:
        ran = pulsefold(*arguments, "--output", folder / "y.npz", "--json")
        assert ran.code == 0
        with np.load(folder / "y.npz") as found:
            assert set(found) == set(want)
            for name, y in want.items():
                np.testing.assert_array_equal(found[name], y, err_msg=name)
        (folder / "y.npz").unlink()
        return ran.document

    figures = same("simulate", folder / "d", *archived, "--stalls", "0.3")["simulation"]
    assert (figures["images"], figures["mismatches"]) == (FRAMES, 0)
    figures = same("run", folder / "d", "--device", "sim", *named)["run"]
    assert figures["images"] == FRAMES
    verified = pulsefold("verify", folder / "d", *archived, "--json")
    assert verified.code == 0
    assert [rung["passed"] for rung in verified.document["rungs"]] == [True] * 4


def test_what_is_left_out_is_asked_for(pulsefold, folder: Path, arrays) -> None:
    left, both = folder / "left.npy", folder / "both.npz"
    np.savez(folder / "short.npz", left=arrays["left"], right=arrays["right"][:2])
    for arguments, words in [
        (["--input", left], ("left", "right")),
        (["--input", f"left={left}"], ("right",)),
        (["--input", f"left={left}", "--input", f"middle={left}"], ("middle", "left")),
        (["--input", folder / "short.npz"], ("left", "right")),
        (["--input", both, "--output", folder / "y.npy"], ("mix", "maps", ".npz")),
        (["--input", both, "--output", f"sum={folder / 'y.npy'}"], ("sum", "mix")),
    ]:
        ran = pulsefold("simulate", folder / "d", "--level", "golden", *arguments)
        assert ran.code == 2
        assert ran.err.count("error: ") == 1
        for word in words:
            assert word in ran.err
        assert not (folder / "y.npy").exists()
