"""Placements made better: what moves, what must not, and that nothing but places changes."""

import copy
import json
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pulsefold.boards import get_board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.cachedtools import CachedTools
from pulsefold.boards.flow import ecp5, flow_for
from pulsefold.boards.refine import refine
from pulsefold.boards.refine.constants import local_constants
from pulsefold.boards.refine.legality import check_moved
from pulsefold.boards.refine.packed import BEL, Flag, PackedDesign
from pulsefold.boards.refine.share import COPY_OF, share_loads
from pulsefold.boards.refine.timing import WIRE_NS, PlacedTiming
from pulsefold.boards.steps import Steps
from pulsefold.boards.top import TOP, BoardTop
from pulsefold.errors import ToolFailedError

Module = dict[str, Any]


def steps_in(folder: Path, said: list[str]) -> Steps:
    board = get_board("ulx3s-85f")
    tools = CachedTools(cache=BuildCache(root=folder / "cache"), logs=folder, progress=said.append)
    return Steps(board=board, flow=flow_for(board.family), tools=tools)


def module_of(file: Path) -> Module:
    return json.loads(file.read_text())["modules"][TOP]


@pytest.fixture(scope="module")
def placed(core, tmp_path_factory) -> Module:
    """A link and a small core as nextpnr placed them: carries, LUT RAM, block RAM, multiplexers of LUTs."""
    folder = tmp_path_factory.mktemp("placed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecp5, "_LARGE_LUTS", 0)
        patch.setattr(ecp5, "refine", lambda *_, **__: False)
        steps = steps_in(folder, [])
        netlist = steps.synthesise(BoardTop(steps.board, 100.0, core()).rtlil())
        steps.route(netlist, 100.0, 1)
    (file,) = folder.glob("cache/*/placed.json")
    return module_of(file)


@pytest.fixture
def module(placed) -> Module:
    return copy.deepcopy(placed)


def sites(module: Module) -> dict[str, str]:
    return {name: cell["attributes"][BEL] for name, cell in module["cells"].items()}


def bare(module: Module) -> Module:
    """All but the places, and which of a driver and its copies it is that drives a load."""
    made = copy.deepcopy(module)
    cells = made["cells"]

    def output(name: str) -> int:
        ports = cells[name]["connections"]
        return (ports.get("Q") or ports["F"])[0]

    copies = [(name, cell) for name, cell in cells.items() if COPY_OF in cell["attributes"]]
    assert copies
    same = {output(name): output(cell["attributes"][COPY_OF]) for name, cell in copies}
    for cell in cells.values():
        del cell["attributes"][BEL]
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                cell["connections"][port] = [same.get(bit, bit) for bit in bits]
    return made


@pytest.mark.synth
def test_shorter_faster_legal_and_nothing_but_places(placed, module, cache):
    said: list[str] = []
    refine(module, seed=1, cache=cache, progress=said.append)
    before, after = PackedDesign(placed), PackedDesign(module)
    kinds = Flag.CARRY, Flag.TIED, Flag.LUT_USES_M, Flag.PORT_BLOCK, Flag.BLOCK
    assert all((before.flags & kind).any() for kind in kinds)
    assert bare(module) == bare(placed)
    check_moved(before, after)
    assert np.mean(np.any(before.origin != after.origin, axis=0)) > 0.5
    # The placer saw to wires alone.
    assert PlacedTiming(after).look().longest_ns < PlacedTiming(before).look().longest_ns
    assert len(said) == 1
    assert "of the wire" in said[0]


@pytest.mark.synth
def test_moves_depend_on_the_seed_alone(module, cache):
    again, other = copy.deepcopy(module), copy.deepcopy(module)
    refine(module, seed=1, cache=cache)
    refine(again, seed=1, cache=cache)
    refine(other, seed=2, cache=cache)
    assert sites(again) == sites(module)
    assert sites(other) != sites(module)


@pytest.mark.synth
def test_what_is_not_known_stays(placed, module, cache):
    flop = next(cell for cell in module["cells"].values() if cell["type"] == "TRELLIS_FF")
    flop["parameters"]["CLKMUX"] = "INV"
    said: list[str] = []
    refine(module, seed=1, cache=cache, progress=said.append)
    assert sites(module) == sites(placed)
    assert "stays as it is" in said[0]


@pytest.mark.synth
def test_it_can_be_stopped(module, cache):
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        refine(module, seed=1, cache=cache, stop=stop)


def swap(module: Module, a: str, b: str) -> None:
    one, other = (module["cells"][name]["attributes"] for name in (a, b))
    one[BEL], other[BEL] = other[BEL], one[BEL]


@pytest.mark.synth
@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("site", "two cells at one site"),
        ("carry", "a cluster is torn"),
        ("tied", "does not read the LUT of its slot"),
        ("reset", "not the same clock or reset"),
        ("enable", "not the same clock enable"),
        ("block", "no block's of its class"),
        ("pin", "a cell moved that must not"),
    ],
)
def test_illegal_placements_are_found(placed, module, broken, why):
    design = PackedDesign(placed)
    names, flags = design.names, design.flags

    def with_flag(flag: Flag, but: int = 0) -> list[int]:
        return [k for k in np.flatnonzero(flags & flag).tolist() if not flags[k] & but]

    loose = with_flag(Flag.FLIP_FLOP, Flag.TIED)
    match broken:
        case "site":
            a, b = loose[:2]
            module["cells"][names[a]]["attributes"][BEL] = design.sites[b]
        case "carry":
            a = with_flag(Flag.CARRY)[0]
            b = next(k for k in with_flag(Flag.CARRY) if design.cluster[k] != design.cluster[a])
            swap(module, names[a], names[b])
        case "tied":
            a, b = with_flag(Flag.TIED, Flag.LUT)[:2]
            swap(module, names[a], names[b])
        case "reset" | "enable":
            key = design.tile_nets if broken == "reset" else design.slice_nets
            tile = list(zip(design.x.tolist(), design.y.tolist(), (design.slot // 2).tolist(), strict=True))
            # Its neighbour in the slice keeps the key that it has not.
            a, b = next(
                (a, b)
                for a in loose
                if any(tile[k] == tile[a] and k != a for k in with_flag(Flag.FLIP_FLOP))
                for b in loose
                if key[a] != key[b]
            )
            swap(module, names[a], names[b])
        case "block":
            a = with_flag(Flag.BLOCK)[0]
            module["cells"][names[a]]["attributes"][BEL] = "X4/Y94/EBR0"
        case "pin":
            a = design.types.index("TRELLIS_IO")
            module["cells"][names[a]]["attributes"][BEL] = "X0/Y5/PIOA"
    with pytest.raises(ToolFailedError, match="not legal") as caught:
        check_moved(design, PackedDesign(module))
    assert why in str(caught.value.why)


def cell(kind: str, site: str, outputs: str, **nets: int) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "attributes": {BEL: site},
        "connections": {port: [net] for port, net in nets.items()},
        "port_directions": {port: "output" if port in outputs else "input" for port in nets},
    }


def test_copies_share_loads_by_place():
    """Plain loads one by one; a slice keeps one enable; the flip-flop of a LUT keeps the LUT."""
    cells = {
        "left": cell("TRELLIS_FF", "X2/Y2/SLICEA.FF0", "Q", CLK=1, Q=2, M=9),
        "right": cell("TRELLIS_FF", "X60/Y2/SLICEA.FF0", "Q", CLK=1, Q=3, M=9),
        "lut": cell("TRELLIS_COMB", "X8/Y9/SLICEA.K0", "F", A=9, F=4),
        "own": cell("TRELLIS_FF", "X8/Y9/SLICEA.FF0", "Q", CLK=1, DI=4, Q=20),
        "twin": cell("TRELLIS_COMB", "X9/Y40/SLICEA.K0", "F", A=9, F=5),
        "far": cell("TRELLIS_COMB", "X9/Y44/SLICEB.K0", "F", A=4, F=21),
        "near": cell("TRELLIS_COMB", "X9/Y8/SLICEB.K0", "F", A=5, F=22),
    }
    cells["right"]["attributes"][COPY_OF] = "left"
    cells["twin"]["attributes"][COPY_OF] = "lut"
    # By name each has every other one.
    for k, x in enumerate((3, 5, 7, 55, 57, 59)):
        cells[f"plain{k}"] = cell("TRELLIS_FF", f"X{x}/Y4/SLICEB.FF0", "Q", CLK=1, M=2 + k % 2, Q=30 + k)
    for k, x in enumerate((4, 4, 58, 58)):
        site = f"X{x}/Y6/SLICEC.FF{k % 2}"
        cells[f"enabled{k}"] = cell("TRELLIS_FF", site, "Q", CLK=1, CE=3 - k // 2, M=9, Q=40 + k)
    design = PackedDesign({"cells": cells})
    assert not design.unknown
    assert share_loads(design) > 0

    def driver(name: str, port: str) -> int:
        return cells[name]["connections"][port][0]

    assert [driver(f"plain{k}", "M") for k in range(6)] == [2, 2, 2, 3, 3, 3]
    assert [driver(f"enabled{k}", "CE") for k in range(4)] == [2, 2, 3, 3]
    assert [driver("own", "DI"), driver("near", "A"), driver("far", "A")] == [4, 4, 5]
    assert share_loads(PackedDesign({"cells": cells})) == 0


def test_constants_come_from_near_by():
    """Multipliers of two neighbouring blocks, whose resets share wires, keep one driver among them."""
    ground = cell("TRELLIS_COMB", "X90/Y85/SLICEC.K0", "F", F=2)
    ground["attributes"]["BEL_STRENGTH"] = "1"
    cells = {
        "$PACKER_GND": ground,
        "own": cell("TRELLIS_FF", "X90/Y85/SLICEC.FF0", "Q", CLK=1, DI=2, Q=10),
        "beside": cell("TRELLIS_FF", "X80/Y80/SLICEA.FF0", "Q", CLK=1, M=2, Q=11),
        "other": cell("TRELLIS_FF", "X22/Y70/SLICEA.FF0", "Q", CLK=1, M=2, LSR=5, Q=12),
        # The nearest slots to the multipliers are taken, and beside carries.
        "lut": cell("TRELLIS_COMB", "X22/Y10/SLICEA.K0", "F", A=5, F=5),
        "carry": cell("TRELLIS_COMB", "X22/Y10/SLICEB.K1", "F", A=5, F=13),
    }
    cells["carry"]["parameters"]["MODE"] = "CCU2"
    for number in (0, 1, 4, 5):
        cells[f"product{number}"] = cell("MULT18X18D", f"X{22 + number}/Y10/MULT18_{number}", "P0", RST0=2)
    net = {"hide_name": 1, "bits": [2], "attributes": {}}
    module = {"cells": cells, "netnames": {"$PACKER_GND_NET": net}}
    before = PackedDesign(module)
    assert local_constants(module) == 2
    after = PackedDesign(module)
    check_moved(before, after)

    def driver(name: str, port: str) -> str:
        (bit,) = cells[name]["connections"][port]
        assert [bit] in [net["bits"] for net in module["netnames"].values()]
        return next(n for n, c in cells.items() if c["connections"].get("F") == [bit])

    assert driver("own", "DI") == driver("beside", "M") == "$PACKER_GND"
    (resets,) = {driver(f"product{number}", "RST0") for number in (0, 1, 4, 5)}
    assert cells[resets]["attributes"][BEL] == "X22/Y10/SLICEA.K1"
    assert driver("other", "M") not in (resets, "$PACKER_GND")
    for name in (resets, driver("other", "M")):
        assert cells[name]["parameters"] == ground["parameters"]
    # What is done is not done again.
    assert local_constants(module) == 0


def test_the_longest_path_by_hand():
    """From a flip-flop over a LUT in the next tile but one to a flip-flop in the LUT's own slot, and on."""
    cells = {
        "clock": cell("DCCA", "X0/Y0/DCC0", "CLKO", CLKO=1),
        "a": cell("TRELLIS_FF", "X2/Y2/SLICEA.FF0", "Q", CLK=1, Q=2, M=9),
        "lut": cell("TRELLIS_COMB", "X4/Y2/SLICEB.K1", "F", A=2, F=3),
        "b": cell("TRELLIS_FF", "X4/Y2/SLICEB.FF1", "Q", CLK=1, DI=3, Q=4),
        "c": cell("TRELLIS_FF", "X4/Y5/SLICEB.FF1", "Q", CLK=1, M=4, Q=5),
    }
    design = PackedDesign({"cells": cells})
    assert not design.unknown
    look = PlacedTiming(design).look()
    assert look.longest_ns == pytest.approx(0.52 + WIRE_NS[2] + 0.24)
    shorter = 0.52 + WIRE_NS[3]
    through = dict(zip(design.ports, look.through_ns.tolist(), strict=True))
    assert through["DI"] == pytest.approx(look.longest_ns)
    assert through["M"] == pytest.approx(shorter)


@pytest.mark.synth
def test_a_large_design_is_placed_refined_and_routed_as_it_then_lies(core, tmp_path, monkeypatch):
    monkeypatch.setattr(ecp5, "_LARGE_LUTS", 0)
    said: list[str] = []
    steps = steps_in(tmp_path, said)
    netlist = steps.synthesise(BoardTop(steps.board, 100.0, core()).rtlil())
    routed, report = steps.route(netlist, 100.0, 2, ("--write", "routed.json"))
    (file,) = tmp_path.glob("cache/*/placed.json")
    assert sites(module_of(routed.folder / "routed.json")) == sites(module_of(file))
    assert report.fmax_mhz > 100
    # The link's clock is the oscillator's, as in a single run, and not the compute clock's.
    clocks = json.loads((routed.folder / "timing.json").read_text())["fmax"]
    assert sorted(clock["constraint"] for clock in clocks.values()) == pytest.approx([25, 100, 100])
    assert not (routed.folder / "placed.json").exists()
    assert any("of the wire" in line for line in said)
    assert not routed.cached
    again, _ = steps.route(netlist, 100.0, 2, ("--write", "routed.json"))
    assert again.cached
    steps.pack(again)


@pytest.mark.synth
def test_small_designs_are_placed_and_routed_in_one_run(core, tmp_path):
    said: list[str] = []
    steps = steps_in(tmp_path, said)
    netlist = steps.synthesise(BoardTop(steps.board, 100.0, core()).rtlil())
    steps.route(netlist, 100.0, 1)
    assert not list(tmp_path.glob("cache/*/placed.json"))
    assert any(line.startswith("place and route") for line in said)
