"""What a board's circuit has beside the network: its host link, and what that takes of the device."""

from __future__ import annotations

from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units.memory import memory_cost
from pulsefold.hdl.link.identity import LinkOptions
from pulsefold.hdl.link.inbox import inbox_bytes
from pulsefold.hdl.link.outbox import outbox_bytes

__all__ = ["LINK_OPTIONS", "support"]

#: The link of each family: the frames buffered each way, and two slots more of the outbox, fill few block
#: RAMs, of 512 bytes on iCE40 and of 2048 elsewhere. The small device has no counters, as there is no LUT RAM
#: for them.
LINK_OPTIONS: dict[str, LinkOptions] = {
    "ecp5": {"input_slots": 8, "result_slots": 6, "counts": True},
    "ice40": {"input_slots": 4, "result_slots": 2, "counts": False},
    "gowin": {"input_slots": 8, "result_slots": 6, "counts": True},
    "nexus": {"input_slots": 8, "result_slots": 6, "counts": True},
}

#: Logic of the link and resets, as ``bench/link.py`` measures the link; ECP5's crosses clocks, and is about
#: what designs of ``bench/costs.py`` take beside their units.
_LOGIC = {
    "ecp5": Resources(luts=1010, ffs=640),
    "gowin": Resources(luts=1120, ffs=460),
    "ice40": Resources(luts=870, ffs=400),
    "nexus": Resources(luts=760, ffs=400),
}


def support(family: str) -> Resources:
    """What the planner is to leave for the link and resets."""
    link = LINK_OPTIONS[family]
    memories = (inbox_bytes(link["input_slots"]), outbox_bytes(link["result_slots"]))
    return sum((memory_cost(family, depth, 8, "block") for depth in memories), _LOGIC[family])
