"""Exports for the makers' tools: Verilog that lints and computes the network, scripts that run."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from two import SHAPE, two_in_two_out

import pulsefold
from pulsefold.boards.export.verilog import MODULE, lint
from pulsefold.cli import main
from pulsefold.design import load_design
from pulsefold.errors import PulsefoldError, ToolFailedError
from pulsefold.sim import golden
from pulsefold.sim.cosim.compile import design_from_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "digits"
    pulsefold.compile(ROOT / "demo" / "digits.onnx", board="ulx3s-85f", out=out, fps=20_000)
    pulsefold.build(out, export="vivado")
    return out


def frame(image, stream):
    """An image's transfers in hexadecimal, as docs/host-link.md has them."""
    bits, size = stream.type.bits, -(-stream.width // 8)
    for beat in stream.type.encode(image.reshape(stream.beats, stream.lanes)).tolist():
        word = sum((value & (1 << bits) - 1) << bits * lane for lane, value in enumerate(beat))
        yield word.to_bytes(size, "little").hex()


@pytest.mark.parametrize("tool", ["vivado", "quartus", "radiant"])
def test_scripts_run_and_name_what_is_there(tool, folder, capsys):
    tkinter = pytest.importorskip("tkinter")
    assert main(["build", str(folder), "--export", tool, "--json", "--quiet"]) == 0
    place = folder / json.loads(capsys.readouterr().out)["exports"][tool]
    scripts = sorted(place.glob("*.tcl"))
    assert place / "build.tcl" in scripts
    for script in scripts:
        # Tcl itself, with the tool's own commands noted instead of done.
        tcl = tkinter.Tcl()
        tcl.eval("set calls {}; set argc 0; set argv {}")
        tcl.eval("proc unknown args {global calls; lappend calls $args; return stub}")
        tcl.eval("rename package {}; rename cd {}")
        tcl.eval(f"source {{{script}}}")
        calls = [[str(word) for word in tcl.splitlist(call)] for call in tcl.splitlist(tcl.getvar("calls"))]
        assert len(calls) > 5
        assert any(MODULE in call for call in calls)
        named = {word for call in calls for word in call if str(place / "rtl") in word}
        assert named == {str(place / "rtl" / f"{MODULE}.v")}
        constraints = {w for c in calls for w in c if w.endswith((".xdc", ".sdc", ".pdc"))}
        assert constraints or script.name == "package_ip.tcl"
        assert all(Path(word).is_file() for word in constraints)
    period = next(p for p in place.iterdir() if p.suffix in (".xdc", ".sdc")).read_text()
    assert "-period 11.111" in period
    assert "| 0x04 | `control` |" in (place / "README.md").read_text()


def check(folder, q, run_bench, cache):
    """The exported Verilog under cocotb against the golden model, for integers by input tensor."""
    plan = load_design(folder).plan
    y = golden.run(plan.graph, q)
    images, results = (
        {
            f"{prefix}_{k}" if len(streams) > 1 else prefix: ["".join(frame(i, stream)) for i in values[name]]
            for k, (name, stream) in enumerate(zip(names, streams, strict=True))
        }
        for prefix, names, streams, values in (
            ("s_axis", plan.entries, plan.inputs, q),
            ("m_axis", plan.exits, plan.outputs, y),
        )
    )
    place = folder / "export" / "vivado"
    registers = re.findall(r"\| (0x..) \| `(\w+)` \|", (place / "README.md").read_text())
    design = design_from_files([place / "rtl" / f"{MODULE}.v"], [], MODULE, cache)
    job = {"images": images, "golden": results, "registers": {name: int(at, 16) for at, name in registers}}
    assert run_bench(design, "export_bench", **job) == 1


def test_exported_verilog_computes_the_network(folder, run_bench, simulator_cache):
    with np.load(ROOT / "demo" / "digits_test.npz") as file:
        x = file["images"][:3].astype(np.float32)
    (entry,) = load_design(folder).graph.inputs
    check(folder, {entry.tensor: golden.quantize_input(entry, x)}, run_bench, simulator_cache)


def test_a_stream_for_each_tensor(tmp_path, run_bench, simulator_cache):
    onnx.save(two_in_two_out(), tmp_path / "two.onnx")
    pulsefold.compile(tmp_path / "two.onnx", board="unlimited", out=tmp_path / "d", fps=1000)
    pulsefold.build(tmp_path / "d", export="vivado")
    rng = np.random.default_rng(1)
    x = {name: rng.normal(0, 3, (4, *SHAPE)).astype(np.float32) for name in ("left", "right")}
    graph = load_design(tmp_path / "d").graph
    q = golden.quantize_inputs(graph, golden.input_arrays(graph, x))
    check(tmp_path / "d", q, run_bench, simulator_cache)
    script = (tmp_path / "d" / "export" / "vivado" / "package_ip.tcl").read_text()
    assert "{s_axis_0 s_axis_1 m_axis_0 m_axis_1 s_axil}" in script


def test_lint_finds_what_is_wrong(folder, tmp_path):
    good = (folder / "export" / "vivado" / "rtl" / f"{MODULE}.v").read_text()
    lint(folder / "export" / "vivado" / "rtl" / f"{MODULE}.v", tmp_path / "log")
    for change, message in [
        (("endmodule", "  MULT18X18D cell_of_a_vendor (.CLK0(aclk));\nendmodule"), "MULT18X18D"),
        (("input aclk;", ""), "aclk"),
    ]:
        bad = tmp_path / "bad.v"
        bad.write_text(good.replace(*change, 1))
        with pytest.raises(ToolFailedError, match="verilator ended with code") as caught:
            lint(bad, tmp_path / "log")
        assert message in str(caught.value.why)


def test_refusals(folder, tmp_path, capsys):
    assert main(["build", str(folder), "--export", "ise"]) == 2
    assert "--export" in capsys.readouterr().err
    with pytest.raises(PulsefoldError, match="no export for 'ise'") as caught:
        pulsefold.build(folder, export="ise")
    assert "vivado, quartus, radiant" in caught.value.todo


def test_failed_export_leaves_the_last_one(folder, monkeypatch):
    before = {p: p.read_bytes() for p in (folder / "export" / "vivado").rglob("*") if p.is_file()}
    monkeypatch.setenv("VERILATOR", "/bin/false")
    with pytest.raises(ToolFailedError, match="verilator ended with code 1"):
        pulsefold.build(folder, export="vivado")
    assert {p: p.read_bytes() for p in (folder / "export" / "vivado").rglob("*") if p.is_file()} == before
    assert not [p for p in (folder / "export").iterdir() if p.name.startswith(".")]
