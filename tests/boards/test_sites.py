"""Large blocks at the sites where their logic is."""

import json
from typing import Any

import pytest

from pulsefold.boards import get_board
from pulsefold.boards.cachedtools import CachedTools
from pulsefold.boards.flow import ecp5, flow_for
from pulsefold.boards.flow.ecp5_sites import block_sites
from pulsefold.boards.steps import Steps
from pulsefold.boards.top import TOP, BoardTop


def cell(kind: str, site: str, *nets: int) -> dict[str, Any]:
    return {"type": kind, "attributes": {"NEXTPNR_BEL": site}, "connections": {"P": list(nets)}}


@pytest.mark.parametrize("kind", ["DP16KD", "MULT18X18D"])
def test_blocks_exchange_their_sites(kind):
    cells = {
        "a": cell(kind, "X90/Y10/S0", 1, 2),
        "b": cell(kind, "X10/Y10/S0", 3),
        "c": cell(kind, "X50/Y80/S1", 4),
        "near b": cell("TRELLIS_COMB", "X12/Y20/L", 1, 4),
        "near a": cell("TRELLIS_FF", "X88/Y15/F", 3),
        "left": cell("TRELLIS_FF", "X8/Y9/F", 2),
        "unplaced": {"type": "X", "attributes": {}, "connections": {"P": [1, "0"]}},
    }
    assert block_sites({"cells": cells}) == {"a": "X10/Y10/S0", "b": "X90/Y10/S0", "c": "X50/Y80/S1"}


def test_blocks_of_two_kinds_keep_to_sites_of_their_own():
    cells = {
        "memory": cell("DP16KD", "X90/Y10/M", 1),
        "product": cell("MULT18X18D", "X10/Y10/D", 2),
        "right": cell("TRELLIS_FF", "X91/Y10/F", 2),
        "left": cell("TRELLIS_FF", "X11/Y10/F", 1),
    }
    assert block_sites({"cells": cells}) == {"memory": "X90/Y10/M", "product": "X10/Y10/D"}


@pytest.mark.synth
def test_what_a_first_placement_showed_is_kept(core, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(ecp5, "_LARGE_LUTS", 0)
    monkeypatch.setattr(ecp5, "_FEW_BLOCKS", 1)
    board, said = get_board("ulx3s-85f"), []
    tools = CachedTools(cache=cache, logs=tmp_path, progress=said.append)
    steps = Steps(board=board, flow=flow_for(board.family), tools=tools)
    netlist = steps.synthesise(BoardTop(board, 100.0, core()).rtlil())
    sites = steps.sites(netlist, 100.0)
    assert sites is not None
    wanted = json.loads((sites.folder / "sites.json").read_text())
    cells = json.loads((netlist.folder / "netlist.json").read_text())["modules"][TOP]["cells"]
    assert set(wanted) == {name for name, made in cells.items() if made["type"] == "DP16KD"} != set()
    routed, _ = steps.route(netlist, 100.0, 2, ("--write", "routed.json"), sites=sites)
    placed = json.loads((routed.folder / "routed.json").read_text())["modules"][TOP]["cells"]
    assert {name: placed[name]["attributes"]["NEXTPNR_BEL"] for name in wanted} == wanted
    assert {path.name for path in sites.folder.iterdir()} == {"sites.json", "top.lpf", "log", "seconds"}
    again = steps.sites(netlist, 100.0)
    assert again is not None
    assert again.cached


@pytest.mark.synth
def test_small_designs_are_placed_once(core, cache, tmp_path):
    board = get_board("ulx3s-85f")
    tools = CachedTools(cache=cache, logs=tmp_path, progress=print)
    steps = Steps(board=board, flow=flow_for(board.family), tools=tools)
    netlist = steps.synthesise(BoardTop(board, 100.0, core()).rtlil())
    assert steps.sites(netlist, 100.0) is None
