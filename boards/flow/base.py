"""What every family's flow answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pulsefold.boards.board import Board
from pulsefold.compiler.plan.resources import Resources

__all__ = ["Flow"]


class Flow(Protocol):
    """Synthesis, place and route, and packing for one family, as data.

    All file names are relative to the folder that the tools run in: ``netlist.json``, `constraints_name`,
    `routed_name`, ``timing.json`` and `bitstream_name`.
    """

    @property
    def router(self) -> str:
        """Place-and-route tool, a name in :data:`pulsefold.boards.toolchain.TOOLS`."""
        ...

    @property
    def packer(self) -> str:
        """Bitstream tool, likewise."""
        ...

    @property
    def constraints_name(self) -> str:
        """File of pin constraints."""
        ...

    @property
    def routed_name(self) -> str:
        """File between router and packer."""
        ...

    @property
    def bitstream_name(self) -> str:
        """File for the board."""
        ...

    def synthesis(self, board: Board, top: str) -> str:
        """The Yosys command that turns the design into the cells of the board's device."""
        ...

    def second_synthesis(self, board: Board, top: str) -> str | None:
        """The same by another way, for designs on which Yosys gives up without a message; None: no other."""
        ...

    def finish(self, netlist: Path) -> None:
        """Change the synthesised netlist, a Yosys JSON file, in place."""
        ...

    def constraints(self, board: Board) -> str:
        """Text of the constraints file."""
        ...

    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Family's own arguments; `luts` as synthesis counts them."""
        ...

    def first_placement(self, board: Board, need: Resources) -> list[str] | None:
        """Family's own arguments for a placement that is written to ``placed.json``, and not routed.

        For designs that are placed twice, with :meth:`sites` in between; None: once is enough.
        """
        ...

    def sites(self, placed: Path) -> dict[str, str]:
        """Sites to fix in the second placement, by cell, from the JSON of the first."""
        ...

    def second_route(self, arguments: list[str], log: Path, still_s: float) -> list[str] | None:
        """Other arguments for a design on which the tool gets no further; None: let it go on.

        `log` is what it has written so far, which has not grown for `still_s` seconds.
        """
        ...

    def pack_arguments(self, board: Board) -> list[str]:
        """All arguments of the packer."""
        ...

    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """What a netlist needs at least, from its cells by type."""
        ...

    def routed(self, used: Mapping[str, int]) -> Resources:
        """What a placed design takes, from the sites used by type."""
        ...
