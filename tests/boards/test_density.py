"""Where wires of a placement lie; that annealing leads them round where they are many, and shares time."""

from typing import Any

import numpy as np
import pytest

from pulsefold.boards.refine import density
from pulsefold.boards.refine.annealer import LATE_STEPS, Annealer
from pulsefold.boards.refine.density import WireDensity
from pulsefold.boards.refine.packed import BEL, PackedDesign
from pulsefold.boards.refine.timing import WIRE_NS


def cell(kind: str, site: str, outputs: str = "", **nets: int) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "attributes": {BEL: site},
        "connections": {port: [net] for port, net in nets.items()},
        "port_directions": {port: "output" if port in outputs else "input" for port in nets},
    }


def test_a_net_lies_evenly_in_its_box():
    """Four columns by two rows: three tiles of wire along x, one along y."""
    design = PackedDesign(
        {
            "cells": {
                "a": cell("TRELLIS_FF", "X2/Y4/SLICEA.FF0", "Q", CLK=1, M=9, Q=2),
                "b": cell("TRELLIS_FF", "X5/Y3/SLICEA.FF0", "Q", CLK=1, M=2, Q=3),
            }
        }
    )
    along_x, along_y = WireDensity(design, 8, 6).look()
    assert along_x.shape == along_y.shape == (6, 8)
    box = np.zeros((6, 8))
    box[3:5, 2:6] = 1 / 8
    np.testing.assert_allclose(along_x, 3 * box, atol=1e-12)
    np.testing.assert_allclose(along_y, box, atol=1e-12)


def test_nets_of_many_pins_have_branches_and_dedicated_ones_no_wire():
    cells = {
        "a": cell("TRELLIS_FF", "X0/Y0/SLICEA.FF0", "Q", CLK=1, M=9, Q=2),
        **{
            name: cell("TRELLIS_COMB", f"X{x}/Y{y}/SLICEA.K0", "F", A=2, F=10 + x)
            for name, x, y in (("b", 1, 0), ("c", 3, 0), ("d", 7, 1))
        },
        "lut": cell("TRELLIS_COMB", "X4/Y2/SLICEB.K1", "F", A=9, F=3),
        "own": cell("TRELLIS_FF", "X4/Y2/SLICEB.FF1", "Q", CLK=1, DI=3, Q=4),
    }
    along_x, along_y = WireDensity(PackedDesign({"cells": cells}), 9, 4).look()
    assert along_x.sum() == pytest.approx(1.0828 * 7)
    assert along_y.sum() == pytest.approx(1.0828)


def across(nets: int, width: int, height: int) -> PackedDesign:
    """Pads at one end of the middle row, a flip-flop each anywhere, and pads at the other end."""
    cells = {}
    for k in range(nets):
        x, y = 1 + k % (width - 2), k // (width - 2)
        cells[f"from{k}"] = cell("TRELLIS_IO", f"X0/Y{height // 2}/PIO{k}", "O", O=2 * k + 2)
        cells[f"ff{k}"] = cell("TRELLIS_FF", f"X{x}/Y{y}/SLICEA.FF0", "Q", CLK=1, M=2 * k + 2, Q=2 * k + 3)
        cells[f"to{k}"] = cell("TRELLIS_IO", f"X{width - 1}/Y{height // 2}/PIO{k}", I=2 * k + 3)
    return PackedDesign({"cells": cells})


def test_wires_keep_off_where_there_are_too_many(cache, monkeypatch):
    """As short as they can be they all lie in one row."""
    width, height = 12, 13

    def most(price: float) -> float:
        monkeypatch.setattr(density, "_PRICE", price)
        design = across((width - 2) * height, width, height)
        assert not design.unknown
        with Annealer(design, 1, cache) as annealer:
            for _ in range(40):
                annealer.weigh()
                annealer.run(16, 0.3, 6)
        # The pads themselves stay where they are.
        return WireDensity(design, width, height).look()[0][:, 2:-2].max()

    short = most(0.0)
    assert short > density._ROOM
    assert most(2.0) < 0.8 * short


@pytest.mark.parametrize("before, after", [(3.0, 3.0), (4.0, 2.0), (2.5, 5.0)])
def test_two_wires_in_turn_share_the_time(cache, monkeypatch, before, after):
    """Wherever the flip-flop between them lies, they are as long together."""
    monkeypatch.setattr(density, "_PRICE", 0.0)
    width = 80
    design = across(width - 2, width, 1)
    k = design.names.index("ff0")
    into, out = (
        int(np.flatnonzero((design.net_pin == design.names.index(n)) & ~design.drives)[0])
        for n in ("ff0", "to0")
    )

    def paths() -> tuple[float, float]:
        x = int(design.x[k])
        return before + float(WIRE_NS[x]), after + float(WIRE_NS[width - 1 - x])

    with Annealer(design, 1, cache) as annealer:
        annealer.rest[[into, out]] = before, after
        ns = np.arange(len(annealer.late)) / LATE_STEPS
        annealer.late[:] = 200 * (ns / 8) ** 9
        annealer.weigh()
        was = abs(np.subtract(*paths()))
        annealer.run(200, 0.02, 6)
    # A tile to and fro.
    assert was > 1 and abs(np.subtract(*paths())) <= 4 * (WIRE_NS[2] - WIRE_NS[1])


def test_wires_cost_nothing_besides_where_there_is_room():
    design = across(30, 12, 13)
    roomy = WireDensity(design, 12, 13)
    assert roomy.look().max() < density._ROOM
    assert not roomy.prices().any()
