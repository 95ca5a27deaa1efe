"""Lattice ECP5: synth_ecp5, nextpnr-ecp5, ecppack."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.flow.base import Flow, Tell
from pulsefold.boards.flow.ecp5_blocks import share_blocks, switch_registers_on
from pulsefold.boards.flow.ecp5_chains import finish_chains
from pulsefold.boards.flow.ecp5_constants import own_constants
from pulsefold.boards.flow.ecp5_fanout import spread_loads
from pulsefold.boards.flow.ecp5_multipliers import absorb_registers
from pulsefold.boards.refine import refine
from pulsefold.boards.refine.annealer import compiler
from pulsefold.boards.refine.constants import local_constants
from pulsefold.compiler.plan.resources import Resources
from pulsefold.errors import PulsefoldError
from pulsefold.hdl.memory.rom import MAPPED_ALONE

__all__ = ["Ecp5Flow"]

#: The router's options, by device; there is no 12F with serial transceivers.
_DEVICES = {"LFE5U-12F": "--12k"} | {
    f"LFE5{kind}-{size}F": f"--{prefix}{size}k"
    for kind, prefix in (("U", ""), ("UM", "um-"), ("UM5G", "um5g-"))
    for size in (25, 45, 85)
}

#: From here on the analytic placer wins: at 21.7 k LUT it routed at 132 MHz where the default got far less.
_LARGE_LUTS = 10_000

#: What mapping takes a wire to last, in ps. Yosys says 300; routed, one lasts twice as long and more, and
#: LUTs in a row are slower beside carry chains than it takes them to be.
_WIRE_PS = 700

#: Net of the oscillator once nextpnr has put it on the clock network.
_LINK_CLOCK = "$glbnet$clk$TRELLIS_IO_IN"

#: Settings of the run that placed a design, which the one that routes it would take over from the file.
_SETTINGS = ("placer", "router", "seed")

#: Attributes that say where in the source a cell comes from, half of that file.
_VERBOSE = ("src", "module_not_derived", "hdlname")

#: Loads of a net that is not a clock. The placer puts what drives hundreds in the middle of all of them.
_MOST_LOADS = 48


#: Last line of a router1 that is at work: the seconds that it has taken so far.
_ROUTED = re.compile(rb"Info: +\d+ \|[^\n]*\| +\d+\| +[\d.]+ +([\d.]+)\|\s*\Z")

#: Seeds of the second try are those of the first and this.
_AGAIN = 1 << 20

#: Seconds without a further line after which it may be standing still.
_STILL_S = 120


def _top(document: Mapping[str, Any]) -> dict[str, Any]:
    """The flattened design; any other modules are models of cells."""
    return next(m for m in document["modules"].values() if "top" in m["attributes"])


class Ecp5Flow(Flow):
    """ECP5."""

    router = "nextpnr-ecp5"
    packer = "ecppack"
    constraints_name = "top.lpf"
    routed_name = "top.config"
    bitstream_name = "top.bit"
    refine_version = "3"

    def synthesis(self, board: Board, top: str) -> str:
        """ABC9 knows the delays of the family; read-write collisions never happen in our memories."""
        return self._mapped(top, "")

    def second_synthesis(self, board: Board, top: str) -> str:
        """ABC9 given the flip-flops too: it maps the netlists on which it otherwise ends without a word."""
        return self._mapped(top, " -dff")

    @staticmethod
    def _mapped(top: str, options: str) -> str:
        """The network mapped apart from the link, then both flattened.

        Mapping gives up depth for area as far as the deepest logic of what it maps goes. The link's runs at
        the board's own clock, deeper than what the network's allows. Memories of LUTs are mapped each by
        itself: it shares what leads to their bits else, where one LUT with its multiplexers is least.
        """
        synth = f"synth_ecp5 -abc9 -no-rw-check -top {top} -run"
        return "; ".join(
            [
                f"setattr -mod -set keep_hierarchy 1 {top}.network *.{MAPPED_ALONE}*",
                f"{synth} begin:map_luts",
                "check -latchonly -assert",
                "techmap -map +/lattice/latches_map.v",
                f"abc9 -W {_WIRE_PS}{options}",
                "clean",
                f"{synth} map_cells:",
                "setattr -mod -unset keep_hierarchy *",
                "flatten",
                "opt_clean",
            ]
        )

    def finish(self, netlist: Path) -> None:
        """Ends of carry chains, registers of block RAM and multipliers, shared blocks, constants, copies."""
        document = json.loads(netlist.read_text())
        module = _top(document)
        finish_chains(module)
        switch_registers_on(module)
        absorb_registers(module)
        shared = share_blocks(module)
        own_constants(module)
        spread_loads(module, _MOST_LOADS)
        netlist.write_text(json.dumps(document))
        counts = netlist.parent / "cells.json"
        if shared and counts.exists():
            cells = json.loads(counts.read_text())
            cells["design"]["num_cells_by_type"]["DP16KD"] -= shared
            counts.write_text(json.dumps(cells))

    def constraints(self, board: Board) -> str:
        """LPF; without the oscillator's frequency the link would be made as fast as the network."""
        lines = ["BLOCK ASYNCPATHS;", "BLOCK RESETPATHS;"]
        lines.append(f'FREQUENCY PORT "clk" {board.clock_mhz:g} MHZ;')
        for port, pin in board.ports().items():
            lines.append(f'LOCATE COMP "{port}" SITE "{pin.site}";')
            if pin.attributes:
                attributes = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
                lines.append(f'IOBUF PORT "{port}" {attributes};')
        return "\n".join(lines) + "\n"

    def placed_constraints(self, board: Board) -> str:
        """The oscillator's frequency by the name of its clock net: the port's is in front of buffers."""
        return self.constraints(board) + f'FREQUENCY NET "{_LINK_CLOCK}" {board.clock_mhz:g} MHZ;\n'

    def route_arguments(self, board: Board, luts: float) -> list[str]:
        """Device and, for large designs, the placer that copes with them."""
        if board.device not in _DEVICES:
            raise PulsefoldError(
                f"the ECP5 flow knows no device {board.device!r}",
                where=board.title,
                todo=f"give the board's file one of {', '.join(_DEVICES)}",
            )
        return [*self._placement(board, luts), *("--textcfg", self.routed_name)]

    def _placement(self, board: Board, luts: float) -> list[str]:
        arguments = [
            _DEVICES[board.device],
            *("--package", board.package),
            *("--speed", board.speed),
            *("--lpf", self.constraints_name),
        ]
        if luts >= _LARGE_LUTS:
            arguments += ["--placer", "static", "--router", "router1"]
        return arguments

    def placement(self, board: Board, luts: float) -> list[str] | None:
        """For large designs: the analytic placer knows wires and not time, and strews blocks about."""
        if luts < _LARGE_LUTS or compiler() is None:
            return None
        return [*self._placement(board, luts), "--no-route", "--write", "placed.json"]

    def refine(self, placed: Path, seed: int, cache: BuildCache, tell: Tell, stop: threading.Event) -> None:
        """By annealing, and constants from near by; the settings that the router would read are taken out."""
        document = json.loads(placed.read_text())
        if not refine(_top(document), seed=seed, cache=cache, stop=stop, progress=tell):
            document = json.loads(placed.read_text())
        module = _top(document)
        local_constants(module)
        for setting in _SETTINGS:
            module["settings"].pop(setting, None)
        for cell in (*module["cells"].values(), *module["netnames"].values()):
            for name in _VERBOSE:
                cell["attributes"].pop(name, None)
        placed.write_text(json.dumps(document))

    def second_route(self, arguments: list[str], log: Path, still_s: float) -> list[str] | None:
        """Another order of arcs, and then the other router, where the last are in each other's way for ever.

        router1 reaches the higher clock, and mostly ends. Where it does not, it writes a line for each
        thousand arcs until hardly any are left, and then no more.
        """
        if "router1" not in arguments:
            return None
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
            row = _ROUTED.search(stream.read())
        if row is None or still_s < max(_STILL_S, float(row[1]) / 2):
            return None
        seed = arguments.index("--seed") + 1
        if int(arguments[seed]) < _AGAIN:
            return [*arguments[:seed], str(int(arguments[seed]) + _AGAIN), *arguments[seed + 1 :]]
        return ["router2" if a == "router1" else a for a in arguments]

    def pack_arguments(self, board: Board) -> list[str]:
        """Compressed: loading takes a third of the time."""
        return ["--compress", self.routed_name, self.bitstream_name]

    def synthesised(self, cells: Mapping[str, int]) -> Resources:
        """A CCU2C takes two LUT positions, a distributed RAM two and its write ports two more."""
        return Resources(
            luts=cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0),
            ffs=cells.get("TRELLIS_FF", 0),
            brams=cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0),
            dsps=cells.get("MULT18X18D", 0),
        )

    def routed(self, used: Mapping[str, int]) -> Resources:
        """From nextpnr's sites."""
        return Resources(
            luts=used.get("TRELLIS_COMB", 0),
            ffs=used.get("TRELLIS_FF", 0),
            brams=used.get("DP16KD", 0),
            dsps=used.get("MULT18X18D", 0),
        )
