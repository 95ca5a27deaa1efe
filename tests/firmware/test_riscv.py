"""The processor beside the network: its program, run in Verilator, gives the golden classes."""

import json
import math
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pulsefold
from pulsefold.boards import get_board
from pulsefold.boards.riscv import RiscvTop
from pulsefold.boards.toolchain import find_tool
from pulsefold.cli import main
from pulsefold.compiler.ir import ElementType, Tensor
from pulsefold.design import load_design
from pulsefold.errors import DoesNotFitError, PulsefoldError, ToolFailedError, ToolMissingError
from pulsefold.firmware.riscv.build import build_program
from pulsefold.firmware.riscv.header import network_header, ranking
from pulsefold.hdl.riscv.system import RiscvParameters, RiscvSystem
from pulsefold.hdl.top import Core
from pulsefold.sim import golden
from pulsefold.sim.cosim.compile import design_from_rtlil

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("sentinel_cpu", reason="the processor is not installed")


@pytest.fixture(scope="module")
def compiler():
    try:
        return find_tool("zig")
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("riscv") / "digits"
    pulsefold.compile(ROOT / "demo" / "digits.onnx", board="ulx3s-85f", out=out, fps=5_000)
    with np.load(ROOT / "demo" / "digits_test.npz") as file:
        x = file["images"].astype(np.float32)
    classes = pulsefold.simulate(out, x, level="golden").y.argmax(axis=1).tolist()
    # One that is taken for each digit, in no order.
    chosen = [classes.index(digit) for digit in (4, 9, 6, 1, 0, 8, 3, 7, 5, 2)]
    design = load_design(out)
    return design, golden.quantize_input(design.graph.inputs[0], x[chosen]), [classes[n] for n in chosen]


@pytest.mark.slow
def test_ten_digits(compiler, digits, run_bench, tmp_path):
    design, q, classes = digits
    program = build_program(network_header(design.plan, q), 8192, tmp_path / "log")
    system = RiscvSystem(Core(design.plan), RiscvParameters(memory_bytes=8192, program=program))
    assert run_bench(system, "riscv_bench", classes=classes) == 1


@pytest.mark.slow
def test_the_serial_line_of_a_board(compiler, digits, run_bench, simulator_cache, tmp_path):
    design, q, classes = digits
    board = get_board("icebreaker")
    program = build_program(network_header(design.plan, q[:2]), 4096, tmp_path / "log")
    system = RiscvSystem(Core(design.plan), RiscvParameters(memory_bytes=4096, program=program))
    # The oscillator's clock, so that no PLL has to be simulated.
    top = RiscvTop(board, board.clock_mhz, system)
    dut = design_from_rtlil(top.rtlil(), simulator_cache)
    assert run_bench(dut, "riscv_line_bench", classes=classes[:2], divisor=top.uart.divisor) == 1


@pytest.mark.slow
@pytest.mark.synth
def test_bitstream(compiler, digits, tmp_path, capsys):
    design, *_ = digits
    with np.load(ROOT / "demo" / "digits_test.npz") as file:
        np.save(tmp_path / "x.npy", file["images"][:3].astype(np.float32))
    assert main(["build", str(design.folder), "--riscv", str(tmp_path / "x.npy"), "--json", "--quiet"]) == 0
    made = json.loads(capsys.readouterr().out)["riscv"]
    assert made["timing_met"]
    assert made["fmax_mhz"] >= made["clock_mhz"] == 50
    assert len(made["classes"]) == 3
    assert b"LFE5U-85F" in (design.folder / made["bitstream"]).read_bytes()


def tensor(scale, offset, bits=9):
    return Tensor(
        name="t",
        shape=(1, 1, len(scale)),
        type=ElementType.integer(bits, signed=True),
        scale=tuple(scale),
        offset=tuple(offset),
    )


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.fractions(-8, 8, max_denominator=999), st.fractions(-99, 99, max_denominator=99)),
        min_size=1,
        max_size=5,
    ),
    st.integers(2, 6),
)
def test_ranking_is_that_of_the_exact_scores(channels, bits):
    scale, offset = zip(*channels, strict=True)
    if not all(scale):
        return
    scores = tensor(scale, offset, bits)
    low, high = scores.type.minimum, scores.type.maximum
    everything = [(c, q) for c in range(len(scale)) for q in range(low, high + 1)]
    exact = [scale[c] * q + offset[c] for c, q in everything]
    try:
        m, b = ranking(scores)
    except PulsefoldError:
        # Only where results tie that no power of two shows, and the common denominator is too large.
        assert len(set(exact)) < len(exact)
        assert math.lcm(*(v.denominator for v in scale + offset)) * max(map(abs, exact)) >= 1 << 60
        return
    found = [m[c] * q + b[c] for c, q in everything]
    for i, first in enumerate(exact):
        for j, second in enumerate(exact):
            assert (first < second) == (found[i] < found[j])


def test_ties_that_no_power_of_two_shows():
    m, b = ranking(tensor([Fraction(1), Fraction(1, 3)], [Fraction(0)] * 2, bits=3))
    assert (m, b) == ([3, 1], [0, 0])


def test_scores_that_64_bits_cannot_rank():
    with pytest.raises(PulsefoldError, match="cannot be ranked in 64 bits"):
        ranking(tensor([Fraction(1), 1 + Fraction(1, 10**30)], [Fraction(0)] * 2))


def test_equal_scales_need_no_arithmetic():
    assert ranking(tensor([Fraction(1, 3)] * 4, [Fraction(2)] * 4)) == ([1] * 4, [0] * 4)


def test_only_classifiers(digits):
    design, q, _ = digits
    plan = design.plan
    (output,) = plan.graph.outputs
    scores = replace(output, index=output.index[::-1])
    with pytest.raises(PulsefoldError, match="this network is none"):
        network_header(replace(plan, graph=replace(plan.graph, outputs=(scores,))), q)


def test_program_that_is_wrong_or_too_large(compiler, digits, tmp_path):
    design, q, _ = digits
    header = network_header(design.plan, q)
    with pytest.raises(DoesNotFitError, match="do not fit 1024 bytes"):
        build_program(header, 1024, tmp_path / "log")
    bad = tmp_path / "bad.c"
    bad.write_text('#include "pulsefold.h"\nint main(void) { return nothing; }\n')
    with pytest.raises(ToolFailedError, match="zig ended with code 1") as caught:
        build_program(header, 4096, tmp_path / "log", main=bad)
    assert "nothing" in caught.value.why


def test_without_the_processor(monkeypatch, digits):
    design, *_ = digits
    monkeypatch.setitem(sys.modules, "sentinel_cpu.top", None)
    with pytest.raises(ToolMissingError, match="sentinel-cpu is not installed") as caught:
        RiscvSystem(Core(design.plan), RiscvParameters(memory_bytes=1024, program=[]))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("size", "words"), [(1000, 1), (512, 1), (1 << 17, 1), (1024, 257)])
def test_parameters_are_checked(size, words):
    with pytest.raises(ValueError, match=r"memory_bytes|program"):
        RiscvParameters(memory_bytes=size, program=[0] * words)
