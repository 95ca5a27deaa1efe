"""What every family's flow answers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache
from pulsefold.compiler.plan.resources import Resources
from pulsefold.hdl.register import ANY_INIT

__all__ = ["Flow", "Tell"]

#: Is given a line for people.
Tell = Callable[[str], None]


class Flow(ABC):
    """Synthesis, place and route, and packing for one family, as data.

    All file names are relative to the folder that the tools run in: ``netlist.json``, `constraints_name`,
    `routed_name`, ``timing.json`` and `bitstream_name`. What only some families need has a default here.

    Attributes
    ----------
    router, packer
        Tools for place and route and for bitstreams, names in :data:`pulsefold.boards.toolchain.TOOLS`.
    constraints_name
        File of pin constraints.
    routed_name
        File between router and packer.
    bitstream_name
        File for the board.
    refine_version
        Part of the key of placements that :meth:`refine` made better; raised when it does something else.
    """

    router: ClassVar[str]
    packer: ClassVar[str]
    constraints_name: ClassVar[str]
    routed_name: ClassVar[str]
    bitstream_name: ClassVar[str]
    refine_version: ClassVar[str] = ""

    @staticmethod
    def reading(top: str) -> str:
        """The Yosys commands that read the design before :meth:`synthesis`, from ``{top}.il``."""
        return f"read_rtlil {top}.il; setattr -unset init a:{ANY_INIT}"

    @abstractmethod
    def synthesis(self, board: Board, top: str) -> str:
        """The Yosys command that turns the design into the cells of the board's device."""

    def second_synthesis(self, board: Board, top: str) -> str | None:
        """The same by another way, for designs on which Yosys gives up without a message; None: no other."""
        return None

    def finish(self, netlist: Path) -> None:  # noqa: B027  (most families leave it as it is)
        """Change the synthesised netlist, a Yosys JSON file, in place."""

    @abstractmethod
    def constraints(self, board: Board) -> str:
        """Text of the constraints file."""

    def placed_constraints(self, board: Board) -> str:
        """The same for a netlist that was placed in an earlier run, where names may be others."""
        return self.constraints(board)

    @abstractmethod
    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Family's own arguments for place and route; `luts` as synthesis counts them."""

    def placement(self, board: Board, luts: float) -> list[str] | None:
        """Family's own arguments for a placement that is written to ``placed.json``, and not routed.

        For designs whose placement :meth:`refine` makes better before it is routed; None: it is routed as it
        is, in one run.
        """
        return None

    def refine(  # noqa: B027  (nor do they place designs in a run of its own)
        self, placed: Path, seed: int, cache: BuildCache, tell: Tell, stop: threading.Event
    ) -> None:
        """Make a placement better, in place, from the JSON that the tool wrote.

        `cache` keeps what is compiled for it; `tell` is given a line of what came of it; `stop` ends it with
        :class:`CancelledError`.
        """

    def second_route(self, arguments: list[str], log: Path, still_s: float) -> list[str] | None:
        """Other arguments for a design on which the tool gets no further; None: let it go on.

        `log` is what it has written so far, which has not grown for `still_s` seconds.
        """
        return None

    @abstractmethod
    def pack_arguments(self, board: Board) -> list[str]:
        """All arguments of the packer."""

    @abstractmethod
    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """What a netlist needs at least, from its cells by type."""

    @abstractmethod
    def routed(self, used: Mapping[str, int]) -> Resources:
        """What a placed design takes, from the sites used by type."""
