"""The Wishbone slave, under cocotbext-wishbone in Verilator."""

import pytest

from pulsefold.hdl.link.wishbone import WishboneBytes


@pytest.mark.parametrize("depth", [2, 16])
def test_registers(depth, run_bench):
    assert run_bench(WishboneBytes(depth), "wishbone_bench", depth=depth) == 3


def test_depth_is_checked():
    with pytest.raises(ValueError, match="depth must be at least 2"):
        WishboneBytes(1)
