"""Lattice iCE40: synth_ice40, nextpnr-ice40, icepack."""

from __future__ import annotations

from collections.abc import Mapping

from pulsefold.boards.board import Board
from pulsefold.boards.flow.base import Flow
from pulsefold.compiler.plan.resources import Resources

__all__ = ["Ice40Flow"]


class Ice40Flow(Flow):
    """iCE40 HX and UltraPlus."""

    router = "nextpnr-ice40"
    packer = "icepack"
    constraints_name = "top.pcf"
    routed_name = "top.asc"
    bitstream_name = "top.bin"

    def synthesis(self, board: Board, top: str) -> str:
        """With multipliers where there are; read-write collisions never happen in our memories."""
        kind = "u -dsp" if board.device.startswith("up") else "hx"
        return f"synth_ice40 -device {kind} -abc9 -no-rw-check -top {top}"

    def constraints(self, board: Board) -> str:
        """PCF; attributes are the options of ``set_io``."""
        lines = []
        for port, pin in board.ports().items():
            options = "".join(f" {name} {value}" for name, value in pin.attributes.items())
            lines.append(f"set_io{options} {port} {pin.site}")
        return "\n".join(lines) + "\n"

    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Device."""
        return [
            f"--{board.device}",
            *("--package", board.package),
            *("--pcf", self.constraints_name),
            *("--asc", self.routed_name),
        ]

    def pack_arguments(self, board: Board) -> list[str]:
        """From text to bits."""
        return [self.routed_name, self.bitstream_name]

    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """Carry cells share their LUT's position, as a rule."""
        return Resources(
            luts=cells.get("SB_LUT4", 0),
            ffs=sum(count for name, count in cells.items() if name.startswith("SB_DFF")),
            brams=sum(count for name, count in cells.items() if name.startswith("SB_RAM40")),
            dsps=cells.get("SB_MAC16", 0),
        )

    def routed(self, used: Mapping[str, int]) -> Resources:
        """A logic cell is one LUT and one flip-flop; the sites don't tell which half is used."""
        return Resources(
            luts=used.get("ICESTORM_LC", 0),
            ffs=0,
            brams=used.get("ICESTORM_RAM", 0),
            dsps=used.get("ICESTORM_DSP", 0),
        )
