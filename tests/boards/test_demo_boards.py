"""The demo's network as a bitstream for every board there is."""

from pathlib import Path

import pytest

import pulsefold
from pulsefold.boards import all_boards

DEMO = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("board", all_boards(), ids=lambda board: board.name)
def test_demo_fits_and_meets_its_clock(board, tmp_path):
    pulsefold.compile(DEMO, board=board.name, out=tmp_path, fps=5_000)
    made = pulsefold.build(tmp_path, seeds=3)["implementation"]
    assert made["timing_met"]
    assert made["fmax_mhz"] >= board.compute_mhz
    assert 0 < made["luts"] < board.usable * board.resources.luts
    assert (tmp_path / made["bitstream"]).stat().st_size > 10_000
