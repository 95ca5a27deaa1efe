"""What the planner leaves for the link, beside the memories of the circuit."""

import re

import pytest

from pulsefold.boards.board import FAMILIES
from pulsefold.boards.support import LINK_OPTIONS, support
from pulsefold.compiler.plan.units.memory import block_bits
from pulsefold.hdl.link.endpoint import Endpoint, EndpointParameters
from pulsefold.hdl.link.identity import Identity
from pulsefold.hdl.link.protocol import Kind, TensorFormat
from pulsefold.sim.cosim.verilog import to_rtlil


@pytest.mark.parametrize("family", FAMILIES)
def test_block_ram_of_the_link(family):
    """It is the inbox's and the outbox's, and both fill what they claim but for the ninth bit of a byte."""
    tensor = TensorFormat(beats=1, lanes=1, bits=8, kind=Kind.UNSIGNED, shape=(1, 1, 1))
    identity = Identity(design_id=bytes(16), inputs=(tensor,), outputs=(tensor,))
    hello = identity.hello(clock_hz=1, **LINK_OPTIONS[family])
    text = to_rtlil(Endpoint(EndpointParameters(hello=hello)))
    memories = [
        (int(width), int(depth)) for width, depth in re.findall(r"memory width (\d+) size (\d+)", text)
    ]
    blocks = [width * depth for width, depth in memories if depth >= 256]
    assert len(blocks) == 2
    cost = support(family)
    assert cost.bram_bits == sum(blocks)
    assert cost.bram_bits >= cost.brams * block_bits(family) * 8 / 9
