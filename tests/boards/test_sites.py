"""Large blocks at the sites where their logic is."""

import json
from pathlib import Path
from typing import Any

import pytest

from pulsefold.boards import get_board
from pulsefold.boards.cachedtools import CachedTools
from pulsefold.boards.flow import ecp5, flow_for
from pulsefold.boards.flow.ecp5_fanout import regroup_loads
from pulsefold.boards.flow.ecp5_placement import Placement
from pulsefold.boards.flow.ecp5_sites import fix_blocks
from pulsefold.boards.steps import Steps
from pulsefold.boards.top import TOP, BoardTop

#: Directions of the cells' only port, whatever it is.
PORTS = {"P": "inout"}


def cell(kind: str, *nets: int) -> dict[str, Any]:
    return {"type": kind, "attributes": {}, "connections": {"P": list(nets)}, "port_directions": PORTS}


def fixed(cells: dict[str, Any], sites: dict[str, str]) -> dict[str, str]:
    """Where blocks are fixed that were placed at some sites."""
    placed = {"cells": {name: {"attributes": {"NEXTPNR_BEL": site}} for name, site in sites.items()}}
    fix_blocks({"cells": cells}, Placement({"cells": cells}, placed))
    return {n: c["attributes"]["BEL"] for n, c in cells.items() if "BEL" in c["attributes"]}


@pytest.mark.parametrize("kind", ["DP16KD", "MULT18X18D"])
def test_blocks_exchange_their_sites(kind):
    cells = {
        "a": cell(kind, 1, 2),
        "b": cell(kind, 3),
        "c": cell(kind, 4),
        "near b": cell("LUT4", 1, 4),
        "near a": cell("TRELLIS_FF", 3),
        "left": cell("TRELLIS_FF", 2),
        "unplaced": cell("X", 1),
    }
    sites = {
        "a": "X90/Y10/S0",
        "b": "X10/Y10/S0",
        "c": "X50/Y80/S1",
        "near b": "X12/Y20/L",
        "near a": "X88/Y15/F",
        "left": "X8/Y9/F",
    }
    assert fixed(cells, sites) == {"a": "X10/Y10/S0", "b": "X90/Y10/S0", "c": "X50/Y80/S1"}


def test_blocks_of_two_kinds_keep_to_sites_of_their_own():
    cells = {
        "memory": cell("DP16KD", 1),
        "product": cell("MULT18X18D", 2),
        "right": cell("TRELLIS_FF", 2),
        "left": cell("TRELLIS_FF", 1),
    }
    sites = {"memory": "X90/Y10/M", "product": "X10/Y10/D", "right": "X91/Y10/F", "left": "X11/Y10/F"}
    assert fixed(cells, sites) == {"memory": "X90/Y10/M", "product": "X10/Y10/D"}


def test_logic_is_where_what_it_was_made_part_of_is():
    mux = {"BLUT": [1], "ALUT": [2], "Z": [3]}
    cells = {
        "lut": {"type": "LUT4", "connections": {"Z": [1]}, "port_directions": {"Z": "output"}},
        "mux": {"type": "PFUMX", "connections": mux, "port_directions": {"BLUT": "input", "Z": "output"}},
        "sum": {"type": "CCU2C", "connections": {}, "port_directions": {}},
        "elsewhere": {"type": "DCCA", "connections": {}, "port_directions": {}},
    }
    placed = {
        "lut": {"attributes": {"NEXTPNR_BEL": "X3/Y4/SLICEA.LUT0"}},
        "sum$CCU2_COMB0": {"attributes": {"NEXTPNR_BEL": "X5/Y6/SLICEA.LUT0"}},
        "elsewhere": {"attributes": {}},
    }
    found = Placement({"cells": cells}, {"cells": placed})
    assert found.at == {"lut": (3, 4), "mux": (3, 4), "sum": (5, 6)}


def test_copies_share_loads_by_place():
    def flop(reads: int, net: int, **attributes: str) -> dict[str, Any]:
        ports = {"DI": "input", "Q": "output"}
        return {
            "type": "TRELLIS_FF",
            "attributes": attributes,
            "connections": {"DI": [reads], "Q": [net]},
            "port_directions": ports,
        }

    cells = {"enable": flop(1, 2), "enable$copy3": flop(1, 3, copy_of="enable"), "other": flop(1, 4)}
    # By name each has every other load.
    cells |= {f"x{k}": flop(2 + k % 2, 10 + k) for k in range(6)} | {"y": flop(4, 20), "lost": flop(3, 21)}
    at = {f"x{k}": (10.0 * k, 5.0) for k in range(6)} | {"y": (0.0, 0.0), "enable": (50.0, 5.0)}
    regroup_loads({"cells": cells}, at)
    assert [cells[f"x{k}"]["connections"]["DI"] for k in range(6)] == [[2], [2], [2], [3], [3], [3]]
    assert cells["y"]["connections"]["DI"] == [4]
    assert cells["lost"]["connections"]["DI"] == [3]


@pytest.mark.synth
def test_what_a_first_placement_showed_is_kept(core, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(ecp5, "_LARGE_LUTS", 0)
    monkeypatch.setattr(ecp5, "_FEW_BLOCKS", 1)
    board, said = get_board("ulx3s-85f"), []
    tools = CachedTools(cache=cache, logs=tmp_path, progress=said.append)
    steps = Steps(board=board, flow=flow_for(board.family), tools=tools)
    netlist = steps.synthesise(BoardTop(board, 100.0, core()).rtlil())
    placed = steps.first_placement(netlist, 100.0)
    assert placed is not None

    def cells_of(file: Path) -> dict[str, Any]:
        return json.loads(file.read_text())["modules"][TOP]["cells"]

    cells = cells_of(placed.folder / "netlist.json")
    wanted = {name: made["attributes"]["BEL"] for name, made in cells.items() if made["type"] == "DP16KD"}
    assert wanted
    assert cells.keys() == cells_of(netlist.folder / "netlist.json").keys()
    routed, _ = steps.route(netlist, 100.0, 2, ("--write", "routed.json"), placed=placed)
    found = cells_of(routed.folder / "routed.json")
    assert {name: found[name]["attributes"]["NEXTPNR_BEL"] for name in wanted} == wanted
    assert {path.name for path in placed.folder.iterdir()} == {"netlist.json", "top.lpf", "log", "seconds"}
    again = steps.first_placement(netlist, 100.0)
    assert again is not None
    assert again.cached


@pytest.mark.synth
def test_small_designs_are_placed_once(core, cache, tmp_path):
    board = get_board("ulx3s-85f")
    tools = CachedTools(cache=cache, logs=tmp_path, progress=print)
    steps = Steps(board=board, flow=flow_for(board.family), tools=tools)
    netlist = steps.synthesise(BoardTop(board, 100.0, core()).rtlil())
    assert steps.first_placement(netlist, 100.0) is None
