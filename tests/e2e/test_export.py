"""Exports for the makers' tools: Verilog that lints and computes the network, scripts that run."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pulsefold
from pulsefold.boards.export.verilog import MODULE, lint
from pulsefold.cli import main
from pulsefold.design import load_design
from pulsefold.errors import PulsefoldError, ToolFailedError
from pulsefold.exporting import one_stream_each_way
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


def test_exported_verilog_computes_the_network(folder, run_bench, simulator_cache):
    plan = load_design(folder).plan
    with np.load(ROOT / "demo" / "digits_test.npz") as file:
        x = file["images"][:3].astype(np.float32)
    graph = plan.graph
    q = golden.quantize_input(graph.inputs[0], x)
    y = golden.run(graph, {graph.inputs[0].tensor: q})[graph.outputs[0].tensor]
    images, results = (
        ["".join(frame(image, stream)) for image in values]
        for values, stream in ((q, plan.input), (y, plan.output))
    )
    source = folder / "export" / "vivado" / "rtl" / f"{MODULE}.v"
    design = design_from_files([source], [], MODULE, simulator_cache)
    assert run_bench(design, "export_bench", images=images, golden=results) == 1


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


def test_several_streams_are_refused(folder):
    design = load_design(folder)
    two = SimpleNamespace(inputs=design.plan.inputs, outputs=design.plan.outputs * 2)
    with pytest.raises(PulsefoldError, match="one input and one output; here are 1 and 2") as caught:
        one_stream_each_way(two, "--export")
    assert caught.value.where == "--export"
    one_stream_each_way(design.plan, "--export")
