"""What a board tells of its inside: counters of units, on a virtual board."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import tiny_images, tiny_model

from pulsefold.boards import get_board
from pulsefold.boards.top import BoardTop
from pulsefold.cli import main
from pulsefold.design import load_design
from pulsefold.identity import identity_of
from pulsefold.running import deployed
from pulsefold.sim import golden

IMAGES = 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small network with everything there is for debugging; its folder and a file of inputs."""
    folder = tmp_path_factory.mktemp("tiny")
    onnx.save(tiny_model(), folder / "tiny.onnx")
    np.save(folder / "x.npy", tiny_images(IMAGES))
    options = ["--board", "ulx3s-85f", "--fps", "20000", "--counters"]
    assert main(["compile", str(folder / "tiny.onnx"), "-o", str(folder / "d"), *options]) == 0
    return folder / "d", folder / "x.npy"


def test_units_work_as_long_as_promised(pulsefold, tiny):
    """Whatever they wait for: the cycles in which a unit has work are those that the plan promises."""
    folder, x = tiny
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--statistics", "--json")
    assert ran.code == 0
    found = ran.document["run"]["statistics"]
    plan = load_design(folder).plan
    assert [row["name"] for row in found["units"]] == [unit.name for unit in plan.units]
    assert found["busiest"] == plan.bottleneck.name
    for row, unit in zip(found["units"], plan.units, strict=True):
        assert row["busy"] + row["starved"] + row["stalled"] == found["cycles"]
        assert row["busy_promised"] == IMAGES * unit.cycles
        # A window also works while it fills.
        more = IMAGES * unit.inputs[0].beats if unit.kind == "window" else 0
        assert 0 <= row["busy"] - row["busy_promised"] <= more
    # Behind the first matrix unit nothing is as slow; before it, the window waits for it to take.
    waits = {row["name"]: (row["starved"], row["stalled"]) for row in found["units"]}
    assert waits["first.window"][1] > found["cycles"] / 4
    assert waits["first_a_q"][0] > found["cycles"] / 2
    table = pulsefold("run", folder, "--device", "sim", "--input", x, "--statistics")
    assert "the busiest unit worked, first of layer first" in table.out


def test_counters_count_a_session(tiny):
    folder, _ = tiny
    design = load_design(folder)
    q = golden.quantize_inputs(design.graph, golden.input_arrays(design.graph, tiny_images(3)))
    with deployed(design, "sim") as there:
        there.integers(q)
        once = there.board.statistics()
        there.integers(q)
        twice = there.board.statistics()
    slowest = design.plan.units.index(design.plan.bottleneck)
    assert once[slowest].busy == 3 * design.plan.cycles
    assert twice[slowest].busy == 6 * design.plan.cycles
    # All of one moment.
    assert len({count.cycles for count in once}) == 1


def test_a_design_without_counters(pulsefold, design, images, tmp_path):
    np.save(tmp_path / "x.npy", images[:2])
    ran = pulsefold("run", design, "--device", "sim", "--input", tmp_path / "x.npy", "--statistics")
    assert ran.code == 2
    assert "--counters" in ran.err


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tang-nano-20k"])
def test_tops_with_counters(tiny, board):
    """One clock and two, also where the network's is gated: every domain is there."""
    design = load_design(tiny[0])
    top = BoardTop(get_board(board), 30, design.debug.core(design.plan), identity_of(design))
    assert top.hello.units == len(design.plan.units)
    assert ".counters" in top.rtlil()
