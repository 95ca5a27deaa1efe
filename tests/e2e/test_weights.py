"""Weights of another model loaded into a circuit, on a virtual board."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import tiny_images, tiny_model

from pulsefold.cli import main
from pulsefold.design import load_design
from pulsefold.errors import DeviceError
from pulsefold.firmware.board import Board
from pulsefold.hdl.debug.upload import digest
from pulsefold.retraining import contents_of, retrained
from pulsefold.running import virtual_board
from pulsefold.sim import golden
from pulsefold.sim.virtual import VirtualBoard

IMAGES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A design whose weights can be written, other models and inputs."""
    folder = tmp_path_factory.mktemp("weights")
    for seed in (0, 1):
        onnx.save(tiny_model(seed), folder / f"{seed}.onnx")
    np.save(folder / "x.npy", tiny_images(IMAGES))
    options = ["--board", "ulx3s-85f", "--fps", "20000", "--writable-weights"]
    assert main(["compile", str(folder / "0.onnx"), "-o", str(folder / "d"), *options]) == 0
    assert main(["compile", str(folder / "1.onnx"), "-o", str(folder / "other"), *options[:4]]) == 0
    return folder


def expected(pulsefold, design, folder):
    made = (
        "simulate",
        design,
        "--level",
        "golden",
        "--input",
        folder / "x.npy",
        "--output",
        folder / "z.npy",
    )
    assert pulsefold(*made).code == 0
    return np.load(folder / "z.npy")


@pytest.mark.parametrize("given", ["1.onnx", "other"])
def test_results_are_those_of_the_other_model(pulsefold, folder, given):
    device = ("--device", "sim", "--input", folder / "x.npy", "--output", folder / "y.npy")
    assert pulsefold("run", folder / "d", *device).code == 0
    mine, others = expected(pulsefold, folder / "d", folder), expected(pulsefold, folder / "other", folder)
    np.testing.assert_array_equal(np.load(folder / "y.npy"), mine)
    assert pulsefold("run", folder / "d", *device, "--weights", folder / given).code == 0
    np.testing.assert_array_equal(np.load(folder / "y.npy"), others)
    assert (mine != others).any()


def test_what_is_loaded_is_known(folder):
    """The digest outlives sessions and resets; what came in part is nobody's."""
    mine = load_design(folder / "d")
    other = retrained(mine, folder / "1.onnx")
    q = golden.quantize_inputs(mine.graph, golden.input_arrays(mine.graph, tiny_images(IMAGES)))
    inputs = [q[name] for name in mine.plan.entries]
    results = {}
    with (
        VirtualBoard(virtual_board(mine), flips=3e-5, seed=5) as virtual,
        Board.open(virtual.port, timeout=30) as board,
    ):
        data = {name: contents_of(d.plan) for name, d in (("mine", mine), ("other", other))}
        assert board.loaded() == digest(data["mine"])
        for name in ("other", "mine", "other"):
            board.load(data[name], digest(data[name]))
            (results[name],) = board.infer(inputs)
            assert board.loaded() == digest(data[name])
        virtual.press_reset()
        assert board.loaded() == digest(data["other"])
        # A host that dies in the middle of it leaves nothing that passes for whole.
        half = data["mine"][: len(data["mine"]) // 2]
        with pytest.raises(DeviceError):
            board._session.open(30)
            board._session.stream(iter([(14, b"\1" + half)]), {14: 16}, 1.0, lambda *_: None)
        assert board.loaded() == bytes(16)
        board.load(data["mine"], digest(data["mine"]))
        np.testing.assert_array_equal(board.infer(inputs)[0], results["mine"])
    for name, design in (("mine", mine), ("other", other)):
        want = golden.run(design.graph, golden.quantize_inputs(design.graph, {"x": tiny_images(IMAGES)}))
        np.testing.assert_array_equal(results[name], want[design.plan.exits[0]])


def test_another_structure_is_refused(pulsefold, folder, design, model, tmp_path):
    device = ("--device", "sim", "--input", folder / "x.npy")
    ran = pulsefold("run", folder / "d", *device, "--weights", model)
    assert ran.code == 2
    assert "layers" in ran.err
    wide = tiny_model(1)
    weights = next(i for i in wide.graph.initializer if i.name == "second_w")
    values = onnx.numpy_helper.to_array(weights) * np.int8(18)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(wide, tmp_path / "wide.onnx")
    ran = pulsefold("run", folder / "d", *device, "--weights", tmp_path / "wide.onnx")
    assert ran.code == 2
    assert "unit second" in ran.err
    ran = pulsefold("run", folder / "d", *device, "--weights", tmp_path / "none.onnx")
    assert ran.code == 2
    ran = pulsefold("run", folder / "other", *device, "--weights", folder / "1.onnx")
    assert ran.code == 2
    assert "--writable-weights" in ran.err
