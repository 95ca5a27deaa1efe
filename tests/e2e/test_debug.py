"""What a board tells of its inside: counters of units and the probe, on a virtual board."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
from tiny import tiny_images, tiny_model

from pulsefold.boards import get_board
from pulsefold.boards.top import BoardTop
from pulsefold.cli import main
from pulsefold.design import load_design
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.identity import format_of
from pulsefold.hdl.units import hop
from pulsefold.identity import identity_of
from pulsefold.running import deployed, virtual_board
from pulsefold.sim import golden
from pulsefold.sim.virtual import VirtualBoard

IMAGES = 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small network with everything there is for debugging; its folder and a file of inputs."""
    folder = tmp_path_factory.mktemp("tiny")
    onnx.save(tiny_model(), folder / "tiny.onnx")
    np.save(folder / "x.npy", tiny_images(IMAGES))
    options = ["--board", "ulx3s-85f", "--fps", "20000", "--counters", "--probe"]
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
        # A window also works while it fills; with fewer rows than enough it waits at the turn of each output
        # row, for a place or for a row, which its cycles promise and which is not work.
        filling = IMAGES * unit.inputs[0].beats if unit.kind == "window" else 0
        turns = row["busy_promised"] - IMAGES * max(s.beats for s in (*unit.inputs, *unit.outputs))
        waiting = turns if unit.kind == "window" else 0
        assert -waiting <= row["busy"] - row["busy_promised"] <= filling
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


def test_every_layer_equals_golden(pulsefold, tiny):
    folder, x = tiny
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe", "--limit", "3", "--json")
    assert ran.code == 0
    found = ran.document["run"]["probe"]
    assert found["first_mismatch"] is None
    design = load_design(folder)
    tensors = [name for name in design.plan.network.tensors if name is not None]
    sizes = [3 * design.graph.tensors[name].elements for name in tensors]
    assert [(row["tensor"], row["elements"]) for row in found["streams"]] == list(
        zip(tensors, sizes, strict=True)
    )
    told = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe", "second,join")
    assert told.code == 0
    assert "equal to the golden model: 432 elements of 3 tensors" in told.out


def test_a_wrong_weight_on_the_board_is_found(pulsefold, tiny, tmp_path, monkeypatch):
    """Flipped in the circuit alone: the probe names layer, place and numbers, those that golden has there."""
    words = hop.Hop.words

    def flipped(self):
        found = words(self)
        return [found[0] ^ 1, *found[1:]] if self.unit.name == "second" else found

    monkeypatch.setattr(hop.Hop, "words", flipped)
    folder, x = tmp_path / "d", tiny[1]
    shutil.copytree(tiny[0], folder)
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe", "--json")
    assert ran.code == 1
    found = ran.document["run"]["probe"]
    assert [row["differing"] > 0 for row in found["streams"]] == [False, False, True]
    first = found["first_mismatch"]
    assert (first["layer"], first["unit"]) == ("second", "second")
    design = load_design(folder)
    q = golden.quantize_inputs(design.graph, golden.input_arrays(design.graph, np.load(x)[:1]))
    want = golden.run(design.graph, q, keep=True)[first["tensor"]]
    assert first["golden"] == want[(first["image"], *first["place"])] != first["board"]
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe")
    assert ran.code == 1
    assert "first at layer second, tensor" in ran.out
    assert "equal before it: first\n" in ran.out
    # Where the first layers alone are looked at, the outputs differ.
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe", "first")
    assert ran.code == 1
    assert "the outputs alone" in ran.out


def test_a_noisy_line_hides_nothing(tiny):
    """Beats lost or damaged on the line are sent again; what is looked at stays exact."""
    design = load_design(tiny[0])
    plan, graph = design.plan, design.graph
    q = golden.quantize_inputs(graph, golden.input_arrays(graph, tiny_images(4)))
    want = golden.run(graph, q, keep=True)
    inputs = [q[name] for name in plan.entries]
    with (
        VirtualBoard(virtual_board(design), flips=3e-5, seed=3) as virtual,
        Board.open(virtual.port, timeout=30) as board,
    ):
        for number, k in enumerate(design.debug.probed(plan)):
            name = plan.network.tensors[k]
            layout = format_of(plan.units[k].outputs[0], graph.tensors[name].shape)
            *outputs, got = board.probe(inputs, number, layout)
            np.testing.assert_array_equal(got, want[name])
            np.testing.assert_array_equal(outputs[0], want[plan.exits[0]])
        assert board.sent_again > 0
        # A choice ends with its session.
        np.testing.assert_array_equal(board.infer(inputs)[0], want[plan.exits[0]])


def test_what_cannot_be_looked_at(pulsefold, tiny, design, images, tmp_path):
    folder, x = tiny
    ran = pulsefold("run", folder, "--device", "sim", "--input", x, "--probe", "third")
    assert ran.code == 2
    assert "third" in ran.err
    assert "second" in ran.err
    assert pulsefold("run", folder, "--device", "sim", "--selftest", "--probe").code == 2
    np.save(tmp_path / "x.npy", images[:2])
    ran = pulsefold("run", design, "--device", "sim", "--input", tmp_path / "x.npy", "--probe")
    assert ran.code == 2
    assert "compile it with --probe" in ran.err


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tang-nano-20k"])
def test_tops(tiny, board):
    """With counters and probe, one clock and two, one of them gated: every domain is there."""
    design = load_design(tiny[0])
    top = BoardTop(get_board(board), 30, design.debug.core(design.plan), identity_of(design))
    assert top.hello.units == len(design.plan.units)
    assert ".counters" in top.rtlil()
