"""The command line on the demo network: what works, and what is refused with one message."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pulsefold.__main__ import main as start
from pulsefold.design import load_design
from pulsefold.hdl.units import hop
from pulsefold.implementing import measured

DEMO = Path(__file__).resolve().parents[2] / "demo"


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def refused(outcome, *words: str, code: int = 2) -> None:
    assert outcome.code == code
    assert outcome.err.count("error: ") == 1
    for word in words:
        assert word in outcome.err


def test_compile_writes_the_build_folder(design):
    for part in (
        "model.onnx",
        "golden.onnx",
        "plan.json",
        "rtl/top.v",
        "rtl/top.il",
        "report.json",
        "report.html",
    ):
        assert (design / part).stat().st_size > 0
    report = json.loads((design / "report.json").read_text())
    assert report["layers"][0].keys() >= {"name", "op", "unit", "pe", "simd", "macs", "cycles", "weight_bits"}
    assert report["throughput_fps"] >= 5000
    assert not list(design.parent.glob(".*"))


def test_simulation_equals_golden_and_keeps_its_promise(pulsefold, design, images, tmp_path):
    x, y, z = tmp_path / "x.npy", tmp_path / "y.npy", tmp_path / "z.npy"
    np.save(x, images[:20])
    ran = pulsefold("simulate", design, "--input", x, "--output", y, "--json")
    assert ran.code == 0
    figures = ran.document["simulation"]
    assert figures["mismatches"] == 0
    assert figures["cycles_per_image"] <= 1.02 * figures["cycles_per_image_promised"]
    assert figures["latency_cycles"] == figures["latency_cycles_promised"]
    assert pulsefold("simulate", design, "--input", x, "--output", z, "--level", "golden").code == 0
    np.testing.assert_array_equal(np.load(y), np.load(z))
    assert np.load(y).shape == (20, 10)
    assert np.load(y).dtype == np.float32
    assert pulsefold("simulate", design, "--input", x, "--output", z, "--level", "golden", "--raw").code == 0
    assert np.load(z).dtype.kind == "i"


def test_random_stalls_change_nothing(pulsefold, design, images, tmp_path):
    x = tmp_path / "x.npy"
    np.save(x, images[:10])
    ran = pulsefold("simulate", design, "--input", x, "--stalls", "0.4", "--seed", "7", "--json")
    assert ran.code == 0
    assert ran.document["simulation"]["mismatches"] == 0


def test_pauses_are_not_taken_for_the_circuits_rate(pulsefold, design, images, tmp_path):
    folder = tmp_path / "d"
    shutil.copytree(design, folder)
    np.save(tmp_path / "x.npy", images[:2])
    assert pulsefold("simulate", folder, "--input", tmp_path / "x.npy", "--stalls", "0.995").code == 0
    loaded = load_design(folder)
    assert loaded.read_report()["simulation"]["cycles_per_image"] != loaded.plan.cycles
    assert measured(loaded) == (loaded.plan.cycles, loaded.plan.latency_cycles)


def test_verify_rungs(pulsefold, design, images, tmp_path):
    x = tmp_path / "x.npy"
    np.save(x, images[:5])
    ran = pulsefold("verify", design, "--input", x, "--rungs", "1,2,4", "--json")
    assert ran.code == 0
    assert [r["passed"] for r in ran.document["rungs"]] == [True] * 3


@pytest.mark.slow
def test_verify_every_unit(pulsefold, design, images, tmp_path):
    x = tmp_path / "x.npy"
    np.save(x, images[:1])
    assert pulsefold("verify", design, "--input", x, "--rungs", "3").code == 0


def test_a_wrong_circuit_is_found_and_located(pulsefold, design, images, tmp_path, monkeypatch):
    """A weight flipped in the circuit alone: verification names tensor, element, unit and cycle."""
    words = hop.Hop.words

    def flipped(self):
        found = words(self)
        return [w ^ 7 for w in found] if self.unit.name.startswith("conv2") else found

    monkeypatch.setattr(hop.Hop, "words", flipped)
    folder, x = tmp_path / "d", tmp_path / "x.npy"
    shutil.copytree(design, folder)
    np.save(x, images[:3])
    ran = pulsefold("verify", folder, "--input", x, "--rungs", "4", "--json")
    assert ran.code == 1
    detail = ran.document["rungs"][0]["detail"]
    assert "unit 'conv2'" in detail
    assert "in cycle" in detail
    assert (folder / "logs" / "mismatch.vcd").stat().st_size > 0
    assert pulsefold("simulate", folder, "--input", x).code == 1


def test_waves(pulsefold, design, images, tmp_path):
    x, waves = tmp_path / "x.npy", tmp_path / "w.vcd"
    np.save(x, images[:1])
    assert pulsefold("simulate", design, "--input", x, "--waves", waves).code == 0
    assert waves.read_bytes()[:200].count(b"$") > 2


def test_nothing_changed_is_noticed(pulsefold, design, model):
    before = (design / "plan.json").stat().st_mtime_ns
    ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", design, "--fps", "5000")
    assert ran.code == 0
    assert "up to date" in ran.err
    assert (design / "plan.json").stat().st_mtime_ns == before


def test_edited_plan_is_accepted_back(pulsefold, design, model, tmp_path):
    plan = json.loads((design / "plan.json").read_text())
    layer = next(name for name, fold in plan["folding"].items() if name.startswith("conv"))
    plan["folding"][layer] |= {"pe": 1, "simd": 1}
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(plan))
    ran = pulsefold(
        "compile", model, "--board", "ulx3s-85f", "-o", tmp_path / "d", "--folding", edited, "--json"
    )
    assert ran.code == 0
    assert next(x for x in ran.document["layers"] if x["name"] == layer)["pe"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pe": 7}, ("PE 7 does not divide", "nearest PE")),
        ({"simd": 5}, ("SIMD 5 does not divide", "nearest SIMD")),
        ({"pe": -1}, ("pe must be a whole number above 0",)),
        ({"typo": 1}, ("use only",)),
        ({"memory": "tape"}, ("memory must be one of",)),
        ({"held": 0}, ("held must be a whole number above 0",)),
        ({"parts": 0}, ("parts must be a whole number above 0",)),
        ({"parts": 2, "memory": "block"}, ("cannot come in 2 parts", "take a divisor of")),
        ({"lines": "tape"}, ("lines must be one of block, lut",)),
        ({"buffers": "tape"}, ("buffers must be one of block, lut",)),
    ],
)
def test_impossible_folding(pulsefold, design, model, tmp_path, change, words):
    plan = json.loads((design / "plan.json").read_text())
    layer = next(name for name in plan["folding"] if name.startswith("conv"))
    plan["folding"][layer] |= change
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(plan))
    ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", tmp_path / "d", "--folding", edited)
    refused(ran, *words)
    assert files(tmp_path) == ["edited.json"]


def test_empty_block_ram_is_the_users_to_allow(pulsefold, tmp_path, model):
    def compiled(*options):
        ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", tmp_path / "d", *options, "--json")
        assert ran.code == 0, ran.err
        return ran.document

    plain = compiled("--fps", "5000")
    least = compiled("--fps", "5000", "--padding", "100")
    assert plain["bram_padding"] <= 0.15 < least["bram_padding"]
    assert least["estimated"]["luts"] < plain["estimated"]["luts"]
    assert compiled("--padding", "15%")["bram_padding"] <= 0.15
    before = files(tmp_path)
    for options, words in (
        (("--padding", "101"), ("0 to 100 %", "--padding")),
        (("--padding", "little"), ("--padding",)),
        (("--padding", "15", "--folding", tmp_path / "d" / "plan.json"), ("exclude each other",)),
    ):
        refused(compile_file(pulsefold, tmp_path, model, *options), *words)
    ran = compile_file(pulsefold, tmp_path, model, "--padding", "1")
    refused(ran, "empty, 1% may", "allow", "--padding", "fewer frames", code=3)
    assert files(tmp_path) == before


def compile_file(pulsefold, tmp_path, model, *options):
    before = files(tmp_path)
    ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", tmp_path / "a" / "d", *options)
    assert files(tmp_path) == before
    return ran


def test_file_that_is_no_onnx(pulsefold, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"GIF89a" * 100)
    refused(compile_file(pulsefold, tmp_path, path), "m.onnx")
    refused(compile_file(pulsefold, tmp_path, tmp_path / "absent.onnx"), "absent.onnx")
    refused(compile_file(pulsefold, tmp_path, tmp_path), str(tmp_path))


def quantizer(name: str, source: str):
    return helper.make_node(
        "BipolarQuant", [source, "one"], [name], name=name, domain="qonnx.custom_op.general"
    )


def small_model(tmp_path, *nodes, shape=(1, 3, 8, 8)):
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w"),
            numpy_helper.from_array(np.float32(1), "one"),
        ],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_float_model_says_how_to_quantize(pulsefold, tmp_path):
    path = small_model(tmp_path, helper.make_node("Conv", ["x", "w"], ["y"], name="conv"))
    refused(compile_file(pulsefold, tmp_path, path), "not quantized", "pulsefold quantize")


def test_unsupported_node_is_named(pulsefold, tmp_path):
    path = small_model(tmp_path, quantizer("q", "x"), helper.make_node("Det", ["q"], ["y"], name="strange"))
    refused(compile_file(pulsefold, tmp_path, path), "strange (Det)", "what to do")


def test_dynamic_spatial_shape(pulsefold, tmp_path):
    nodes = [
        quantizer("q", "x"),
        quantizer("v", "w"),
        helper.make_node("Conv", ["q", "v"], ["y"], name="conv"),
    ]
    path = small_model(tmp_path, *nodes, shape=(1, 3, "height", 8))
    refused(compile_file(pulsefold, tmp_path, path), "height", "what to do")


def test_unknown_board_names_the_nearest(pulsefold, model, tmp_path):
    ran = pulsefold("compile", model, "--board", "ulx3s85", "-o", tmp_path / "d")
    refused(ran, "ulx3s-85f")
    assert files(tmp_path) == []


def test_rate_out_of_reach(pulsefold, model, tmp_path):
    ran = compile_file(pulsefold, tmp_path, model, "--fps", "100000000")
    refused(ran, "fastest that fits", code=3)


def test_folder_that_holds_other_things(pulsefold, model, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", tmp_path)
    refused(ran, "other things")
    assert files(tmp_path) == ["mine.txt"]


def test_folder_that_cannot_be_made(pulsefold, model, tmp_path):
    (tmp_path / "file").write_text("")
    ran = pulsefold("compile", model, "--board", "ulx3s-85f", "-o", tmp_path / "file" / "d")
    refused(ran, "cannot write")
    assert files(tmp_path) == ["file"]


def test_full_disk_leaves_nothing(pulsefold, model, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pulsefold.compiling.write_verilog", full)
    refused(compile_file(pulsefold, tmp_path, model, "--fps", "5000"), "No space left on device")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), ("shape",)),
        (np.zeros((2, 1, 8, 8), np.complex64), ("complex64",)),
        (np.zeros((2, 1, 8, 8), np.int64), ("int64",)),
        (np.full((2, 1, 8, 8), np.nan, np.float32), ("NaN",)),
        (np.full((2, 1, 8, 8), np.inf, np.float32), ("inf",)),
        (np.array([["a"]]), ("<U1",)),
    ],
)
def test_bad_input_arrays(pulsefold, design, tmp_path, array, words):
    x, y = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(x, array)
    ran = pulsefold("simulate", design, "--input", x, "--output", y)
    refused(ran, *words)
    assert not y.exists()


def test_input_file_that_is_no_array(pulsefold, design, tmp_path):
    for content in (b"", b"not an array", b"\x93NUMPY\x01\x00v\x00{'descr': '|O'"):
        (tmp_path / "x.npy").write_bytes(content)
        refused(pulsefold("simulate", design, "--input", tmp_path / "x.npy"), "x.npy")
    refused(pulsefold("simulate", design, "--input", tmp_path / "absent.npy"), "absent.npy")


def test_output_that_cannot_be_written(pulsefold, design, images, tmp_path):
    np.save(tmp_path / "x.npy", images[:1])
    place = tmp_path / "absent" / "y.npy"
    refused(
        pulsefold("simulate", design, "--input", tmp_path / "x.npy", "--output", place, "--level", "golden"),
        "y.npy",
    )


def test_folder_without_a_design(pulsefold, tmp_path):
    for verb in ("simulate", "verify", "build", "report"):
        extra = ["--input", tmp_path / "x.npy"] if verb == "simulate" else []
        refused(pulsefold(verb, tmp_path, *extra), "no compiled design here")


def test_wrong_options(pulsefold, model):
    refused(pulsefold("compile", model), "--board")
    refused(pulsefold("dance"), "dance")
    refused(pulsefold("compile", model, "--board", "ulx3s-85f", "-o", "d", "--fps", "-3"), "--fps")
    refused(pulsefold("compile", model, "--board", "ulx3s-85f", "-o", "d", "--clock-mhz", "0"), "--clock-mhz")


def test_errors_as_json(pulsefold, model):
    ran = pulsefold("compile", model, "--board", "nothing", "-o", "d", "--json")
    assert ran.code == 2
    assert ran.document["error"] == "UnknownBoardError"
    assert ran.document["todo"]


def test_inspect(pulsefold, model):
    ran = pulsefold("inspect", model, "--json")
    assert ran.code == 0
    assert ran.document["supported"]
    assert ran.document["macs"] > 0
    assert {n["verdict"] for n in ran.document["nodes"]} <= {"supported", "folded", "unused"}


def test_boards_and_doctor(pulsefold):
    names = {b["name"] for b in pulsefold("boards", "--json").document}
    assert names >= {"ulx3s-85f", "icebreaker", "tang-nano-9k"}
    ran = pulsefold("doctor", "--json")
    assert ran.code == 0
    assert {f["name"] for f in ran.document if f["found"]} >= {"yosys", "verilator", "nextpnr-ecp5", "g++"}


def test_no_board_has_no_limits_and_no_bitstream(pulsefold, tmp_path, model, images):
    refused(pulsefold("compile", model, "--board", "unlimited", "-o", tmp_path / "d"), "--fps", "--folding")
    refused(pulsefold("explore", model, "--board", "unlimited", "-o", tmp_path / "d"), "no limits")
    folder = tmp_path / "d"
    assert pulsefold("compile", model, "--board", "unlimited", "-o", folder, "--fps", "5000").code == 0
    np.save(tmp_path / "x.npy", images[:2])
    ran = pulsefold("simulate", folder, "--input", tmp_path / "x.npy", "--json")
    assert ran.document["simulation"]["mismatches"] == 0
    refused(pulsefold("build", folder), "unlimited", "pulsefold boards", "--export")
    refused(pulsefold("build", folder, "--riscv", tmp_path / "x.npy"), "unlimited")
    assert pulsefold("build", folder, "--export", "quartus").code == 0


def test_report(pulsefold, design):
    ran = pulsefold("report", design, "--json")
    assert ran.code == 0
    assert ran.document["board"] == "ulx3s-85f"
    assert pulsefold("report", design).out.count("conv") >= 2


def interrupted_at(word: str, arguments: list[str]) -> tuple[int, str]:
    """The program as a shell starts it, with Ctrl-C once it says a word: its exit code and its last line."""
    command = [sys.executable, "-m", "pulsefold", *arguments]
    # What is ignored here, as behind nohup, would be ignored there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if word in line:
                process.send_signal(signal.SIGINT)
                break
        last = process.stderr.read().splitlines()[-1]
    return process.returncode, last


def test_interrupted_compile_leaves_nothing(tmp_path):
    compile_ = ["compile", str(DEMO / "digits.onnx"), "--board", "ulx3s-85f", "-o", str(tmp_path / "d")]
    assert interrupted_at("planning", compile_) == (130, "interrupted; nothing half-written was left")
    assert not list(tmp_path.iterdir())


def test_interrupted_while_it_loads(monkeypatch, capsys):
    class Interrupt:
        def find_spec(self, name, path=None, target=None):
            if name == "pulsefold.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "pulsefold.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupt(), *sys.meta_path])
    assert start() == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_no_images(pulsefold, design, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((0, 1, 8, 8), np.float32))
    for verb in ("simulate", "verify"):
        outcome = pulsefold(verb, design, "--input", tmp_path / "x.npy")
        refused(outcome, "it holds no images", "give at least one")
