"""Gowin GW1N and GW2A: synth_gowin, nextpnr-himbaechel-gowin, gowin_pack."""

from __future__ import annotations

from collections.abc import Mapping

from pulsefold.boards.board import Board
from pulsefold.boards.flow.base import Flow
from pulsefold.compiler.plan.resources import Resources

__all__ = ["GowinFlow"]


class GowinFlow(Flow):
    """GW1N(R) and GW2A(R). `Board.package` is the die."""

    router = "nextpnr-himbaechel-gowin"
    packer = "gowin_pack"
    constraints_name = "top.cst"
    routed_name = "top.pnr.json"
    bitstream_name = "top.fs"

    def synthesis(self, board: Board, top: str) -> str:
        """Read-write collisions never happen in our memories."""
        family = board.package[:4].lower()
        return f"synth_gowin -family {family} -no-rw-check -top {top}"

    def constraints(self, board: Board) -> str:
        """CST; every pin needs a line, or the router refuses."""
        lines = []
        for port, pin in board.ports().items():
            lines.append(f'IO_LOC "{port}" {pin.site};')
            lines += [f'IO_PORT "{port}" {name}={value};' for name, value in pin.attributes.items()]
        return "\n".join(lines) + "\n"

    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Device, and the die where the device name leaves it open."""
        return [
            *("--device", board.device),
            *("--vopt", f"family={board.package}"),
            *("--vopt", f"cst={self.constraints_name}"),
            *("--write", self.routed_name),
        ]

    def pack_arguments(self, board: Board) -> list[str]:
        """The flash pins serve as plain pins after configuration, as amaranth-boards has it."""
        return [
            *("-d", board.package),
            "--sspi_as_gpio",
            "--mspi_as_gpio",
            *("-o", self.bitstream_name),
            self.routed_name,
        ]

    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """An ALU takes a LUT position; a distributed RAM takes four."""
        return Resources(
            luts=sum(cells.get(f"LUT{n}", 0) for n in (1, 2, 3, 4))
            + cells.get("ALU", 0)
            + 4 * cells.get("RAM16SDP4", 0),
            ffs=sum(count for name, count in cells.items() if name.startswith("DFF")),
            brams=sum(
                cells.get(name, 0) for name in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM")
            ),
            dsps=cells.get("MULT18X18", 0) + cells.get("MULT9X9", 0) / 2,
        )

    def routed(self, used: Mapping[str, int]) -> Resources:
        """From nextpnr's sites; it counts the LUTs of distributed RAM apart."""
        return Resources(
            luts=used.get("LUT4", 0) + used.get("ALU", 0) + 4 * used.get("RAM16SDP4", 0),
            ffs=used.get("DFF", 0),
            brams=used.get("BSRAM", 0),
            dsps=used.get("MULT18X18", 0) + used.get("MULT9X9", 0) / 2,
        )
