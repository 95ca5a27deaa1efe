"""Lattice Nexus (CrossLink-NX): synth_nexus, nextpnr-nexus, prjoxide."""

from __future__ import annotations

from collections.abc import Mapping

from pulsefold.boards.board import Board
from pulsefold.boards.flow.base import Flow
from pulsefold.compiler.plan.resources import Resources

__all__ = ["NexusFlow"]


class NexusFlow(Flow):
    """LIFCL. `Board.device` holds package and speed grade."""

    router = "nextpnr-nexus"
    packer = "prjoxide"
    constraints_name = "top.pdc"
    routed_name = "top.fasm"
    bitstream_name = "top.bit"

    def synthesis(self, board: Board, top: str) -> str:
        """LUTs by ABC: ABC9 makes a constant of a carry chain's first cell, and the router refuses the rest.

        Read-write collisions never happen in our memories.
        """
        synth = f"synth_nexus -family lifcl -no-rw-check -top {top} -run"
        return f"{synth} begin:map_luts; abc -lut 4; clean; {synth} map_cells:"

    def constraints(self, board: Board) -> str:
        """PDC; a port of a bus wants its brackets kept."""
        lines = []
        for port, pin in board.ports().items():
            lines.append(f"ldc_set_location -site {{{pin.site}}} [get_ports {{{port}}}]")
            if pin.attributes:
                attributes = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
                lines.append(f"ldc_set_port -iobuf {{{attributes}}} [get_ports {{{port}}}]")
        return "\n".join(lines) + "\n"

    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Device, and the router that finds the way from a clock pin to the clock network."""
        return [
            *("--device", board.device),
            *("--pdc", self.constraints_name),
            *("--fasm", self.routed_name),
            *("--router", "router1"),
        ]

    def pack_arguments(self, board: Board) -> list[str]:
        """From text to bits."""
        return ["pack", self.routed_name, self.bitstream_name]

    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """A CCU2 or WIDEFN9 takes two LUT positions, a distributed RAM two and its write ports two more."""
        return Resources(
            luts=cells.get("LUT4", 0)
            + cells.get("INV", 0)
            + 2 * (cells.get("CCU2", 0) + cells.get("WIDEFN9", 0))
            + 4 * cells.get("DPR16X4", 0),
            ffs=sum(count for name, count in cells.items() if name.startswith("FD1P3")),
            brams=sum(cells.get(name, 0) for name in ("DP16K_MODE", "PDP16K_MODE", "PDPSC16K_MODE")),
            dsps=cells.get("MULT18X18", 0) + cells.get("MULT9X9", 0) / 2,
        )

    def routed(self, used: Mapping[str, int]) -> Resources:
        """From nextpnr's sites."""
        return Resources(
            luts=used.get("OXIDE_COMB", 0),
            ffs=used.get("OXIDE_FF", 0),
            brams=used.get("OXIDE_EBR", 0),
            dsps=used.get("MULT18_CORE", 0),
        )
