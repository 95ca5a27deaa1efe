"""One build flow a device family: what differs between their tools, and nothing else."""

from __future__ import annotations

from pulsefold.boards.flow.base import Flow
from pulsefold.boards.flow.ecp5 import Ecp5Flow
from pulsefold.boards.flow.gowin import GowinFlow
from pulsefold.boards.flow.ice40 import Ice40Flow
from pulsefold.boards.flow.nexus import NexusFlow

__all__ = ["Flow", "flow_for"]


def flow_for(family: str) -> Flow:
    """The flow of one of :data:`pulsefold.boards.board.FAMILIES`."""
    flows: dict[str, Flow] = {
        "ecp5": Ecp5Flow(),
        "ice40": Ice40Flow(),
        "gowin": GowinFlow(),
        "nexus": NexusFlow(),
    }
    return flows[family]
