"""The SPI slave, under a master with a clock of its own, in Verilator."""

import pytest

from pulsefold.hdl.link.spi import SpiParameters, SpiSlave


# The fastest SCK there may be, one that beats against the clock, and a slow one.
@pytest.mark.parametrize("ratio", [10, 10.37, 23.1])
def test_master_of_mode_0(ratio, run_bench):
    assert run_bench(SpiSlave(SpiParameters(depth=32)), "spi_bench", ratio=ratio, depth=32) == 5


@pytest.mark.parametrize("depth", [1, 256])
def test_depth_is_checked(depth):
    with pytest.raises(ValueError, match="depth must be between 2 and 255"):
        SpiParameters(depth=depth)
