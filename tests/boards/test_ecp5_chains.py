"""Carry chains written anew are proven to be the same logic, whatever their open carry in is."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from pulsefold.boards.flow.ecp5_chains import finish_chains
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import find_tool

SOURCE = """\
module top(input [8:0] a, input [8:0] b, input c, output [8:0] sum, output [8:0] difference,
    output [9:0] carried, output less, output signed_less, output [5:0] low);
  assign sum = a + b;
  assign difference = a - b;
  assign carried = a + b + c;
  assign less = a < b;
  assign signed_less = $signed(a) < $signed(b);
  assign low = a[5:0] - 6'd11;
endmodule
"""

#: A chain whose carry comes from a net and whose last is read.
CARRY_IN = """\
module top(input [7:0] a, input [7:0] b, input c, output [7:0] sum, output out);
  wire [7:0] carries, exclusive;
  \\$alu #(.A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(8), .B_WIDTH(8), .Y_WIDTH(8)) add
    (.A(a), .B(b), .CI(c), .BI(1'b0), .X(exclusive), .Y(sum), .CO(carries));
  assign out = carries[7];
endmodule
"""

PROOF = """\
read_json both.json
read_verilog -overwrite +/ecp5/cells_sim.v
miter -equiv before after miter
hierarchy -top miter
proc
flatten
opt -full
sat -verify -prove trigger 0 miter
"""


def yosys(folder: Path, script: str) -> None:
    (folder / "script.ys").write_text(script)
    run_tool(find_tool("yosys"), ["-q", "script.ys"], cwd=folder, log=folder / "log")


def positions(module: dict) -> int:
    """LUT positions, those in front of a carry in and behind a carry out that the router adds included."""
    cells = [cell["connections"] for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    carries = {pins.get("COUT", ["x"])[0] for pins in cells} - {"x"}
    into = {pins.get("CIN", ["x"])[0] for pins in cells} - {"x"}
    return 2 * (len(cells) + len(into - carries) + len(carries - into))


@pytest.mark.parametrize("source", [SOURCE, CARRY_IN], ids=["constants", "net"])
@pytest.mark.parametrize("carry", ["0", "1"])
def test_chains_stay_the_same_logic(tmp_path, source: str, carry: str) -> None:
    (tmp_path / "top.v").write_text(source)
    script = "read_verilog -icells top.v\nsynth_ecp5 -abc9 -top top\nclean -purge\nwrite_json before.json\n"
    yosys(tmp_path, script)
    before = json.loads((tmp_path / "before.json").read_text())["modules"]["top"]
    module = copy.deepcopy(before)
    chains = finish_chains(module)
    assert chains
    assert positions(module) < positions(before)
    cells = [cell["connections"] for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    assert sum(pins["CIN"] == ["x"] for pins in cells) == chains
    for pins in cells:
        pins["CIN"] = [carry] if pins["CIN"] == ["x"] else pins["CIN"]
        for pin in ("S0", "S1", "COUT"):
            if pins.get(pin) == ["x"]:
                del pins[pin]
    (tmp_path / "both.json").write_text(json.dumps({"modules": {"before": before, "after": module}}))
    yosys(tmp_path, PROOF)
